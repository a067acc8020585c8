//! Users log in by name and password: the route table and nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::token_fields::TokenFields;

mod login;
mod password;
mod policies;
mod records;
mod users;

use login::Login;
use password::NewPassword;
use policies::NewPolicies;
use records::UserName;
use users::PutUser;

/// The auth method.
#[derive(Debug)]
pub struct Userpass;

/// Logs users in by name and password.
///
/// Users are kept below `users/`, with a bcrypt hash of their password, and log in at
/// `login/`. Names count without case.
#[rustfmt::skip] // one line a route
#[plugin(name = "userpass", data_version = 1, seal_wrapped = ["user/"])]
impl Userpass {
    /// List users.
    #[list("users/", id = "list-users", synopsis = "Manage users allowed to authenticate.")]
    fn list(cx: &Cx, page: Page) -> Result<Keys> { users::list(cx, &page) }

    /// Create or change a user.
    ///
    /// What a write leaves out stays. A user who is deleted or whose policies change keeps the tokens there are; they
    /// are not renewed any more.
    #[write("users/{username}", exists = users::exists, id = "write-user", synopsis = "Manage users allowed to authenticate.",
        describe(username = "Username for this user."))]
    fn put(cx: &Cx, user: UserName, body: PutUser, password: NewPassword, tokens: TokenFields) -> Result<()> { users::put(cx, &user, body, &password, tokens) }
    /// Read a user, without the password.
    #[read("users/{username}", id = "read-user")]
    fn get(cx: &Cx, user: UserName) -> Result<Reply> { users::get(cx, &user) }
    /// Remove a user.
    #[delete("users/{username}", id = "delete-user")]
    fn delete(cx: &Cx, user: UserName) -> Result<()> { cx.delete::<records::User>(&user.0) }

    /// Reset user's password.
    ///
    /// Takes either the password or a bcrypt hash of it.
    #[update("users/{username}/password", id = "reset-password", describe(username = "Username for this user."))]
    fn reset_password(cx: &Cx, user: UserName, password: NewPassword) -> Result<()> { password::reset(cx, &user, &password) }

    /// Update the policies associated with the username.
    #[update("users/{username}/policies", id = "update-policies", describe(username = "Username for this user."))]
    fn set_policies(cx: &Cx, user: UserName, policies: NewPolicies) -> Result<()> { policies::replace(cx, &user, policies) }

    /// Log in with a username and password.
    #[login("login/{username}", id = "login", describe(username = "Username of the user."))]
    fn login(cx: &Cx, user: UserName, body: Login, request: &Request) -> Result<Verdict> { login::login(cx, &user, &body, &request.caller) }
    #[alias_lookahead("login/{username}")]
    fn alias(_cx: &Cx, user: UserName) -> Result<Auth> { Ok(Auth::named(&user.0)) }
    #[renew_token]
    fn renew(cx: &Cx, issued: IssuedAuth, _increment: Option<u64>) -> Result<AuthGrant> { login::renew(cx, issued.grant) }
}

bulkhead_sdk::export_auth_method!(Userpass);

#[cfg(test)]
mod tests;

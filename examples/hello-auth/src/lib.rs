//! An auth method in a page: users who share a phrase with the server.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::prelude::*;

/// How phrases are hashed.
const SCHEME: &str = "argon2id:m=19456,t=2,p=1";

/// The auth method.
#[derive(Debug)]
pub struct Phrases;

#[derive(Serialize, Deserialize, Stored)]
#[stored("user/{name}")]
struct User {
    hash: Secret<String>,
    policies: Vec<String>,
    ttl: Seconds,
}

#[derive(Fields)]
struct PutUser {
    /// What the user says to log in.
    #[field(required)]
    phrase: Secret<String>,
    /// Policies of the user's tokens.
    policies: Vec<String>,
    /// How long a token lives; the mount's default if not set.
    ttl: Seconds,
}

#[derive(Fields)]
struct Login {
    /// The phrase.
    #[field(required)]
    phrase: Secret<String>,
}

/// Logs users in by a phrase, of which only a hash is kept.
#[plugin(name = "hello-auth", data_version = 1, seal_wrapped = ["user/"])]
impl Phrases {
    /// Create or change a user.
    #[write("users/{name}", exists = User, describe(name = "Name of the user."))]
    fn put_user(cx: &Cx, name: &str, body: PutUser) -> Result<()> {
        let hash = Secret::new(cx.password_hash(SCHEME, body.phrase.expose().as_bytes())?);
        cx.put(name, &User { hash, policies: body.policies, ttl: body.ttl })
    }

    /// Read a user, without the phrase.
    #[read("users/{name}")]
    fn get_user(cx: &Cx, name: &str) -> Result<Value> {
        let user: User = cx.require(name)?;
        Ok(json!({ "policies": user.policies, "ttl": user.ttl }))
    }

    /// Remove a user.
    #[delete("users/{name}")]
    fn drop_user(cx: &Cx, name: &str) -> Result<()> {
        cx.delete::<User>(name)
    }

    /// List users.
    #[list("users/")]
    fn users(cx: &Cx, page: Page) -> Result<Keys> {
        cx.list::<User>(&page)
    }

    /// Log in.
    #[login("login/{name}", describe(name = "Name of the user."))]
    fn login(cx: &Cx, name: &str, body: Login) -> Result<Verdict> {
        let (user, phrase) = (cx.get::<User>(name)?, body.phrase.expose().as_bytes());
        let is_right = match &user {
            Some(user) => cx.password_verify(user.hash.expose(), phrase)?,
            // As much work as with a user, so that the time does not tell who there is.
            None => cx.password_hash(SCHEME, phrase).map(|_| false)?,
        };
        let Some(user) = user.filter(|_| is_right) else { return Ok(Verdict::wrong("invalid name or phrase")) };
        let auth = Auth::named(name).policies(user.policies).ttl(user.ttl).metadata("user", name);
        auth.internal(&name).map(Verdict::Granted)
    }

    #[alias_lookahead("login/{name}")]
    fn alias(_cx: &Cx, name: &str) -> Result<Auth> {
        Ok(Auth::named(name))
    }

    #[renew_token]
    fn renew(cx: &Cx, issued: IssuedAuth, _increment: Option<u64>) -> Result<AuthGrant> {
        let name: String = serde_json::from_slice(&issued.grant.internal).unwrap_or_default();
        let user = cx.get::<User>(&name)?.ok_or_else(|| Error::invalid("the user is gone"))?;
        if user.policies != issued.grant.policies {
            return Err(Error::invalid("policies have changed, not renewing"));
        }
        Ok(Auth(issued.grant).ttl(user.ttl).0)
    }
}

bulkhead_sdk::export_auth_method!(Phrases);

#[cfg(test)]
mod tests;

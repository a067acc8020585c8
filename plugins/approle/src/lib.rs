//! Applications log in by the id of their role and a secret id: the route table and
//! nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::token_fields::TokenFields;

mod expiry;
mod help;
mod issue;
mod login;
mod lookup;
mod metadata;
mod part;
mod records;
mod role;
mod secret_id;
mod tidy;

use issue::{Custom, NewSecretId};
use login::Login;
use lookup::{ByAccessor, BySecretId};
use part as p;
use records::RoleName;
use role::PutRole;

/// The auth method.
#[derive(Debug)]
pub struct Approle;

/// Logs applications in by the id of their role and a secret id.
///
/// A role holds what tokens of an application are like. Its id is fixed; its secret ids
/// are handed out one by one, and can be bounded in uses, time and networks.
#[rustfmt::skip] // one line a route
#[plugin(name = "approle", data_version = 1, seal_wrapped = ["role/"],
    local = ["secret-id-local/", "accessor-local/", "expiry-local/"])]
impl Approle {
    /// List the roles.
    #[list("role/", id = "list-roles", synopsis = help::ROLES)]
    fn roles(cx: &Cx, page: Page) -> Result<Keys> { cx.list::<records::Role>(&page) }

    /// Create or change a role.
    #[write("role/{role_name}", exists = role::exists, id = "write-role", synopsis = help::ROLE, help = help::ROLE_MORE,
        describe(role_name = help::NAME))]
    fn put_role(cx: &Cx, name: RoleName, body: PutRole, tokens: TokenFields) -> Result<Reply> { role::put(cx, &name, body, tokens) }
    /// Read a role.
    #[read("role/{role_name}", id = "read-role")]
    fn get_role(cx: &Cx, name: RoleName) -> Result<Reply> { role::get(cx, &name) }
    /// Remove a role and its secret ids.
    #[delete("role/{role_name}", id = "delete-role")]
    fn delete_role(cx: &Cx, name: RoleName) -> Result<()> { role::delete(cx, &name) }

    /// Policies of the role.
    #[read("role/{role_name}/policies", describe(role_name = help::NAME))] #[update("role/{role_name}/policies")] #[delete("role/{role_name}/policies")]
    fn policies(cx: &Cx, name: RoleName, body: p::SetPolicies, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::POLICIES) }
    /// Period of the role's tokens.
    #[read("role/{role_name}/period", describe(role_name = help::NAME))] #[update("role/{role_name}/period")] #[delete("role/{role_name}/period")]
    fn period(cx: &Cx, name: RoleName, body: p::SetPeriod, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::PERIOD) }
    /// Whether a login with the role needs a secret id.
    #[read("role/{role_name}/bind-secret-id", describe(role_name = help::NAME))] #[update("role/{role_name}/bind-secret-id")] #[delete("role/{role_name}/bind-secret-id")]
    fn bind_secret_id(cx: &Cx, name: RoleName, body: p::SetBindSecretId, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::BIND_SECRET_ID) }
    /// Deprecated: networks that logins may come from; see secret-id-bound-cidrs.
    #[read("role/{role_name}/bound-cidr-list", describe(role_name = help::NAME))] #[update("role/{role_name}/bound-cidr-list")] #[delete("role/{role_name}/bound-cidr-list")]
    fn bound_cidr_list(cx: &Cx, name: RoleName, body: p::SetBoundCidrList, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::BOUND_CIDR_LIST) }
    /// Networks that logins with the role may come from.
    #[read("role/{role_name}/secret-id-bound-cidrs", describe(role_name = help::NAME))] #[update("role/{role_name}/secret-id-bound-cidrs")] #[delete("role/{role_name}/secret-id-bound-cidrs")]
    fn secret_id_bound_cidrs(cx: &Cx, name: RoleName, body: p::SetSecretIdBoundCidrs, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::SECRET_ID_BOUND_CIDRS) }
    /// Networks that the role's tokens can be used from.
    #[read("role/{role_name}/token-bound-cidrs", describe(role_name = help::NAME))] #[update("role/{role_name}/token-bound-cidrs")] #[delete("role/{role_name}/token-bound-cidrs")]
    fn token_bound_cidrs(cx: &Cx, name: RoleName, body: p::SetTokenBoundCidrs, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::TOKEN_BOUND_CIDRS) }
    /// How many logins a secret id of the role is good for.
    #[read("role/{role_name}/secret-id-num-uses", describe(role_name = help::NAME))] #[update("role/{role_name}/secret-id-num-uses")] #[delete("role/{role_name}/secret-id-num-uses")]
    fn secret_id_num_uses(cx: &Cx, name: RoleName, body: p::SetSecretIdNumUses, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::SECRET_ID_NUM_USES) }
    /// Lifetime of the role's secret ids.
    #[read("role/{role_name}/secret-id-ttl", describe(role_name = help::NAME))] #[update("role/{role_name}/secret-id-ttl")] #[delete("role/{role_name}/secret-id-ttl")]
    fn secret_id_ttl(cx: &Cx, name: RoleName, body: p::SetSecretIdTtl, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::SECRET_ID_TTL) }
    /// How many requests a token of the role is good for.
    #[read("role/{role_name}/token-num-uses", describe(role_name = help::NAME))] #[update("role/{role_name}/token-num-uses")] #[delete("role/{role_name}/token-num-uses")]
    fn token_num_uses(cx: &Cx, name: RoleName, body: p::SetTokenNumUses, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::TOKEN_NUM_USES) }
    /// First lifetime of the role's tokens.
    #[read("role/{role_name}/token-ttl", describe(role_name = help::NAME))] #[update("role/{role_name}/token-ttl")] #[delete("role/{role_name}/token-ttl")]
    fn token_ttl(cx: &Cx, name: RoleName, body: p::SetTokenTtl, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::TOKEN_TTL) }
    /// Longest life of the role's tokens.
    #[read("role/{role_name}/token-max-ttl", describe(role_name = help::NAME))] #[update("role/{role_name}/token-max-ttl")] #[delete("role/{role_name}/token-max-ttl")]
    fn token_max_ttl(cx: &Cx, name: RoleName, body: p::SetTokenMaxTtl, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::TOKEN_MAX_TTL) }
    /// What a login names the role by.
    #[read("role/{role_name}/role-id", describe(role_name = help::NAME))] #[update("role/{role_name}/role-id")]
    fn role_id(cx: &Cx, name: RoleName, body: p::SetRoleId, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::ROLE_ID) }
    /// Whether the role's secret ids never leave the cluster.
    #[read("role/{role_name}/local-secret-ids", id = "read-local-secret-ids", describe(role_name = help::NAME))]
    fn local_secret_ids(cx: &Cx, name: RoleName, body: p::Nothing, request: &Request) -> Result<Reply> { p::answer(cx, &name, request, body, &p::LOCAL_SECRET_IDS) }

    /// Make a secret id.
    #[update("role/{role_name}/secret-id", id = "write-secret-id", synopsis = help::SECRET_ID, describe(role_name = help::NAME))]
    fn secret_id(cx: &Cx, name: RoleName, body: NewSecretId) -> Result<Reply> { issue::generate(cx, &name, &body) }
    /// List the accessors of a role's secret ids.
    #[list("role/{role_name}/secret-id/", id = "list-secret-ids", synopsis = help::SECRET_ID, describe(role_name = help::NAME))]
    fn secret_ids(cx: &Cx, name: RoleName, page: Page) -> Result<Keys> { issue::list(cx, &name, &page) }
    /// Make a secret id of the caller's choice.
    #[update("role/{role_name}/custom-secret-id", id = "write-custom-secret-id", describe(role_name = help::NAME))]
    fn custom_secret_id(cx: &Cx, name: RoleName, custom: Custom, body: NewSecretId) -> Result<Reply> { issue::custom(cx, &name, &custom, &body) }
    /// Read what there is about a secret id.
    #[update("role/{role_name}/secret-id/lookup", id = "look-up-secret-id", describe(role_name = help::NAME))]
    fn look_up(cx: &Cx, name: RoleName, which: BySecretId) -> Result<Reply> { which.look_up(cx, &name) }
    /// End a secret id.
    #[update("role/{role_name}/secret-id/destroy", describe(role_name = help::NAME))] #[delete("role/{role_name}/secret-id/destroy")]
    fn destroy(cx: &Cx, name: RoleName, which: BySecretId) -> Result<()> { which.destroy(cx, &name) }
    /// Read what there is about the secret id of an accessor.
    #[update("role/{role_name}/secret-id-accessor/lookup", id = "look-up-secret-id-by-accessor", describe(role_name = help::NAME))]
    fn look_up_by_accessor(cx: &Cx, name: RoleName, which: ByAccessor) -> Result<Reply> { which.look_up(cx, &name) }
    /// End the secret id of an accessor.
    #[update("role/{role_name}/secret-id-accessor/destroy", describe(role_name = help::NAME))] #[delete("role/{role_name}/secret-id-accessor/destroy")]
    fn destroy_by_accessor(cx: &Cx, name: RoleName, which: ByAccessor) -> Result<()> { which.destroy(cx, &name) }

    /// Log in with the id of a role and one of its secret ids.
    #[login("login", id = "login")]
    fn login(cx: &Cx, body: Login, request: &Request) -> Result<Verdict> { login::login(cx, &body, &request.caller) }
    #[alias_lookahead("login")]
    fn alias(_cx: &Cx, body: Login) -> Result<Auth> { login::alias(&body) }
    #[resolve_role("login")]
    fn login_role(cx: &Cx, body: Login) -> Result<Reply> { login::role(cx, &body) }
    #[renew_token]
    fn renew(cx: &Cx, issued: IssuedAuth, _increment: Option<u64>) -> Result<AuthGrant> { login::renew(cx, issued.grant) }

    /// Remove secret ids that have ended, now.
    #[update("tidy/secret-id", id = "tidy-secret-id")]
    fn tidy(cx: &Cx) -> Result<Reply> { tidy::begin(cx) }
    #[job("tidy", every = 60)]
    fn tidy_ended(cx: &Cx, _key: &str, _payload: &[u8]) -> Result<JobOutcome> { tidy::ended(cx) }
    #[job("clear")]
    fn clear(cx: &Cx, space: &str, payload: &[u8]) -> Result<JobOutcome> { tidy::clear(cx, space, payload) }
}

bulkhead_sdk::export_auth_method!(Approle);

#[cfg(test)]
mod tests;

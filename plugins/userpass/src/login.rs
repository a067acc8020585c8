//! `login/:username`, and what becomes of its tokens at their renewal.

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{Caller, cidr, json, names};

use crate::records::{User, UserName};

/// Compared with where there is no user, so that the answer takes as long. The password
/// behind it is of no use: without a user there is no token.
const NOBODYS_HASH: &str = "$2a$10$k1wbIrmNyFAPwPVPSVa/zecw2BCEnBwVS2GbrmgzxFUOqW9dk4TCW";

/// What a user says to log in.
#[derive(Debug, Fields)]
pub(crate) struct Login {
    /// Password for this user.
    password: Secret<String>,
}

pub(crate) fn login(cx: &Cx, name: &UserName, body: &Login, caller: &Caller) -> Result<Verdict> {
    let password = body.password.expose().as_bytes();
    if password.is_empty() {
        return Err(Error::invalid("missing password"));
    }
    let user: Option<User> = cx.get(&name.0)?;
    let hash = user.as_ref().map_or(NOBODYS_HASH, |user| user.password_hash.expose());
    let is_right = cx.password_verify(hash, password)?;
    let Some(user) = user.filter(|_| is_right) else { return Ok(Verdict::wrong("invalid username or password")) };
    if !cidr::admit(&user.tokens.bound_cidrs, caller) {
        return Err(Error::denied("permission denied"));
    }
    let auth = Auth::named(&name.0).metadata("username", &name.0).internal(&name.0)?;
    user.tokens.grant(auth, caller).map(Verdict::Granted)
}

/// A token lives on while its user has the policies that it was given.
pub(crate) fn renew(cx: &Cx, grant: AuthGrant) -> Result<AuthGrant> {
    let name = core::str::from_utf8(&grant.internal).ok().and_then(json::unquote);
    let name = name.ok_or_else(|| Error::internal("the token's user is not readable"))?;
    let user: User = cx.get(&name)?.ok_or_else(|| Error::invalid("the user does not exist any more"))?;
    if !names::same_policies(&user.tokens.policies, &grant.policies) {
        return Err(Error::invalid("policies have changed, not renewing"));
    }
    Ok(user.tokens.renewed(grant))
}

//! `login`, and what becomes of its tokens at their renewal.

use bulkhead_sdk::cidr::{Network, admit};
use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{Caller, names};

use crate::issue::narrowed;
use crate::records::{self, Role};
use crate::secret_id::{self, SecretId};

/// What an application says to log in.
#[derive(Debug, Fields)]
pub(crate) struct Login {
    /// The role's id; always needed.
    role_id: String,
    /// A secret_id of the role, unless the role does without.
    secret_id: Secret<String>,
}

impl Login {
    fn role_id(&self) -> Result<&str> {
        match self.role_id.trim() {
            "" => Err(Error::invalid("missing role_id")),
            role_id if role_id.len() > ROLE_ID_BYTES_MAX => Err(Error::invalid(WRONG)),
            role_id => Ok(role_id),
        }
    }

    /// Name and settings of the role that the id leads to.
    fn role(&self, cx: &Cx) -> Result<Option<(String, Role)>> {
        let Some(name) = records::named_by(cx, self.role_id()?)? else { return Ok(None) };
        Ok(cx.get(&name)?.map(|role| (name, role)))
    }
}

/// Bytes of a role_id that is looked for. Source: ours. Why: the host takes no longer name of whom a login is for.
const ROLE_ID_BYTES_MAX: usize = 4_096;

const WRONG: &str = "invalid role or secret ID";

pub(crate) fn login(cx: &Cx, body: &Login, caller: &Caller) -> Result<Verdict> {
    let found = body.role(cx)?;
    let secret = match &found {
        Some((_, role)) if !role.bind_secret_id => Some(SecretId::default()),
        _ => use_secret_id(cx, body, found.as_ref().map(|(_, role)| role), caller)?,
    };
    let (Some((name, role)), Some(secret)) = (found, secret) else { return Ok(Verdict::wrong(WRONG)) };
    if !admit(&role.bound_cidrs, caller) {
        return Err(refused(caller, "role"));
    }
    grant(&role, &name, &secret, caller).map(Verdict::Granted)
}

/// Counts a login of a secret id, which must be for this caller; none if it is not one of the
/// role's. An unknown role goes the same way, over a role that has no secret ids: neither text
/// nor time tells that there is none.
fn use_secret_id(cx: &Cx, body: &Login, role: Option<&Role>, caller: &Caller) -> Result<Option<SecretId>> {
    let nobody = Role { hmac_key: Secret::new(vec![0; 32]), place: nowhere(), ..Role::default() };
    let role = role.unwrap_or(&nobody);
    let secret_id = body.secret_id.expose().trim();
    if secret_id.is_empty() {
        return Err(Error::invalid("missing secret_id"));
    }
    let hmac = secret_id::hmac(cx, role, secret_id)?;
    let Some(mut found) = secret_id::find(cx, &role.place, hmac)? else { return Ok(None) };
    // The role may have been narrowed since the secret id was made.
    narrowed(&role.bound_cidrs, &found.record.cidrs)?;
    narrowed(&role.tokens.bound_cidrs, &found.record.token_cidrs)?;
    if !admit(&found.record.cidrs, caller) {
        return Err(refused(caller, "secret ID"));
    }
    found.count_use(cx, &role.place)?;
    Ok(Some(found.record))
}

fn nowhere() -> records::Place {
    records::Place { is_local: false, space: "none".to_owned() }
}

fn refused(caller: &Caller, by: &str) -> Error {
    let address = &caller.remote_address;
    Error::invalid(format!("source address {address:?} unauthorized by CIDR restrictions on the {by}"))
}

fn grant(role: &Role, name: &str, secret: &SecretId, caller: &Caller) -> Result<Auth> {
    // As in Vault the token is called by its mount alone, and the role's id is its alias.
    let mut auth = Auth::named(&role.role_id).display_name("").internal(&name)?;
    let own = secret.metadata.iter().filter(|(name, _)| *name != "role_name");
    let all = own.map(|(name, value)| (name.as_str(), value.as_str())).chain([("role_name", name)]);
    for (name, value) in all {
        auth = auth.metadata(name, value).alias_metadata(name, value);
    }
    let auth = role.tokens.grant(auth, caller)?;
    if secret.token_cidrs.is_empty() {
        return Ok(auth);
    }
    if role.tokens.strictly_bind_ip {
        return if admit(&secret.token_cidrs, caller) { Ok(auth) } else { Err(refused(caller, "secret ID")) };
    }
    Ok(auth.bound_cidrs(secret.token_cidrs.iter().map(Network::to_string).collect()))
}

/// Whom failures of this login are counted against.
pub(crate) fn alias(body: &Login) -> Result<Auth> {
    body.role_id().map(Auth::named)
}

/// The role that quotas of this login go by.
pub(crate) fn role(cx: &Cx, body: &Login) -> Result<Reply> {
    let (name, _) = body.role(cx)?.ok_or_else(|| Error::invalid(WRONG))?;
    Ok(Reply::text(Object::new().text("role", &name).end()))
}

/// A token lives on while its role is there.
pub(crate) fn renew(cx: &Cx, grant: AuthGrant) -> Result<AuthGrant> {
    let name = core::str::from_utf8(&grant.internal).ok().and_then(json::unquote);
    let name = name.filter(|name| names::is_name(name));
    let name = name.ok_or_else(|| Error::internal("the token's role is not readable"))?;
    let role: Option<Role> = cx.get(&name)?;
    let role = role.ok_or_else(|| Error::invalid(format!("role {name:?} does not exist during renewal")))?;
    Ok(role.tokens.renewed(grant))
}

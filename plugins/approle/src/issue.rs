//! `secret-id` and `custom-secret-id`: new secret ids, and what there is of them.

use bulkhead_sdk::cidr::{Network, within};
use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::time::rfc3339;
use bulkhead_sdk::token_fields::uses;

use crate::metadata;
use crate::records::{Role, RoleName};
use crate::role::{blocks, listed};
use crate::secret_id::{self, Found, SecretId};

/// What a new secret id is to be like; what is left out is as the role has it.
#[derive(Debug, Fields)]
pub(crate) struct NewSecretId {
    /// Facts that logins with this secret_id carry, as text: a JSON object of texts, or pairs name=value.
    metadata: String,
    /// Networks, as a list or separated by commas, that logins may come from; within those of the role.
    cidr_list: Vec<String>,
    /// Networks, as a list or separated by commas, that tokens can be used from; within those of the role.
    token_bound_cidrs: Vec<String>,
    /// How many logins this secret_id is good for; not more than the role says.
    num_uses: Option<i64>,
    /// Lifetime of this secret_id; not longer than the role says.
    ttl: Option<Seconds>,
}

/// A secret id of the caller's choice.
#[derive(Debug, Fields)]
pub(crate) struct Custom {
    /// The secret_id.
    pub(crate) secret_id: Secret<String>,
}

pub(crate) fn generate(cx: &Cx, name: &RoleName, sent: &NewSecretId) -> Result<Reply> {
    issue(cx, name, &cx.uuid(), sent)
}

pub(crate) fn custom(cx: &Cx, name: &RoleName, custom: &Custom, sent: &NewSecretId) -> Result<Reply> {
    match custom.secret_id.expose().as_str() {
        "" => Err(Error::invalid("missing secret_id")),
        secret_id => issue(cx, name, secret_id, sent),
    }
}

fn issue(cx: &Cx, name: &RoleName, secret_id: &str, sent: &NewSecretId) -> Result<Reply> {
    let Some(role) = cx.get::<Role>(&name.0)? else {
        return Ok(Reply::failed(404, format!("role {:?} does not exist", name.0)));
    };
    if !role.bind_secret_id {
        return Err(Error::invalid("bind_secret_id is not set on the role"));
    }
    let hmac = secret_id::hmac(cx, &role, secret_id)?;
    if !secret_id::is_free(cx, &role.place, &hmac)? {
        return Err(Error::invalid("failed to store secret_id: SecretID is already registered"));
    }
    let mut record = wanted(&role, sent)?;
    let longest = cx.mount().max_ttl;
    let secs = if record.ttl.0 > longest { longest } else { record.ttl.0 };
    record.accessor = cx.uuid();
    record.created_ms = cx.now_ms();
    record.updated_ms = record.created_ms;
    record.ends_ms = if secs == 0 { 0 } else { record.created_ms.saturating_add(secs.saturating_mul(1000)) };
    let answer = Object::new()
        .text("secret_id", secret_id)
        .text("secret_id_accessor", &record.accessor)
        .number("secret_id_num_uses", record.uses_left.into())
        .number("secret_id_ttl", secs);
    Found { hmac, record }.enter(cx, &role.place)?;
    Ok(Reply::text(answer.end()))
}

/// A secret id as asked for, within what the role allows.
fn wanted(role: &Role, sent: &NewSecretId) -> Result<SecretId> {
    let cidrs = blocks(&sent.cidr_list)?;
    narrowed(&role.bound_cidrs, &cidrs)?;
    let token_cidrs = blocks(&sent.token_bound_cidrs).map_err(|error| match error {
        Error::InvalidRequest(text) => Error::invalid(text.replace("validate CIDR", "validate token CIDR")),
        other => other,
    })?;
    narrowed(&role.tokens.bound_cidrs, &token_cidrs)?;
    let uses_left = match sent.num_uses {
        Some(count) => bounded(uses("num_uses", count)?, role.secret_id_uses)
            .ok_or_else(|| Error::invalid("num_uses cannot be higher than the role's secret_id_num_uses"))?,
        None => role.secret_id_uses,
    };
    let ttl = match sent.ttl {
        Some(ttl) => bounded(ttl, role.secret_id_ttl)
            .ok_or_else(|| Error::invalid("ttl cannot be longer than the role's secret_id_ttl"))?,
        None => role.secret_id_ttl,
    };
    let metadata = metadata::parse(&sent.metadata)?;
    Ok(SecretId { uses_left, ttl, metadata, cidrs, token_cidrs, ..SecretId::default() })
}

/// What was asked, if it is within the bound; the zero of both is "without end".
fn bounded<T: PartialOrd + Default>(asked: T, bound: T) -> Option<T> {
    let zero = T::default();
    let fits = bound == zero || (asked != zero && asked <= bound);
    fits.then_some(asked)
}

/// Whether a secret id's networks are within the role's.
pub(crate) fn narrowed(role: &[Network], secret_id: &[Network]) -> Result<()> {
    if within(role, secret_id) {
        return Ok(());
    }
    let [role, secret_id] = [role, secret_id]
        .map(|networks| networks.iter().map(|network| format!("{:?}", network.block())).collect::<Vec<_>>().join(" "));
    Err(Error::invalid(format!(
        "failed to verify subset relationship between CIDR blocks on the role [{role}] and CIDR blocks on the secret ID [{secret_id}]"
    )))
}

/// A secret id as lookups show it.
pub(crate) fn show(record: &SecretId) -> Reply {
    let never = "0001-01-01T00:00:00Z".to_owned();
    let metadata = record.metadata.iter().fold(Object::new(), |object, (name, value)| object.text(name, value));
    let answer = Object::with_room(512)
        .json("cidr_list", &listed(&record.cidrs))
        .text("creation_time", &rfc3339(record.created_ms))
        .text("expiration_time", &if record.ends_ms == 0 { never } else { rfc3339(record.ends_ms) })
        .text("last_updated_time", &rfc3339(record.updated_ms))
        .json("metadata", &metadata.end())
        .text("secret_id_accessor", &record.accessor)
        .number("secret_id_num_uses", record.uses_left.into())
        .number("secret_id_ttl", record.ttl.0)
        .json("token_bound_cidrs", &listed(&record.token_cidrs));
    Reply::text(answer.end())
}

/// Accessors of a role's secret ids. Those that have ended are listed until they are
/// cleared away: to tell them, each would have to be read.
pub(crate) fn list(cx: &Cx, name: &RoleName, page: &Page) -> Result<Keys> {
    let role: Option<Role> = cx.get(&name.0)?;
    let role = role.ok_or_else(|| Error::invalid(format!("role {:?} does not exist", name.0)))?;
    cx.names(&role.place.accessors(), page, false).map(Keys)
}

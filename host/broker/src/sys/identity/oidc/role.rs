//! `identity/oidc/role`: what identity tokens say, whom they are for, and for how long.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::template::{Subject, claims};
use serde_json::{Map, Value, json};

use super::key;
use crate::book::oidc::keys::{self, DEFAULT, PERIOD_SECS};
use crate::book::oidc::roles::{self, RoleRecord};
use crate::fault::Fault;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, data, listed, plain_name};

const FIELDS: &[&str] = &["name", "key", "template", "ttl", "client_id"];

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    HostRoute::new("oidc/role", &[Verb::List], Handler::Now(list), "List the roles of identity tokens."),
    HostRoute::new("oidc/role/{name}", &[Verb::Read], Handler::Now(read), "Read a role of identity tokens."),
    HostRoute::new(
        "oidc/role/{name}",
        &[Verb::Write],
        Handler::Later(write),
        "Make or change a role of identity tokens.",
    )
    .fields(FIELDS)
    .exists(exists),
    HostRoute::new("oidc/role/{name}", &[Verb::Delete], Handler::Now(delete), "Delete a role of identity tokens."),
];

/// Claims that no template makes. Source: Vault, in its order.
const RESERVED: [&str; 10] =
    ["iat", "aud", "exp", "iss", "sub", "namespace", "nonce", "auth_time", "at_hash", "c_hash"];

/// Whether a claim is one of those. In any spelling: a verifier in Go takes `Sub` for `sub`, and of
/// both the last.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name.to_uppercase().to_lowercase().as_str())
}

/// Longest template, in bytes. Source: ours. Why: it is expanded for each token.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// Characters of a client id that is made up. Source: Vault.
const CLIENT_ID_CHARS: usize = 26;

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(roles::names(&mut visit.tx)?)
}

fn exists(visit: &mut Visit, captures: &[(&'static str, String)]) -> Result<bool, Fault> {
    let name = captures.first().map_or("", |(_, name)| name.as_str());
    Ok(roles::get(&mut visit.tx, name)?.is_some())
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let record = roles::get(&mut visit.tx, ask.capture("name"))?.ok_or_else(Failure::absent)?;
    Ok(data(&json!({
        "client_id": record.client_id,
        "key": record.key,
        "template": record.template,
        "ttl": record.ttl_secs,
    })))
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    roles::remove(&mut visit.tx, ask.capture("name"))?;
    Ok(Reply::Empty)
}

fn write<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let (name, fields) = (plain_name(ask, "name")?, &ask.fields);
        let unnamed = || RoleRecord { ttl_secs: PERIOD_SECS, ..RoleRecord::default() };
        let mut record = roles::get(&mut visit.tx, name)?.unwrap_or_else(unnamed);
        if let Some(key) = fields.text("key")? {
            record.key = key;
        }
        if record.key.is_empty() {
            return Err(Fault::invalid("the key parameter is required"));
        }
        if let Some(template) = fields.text("template")? {
            record.template = template;
        }
        // Vault takes base64 here too, and tells the two apart by trying.
        if let Some(text) = STANDARD.decode(&record.template).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
            record.template = text;
        }
        check(&record.template, visit.now_ms)?;
        if let Some(secs) = fields.seconds_of_field("ttl")? {
            record.ttl_secs = secs;
        }
        let Some(of_key) = keys::get(&mut visit.tx, &record.key)? else {
            return Err(Fault::invalid(format!("cannot find key {:?}", record.key)));
        };
        if record.ttl_secs > of_key.verification_secs {
            let text = "a role's token ttl cannot be longer than the verification_ttl of the key it references";
            return Err(Fault::invalid(text));
        }
        if record.key == DEFAULT {
            key::have_default(visit).await?;
        }
        if let Some(client_id) = fields.text("client_id")? {
            record.client_id = client_id;
        }
        if record.client_id.is_empty() {
            record.client_id = visit.random_text(CLIENT_ID_CHARS);
        }
        roles::save(&mut visit.tx, name, &record)?;
        Ok(Reply::Empty)
    })
}

/// Checks a template with an entity of which nothing is known: what is JSON for it is JSON for all.
fn check(template: &str, now_ms: u64) -> Result<(), Fault> {
    if template.is_empty() {
        return Ok(());
    }
    if template.len() > TEMPLATE_BYTES_MAX {
        return Err(Fault::invalid(format!("the template is longer than {TEMPLATE_BYTES_MAX} bytes")));
    }
    let text = claims::expand(template, &Subject::default(), now_ms / 1000)
        .map_err(|error| Fault::invalid(format!("error parsing template: {error}")))?;
    let parsed: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| Fault::invalid(format!("error parsing template JSON: {error}")))?;
    match parsed.keys().find(|name| is_reserved(name)) {
        None => Ok(()),
        Some(name) => {
            Err(Fault::invalid(format!("top level key {name:?} not allowed. Restricted keys: {}", RESERVED.join(", "))))
        }
    }
}

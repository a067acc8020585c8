//! `sys/policies/acl` and its older form `sys/policy`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::Failure;
use bulkhead_model::path;
use bulkhead_model::policy::{Policy, PolicyError, PolicyName};
use bulkhead_model::reply::{Envelope, Reply};
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use super::table::{Handler, HostRoute};
use crate::book::policies::{self, PolicyRecord};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::visit::{Ask, Visit, data, enveloped, flat, listed, warning};

const FIELDS: &[&str] = &[
    "name",
    "policy",
    "cas",
    "cas_required",
    "ttl",
    "expiration",
    "allow_slashes_in_identity_templates",
    "allow_wildcards_in_identity_templates",
];

/// As [`FIELDS`], with the older name of the text.
const LEGACY_FIELDS: &[&str] = &[
    "name",
    "policy",
    "rules",
    "cas",
    "cas_required",
    "ttl",
    "expiration",
    "allow_slashes_in_identity_templates",
    "allow_wildcards_in_identity_templates",
];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("policies/acl", &[Verb::List], Handler::Now(list), "List the policies."),
    HostRoute::new("policies/acl/{name...}", &[Verb::List], Handler::Now(list), "List the policies below a path.")
        .folded(form),
    HostRoute::new("policies/acl/{name...}", &[Verb::Read], Handler::Now(read), "Read a policy.").folded(form),
    HostRoute::new("policies/acl/{name...}", &[Verb::Write], Handler::Now(write), "Write a policy.")
        .fields(FIELDS)
        .folded(form),
    HostRoute::new("policies/acl/{name...}", &[Verb::Patch], Handler::Now(patch), "Change parts of a policy.")
        .fields(FIELDS)
        .folded(form),
    HostRoute::new("policies/acl/{name...}", &[Verb::Delete], Handler::Now(delete), "Delete a policy.").folded(form),
    HostRoute::new("policies/detailed/acl", &[Verb::List], Handler::Now(detailed), "List the policies with texts."),
    HostRoute::new(
        "policies/detailed/acl/{name...}",
        &[Verb::List],
        Handler::Now(detailed),
        "List the policies below a path with texts.",
    )
    .folded(form),
    HostRoute::new("policy", &[Verb::Read, Verb::List], Handler::Now(list_legacy), "List the policies."),
    HostRoute::new("policy/{name...}", &[Verb::List], Handler::Now(list_legacy), "List the policies below a path.")
        .folded(form),
    HostRoute::new("policy/{name...}", &[Verb::Read], Handler::Now(read_legacy), "Read a policy.").folded(form),
    HostRoute::new("policy/{name...}", &[Verb::Write], Handler::Now(write_legacy), "Write a policy.")
        .fields(LEGACY_FIELDS)
        .folded(form),
    HostRoute::new("policy/{name...}", &[Verb::Delete], Handler::Now(delete), "Delete a policy.").folded(form),
];

/// The one form of a policy's name.
fn form(name: &str) -> String {
    path::lowered(name.trim())
}

fn all(visit: &mut Visit) -> Result<Vec<String>, Fault> {
    let mut names = policies::names(&mut visit.tx)?;
    if visit.namespace.is_root() {
        names.push("root".into());
    }
    Ok(names)
}

/// The names below the path that is asked for, or all of them.
fn asked(visit: &mut Visit, ask: &Ask<'_>) -> Result<Vec<String>, Fault> {
    let mut names = all(visit)?;
    let folder = form(ask.capture("name"));
    if !folder.is_empty() {
        names.retain(|name| name.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/')));
    }
    Ok(names)
}

fn list(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(asked(visit, ask)?)
}

fn list_legacy(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let names = asked(visit, ask)?;
    if names.is_empty() {
        return Ok(flat(&json!({ "policies": null })));
    }
    Ok(flat(&json!({ "keys": names, "policies": names })))
}

fn detailed(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut names = asked(visit, ask)?;
    // As in OpenBao, it is in every part of the list.
    if visit.namespace.is_root() && !names.iter().any(|name| name == "root") {
        names.push("root".into());
    }
    if names.is_empty() {
        return Err(Failure::absent().into());
    }
    let mut info = Map::new();
    for name in &names {
        info.insert(name.clone(), described(visit, name, "policy")?.unwrap_or_default());
    }
    Ok(data(&json!({ "key_info": info, "keys": names })))
}

/// What is told about a policy; its text stands under `text_name`.
fn described(visit: &mut Visit, raw: &str, text_name: &str) -> Result<Option<Value>, Fault> {
    let (name, record) = match PolicyName::parse(raw) {
        Err(PolicyError::Root) => ("root".to_owned(), PolicyRecord::default()),
        Err(_) => return Ok(None),
        Ok(name) => match policies::read(&mut visit.tx, &name, visit.now_ms)? {
            Some(record) => (name.as_str().to_owned(), record),
            None => return Ok(None),
        },
    };
    let mut told = json!({
        "allow_slashes_in_identity_templates": record.allow_slashes,
        "allow_wildcards_in_identity_templates": record.allow_wildcards,
        "cas_required": record.cas_required,
        "name": name,
        "version": record.version,
    });
    told[text_name] = record.text.into();
    if record.modified_ms != 0 {
        told["modified"] = rfc3339(record.modified_ms).into();
    }
    if record.expires_ms != 0 {
        told["expiration"] = rfc3339(record.expires_ms).into();
    }
    Ok(Some(told))
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let told = described(visit, ask.capture("name"), "policy")?;
    told.map(|told| data(&told)).ok_or_else(|| Failure::absent().into())
}

fn read_legacy(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let told = described(visit, ask.capture("name"), "rules")?;
    told.map(|told| flat(&told)).ok_or_else(|| Failure::absent().into())
}

/// The name of a policy that may be written.
fn writable(ask: &Ask<'_>) -> Result<PolicyName, Fault> {
    let name = PolicyName::parse(ask.capture("name")).map_err(|error| match error {
        PolicyError::Root => Fault::invalid("cannot update \"root\" policy"),
        other => Fault::invalid(other.to_string()),
    })?;
    if name.as_str() == "response-wrapping" {
        return Err(Fault::invalid("cannot update \"response-wrapping\" policy"));
    }
    Ok(name)
}

/// A policy's text as it was sent. Vault takes base64 too, and tells the two apart by trying.
fn text(sent: String) -> Result<String, Fault> {
    if sent.is_empty() {
        return Err(Fault::invalid("'policy' parameter not supplied or empty"));
    }
    let text = STANDARD.decode(&sent).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(sent);
    Policy::parse(&text).map_err(|e| Fault::invalid(e.to_string()))?;
    Ok(text)
}

/// When the policy is to end, if that was sent; 0: never.
fn ends(visit: &Visit, ask: &Ask<'_>) -> Result<Option<u64>, Fault> {
    let ttl = ask.fields.seconds_of_field("ttl")?.filter(|secs| *secs > 0);
    let moment = ask.fields.moment_ms("expiration")?;
    match (ttl, moment) {
        (Some(_), Some(_)) => Err(Fault::invalid("cannot supply both 'expiration' and 'ttl' for policies")),
        (None, Some(moment)) if moment <= visit.now_ms => {
            Err(Fault::invalid("refusing to update policy as expiration time has already elapsed"))
        }
        (Some(secs), None) => Ok(Some(visit.now_ms.saturating_add(secs.saturating_mul(1000)))),
        (None, moment) => Ok(moment),
    }
}

fn patch(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = writable(ask)?;
    let before = policies::read(&mut visit.tx, &name, visit.now_ms)?;
    let before = before.ok_or_else(|| Fault::invalid("policy not found"))?;
    if ask.fields.has("cas") {
        check_and_set(ask, Some(&before))?;
    }
    let text = if ask.fields.has("policy") { text(ask.fields.text_or_empty("policy")?)? } else { before.text };
    let record = PolicyRecord {
        text,
        version: before.version + 1,
        modified_ms: visit.now_ms,
        cas_required: ask.fields.flag("cas_required")?.unwrap_or(before.cas_required),
        expires_ms: ends(visit, ask)?.unwrap_or(before.expires_ms),
        allow_slashes: ask.fields.flag("allow_slashes_in_identity_templates")?.unwrap_or(before.allow_slashes),
        allow_wildcards: ask.fields.flag("allow_wildcards_in_identity_templates")?.unwrap_or(before.allow_wildcards),
    };
    policies::write(&mut visit.tx, &name, &record)?;
    Ok(enveloped(Envelope { status: Some(200), ..Envelope::default() }))
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    written(visit, ask, "policy")?;
    Ok(Reply::Empty)
}

/// The older form takes the text under its older name as well.
fn write_legacy(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let deprecated = !ask.fields.has("policy") && ask.fields.has("rules");
    written(visit, ask, if deprecated { "rules" } else { "policy" })?;
    Ok(if deprecated { warning("'rules' is deprecated, please use 'policy' instead") } else { Reply::Empty })
}

/// Writes a policy whose text was sent under this name.
fn written(visit: &mut Visit, ask: &Ask<'_>, text_name: &str) -> Result<(), Fault> {
    let name = writable(ask)?;
    let text = text(ask.fields.text_or_empty(text_name)?)?;
    let before = policies::read(&mut visit.tx, &name, visit.now_ms)?;
    check_and_set(ask, before.as_ref())?;
    let now_ms = visit.now_ms;
    let record = PolicyRecord {
        text,
        version: before.as_ref().map_or(0, |b| b.version) + 1,
        modified_ms: now_ms,
        cas_required: ask.fields.flag("cas_required")?.unwrap_or(before.is_some_and(|b| b.cas_required)),
        expires_ms: ends(visit, ask)?.unwrap_or(0),
        allow_slashes: ask.fields.flag("allow_slashes_in_identity_templates")?.unwrap_or(false),
        allow_wildcards: ask.fields.flag("allow_wildcards_in_identity_templates")?.unwrap_or(false),
    };
    policies::write(&mut visit.tx, &name, &record)?;
    Ok(())
}

fn check_and_set(ask: &Ask<'_>, before: Option<&PolicyRecord>) -> Result<(), Fault> {
    let version = before.map_or(0, |b| b.version);
    let required = ask.fields.flag("cas_required")?.unwrap_or(false) || before.is_some_and(|b| b.cas_required);
    match ask.fields.integer("cas")? {
        None if required => Err(Fault::invalid("check-and-set parameter required for this call")),
        Some(-1) if before.is_some() => Err(Fault::invalid("check-and-set parameter set to -1 on existing entry")),
        Some(cas) if cas >= 0 && u64::try_from(cas).ok() != Some(version) => {
            let text = format!("check-and-set parameter {cas} did not match the current version {version}");
            Err(Fault::invalid(text))
        }
        _ => Ok(()),
    }
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = match PolicyName::parse(ask.capture("name")) {
        Ok(name) => name,
        Err(PolicyError::Root) => return Err(Fault::invalid("cannot delete \"root\" policy")),
        Err(_) => return Ok(Reply::Empty),
    };
    if name.as_str() == "default" {
        return Err(Fault::invalid("cannot delete default policy"));
    }
    if name.as_str() == "response-wrapping" {
        return Err(Fault::invalid("cannot delete \"response-wrapping\" policy"));
    }
    if policies::read(&mut visit.tx, &name, visit.now_ms)?.is_some() {
        policies::delete(&mut visit.tx, &name)?;
    }
    Ok(Reply::Empty)
}

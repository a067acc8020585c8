//! One audit line: JSON in Vault's shape. It is an allow-list: every text a caller or a
//! secret had a hand in is hashed unless it is named here.

use bulkhead_model::plugin::Operation;
use bulkhead_model::reply::{AuthInfo, Envelope, Reply};
use bulkhead_model::request::{Body, Request, Verb};
use serde_json::{Map, Value, json};

use super::{Names, PathPart, Trail};
use crate::book::audits::Device;
use crate::step::route::{Routed, Target};

/// The operation's name in a line.
pub(super) fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "create",
        Operation::Read => "read",
        Operation::Update => "update",
        Operation::Patch => "patch",
        Operation::Delete => "delete",
        Operation::List => "list",
        Operation::Scan => "scan",
        Operation::Header => "header",
        Operation::AliasLookahead => "alias-lookahead",
        Operation::ResolveRole => "resolve-role",
    }
}

fn verb(verb: Verb) -> &'static str {
    operation(crate::step::route::operation(verb))
}

/// Splits a path into what the API itself says and the names a caller chose. A path
/// that nothing answers is all names.
pub(super) fn path_parts(routed: &Routed) -> Vec<PathPart> {
    let path = &routed.path;
    let (point, names): (&str, Vec<&str>) = match &routed.target {
        Target::NoMount => return vec![PathPart::Name(path.clone())],
        Target::Guest(guest) => {
            (&guest.mount.full_path, guest.captures.iter().map(|(_, value)| value.as_str()).collect())
        }
        Target::Host { mount, captures, route } => {
            let secret = |(name, _): &&(&str, String)| route.hashes(name);
            (&mount.full_path, captures.iter().filter(secret).map(|(_, value)| value.as_str()).collect())
        }
        Target::NoPath { mount } | Target::NoOperation { mount } | Target::NoPlugin { mount, .. } => {
            let rest = path.strip_prefix(mount.full_path.as_str()).unwrap_or_default();
            return vec![PathPart::Plain(mount.full_path.clone()), PathPart::Name(rest.to_owned())];
        }
    };
    let mut rest = path.strip_prefix(point).unwrap_or_default();
    let mut parts = vec![PathPart::Plain(point.to_owned())];
    for name in names.into_iter().filter(|n| !n.is_empty()) {
        // Captures come in the order of the path, each behind the one before.
        let Some(at) = rest.find(name) else {
            return vec![PathPart::Plain(point.to_owned()), PathPart::Name(rest.to_owned())];
        };
        parts.push(PathPart::Plain(rest[..at].to_owned()));
        parts.push(PathPart::Name(name.to_owned()));
        rest = &rest[at + name.len()..];
    }
    parts.push(PathPart::Plain(rest.to_owned()));
    parts
}

fn path(device: &Device, parts: &[PathPart]) -> String {
    let show = |part: &PathPart| match part {
        PathPart::Plain(text) => text.clone(),
        PathPart::Name(name) if name.is_empty() || device.option("log_raw") => name.clone(),
        PathPart::Name(name) => {
            let (name, slash) = name.strip_suffix('/').map_or((name.as_str(), ""), |n| (n, "/"));
            format!("{}{slash}", device.hash(name))
        }
    };
    parts.iter().map(show).collect()
}

/// The line of a request.
pub(super) fn request(device: &Device, request: &Request, trail: &Trail, time: &str) -> Vec<u8> {
    let mut line = Map::new();
    line.insert("time".into(), time.into());
    line.insert("type".into(), "request".into());
    line.insert("auth".into(), caller(device, request, trail));
    line.insert("request".into(), about_request(device, request, trail));
    if let Some(error) = &trail.error {
        line.insert("error".into(), error.as_str().into());
    }
    Value::Object(line).to_string().into_bytes()
}

/// The line of an answer.
pub(super) fn response(device: &Device, request: &Request, trail: &Trail, reply: &Reply, time: &str) -> Vec<u8> {
    let mut line = Map::new();
    line.insert("time".into(), time.into());
    line.insert("type".into(), "response".into());
    line.insert("auth".into(), caller(device, request, trail));
    line.insert("request".into(), about_request(device, request, trail));
    let mut about = Map::new();
    if let Some(mount) = &trail.mount {
        about.insert("mount_class".into(), mount.class.into());
        about.insert("mount_point".into(), mount.point.as_str().into());
        about.insert("mount_type".into(), mount.kind.as_str().into());
        about.insert("mount_accessor".into(), mount.accessor.as_str().into());
    }
    match reply {
        Reply::Envelope(envelope) => about_envelope(device, trail, envelope, &mut about),
        Reply::Failed(failure) => {
            let texts: Vec<_> = failure.errors.iter().map(|e| shown(device, e)).collect();
            about.insert("data".into(), json!({ "error": texts.join(", ") }));
            line.insert("error".into(), json!(format!("{:?}", failure.kind).to_lowercase()));
        }
        Reply::Bare { json, .. } => {
            about.insert("data".into(), hashed_json(device, json.expose(), &[], &Names::Api));
        }
        Reply::Raw { bytes, content_type, status, .. } => {
            let body = device.hash(&String::from_utf8_lossy(bytes.expose()));
            let raw = json!({ "http_raw_body": body, "http_content_type": content_type, "http_status_code": status });
            about.insert("data".into(), raw);
        }
        Reply::Empty => {}
    }
    line.insert("response".into(), about.into());
    Value::Object(line).to_string().into_bytes()
}

/// Error texts may quote what the caller sent.
fn shown(device: &Device, text: &str) -> String {
    let known = ["permission denied", "1 error occurred:\n\t* permission denied\n\n", "internal error"];
    if device.option("log_raw") || known.contains(&text) { text.to_owned() } else { device.hash(text) }
}

fn caller(device: &Device, request: &Request, trail: &Trail) -> Value {
    let mut auth = Map::new();
    if let Some(token) = &request.token {
        auth.insert("client_token".into(), secret(device, token.expose()).into());
    }
    if let Some(caller) = &trail.who {
        let record = &caller.record;
        auth.insert("accessor".into(), accessor(device, &record.accessor).into());
        auth.insert("display_name".into(), record.display_name.as_str().into());
        auth.insert("policies".into(), json!([&record.policies[..], &caller.identity_policies[..]].concat()));
        auth.insert("token_policies".into(), json!(record.policies));
        if !caller.identity_policies.is_empty() {
            auth.insert("identity_policies".into(), json!(caller.identity_policies));
        }
        if !record.entity_id.is_empty() {
            auth.insert("entity_id".into(), record.entity_id.as_str().into());
        }
        auth.insert("token_type".into(), crate::mint::token_type(record).into());
        if !record.metadata.is_empty() {
            let pairs = record.metadata.iter().map(|(k, v)| (k.clone(), Value::from(secret(device, v))));
            auth.insert("metadata".into(), Value::Object(pairs.collect()));
        }
        if caller.uses_at_start > 0 {
            auth.insert("num_uses".into(), caller.uses_at_start.into());
        }
    }
    if let Some(pattern) = &trail.denied_by {
        auth.insert("policy_results".into(), json!({ "allowed": false, "denying_rule": secret(device, pattern) }));
    } else if !trail.granting.is_empty() {
        let granting: Vec<_> = trail.granting.iter().map(|name| json!({ "type": "acl", "name": name })).collect();
        auth.insert("policy_results".into(), json!({ "allowed": true, "granting_policies": granting }));
    }
    auth.into()
}

fn about_request(device: &Device, request: &Request, trail: &Trail) -> Value {
    let mut about = Map::new();
    about.insert("id".into(), request.id.as_str().into());
    let operation = if trail.operation.is_empty() { verb(request.verb) } else { trail.operation };
    about.insert("operation".into(), operation.into());
    if let Some(mount) = &trail.mount {
        about.insert("mount_class".into(), mount.class.into());
        about.insert("mount_point".into(), mount.point.as_str().into());
        about.insert("mount_type".into(), mount.kind.as_str().into());
        about.insert("mount_accessor".into(), mount.accessor.as_str().into());
    }
    if let Some(token) = &request.token {
        about.insert("client_token".into(), secret(device, token.expose()).into());
    }
    if let Some(caller) = &trail.who {
        about.insert("client_token_accessor".into(), accessor(device, &caller.record.accessor).into());
    }
    about.insert("namespace".into(), json!({ "id": "root" }));
    about.insert("path".into(), path(device, &trail.path).into());
    let plain = trail.mount.as_ref().map_or(&[][..], |m| &m.plain_request_keys[..]);
    match &request.body {
        Body::Empty => {}
        Body::Json(text) => {
            about.insert("data".into(), hashed_json(device, text.expose(), plain, &trail.names));
        }
        Body::Raw { bytes, .. } => {
            about.insert("data".into(), device.hash(&String::from_utf8_lossy(bytes.expose())).into());
        }
    }
    let headers = headers(device, request, trail);
    if !headers.is_empty() {
        about.insert("headers".into(), headers.into());
    }
    if let Some(secs) = request.wrap_ttl_secs {
        about.insert("wrap_ttl".into(), secs.into());
    }
    about.insert("remote_address".into(), request.origin.address.to_string().into());
    about.insert("remote_port".into(), request.origin.port.into());
    about.into()
}

/// The request headers that the operator wants to see.
fn headers(device: &Device, request: &Request, trail: &Trail) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, hashed) in &trail.headers {
        let sent = request.headers.iter().filter(|(sent, _)| sent == name);
        let values: Vec<_> = sent.map(|(_, v)| if *hashed { secret(device, v) } else { v.clone() }).collect();
        if !values.is_empty() {
            shown.insert(name.clone(), values.into());
        }
    }
    shown
}

fn about_envelope(device: &Device, trail: &Trail, envelope: &Envelope, about: &mut Map<String, Value>) {
    let plain = trail.mount.as_ref().map_or(&[][..], |m| &m.plain_response_keys[..]);
    if let Some(auth) = &envelope.auth {
        about.insert("auth".into(), granted(device, auth));
    }
    if let Some(lease) = envelope.lease.as_ref().filter(|l| !l.id.is_empty()) {
        about.insert("secret".into(), json!({ "lease_id": secret(device, &lease.id) }));
    }
    if let Some(wrap) = &envelope.wrap {
        let info = json!({
            "token": secret(device, wrap.token.expose()),
            "accessor": accessor(device, &wrap.accessor),
            "ttl": wrap.ttl_secs,
            "creation_time": wrap.creation_time,
        });
        about.insert("wrap_info".into(), info);
    }
    if let Some(data) = &envelope.data {
        about.insert("data".into(), hashed_json(device, data.expose(), plain, &trail.names));
    }
    if !envelope.warnings.is_empty() {
        about.insert("warnings".into(), json!(envelope.warnings.len()));
    }
}

fn granted(device: &Device, auth: &AuthInfo) -> Value {
    json!({
        "client_token": secret(device, auth.client_token.expose()),
        "accessor": accessor(device, &auth.accessor),
        "policies": auth.policies,
        "token_policies": auth.token_policies,
        "token_type": auth.token_type,
        "token_ttl": auth.lease_duration_secs,
    })
}

/// A text that is always hashed, unless the operator asked for raw lines.
fn secret(device: &Device, text: &str) -> String {
    if device.option("log_raw") { text.to_owned() } else { device.hash(text) }
}

/// Accessors are hashed unless the operator set `hmac_accessor` to false.
fn accessor(device: &Device, text: &str) -> String {
    // Batch tokens have none.
    if text.is_empty() {
        return String::new();
    }
    let plain = device.entry.options.get("hmac_accessor").is_some_and(|v| v == "false" || v == "0");
    if plain { text.to_owned() } else { secret(device, text) }
}

/// JSON with every string hashed, and every member's name too that a caller may have
/// chosen: kv's members are named by callers. Numbers and booleans stay, as in Vault.
fn hashed_json(device: &Device, text: &[u8], plain: &[String], names: &Names) -> Value {
    match serde_json::from_slice(text) {
        Ok(Value::Object(members)) => members
            .into_iter()
            .map(|(name, value)| {
                let value = if plain.contains(&name) { value } else { hashed(device, value, names) };
                (shown_name(device, name, names), value)
            })
            .collect(),
        Ok(other) => hashed(device, other, names),
        Err(_) => Value::Null,
    }
}

fn hashed(device: &Device, value: Value, names: &Names) -> Value {
    match value {
        Value::String(text) => secret(device, &text).into(),
        Value::Array(items) => items.into_iter().map(|item| hashed(device, item, names)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (shown_name(device, name, names), hashed(device, value, names)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Words of the API that stand beside names of callers. Whoever names a secret like one
/// of them gives nothing away.
const API_WORDS: [&str; 22] = [
    "cas",
    "cas_required",
    "created_time",
    "current_version",
    "custom_metadata",
    "data",
    "delete_version_after",
    "deletion_time",
    "destroyed",
    "key_info",
    "keys",
    "max_versions",
    "metadata",
    "oldest_version",
    "options",
    "subkeys",
    "ttl",
    "updated_time",
    "version",
    "versions",
    "warnings",
    "value",
];

fn shown_name(device: &Device, name: String, names: &Names) -> String {
    let known = match names {
        Names::Api => true,
        Names::Callers(declared) => {
            API_WORDS.contains(&name.as_str()) || declared.contains(&name) || name.bytes().all(|b| b.is_ascii_digit())
        }
    };
    if known { name } else { secret(device, &name) }
}

/// Who named the members of a body.
pub(super) fn names(routed: &Routed) -> Names {
    match &routed.target {
        Target::Guest(guest) => Names::Callers(guest.route().fields.iter().map(|f| f.name.clone()).collect()),
        // Its answer names the paths that were asked about.
        Target::Host { route, .. } if route.pattern.starts_with("capabilities") => {
            let declared = route.fields.unwrap_or_default().iter().map(|f| (*f).to_owned());
            Names::Callers(declared.chain(["capabilities".to_owned()]).collect())
        }
        Target::Host { route, .. } if route.fields.is_some() => Names::Api,
        _ => Names::Callers(Vec::new()),
    }
}

#[cfg(test)]
mod tests;

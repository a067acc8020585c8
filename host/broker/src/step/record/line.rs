//! One audit line: JSON in Vault's shape. It is an allow-list: every text a caller or a
//! secret had a hand in is hashed unless it is named here.

mod hashed;
mod path;
mod serial;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::reply::{AuthInfo, Envelope, Reply, hidden_json};
use bulkhead_model::request::{Body, Request, Verb};
use serde_json::{Map, Value, json};

use super::trail::{Caller, MountFacts, Names, Told, Trail, Verdict};
use crate::book::audits::Device;
use crate::fields::rfc3339;
use crate::step::authorize::DeniedBy;
use crate::step::inline;
use hashed::Shown;

pub(super) use path::{names, path_parts};

/// What a line says of a request that nobody may make.
pub(super) const DENIED: &str = "permission denied";

/// Room for most lines. Source: ours.
const LINE_BYTES: usize = 4096;

fn verb(verb: Verb) -> &'static str {
    crate::step::route::operation(verb).as_str()
}

/// What is asked to be done, as far as it is known.
pub(super) fn operation(request: &Request, trail: &Trail) -> &'static str {
    if trail.operation.is_empty() { verb(request.verb) } else { trail.operation }
}

/// What both lines of a request tell about it.
pub(super) fn told(device: &Device, request: &Request, trail: &Trail) -> Told {
    Told {
        auth: hidden_json(&caller(device, request, trail)),
        request: hidden_json(&about_request(device, request, trail)),
    }
}

/// The line of a request.
pub(super) fn request(device: &Device, told: &Told, trail: &Trail, time: &str) -> Hidden<Vec<u8>> {
    let mut line = begun(device, "request", time);
    part(&mut line, "auth", told.auth.expose());
    part(&mut line, "request", told.request.expose());
    if let Some(error) = trail.error {
        part(&mut line, "error", Value::from(error).to_string().as_bytes());
    }
    ended(line)
}

/// The line of an answer.
pub(super) fn response(device: &Device, told: &Told, trail: &Trail, (reply, time): (&Reply, &str)) -> Hidden<Vec<u8>> {
    let mut line = begun(device, "response", time);
    match logged_in(trail, reply) {
        Some(auth) => part(&mut line, "auth", hidden_json(&granted(device, auth)).expose()),
        None => part(&mut line, "auth", told.auth.expose()),
    }
    part(&mut line, "request", told.request.expose());
    part(&mut line, "response", hidden_json(&about_reply(device, trail, reply)).expose());
    if let Some(error) = failed(reply) {
        part(&mut line, "error", Value::from(error).to_string().as_bytes());
    }
    ended(line)
}

/// The first line of a device's life.
pub(super) fn test(device: &Device, id: &str, time: &str) -> Hidden<Vec<u8>> {
    let mut line = begun(device, "request", time);
    part(&mut line, "auth", br#"{"token_type":"default"}"#);
    let request = json!({ "id": id, "operation": "update", "namespace": { "id": "root" }, "path": "sys/audit/test" });
    part(&mut line, "request", request.to_string().as_bytes());
    ended(line)
}

fn begun(device: &Device, kind: &str, time: &str) -> HiddenBuffer {
    let mut line = HiddenBuffer::with_capacity(LINE_BYTES);
    line.push(device.style.prefix.as_bytes());
    line.push(b"{\"time\":\"");
    line.push(time.as_bytes());
    line.push(b"\",\"type\":\"");
    line.push(kind.as_bytes());
    line.push(b"\"");
    line
}

/// Adds a member, which is JSON text already.
fn part(line: &mut HiddenBuffer, name: &str, json: &[u8]) {
    line.push(b",\"");
    line.push(name.as_bytes());
    line.push(b"\":");
    line.push(json);
}

fn ended(mut line: HiddenBuffer) -> Hidden<Vec<u8>> {
    line.push(b"}");
    line.into_hidden()
}

/// The token of a login: its line tells of the new caller, as there was none before.
fn logged_in<'a>(trail: &Trail, reply: &'a Reply) -> Option<&'a AuthInfo> {
    match reply {
        Reply::Envelope(envelope) if trail.who.is_none() => envelope.auth.as_ref(),
        _ => None,
    }
}

/// Vault's words for what went wrong. The texts of the answer itself may quote what
/// the caller sent, so they are among its data, hashed.
fn failed(reply: &Reply) -> Option<&'static str> {
    let Reply::Failed(failure) = reply else { return None };
    // Vault answers for a secret that is not there without calling it an error.
    if failure.errors.is_empty() {
        return None;
    }
    Some(match failure.kind {
        FailureKind::Invalid | FailureKind::MediaType => "1 error occurred:\n\t* invalid request\n\n",
        FailureKind::Denied => "1 error occurred:\n\t* permission denied\n\n",
        FailureKind::NotFound => "1 error occurred:\n\t* unsupported path\n\n",
        FailureKind::Unsupported => "1 error occurred:\n\t* unsupported operation\n\n",
        FailureKind::Precondition => "required index state not present",
        FailureKind::TooLarge | FailureKind::HeaderTooLarge => "request entity too large",
        FailureKind::Limited => "request path quota exceeded",
        FailureKind::Internal => "internal error",
        FailureKind::Upstream => "error from an outside system",
        FailureKind::Unavailable => "unavailable",
        FailureKind::Timeout => "the request took too long",
    })
}

/// Error texts may quote what the caller sent.
fn shown(device: &Device, text: &str) -> String {
    let known = [DENIED, "1 error occurred:\n\t* permission denied\n\n", "internal error"];
    if known.contains(&text) { text.to_owned() } else { secret(device, text) }
}

fn caller(device: &Device, request: &Request, trail: &Trail) -> Value {
    let mut auth = Map::new();
    if let (Some(token), Some(caller)) = (&request.token, &trail.who) {
        auth.insert("client_token".into(), secret(device, token.expose()).into());
        auth.insert("accessor".into(), accessor(device, &caller.accessor).into());
        auth.insert("display_name".into(), caller.display_name.as_str().into());
        auth.insert("policies".into(), json!([&caller.policies[..], &caller.identity_policies[..]].concat()));
        auth.insert("token_policies".into(), json!(caller.policies));
        if !caller.identity_policies.is_empty() {
            auth.insert("identity_policies".into(), json!(caller.identity_policies));
        }
    }
    if let Some(verdict) = &trail.verdict {
        let namespace = trail.who.as_ref().map_or("root", |caller| caller.namespace.as_str());
        auth.insert("policy_results".into(), decided(device, verdict, namespace));
    }
    if let Some(caller) = &trail.who {
        insert_metadata(device, &caller.metadata, &mut auth);
        insert_count("remaining_uses", caller.uses, &mut auth);
        insert_text("entity_id", &caller.entity_id, &mut auth);
    }
    auth.insert("token_type".into(), trail.who.as_ref().map_or("default", |caller| caller.token_type).into());
    if let Some(caller) = &trail.who {
        insert_count("token_ttl", caller.ttl_secs, &mut auth);
        // Vault has no fraction here.
        auth.insert("token_issue_time".into(), rfc3339(caller.created_ms / 1000 * 1000).into());
    }
    auth.into()
}

fn decided(device: &Device, verdict: &Verdict, namespace: &str) -> Value {
    let by = match verdict {
        Verdict::Allowed(granting) if granting.is_empty() => return json!({ "allowed": true }),
        Verdict::Allowed(granting) => {
            let one = |name: &String| json!({ "name": name, "namespace_id": namespace, "type": "acl" });
            let granting: Vec<_> = granting.iter().map(one).collect();
            return json!({ "allowed": true, "granting_policies": granting });
        }
        Verdict::Denied(by) => by,
    };
    match by {
        DeniedBy::Nobody => json!({ "allowed": false }),
        DeniedBy::NoRule => json!({ "allowed": false, "denied_by": { "reason": "no rule matches" } }),
        DeniedBy::Rule(rule) => {
            // A pattern holds names of secrets, as paths do.
            let pattern = secret(device, &rule.pattern);
            let by = json!({ "reason": rule.reason, "policies": rule.policies, "rule": pattern });
            json!({ "allowed": false, "denied_by": by })
        }
    }
}

fn insert_metadata(device: &Device, pairs: &[(String, String)], into: &mut Map<String, Value>) {
    if !pairs.is_empty() {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), Value::from(secret(device, value))));
        into.insert("metadata".into(), Value::Object(pairs.collect()));
    }
}

fn insert_text(name: &str, text: &str, into: &mut Map<String, Value>) {
    if !text.is_empty() {
        into.insert(name.into(), text.into());
    }
}

fn insert_count(name: &str, count: u64, into: &mut Map<String, Value>) {
    if count > 0 {
        into.insert(name.into(), count.into());
    }
}

fn about_request(device: &Device, request: &Request, trail: &Trail) -> Value {
    let mut about = Map::new();
    about.insert("id".into(), request.id.as_str().into());
    if let Some(caller) = &trail.who {
        about.insert("client_id".into(), client_id(caller).into());
    }
    about.insert("operation".into(), operation(request, trail).into());
    insert_mount(trail.mount.as_ref(), "mount_running_version", &mut about);
    if let Some(token) = &request.token {
        about.insert("client_token".into(), secret(device, token.expose()).into());
    }
    if let Some(caller) = &trail.who {
        about.insert("client_token_accessor".into(), accessor(device, &caller.accessor).into());
    }
    about.insert("namespace".into(), namespace(trail));
    about.insert("path".into(), path::shown(device, &trail.path).into());
    let plain = trail.mount.as_ref().map_or(&[][..], |mount| &mount.plain_request_keys[..]);
    match &request.body {
        Body::Empty | Body::Unread(_) => {}
        Body::Json(text) => {
            let data = Shown { device, plain, names: &trail.names }.json(text.expose());
            about.insert("data".into(), data);
        }
        Body::Raw { bytes, .. } => {
            about.insert("data".into(), secret(device, &String::from_utf8_lossy(bytes.expose())).into());
        }
    }
    let headers = headers(device, request, trail);
    if !headers.is_empty() {
        about.insert("headers".into(), headers.into());
    }
    if let Some(address) = request.origin.address {
        about.insert("remote_address".into(), address.to_string().into());
        about.insert("remote_port".into(), request.origin.port.into());
    }
    if let Some(secs) = request.wrap_ttl_secs {
        about.insert("wrap_ttl".into(), secs.into());
    }
    if let Some(number) = request.origin.certificates.first().and_then(|der| serial::number(der)) {
        about.insert("client_certificate_serial_number".into(), number.into());
    }
    about.into()
}

fn namespace(trail: &Trail) -> Value {
    match &trail.namespace {
        Some(namespace) if !namespace.is_root() => json!({ "id": namespace.shown_id(), "path": namespace.path() }),
        _ => json!({ "id": "root" }),
    }
}

/// What Vault counts clients by: the entity, or for tokens without one their policies.
fn client_id(caller: &Caller) -> String {
    if !caller.entity_id.is_empty() {
        return caller.entity_id.clone();
    }
    let mut policies: Vec<&str> = caller.policies.iter().map(String::as_str).collect();
    policies.sort_unstable();
    let named = format!("{}\0{}", policies.join("\x7f"), caller.namespace);
    STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, named.as_bytes()))
}

/// Of all the names only the version's differs between requests and answers.
fn insert_mount(mount: Option<&MountFacts>, version: &str, about: &mut Map<String, Value>) {
    let Some(mount) = mount else { return };
    about.insert("mount_point".into(), mount.point.as_str().into());
    about.insert("mount_type".into(), mount.kind.as_str().into());
    about.insert("mount_accessor".into(), mount.accessor.as_str().into());
    insert_text(version, &mount.version, about);
    insert_text("mount_running_sha256", &mount.sha256, about);
    about.insert("mount_class".into(), mount.class.into());
}

fn about_reply(device: &Device, trail: &Trail, reply: &Reply) -> Value {
    let mut about = Map::new();
    insert_mount(trail.mount.as_ref(), "mount_running_plugin_version", &mut about);
    match reply {
        Reply::Envelope(envelope) => about_envelope(device, trail, envelope, &mut about),
        Reply::Failed(Failure { errors, .. }) if !errors.is_empty() => {
            let texts: Vec<_> = errors.iter().map(|error| shown(device, error)).collect();
            about.insert("data".into(), json!({ "error": texts.join(", ") }));
        }
        Reply::Bare { json, .. } => {
            let data = Shown { device, plain: &[], names: &Names::Api }.json(json.expose());
            about.insert("data".into(), data);
        }
        Reply::Raw { bytes, content_type, status, .. } => {
            let body = secret(device, &String::from_utf8_lossy(bytes.expose()));
            let raw = json!({ "http_raw_body": body, "http_content_type": content_type, "http_status_code": status });
            about.insert("data".into(), raw);
        }
        Reply::Stream { content_type, .. } => {
            about.insert("data".into(), json!({ "http_content_type": content_type, "http_status_code": 200 }));
        }
        Reply::Empty | Reply::Failed(_) => {}
    }
    about.into()
}

/// The request headers that the operator wants to see.
fn headers(device: &Device, request: &Request, trail: &Trail) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, hashed) in &trail.headers {
        // Whatever the operator named: it holds what logs somebody in.
        let sent = request.headers.iter().filter(|(sent, _)| sent == name && !inline::is_about(sent));
        let values: Vec<_> = sent.map(|(_, v)| if *hashed { secret(device, v) } else { v.clone() }).collect();
        if !values.is_empty() {
            shown.insert(name.clone(), values.into());
        }
    }
    shown
}

fn about_envelope(device: &Device, trail: &Trail, envelope: &Envelope, about: &mut Map<String, Value>) {
    if let Some(auth) = &envelope.auth {
        about.insert("auth".into(), granted(device, auth));
    }
    if let Some(requirement) = &envelope.mfa {
        // Who has the id lacks but a passcode.
        let requirement = json!({ "mfa_request_id": secret(device, &requirement.mfa_request_id) });
        about.insert("auth".into(), json!({ "mfa_requirement": requirement, "token_type": "default" }));
    }
    if let Some(lease) = envelope.lease.as_ref().filter(|lease| !lease.id.is_empty()) {
        about.insert("secret".into(), json!({ "lease_id": secret(device, &lease.id) }));
    }
    if let Some(data) = &envelope.data {
        let plain = trail.mount.as_ref().map_or(&[][..], |mount| &mount.plain_response_keys[..]);
        let shown = Shown { device, plain, names: &trail.names };
        let elided = device.style.elides_lists && matches!(trail.operation, "list" | "scan");
        let data = if elided { shown.counted(data.expose()) } else { shown.json(data.expose()) };
        about.insert("data".into(), data);
    }
    if !envelope.warnings.is_empty() {
        let warnings = envelope.warnings.iter().map(|warning| Value::from(shown(device, warning)));
        about.insert("warnings".into(), warnings.collect());
    }
    if let Some(wrap) = &envelope.wrap {
        let mut info = json!({
            "ttl": wrap.ttl_secs,
            "token": secret(device, wrap.token.expose()),
            "accessor": accessor(device, &wrap.accessor),
            "creation_time": wrap.creation_time,
            "creation_path": secret(device, &wrap.creation_path),
        });
        if let Some(wrapped) = &wrap.wrapped_accessor {
            info["wrapped_accessor"] = accessor(device, wrapped).into();
        }
        about.insert("wrap_info".into(), info);
    }
}

fn granted(device: &Device, auth: &AuthInfo) -> Value {
    let mut told = Map::new();
    told.insert("client_token".into(), secret(device, auth.client_token.expose()).into());
    told.insert("accessor".into(), accessor(device, &auth.accessor).into());
    insert_text("display_name", &auth.display_name, &mut told);
    told.insert("policies".into(), json!(auth.policies));
    told.insert("token_policies".into(), json!(auth.token_policies));
    if !auth.identity_policies.is_empty() {
        told.insert("identity_policies".into(), json!(auth.identity_policies));
    }
    insert_metadata(device, &auth.metadata, &mut told);
    insert_count("num_uses", auth.num_uses, &mut told);
    insert_text("entity_id", &auth.entity_id, &mut told);
    told.insert("token_type".into(), auth.token_type.as_str().into());
    insert_count("token_ttl", auth.lease_duration_secs, &mut told);
    told.into()
}

/// A text that is always hashed, unless the operator asked for raw lines.
fn secret(device: &Device, text: &str) -> String {
    if device.style.raw { text.to_owned() } else { device.hash(text) }
}

/// Accessors are hashed unless the operator set `hmac_accessor` to false.
fn accessor(device: &Device, text: &str) -> String {
    // Batch tokens have none.
    if device.style.hashes_accessors && !text.is_empty() { secret(device, text) } else { text.to_owned() }
}

#[cfg(test)]
mod tests;

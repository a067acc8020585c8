//! [`Reply`] to bytes, in the key order of Vault's envelope. Written by hand into one
//! buffer: `data` is JSON text already, and is put in as it is.

mod json;

use bulkhead_model::reply::{AuthInfo, Envelope, MfaRequirement, Reply, WrapInfo};
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use zeroize::Zeroize;

pub(crate) use self::json::push_string;
use self::json::{push_number, push_strings};
use crate::status;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Bytes of an answer; wiped once they are sent, since they may hold secrets.
#[derive(Default)]
pub(crate) struct Wiped(Vec<u8>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// An answer, ready to be sent.
pub(crate) struct Encoded {
    pub(crate) status: StatusCode,
    pub(crate) content_type: HeaderValue,
    pub(crate) bytes: Wiped,
    /// Beside the content type.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Encoded {
    fn json(status: u16, bytes: Vec<u8>) -> Self {
        // A guest chooses some statuses, so one that HTTP does not have is our answer 500.
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, content_type: JSON, bytes: Wiped(bytes), headers: Vec::new() }
    }

    /// Vault's form of a failure.
    pub(crate) fn errors(status: StatusCode, errors: &[String]) -> Self {
        let mut out = Vec::with_capacity(16 + errors.iter().map(|e| e.len() + 8).sum::<usize>());
        out.extend_from_slice(b"{\"errors\":");
        push_strings(&mut out, errors);
        out.extend_from_slice(b"}\n");
        Self { status, content_type: JSON, bytes: Wiped(out), headers: Vec::new() }
    }

    /// Text of another type.
    pub(crate) fn text(status: StatusCode, content_type: &'static str, body: String) -> Self {
        let content_type = HeaderValue::from_static(content_type);
        Self { status, content_type, bytes: Wiped(body.into_bytes()), headers: Vec::new() }
    }

    /// Adds a plugin's headers. One that HTTP does not have is left out.
    pub(crate) fn with(mut self, headers: &[(String, String)]) -> Self {
        self.headers = headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?)))
            .collect();
        self
    }
}

/// Writes a reply down.
pub(crate) fn encode(reply: Reply) -> Encoded {
    match reply {
        Reply::Envelope(envelope) => encode_envelope(&envelope).with(&envelope.headers),
        Reply::Bare { status, mut json } => {
            let mut bytes = std::mem::take(json.expose_mut());
            push_wiping(&mut bytes, b"\n");
            Encoded::json(status, bytes)
        }
        Reply::Raw { status, content_type, mut bytes, headers } => {
            let mut encoded = Encoded::json(status, std::mem::take(bytes.expose_mut())).with(&headers);
            encoded.content_type =
                HeaderValue::from_str(&content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
            encoded
        }
        Reply::Stream { .. } => unreachable!("it is sent as it is read"),
        Reply::Empty => Encoded::json(204, Vec::new()),
        Reply::Failed(failure) => {
            let status = StatusCode::from_u16(status::code(failure.kind)).expect("the table holds HTTP's codes only");
            Encoded::errors(status, &failure.errors)
        }
    }
}

/// Appends; if that moves the buffer, the old one does not stay behind.
fn push_wiping(bytes: &mut Vec<u8>, more: &[u8]) {
    if bytes.capacity() - bytes.len() < more.len() {
        let mut grown = Vec::with_capacity(bytes.len() + more.len());
        grown.extend_from_slice(bytes);
        bytes.zeroize();
        *bytes = grown;
    }
    bytes.extend_from_slice(more);
}

fn encode_envelope(envelope: &Envelope) -> Encoded {
    let data = envelope.data.as_ref().map(|data| data.expose().trim_ascii());
    if !envelope.errors.is_empty() {
        return errors_and_data(envelope, data);
    }
    let mut out = Vec::with_capacity(size(envelope, data));
    out.push(b'{');
    if let (true, Some(data)) = (envelope.flatten, data) {
        push_members(&mut out, data);
    }
    out.extend_from_slice(b"\"request_id\":");
    push_string(&mut out, &envelope.request_id);
    push_lease(&mut out, envelope);
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data.unwrap_or(b"null"));
    out.extend_from_slice(b",\"wrap_info\":");
    match &envelope.wrap {
        Some(wrap) => push_wrap(&mut out, wrap),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"warnings\":");
    if envelope.warnings.is_empty() {
        out.extend_from_slice(b"null");
    } else {
        push_strings(&mut out, &envelope.warnings);
    }
    out.extend_from_slice(b",\"auth\":");
    match (&envelope.auth, &envelope.mfa) {
        (Some(auth), _) => push_auth(&mut out, auth),
        (None, Some(requirement)) => push_requirement(&mut out, requirement),
        (None, None) => out.extend_from_slice(b"null"),
    }
    if !envelope.mount_type.is_empty() {
        out.extend_from_slice(b",\"mount_type\":");
        push_string(&mut out, &envelope.mount_type);
    }
    out.push(b'}');
    // Vault ends an answer with a new line, but not where it overrides the status.
    if envelope.status.is_none() {
        out.push(b'\n');
    }
    Encoded::json(envelope.status.unwrap_or(200), out)
}

/// An estimate on the safe side, so that the buffer is not moved while it fills: a copy
/// left behind would not be wiped.
fn size(envelope: &Envelope, data: Option<&[u8]>) -> usize {
    let strings = |texts: &[String]| texts.iter().map(|t| t.len() + 4).sum::<usize>();
    let auth = envelope.auth.as_ref().map_or(0, |auth| {
        let metadata: usize = auth.metadata.iter().map(|(k, v)| k.len() + v.len() + 8).sum();
        512 + strings(&auth.policies) + strings(&auth.token_policies) + strings(&auth.identity_policies) + metadata
    });
    let copies = if envelope.flatten { 2 } else { 1 };
    let wrap = envelope.wrap.as_ref().map_or(0, |wrap| 256 + wrap.creation_path.len());
    let texts = strings(&envelope.warnings) + strings(&envelope.errors);
    512 + data.map_or(0, <[u8]>::len) * copies + texts * 2 + auth + wrap
}

fn errors_and_data(envelope: &Envelope, data: Option<&[u8]>) -> Encoded {
    let mut out = Vec::with_capacity(size(envelope, data));
    out.extend_from_slice(b"{\"errors\":");
    push_strings(&mut out, &envelope.errors);
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data.unwrap_or(b"null"));
    out.extend_from_slice(b"}\n");
    Encoded::json(envelope.status.unwrap_or(400), out)
}

/// The members of an object, with a comma behind; nothing for an empty one.
fn push_members(out: &mut Vec<u8>, object: &[u8]) {
    let members = object.strip_prefix(b"{").and_then(|o| o.strip_suffix(b"}")).map(<[u8]>::trim_ascii);
    if let Some(members) = members.filter(|m| !m.is_empty()) {
        out.extend_from_slice(members);
        out.push(b',');
    }
}

fn push_lease(out: &mut Vec<u8>, envelope: &Envelope) {
    let (id, renewable, secs) =
        envelope.lease.as_ref().map_or(("", false, 0), |l| (l.id.as_str(), l.renewable, l.duration_secs));
    out.extend_from_slice(b",\"lease_id\":");
    push_string(out, id);
    push_bool(out, b",\"renewable\":", renewable);
    out.extend_from_slice(b",\"lease_duration\":");
    push_number(out, secs);
}

fn push_bool(out: &mut Vec<u8>, name: &[u8], value: bool) {
    out.extend_from_slice(name);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn push_wrap(out: &mut Vec<u8>, wrap: &WrapInfo) {
    out.extend_from_slice(b"{\"token\":");
    push_string(out, wrap.token.expose());
    out.extend_from_slice(b",\"accessor\":");
    push_string(out, &wrap.accessor);
    out.extend_from_slice(b",\"ttl\":");
    push_number(out, wrap.ttl_secs);
    out.extend_from_slice(b",\"creation_time\":");
    push_string(out, &wrap.creation_time);
    out.extend_from_slice(b",\"creation_path\":");
    push_string(out, &wrap.creation_path);
    if let Some(accessor) = &wrap.wrapped_accessor {
        out.extend_from_slice(b",\"wrapped_accessor\":");
        push_string(out, accessor);
    }
    out.push(b'}');
}

fn push_auth(out: &mut Vec<u8>, auth: &AuthInfo) {
    out.extend_from_slice(b"{\"client_token\":");
    push_string(out, auth.client_token.expose());
    out.extend_from_slice(b",\"accessor\":");
    push_string(out, &auth.accessor);
    out.extend_from_slice(b",\"policies\":");
    push_strings(out, &auth.policies);
    if !auth.token_policies.is_empty() {
        out.extend_from_slice(b",\"token_policies\":");
        push_strings(out, &auth.token_policies);
    }
    if !auth.identity_policies.is_empty() {
        out.extend_from_slice(b",\"identity_policies\":");
        push_strings(out, &auth.identity_policies);
    }
    out.extend_from_slice(b",\"metadata\":");
    push_metadata(out, &auth.metadata);
    out.extend_from_slice(b",\"lease_duration\":");
    push_number(out, auth.lease_duration_secs);
    push_bool(out, b",\"renewable\":", auth.renewable);
    out.extend_from_slice(b",\"entity_id\":");
    push_string(out, &auth.entity_id);
    out.extend_from_slice(b",\"token_type\":");
    push_string(out, &auth.token_type);
    push_bool(out, b",\"orphan\":", auth.orphan);
    out.extend_from_slice(b",\"mfa_requirement\":null,\"num_uses\":");
    push_number(out, auth.num_uses);
    out.push(b'}');
}

/// Vault tells of a token here as well, of which nothing is there.
fn push_requirement(out: &mut Vec<u8>, requirement: &MfaRequirement) {
    out.extend_from_slice(
        br#"{"client_token":"","accessor":"","policies":null,"metadata":null,"lease_duration":0,"renewable":false,"#,
    );
    out.extend_from_slice(br#""entity_id":"","token_type":"default","orphan":false,"mfa_requirement":"#);
    out.extend_from_slice(&requirement.to_json());
    out.extend_from_slice(br#","num_uses":0}"#);
}

fn push_metadata(out: &mut Vec<u8>, metadata: &[(String, String)]) {
    if metadata.is_empty() {
        out.extend_from_slice(b"null");
        return;
    }
    for (index, (name, value)) in metadata.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        push_string(out, name);
        out.push(b':');
        push_string(out, value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;

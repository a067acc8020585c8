//! An answer, before it becomes bytes: what the envelope holds, not how it is written.

mod requirement;

use std::io::{self, Read, Write};

use zeroize::Zeroize;

pub use requirement::{MfaConstraint, MfaMethod, MfaRequirement};

use crate::failure::Failure;
use crate::hidden::{Hidden, HiddenBuffer};

/// JSON text that may hold secrets.
pub type HiddenJson = Hidden<Vec<u8>>;

/// A lease in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Lease id; empty where a lifetime is told but nothing is leased (kv v1's `ttl`).
    pub id: String,
    /// Whether it may be renewed.
    pub renewable: bool,
    /// Lifetime left, in seconds.
    pub duration_secs: u64,
}

/// A token in an answer: the envelope's `auth`.
pub struct AuthInfo {
    /// The token.
    pub client_token: Hidden<String>,
    /// Its accessor; empty for batch tokens.
    pub accessor: String,
    /// What it is called; told to audit devices alone.
    pub display_name: String,
    /// All policies in effect.
    pub policies: Vec<String>,
    /// Policies on the token itself.
    pub token_policies: Vec<String>,
    /// Policies through identity.
    pub identity_policies: Vec<String>,
    /// Free-form facts.
    pub metadata: Vec<(String, String)>,
    /// Lifetime in seconds.
    pub lease_duration_secs: u64,
    /// Whether it may be renewed.
    pub renewable: bool,
    /// Entity behind the login; empty: none.
    pub entity_id: String,
    /// `service` or `batch`.
    pub token_type: String,
    /// Without a parent.
    pub orphan: bool,
    /// Uses left; 0: unlimited.
    pub num_uses: u64,
}

/// A wrapping token in an answer: the envelope's `wrap_info`.
pub struct WrapInfo {
    /// The wrapping token.
    pub token: Hidden<String>,
    /// Its accessor.
    pub accessor: String,
    /// Lifetime in seconds.
    pub ttl_secs: u64,
    /// RFC 3339 time of creation.
    pub creation_time: String,
    /// Path of the request whose answer is wrapped.
    pub creation_path: String,
    /// Accessor of the wrapped token, if the answer held one.
    pub wrapped_accessor: Option<String>,
}

/// Vault's envelope.
#[derive(Default)]
pub struct Envelope {
    /// Id of the request; empty in a wrapped answer.
    pub request_id: String,
    /// Lease or plain lifetime.
    pub lease: Option<LeaseInfo>,
    /// The `data` object, as JSON text.
    pub data: Option<HiddenJson>,
    /// Warnings; `null` on the wire when there are none.
    pub warnings: Vec<String>,
    /// A token that was made or renewed.
    pub auth: Option<AuthInfo>,
    /// What is wanted before one is made; then there is none.
    pub mfa: Option<MfaRequirement>,
    /// A wrapped answer.
    pub wrap: Option<WrapInfo>,
    /// About 25 `sys/` routes repeat the members of `data` at the top level.
    pub flatten: bool,
    /// A status other than 200; 4xx with `data` is how kv v2 shows a deleted version.
    pub status: Option<u16>,
    /// Errors to show beside the data.
    pub errors: Vec<String>,
    /// Type of the mount that answered (Vault's `mount_type`); empty: left out.
    pub mount_type: String,
    /// HTTP headers that a plugin set and the operator let through.
    pub headers: Vec<(String, String)>,
}

/// The answer to one request.
pub enum Reply {
    /// Vault's envelope, 200 unless it says otherwise.
    Envelope(Box<Envelope>),
    /// JSON without an envelope (`sys/health`, `sys/seal-status`, …).
    Bare {
        /// HTTP status.
        status: u16,
        /// JSON text.
        json: HiddenJson,
    },
    /// Bytes of another type.
    Raw {
        /// HTTP status.
        status: u16,
        /// `Content-Type`.
        content_type: String,
        /// The body.
        bytes: Hidden<Vec<u8>>,
        /// HTTP headers that a plugin set and the operator let through.
        headers: Vec<(String, String)>,
    },
    /// 200, with bytes that are too many to be held: they are read as they are sent.
    Stream {
        /// `Content-Type`.
        content_type: &'static str,
        /// HTTP headers beside it.
        headers: Vec<(String, String)>,
        /// The body.
        stream: Box<dyn Read + Send + Sync>,
    },
    /// 204.
    Empty,
    /// Refused or failed.
    Failed(Failure),
}

impl Reply {
    /// Bytes of another type than JSON.
    #[must_use]
    pub fn raw(status: u16, content_type: &str, bytes: Vec<u8>) -> Self {
        let content_type = content_type.to_owned();
        Self::Raw { status, content_type, bytes: Hidden::new(bytes), headers: Vec::new() }
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Hides a value as JSON text.
///
/// # Panics
/// If it is none: a type that JSON has no form for.
#[must_use]
pub fn hidden_json(value: &impl serde::Serialize) -> HiddenJson {
    let mut buffer = HiddenBuffer::with_capacity(256);
    serde_json::to_writer(&mut buffer, value).expect("a JSON value is plain data");
    buffer.into_hidden()
}

/// JSON text of a value, if it is no longer than this, in bytes. No more of it than that is
/// ever in memory.
///
/// # Panics
/// If it is none: a type that JSON has no form for.
#[must_use]
pub fn hidden_json_within(value: &impl serde::Serialize, bytes_max: usize) -> Option<HiddenJson> {
    let mut within = Within { buffer: HiddenBuffer::with_capacity(256), left: bytes_max };
    match serde_json::to_writer(&mut within, value) {
        Ok(()) => Some(within.buffer.into_hidden()),
        Err(error) if error.is_io() => None,
        Err(error) => panic!("a JSON value is plain data: {error}"),
    }
}

/// A buffer that takes so many bytes more.
struct Within {
    buffer: HiddenBuffer,
    left: usize,
}

impl Write for Within {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.buffer.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Wipes a JSON value's strings.
pub fn wipe(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => text.zeroize(),
        serde_json::Value::Array(items) => items.iter_mut().for_each(wipe),
        serde_json::Value::Object(members) => members.values_mut().for_each(wipe),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// A JSON value whose strings are wiped when it is dropped.
#[derive(Default)]
pub struct WipedJson(pub serde_json::Value);

impl Drop for WipedJson {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::hidden_json_within;

    #[test]
    fn json_is_made_up_to_a_length_and_not_beyond() {
        let value = json!({ "a": ["bc", 1] });
        let text = value.to_string();
        assert_eq!(hidden_json_within(&value, text.len()).expect("it fits").expose(), text.as_bytes());
        assert!(hidden_json_within(&value, text.len() - 1).is_none());
        assert!(hidden_json_within(&value, 0).is_none());
    }
}

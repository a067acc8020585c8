//! Writes each request and its answer to the audit devices. A request that no device
//! took stops; an answer that no device took is not given.

mod line;

use std::sync::Arc;

use bulkhead_model::answer::{Answer, Headers};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Request;

use crate::book::audits::Device;
use crate::book::tokens::TokenRecord;
use crate::fault::Fault;
use crate::open::Open;
use crate::step::authorize::{Authorized, Denied};
use crate::step::route::Routed;
use crate::visit::Who;

/// An answer that may leave the node. Only this step makes one, so that nothing
/// unrecorded is ever encoded.
pub struct Audited {
    reply: Reply,
    headers: Headers,
}

impl Audited {
    /// An answer that no audit device is asked about: Vault records neither the paths
    /// that are free for all nor what a sealed node refuses.
    pub(crate) fn unrecorded(reply: Reply) -> Self {
        Self { reply, headers: Headers::new() }
    }

    /// With these header lines.
    pub(crate) fn with(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }

    /// The answer with its header lines.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        Answer { reply: self.reply, headers: self.headers }
    }

    /// The answer.
    #[must_use]
    pub fn into_reply(self) -> Reply {
        self.reply
    }
}

/// What the steps found out about a request, for its audit lines.
pub(crate) struct Trail {
    /// Those there were when the request came; the answer goes to the same.
    devices: Arc<Vec<Device>>,
    /// The request may change the devices; its answer goes to a new one as well.
    about_devices: bool,
    /// Nothing more to find out: the request line is written, and a second attempt does
    /// not write it again; or there is no device that would take one.
    recorded: bool,
    /// The path with what the caller chose below the mount hashed per device.
    pub path: Vec<PathPart>,
    pub names: Names,
    pub mount: Option<MountFacts>,
    pub who: Option<Caller>,
    pub operation: &'static str,
    pub granting: Vec<String>,
    pub denied_by: Option<String>,
    pub error: Option<String>,
    /// Request headers to show, and whether hashed.
    pub headers: Vec<(String, bool)>,
}

/// A stretch of a path.
pub(crate) enum PathPart {
    /// Part of the API: shown as it is.
    Plain(String),
    /// A name that a caller chose: hashed, as names of secrets are secrets.
    Name(String),
}

/// Who named the members of a body.
#[derive(Default)]
pub(crate) enum Names {
    /// The API: shown as they are.
    #[default]
    Api,
    /// Callers, but for the fields declared here: hashed.
    Callers(Vec<String>),
}

/// What a line tells about the mount.
pub(crate) struct MountFacts {
    pub point: String,
    pub kind: String,
    pub accessor: String,
    pub class: &'static str,
    pub plain_request_keys: Vec<String>,
    pub plain_response_keys: Vec<String>,
}

/// What a line tells about the caller.
pub(crate) struct Caller {
    pub record: TokenRecord,
    pub identity_policies: Vec<String>,
    pub uses_at_start: u64,
}

impl Trail {
    pub(crate) fn new(open: &Open, request: &Request) -> Self {
        let devices = open.devices.read().clone();
        let about_devices = request.path.as_str().starts_with("sys/audit/");
        Self {
            recorded: devices.is_empty() && !about_devices,
            devices,
            about_devices,
            path: Vec::new(),
            names: Names::default(),
            mount: None,
            who: None,
            operation: "",
            granting: Vec::new(),
            denied_by: None,
            error: None,
            headers: open.known_config().map_or_else(Vec::new, |config| {
                config.settings.audited_headers.iter().map(|(name, hmac)| (name.clone(), *hmac)).collect()
            }),
        }
    }

    pub(crate) fn routed(&mut self, routed: &Routed) {
        if self.recorded {
            return;
        }
        self.path = line::path_parts(routed);
        self.names = line::names(routed);
        self.mount = routed.target.mount().map(|m| MountFacts {
            point: m.full_path.clone(),
            kind: m.entry.kind.clone(),
            accessor: m.entry.accessor.clone(),
            class: if m.full_path.starts_with("auth/") { "auth" } else { "secret" },
            plain_request_keys: m.entry.tuning.audit_non_hmac_request_keys.clone(),
            plain_response_keys: m.entry.tuning.audit_non_hmac_response_keys.clone(),
        });
    }

    pub(crate) fn identified(&mut self, who: Option<&Who>) {
        if self.recorded {
            return;
        }
        self.who = who.map(|who| Caller {
            record: who.record.clone(),
            identity_policies: who.persona.as_ref().map(|persona| persona.policies.clone()).unwrap_or_default(),
            uses_at_start: who.record.num_uses,
        });
    }

    pub(crate) fn authorized(&mut self, passed: &Authorized) {
        if self.devices.is_empty() && !self.about_devices {
            return;
        }
        self.operation = line::operation(passed.operation);
        self.granting.clone_from(&passed.granting);
    }

    pub(crate) fn denied(&mut self, denied: &Denied) {
        self.denied_by.clone_from(&denied.pattern);
        self.error = Some("permission denied".into());
    }
}

/// Writes the request's line, once.
///
/// # Errors
/// 500 if there are devices and none took it: the request must not go on.
pub(crate) fn request(open: &Open, request: &Request, trail: &mut Trail) -> Result<(), Fault> {
    if trail.recorded {
        return Ok(());
    }
    trail.recorded = true;
    if trail.devices.is_empty() {
        return Ok(());
    }
    let time = crate::fields::rfc3339(open.parts.clock.now_ms());
    if to_any(&trail.devices, |device| line::request(device, request, trail, &time)) {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Internal, "no audit device took the request: it was not served").into())
}

/// Writes the answer's line; an answer that no device took is replaced by an error.
pub(crate) fn response(open: &Open, request: &Request, trail: Trail, reply: Reply) -> Audited {
    let devices = if trail.about_devices { open.devices.read().clone() } else { Arc::clone(&trail.devices) };
    if devices.is_empty() {
        return Audited { reply, headers: Headers::new() };
    }
    let time = crate::fields::rfc3339(open.parts.clock.now_ms());
    if to_any(&devices, |device| line::response(device, request, &trail, &reply, &time)) {
        return Audited { reply, headers: Headers::new() };
    }
    let failure = Failure::new(FailureKind::Internal, "no audit device took the answer: it is withheld");
    Audited { reply: failure.into(), headers: Headers::new() }
}

/// Hands a line to every device; true if one took it.
fn to_any(devices: &[Device], line: impl Fn(&Device) -> Vec<u8>) -> bool {
    let mut taken = false;
    for device in devices {
        match device.sink.write(&line(device)) {
            Ok(()) => taken = true,
            Err(error) => {
                tracing::error!(device = %device.entry.path, error = %error, "audit device did not take a line");
            }
        }
    }
    taken
}

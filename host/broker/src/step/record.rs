//! Writes each request and its answer to the audit devices. A request that no device
//! took stops; an answer that no device took is not given.

mod line;
mod trail;

use std::sync::Arc;
use std::time::Instant;

use bulkhead_model::answer::{Answer, Headers};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Request;
use bulkhead_model::seam::entropy::uuid;
use futures::future::join_all;

use crate::book::audits::Device;
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::node::Parts;
use crate::open::Open;

pub(crate) use trail::Trail;

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

    /// An answer that the leader has given, and recorded.
    pub(crate) fn by_leader(answer: Answer) -> Self {
        Self { reply: answer.reply, headers: answer.headers }
    }

    /// With these header lines as well.
    pub(crate) fn with(mut self, headers: Headers) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Whether it tells of nothing but a failure.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.reply, Reply::Failed(_))
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

/// Writes the request's line, once.
///
/// # Errors
/// 500 if there are devices and none took it: the request must not go on.
pub(crate) async fn request(open: &Open, request: &Request, trail: &mut Trail) -> Result<(), Fault> {
    if trail.recorded {
        return Ok(());
    }
    trail.recorded = true;
    trail.select(request);
    if trail.devices.is_empty() {
        return Ok(());
    }
    let time = rfc3339(open.parts.clock.now_ms());
    let devices = Arc::clone(&trail.devices);
    trail.told = devices.iter().map(|device| line::told(device, request, trail)).collect();
    let lines = |at: usize| line::request(&devices[at], &trail.told[at], trail, &time);
    let audit = &open.catalog.figures.audit;
    let began = Instant::now();
    let is_taken = to_any(&devices, lines).await;
    audit.request.record(began.elapsed());
    if is_taken {
        return Ok(());
    }
    audit.request_failure.add_one();
    trail.is_refused = true;
    Err(Failure::new(FailureKind::Internal, "no audit device took the request: it was not served").into())
}

/// Writes the answer's line; an answer that no device took is replaced by an error.
pub(crate) async fn response(open: &Open, request: &Request, mut trail: Trail, reply: Reply) -> Audited {
    if trail.about_devices {
        trail.devices = open.devices.read().clone();
        trail.told.clear();
    }
    // Else it goes to those that have the request, whatever an attempt after that found out.
    if trail.about_devices || !trail.recorded {
        trail.select(request);
    }
    if trail.devices.is_empty() {
        return Audited { reply, headers: Headers::new() };
    }
    let time = rfc3339(open.parts.clock.now_ms());
    let devices = Arc::clone(&trail.devices);
    // A request whose time was up before its line was written has nothing yet.
    if trail.told.is_empty() {
        trail.told = devices.iter().map(|device| line::told(device, request, &trail)).collect();
    }
    let lines = |at: usize| line::response(&devices[at], &trail.told[at], &trail, (&reply, &time));
    let audit = &open.catalog.figures.audit;
    let began = Instant::now();
    let is_taken = to_any(&devices, lines).await;
    audit.response.record(began.elapsed());
    if is_taken {
        return Audited { reply, headers: Headers::new() };
    }
    audit.response_failure.add_one();
    if trail.is_refused {
        // The answer says so already, and nothing else.
        return Audited { reply, headers: Headers::new() };
    }
    let failure = Failure::new(FailureKind::Internal, "no audit device took the answer: it is withheld");
    Audited { reply: failure.into(), headers: Headers::new() }
}

/// Hands each device its line, all at once, and a fallback what none of them took; true if one took it.
async fn to_any(devices: &[Arc<Device>], line: impl Fn(usize) -> Hidden<Vec<u8>>) -> bool {
    for is_fallback in [false, true] {
        let meant = (0..devices.len()).filter(|at| devices[*at].scope.is_fallback() == is_fallback);
        let lines: Vec<_> = meant.map(|at| (&devices[at], line(at))).collect();
        let taken = lines.iter().map(|(device, line)| device.takes(line.expose()));
        if join_all(taken).await.contains(&true) {
            return true;
        }
    }
    false
}

/// Writes the line that tells whether a new device takes any.
///
/// # Errors
/// What the device said.
pub(crate) async fn test_line(device: &Device, parts: &Parts) -> Result<(), String> {
    let line = line::test(device, &uuid(&*parts.entropy), &rfc3339(parts.clock.now_ms()));
    device.write(line.expose()).await
}

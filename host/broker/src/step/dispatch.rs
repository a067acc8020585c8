//! Hands an authorised request to whoever answers it: a host route, or a fresh
//! instance of a guest over the visit's transaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::framework;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{Caller, GuestError, GuestRequest, Operation, Reason};
use bulkhead_model::reply::{HiddenJson, Reply};
use bulkhead_model::request::{Body, Request, Verb};
use bulkhead_model::seam::ledger::LedgerError;
use bulkhead_model::seam::plugin::{Call, CallFailure, Plugin, Returned, Stop};
use serde_json::{Map, Value};

use crate::book::mounts::Mount;
use crate::fault::{Fault, wrapped};
use crate::fields::Fields;
use crate::guest::GuestHost;
use crate::step::authorize::Authorized;
use crate::step::route::{GuestTarget, Target};
use crate::step::{inline, lockout, plugin_log, role, room, settle, shown};
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit};

/// Runs the request to its answer; nothing is committed yet.
///
/// # Errors
/// [`Fault`]: the answer is a refusal, or the visit must run again.
pub(crate) async fn dispatch(visit: &mut Visit, request: &Request, passed: &Authorized) -> Result<Reply, Fault> {
    let namespace = visit.namespace.clone();
    let reply = answered(visit, request, passed).await?;
    match &passed.keys_filter {
        Some(filter) => shown::keys(visit, (request, &namespace), filter, reply).await,
        None => Ok(reply),
    }
}

async fn answered(visit: &mut Visit, request: &Request, passed: &Authorized) -> Result<Reply, Fault> {
    if request.help {
        return crate::sys::help::answer(visit, request, passed);
    }
    if request.verb == Verb::Write && request.path.is_folder() {
        return Err(Fault::invalid("cannot write to a path ending in '/'"));
    }
    let narrowed = passed.page.map(|page| narrowed(&request.body, page)).transpose()?;
    let sent = (request, narrowed.as_ref().unwrap_or(&request.body));
    match &passed.routed.target {
        Target::Host { route, captures, .. } => host(visit, sent, route, captures).await,
        Target::Guest(guest) => {
            let role = role::of_leases(visit, request).await?;
            room::reserve(visit, request, guest, passed.operation, &role)?;
            let attempt = lockout::admit(visit, request, guest, passed.operation).await?;
            let returned = call_guest(visit, sent, guest, passed.operation).await?;
            let attempt = attempt.map(|attempt| attempt.judged(&returned));
            let answered = settle::guest_answer(visit, request, guest, (returned, role));
            attempt.map_or(Ok(()), |attempt| attempt.counted(visit, &answered))?;
            answered
        }
        Target::NoPath { .. } => Err(Failure::new(FailureKind::NotFound, wrapped("unsupported path")).into()),
        Target::NoOperation { .. } => Err(unsupported_operation()),
        Target::NotHere { route, .. } => Err(Fault::invalid(route.refusal_in_namespaces())),
        // The journey waits for it, and comes here no more with this target.
        Target::Loading { .. } => Err(Fault::Conflict),
        Target::NoPlugin { why, .. } => Err(Failure::new(FailureKind::Unavailable, why.clone()).into()),
        Target::NoMount => Err(Failure::new(
            FailureKind::NotFound,
            format!("no handler for route {:?}. route entry not found.", request.path.as_str()),
        )
        .into()),
    }
}

/// The parameters of a list that shows so many names.
fn narrowed(body: &Body, page: u64) -> Result<Body, Fault> {
    let mut parameters = parameters(body)?;
    parameters.insert("limit".to_owned(), page.into());
    Ok(Body::Json(bulkhead_model::reply::hidden_json(&Value::Object(parameters))))
}

/// The path has no such operation.
pub(crate) fn unsupported_operation() -> Fault {
    Failure::new(FailureKind::Unsupported, wrapped("unsupported operation")).into()
}

async fn host(
    visit: &mut Visit,
    (request, body): (&Request, &Body),
    route: &'static HostRoute,
    captures: &[(&'static str, String)],
) -> Result<Reply, Fault> {
    let fields = Fields::new(parameters(body)?).behind_existence_check(route.exists.is_some());
    let ignored = ignored(route, &fields);
    let replaced = replaced(route, captures, &fields);
    let ask = Ask { request, captures: captures.to_vec(), fields };
    let mut reply = match route.handler {
        Handler::Now(handler) => handler(visit, &ask)?,
        Handler::Later(handler) => handler(visit, &ask).await?,
        Handler::Gate => return Err(unsupported_operation()),
    };
    if let (Reply::Envelope(envelope), false) = (&mut reply, ignored.is_empty()) {
        envelope.warnings.push(format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" ")));
    }
    if let (Reply::Envelope(envelope), false) = (&mut reply, replaced.is_empty()) {
        envelope.warnings.push(format!(
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]",
            replaced.join(" ")
        ));
    }
    Ok(reply)
}

/// Names the caller sent that the path says already. Where callers name the members, they
/// mean others.
fn replaced(route: &HostRoute, captures: &[(&'static str, String)], sent: &Fields) -> Vec<&'static str> {
    let named = captures.iter().map(|(name, _)| *name).filter(|name| sent.has(name));
    if route.fields.is_some() { named.collect() } else { Vec::new() }
}

/// Names the caller sent that the route does not know, sorted.
fn ignored(route: &HostRoute, sent: &Fields) -> Vec<String> {
    let Some(known) = route.fields else { return Vec::new() };
    let mut names: Vec<_> = sent.all().keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    names.sort();
    names
}

/// The parameters of a host route: a JSON object, or nothing.
fn parameters(body: &Body) -> Result<Map<String, Value>, Fault> {
    match body {
        Body::Empty | Body::Unread(_) => Ok(Map::new()),
        Body::Json(text) => match serde_json::from_slice::<Value>(text.expose()) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(Value::Null) => Ok(Map::new()),
            Ok(mut other) => {
                bulkhead_model::reply::wipe(&mut other);
                Err(Fault::invalid("failed to decode JSON input: the body is not a JSON object"))
            }
            Err(_) => Err(Fault::invalid("failed to decode JSON input: the body is not a JSON object")),
        },
        Body::Raw { .. } => Err(Failure::new(FailureKind::MediaType, "this path takes a JSON object").into()),
    }
}

/// The existence check that a route leaves to its guest.
pub(crate) async fn exists(visit: &mut Visit, request: &Request, guest: &GuestTarget) -> Result<bool, Fault> {
    let asked = guest_request(visit, (request, &request.body), guest, Operation::Update)?;
    match call(visit, &guest.mount, &guest.plugin, Call::Exists(asked.0), &request.id).await? {
        Ok(Returned::Exists(exists)) => Ok(exists),
        Ok(_) => Err(mismatched()),
        Err(error) => Err(guest_error(&error, request)),
    }
}

/// What a guest answered, and what to warn the caller of.
pub(crate) struct GuestAnswer {
    pub returned: Returned,
    pub warnings: Vec<String>,
}

/// Has a guest answer a request.
///
/// # Errors
/// [`Fault`]: the guest refused, or brought no answer.
pub(crate) async fn call_guest(
    visit: &mut Visit,
    (request, body): (&Request, &Body),
    guest: &GuestTarget,
    operation: Operation,
) -> Result<GuestAnswer, Fault> {
    let (asked, warnings) = guest_request(visit, (request, body), guest, operation)?;
    match call(visit, &guest.mount, &guest.plugin, Call::Handle(asked), &request.id).await? {
        Ok(returned) => Ok(GuestAnswer { returned, warnings }),
        Err(error) => Err(guest_error(&error, request)),
    }
}

/// Calls one export on a fresh instance, lending it the visit's transaction.
///
/// # Errors
/// [`Fault`] if the call brought no answer; the transaction is then lost.
pub(crate) async fn call(
    visit: &mut Visit,
    mount: &Arc<Mount>,
    plugin: &Arc<dyn Plugin>,
    call: Call,
    request_id: &str,
) -> Result<Result<Returned, GuestError>, Fault> {
    // While the guest has the visit's transaction, an empty one stands in its place. If
    // the guest never gives it back, nothing can be committed by mistake.
    visit.enter(&mount.namespace);
    let aside = visit.tx.afresh();
    let tx = std::mem::replace(&mut visit.tx, aside);
    let host = GuestHost::new(visit.open.clone(), mount.clone(), tx, visit.now_ms, request_id)
        .afresh(matches!(call, Call::Initialize(Reason::Reloaded)));
    // What was done outside is done, also where the call brings no answer or does not count.
    let outside = host.outside();
    let finished = plugin.call(Box::new(host), call).await;
    visit.outside |= outside.load(Ordering::SeqCst);
    let finished = finished.map_err(|e| {
        plugin_log::tell(mount, &e, visit.now_ms);
        call_failure(&e)
    })?;
    let mut host = finished.host.into_any().downcast::<GuestHost>().expect("a call gives back the host it was given");
    if let Some(fault) = host.void() {
        return Err(fault);
    }
    if finished.result.is_ok() {
        host.fulfil()?;
    }
    visit.seats.append(&mut host.take_seats());
    let (tx, held) = host.into_parts();
    visit.tx = tx;
    visit.held.extend(held);
    Ok(finished.result)
}

fn call_failure(failure: &CallFailure) -> Fault {
    match failure {
        CallFailure::Trap(_) => Failure::new(FailureKind::Internal, "the plugin failed; see the server's log").into(),
        CallFailure::Timeout => Failure::new(FailureKind::Timeout, "the plugin ran out of time").into(),
        CallFailure::Busy => {
            Failure::new(FailureKind::Unavailable, "all instances of the plugin are busy; try again").into()
        }
        CallFailure::Stopped(Stop::Conflict) => Fault::Conflict,
        CallFailure::Stopped(Stop::Forward) => Fault::Ledger(LedgerError::NotLeader { leader: None }),
        CallFailure::Stopped(_) => {
            Failure::new(FailureKind::Internal, "the plugin used up a budget of this server").into()
        }
    }
}

fn guest_error(error: &GuestError, request: &Request) -> Fault {
    let (kind, text) = match error {
        GuestError::InvalidRequest(text) => (FailureKind::Invalid, text.clone()),
        GuestError::PermissionDenied(text) => (FailureKind::Denied, text.clone()),
        GuestError::NotFound => return Failure::absent().into(),
        GuestError::UnsupportedOperation => return unsupported_operation(),
        GuestError::PreconditionFailed(text) => (FailureKind::Precondition, text.clone()),
        GuestError::RateLimited(text) => (FailureKind::Limited, text.clone()),
        GuestError::Upstream(text) => (FailureKind::Upstream, text.clone()),
        GuestError::Unavailable(text) => (FailureKind::Unavailable, text.clone()),
        GuestError::Internal(text) => {
            tracing::error!(request = %request.id, "plugin error: {text}");
            return Failure::internal().into();
        }
    };
    Failure::new(kind, text).into()
}

/// A guest answered with a value that belongs to another export.
pub(crate) fn mismatched() -> Fault {
    tracing::error!("a plugin answered in the shape of another export");
    Failure::internal().into()
}

/// The request as the guest gets it, and what the caller is to be warned of.
fn guest_request(
    visit: &Visit,
    (request, body): (&Request, &Body),
    guest: &GuestTarget,
    operation: Operation,
) -> Result<(GuestRequest, Vec<String>), Fault> {
    let route = guest.route();
    let (text, raw): (&[u8], Option<HiddenJson>) = match body {
        Body::Empty => (b"", None),
        Body::Json(text) if route.raw_body => (b"", Some(text.duplicate())),
        Body::Json(text) => (text.expose(), None),
        Body::Raw { bytes, .. } if route.raw_body => (b"", Some(bytes.duplicate())),
        Body::Raw { .. } | Body::Unread(_) => {
            return Err(Failure::new(FailureKind::MediaType, "this path takes a JSON object").into());
        }
    };
    let shaped = framework::shape(route, operation, &guest.captures, text).map_err(Fault::invalid)?;
    let mut warnings = Vec::new();
    if !shaped.ignored.is_empty() {
        warnings.push(format!("Endpoint ignored these unrecognized parameters: [{}]", shaped.ignored.join(" ")));
    }
    if !shaped.replaced.is_empty() {
        warnings.push(format!(
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]",
            shaped.replaced.join(" ")
        ));
    }
    let asked = GuestRequest {
        id: request.id.clone(),
        operation,
        path: guest.rest.clone(),
        route: guest.index,
        captures: guest.captures.clone(),
        data: Hidden::new(shaped.data),
        supplied: shaped.supplied,
        body: raw,
        headers: passed_headers(request, guest),
        caller: caller(visit, request, &guest.mount),
        wrap_ttl: request.wrap_ttl_secs,
    };
    Ok((asked, warnings))
}

/// Headers the route asked for or the operator passes through. The bearer token is
/// not among `request.headers`, whatever a list says.
fn passed_headers(request: &Request, guest: &GuestTarget) -> Vec<(String, String)> {
    let asked = &guest.route().request_headers;
    let passed = &guest.mount.entry.tuning.passthrough_request_headers;
    if asked.is_empty() && passed.is_empty() {
        return Vec::new();
    }
    let wanted = |name: &str| asked.iter().chain(passed).any(|w| w.eq_ignore_ascii_case(name));
    request.headers.iter().filter(|(name, _)| wanted(name) && !inline::is_about(name)).cloned().collect()
}

fn caller(visit: &Visit, request: &Request, mount: &Mount) -> Caller {
    let origin = &request.origin;
    let base = Caller {
        remote_address: origin.address.map(|address| address.to_string()).unwrap_or_default(),
        remote_port: origin.port,
        client_certificates: origin.certificates.clone(),
        ..Caller::default()
    };
    let Some(who) = &visit.who else { return base };
    // A batch token has no accessor to be told by.
    let id = if who.record.is_batch() { &who.hash[..] } else { who.record.accessor.as_bytes() };
    let context = [&mount.space.0[..], id].concat();
    let fingerprint = hex::encode(visit.open.fingerprints.sign(&context));
    Caller {
        authenticated: true,
        // Of a token whose entity was merged away, the one it went into.
        entity_id: who.persona.as_ref().map(|persona| persona.subject.id.clone()),
        display_name: who.record.display_name.clone(),
        token_fingerprint: Some(fingerprint),
        metadata: who.record.metadata.clone(),
        ..base
    }
}

//! One request's way through this room: site, head, body, broker, bytes.

use std::convert::Infallible;
use std::io::Read;
use std::sync::Arc;

use bulkhead_model::answer::Answer;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Body, Origin, Request, Unread, Verb};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY,
};
use hyper::http::request::Parts;

use crate::decode::{self, Head};
use crate::encode::{Encoded, encode};
use crate::flow::{Arriving, Leaving};
use crate::limits::{ListenerLimits, SNAPSHOT_MAX};
use crate::straggler::Carried;
use crate::{Api, Front, body, cross, flow, site, status};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");

/// What is sent: whole, or as it is read.
pub(crate) type Sent = Either<Full<Bytes>, Leaving>;

/// Answers one request; whatever goes wrong becomes an answer too, and so does a message that is
/// not framed as it must be.
pub(crate) async fn answer<F: Front>(
    api: Arc<Api<F>>,
    origin: Arc<Origin>,
    limits: ListenerLimits,
    framed: Result<(), Encoded>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Sent>, Infallible> {
    if let Err(refused) = framed {
        let mut answer = response(refused);
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return Ok(answer);
    }
    let (parts, incoming) = request.into_parts();
    let has_body = !incoming.is_end_stream();
    let figures = Arc::clone(&api.figures);
    let ((mut answer, body), crossing) = match cross::cross(&*api.front, &parts) {
        Ok(headers) => (served(api, origin, limits, &parts, incoming).await, headers),
        Err((refused, headers)) => ((response(refused), Taken::No), headers),
    };
    cross::add(answer.headers_mut(), crossing);
    if has_body && body == Taken::No {
        // What is still to come of it must not pass for the beginning of another request.
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    figures.answered(answer.status());
    Ok(answer)
}

/// Whether somebody took a request's body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

async fn served<F: Front>(
    api: Arc<Api<F>>,
    origin: Arc<Origin>,
    limits: ListenerLimits,
    parts: &Parts,
    incoming: Incoming,
) -> (Response<Sent>, Taken) {
    let below = match site::below_v1(&parts.method, parts.uri.path(), parts.uri.query()) {
        Ok(below) => below,
        Err(page) => return (page_response(page), Taken::No),
    };
    let (Answer { reply, headers }, body) = match decode::head(parts, below) {
        Ok(head) => {
            let body = if matches!(head.verb, Verb::Write | Verb::Patch) { Taken::Yes } else { Taken::No };
            (pass_on(&api, &origin, &limits, head, incoming).await, body)
        }
        Err(refused) => (refused.into(), Taken::No),
    };
    let mut response = match reply {
        Reply::Stream { content_type, headers, stream } => leaving(content_type, headers, stream),
        whole => response(encode(whole)),
    };
    cross::add(response.headers_mut(), headers);
    if let Some(namespace) = parts.headers.get(NAMESPACE) {
        response.headers_mut().insert(NAMESPACE, namespace.clone());
    }
    (response, body)
}

/// Reads the body, if the request has one, and asks the broker.
async fn pass_on<F: Front>(
    api: &Arc<Api<F>>,
    origin: &Origin,
    limits: &ListenerLimits,
    head: Head,
    incoming: Incoming,
) -> Answer {
    let mut held = None;
    let is_flow = flow::is_at(&head.path);
    let body = if is_flow && head.verb == Verb::Write && !head.help {
        Ok(Body::Unread(Unread::new(Box::new(Arriving::new(incoming, limits.snapshot_bytes_max)))))
    } else if matches!(head.verb, Verb::Write | Verb::Patch) {
        match body::read(incoming, limits, &api.buffers).await {
            Ok(mut read) => {
                let bytes = std::mem::replace(&mut read.bytes, bulkhead_model::hidden::Hidden::new(Vec::new()));
                held = Some(read);
                decode::body(&head, bytes, limits.json_strings_max)
            }
            Err(reply) => return reply.into(),
        }
    } else {
        decode::body_of_query(&head)
    };
    match body {
        Ok(body) => {
            let request = request(api.request_ids.next(), head, body, origin.clone());
            let front = Arc::clone(&api.front);
            let request_max = if is_flow { SNAPSHOT_MAX.max(limits.request_max) } else { limits.request_max };
            let work = async move {
                let reply = front.answer(request, request_max).await;
                // Given back only now: until here the broker held the body.
                drop(held);
                reply
            };
            Carried::new(work, Arc::clone(&api.stragglers)).await
        }
        Err(failure) => Reply::Failed(failure).into(),
    }
}

fn request(id: String, head: Head, body: Body, origin: Origin) -> Request {
    let Head { verb, path, namespace, token, content_type, headers, wrap_ttl_secs, help, query } = head;
    Request { id, verb, path, namespace, token, body, content_type, headers, wrap_ttl_secs, help, query, origin }
}

fn response(encoded: Encoded) -> Response<Sent> {
    let Encoded { status, content_type, bytes, headers: more } = encoded;
    let mut response = Response::new(Either::Left(Full::new(Bytes::from_owner(bytes))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    for (name, value) in more {
        headers.insert(name, value);
    }
    response
}

/// An answer that is sent as it is read.
fn leaving(
    content_type: &'static str,
    headers: Vec<(String, String)>,
    stream: Box<dyn Read + Send + Sync>,
) -> Response<Sent> {
    let mut response = response(Encoded::text(status::STREAMED, content_type, String::new()).with(&headers));
    *response.body_mut() = Either::Right(Leaving::new(stream));
    response
}

fn page_response(page: site::Page) -> Response<Sent> {
    let mut response = response(page.encoded);
    if let Some(location) = page.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

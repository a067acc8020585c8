//! Requests of web pages from other sites: what browsers are told before anything else
//! is looked at.

use bulkhead_model::answer::Headers;
use bulkhead_model::cors::Crossing;
use hyper::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::http::request::Parts;

use crate::Front;
use crate::encode::Encoded;
use crate::status;

/// Header lines for the answer to a request that may go on, or the answer itself. A
/// browser reads the header lines of either.
///
/// # Errors
/// The answer and its header lines.
pub(crate) fn cross<F: Front>(front: &F, parts: &Parts) -> Result<Headers, (Encoded, Headers)> {
    let Some(origin) = parts.headers.get(ORIGIN) else { return Ok(Headers::new()) };
    // An origin that is no text is none of those allowed.
    let origin = origin.to_str().unwrap_or_default();
    let asked = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD).and_then(|method| method.to_str().ok());
    let empty = |status| Encoded::text(status, "application/json", String::new());
    match front.crossing(origin, parts.method.as_str(), asked) {
        None => Ok(Headers::new()),
        Some(Crossing::Pass(headers)) => Ok(headers),
        Some(Crossing::Preflight(headers)) => Err((empty(status::PREFLIGHT), headers)),
        Some(Crossing::BadMethod) => Err((empty(status::PREFLIGHT_METHOD), Headers::new())),
        Some(Crossing::Refused) => {
            Err((Encoded::errors(status::FOREIGN_PAGE, &["origin not allowed".to_owned()]), Headers::new()))
        }
    }
}

/// Adds header lines of the node's own; one that HTTP does not have is left out.
pub(crate) fn add(to: &mut HeaderMap, headers: Headers) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            to.insert(HeaderName::from_static(name), value);
        }
    }
}

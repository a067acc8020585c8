//! What HTTP itself asks of a message, whatever is in it. A server behind a proxy must not read
//! a message otherwise than the proxy did, so that what is ambiguous is refused, as Go does.

use hyper::header::{EXPECT, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::{Request, StatusCode, Version};

use crate::encode::Encoded;
use crate::status;

/// Looks at a message's frame.
///
/// # Errors
/// The answer, after which the connection ends: what follows on it cannot be trusted.
pub(crate) fn check<B>(request: &Request<B>, has_fragment: bool) -> Result<(), Encoded> {
    if has_fragment {
        return Err(refused(status::MALFORMED, "400 Bad Request"));
    }
    host(request.headers(), request.version())?;
    transfer_encoding(request.headers())?;
    expectation(request.headers())
}

fn host(headers: &HeaderMap, version: Version) -> Result<(), Encoded> {
    let mut named = headers.get_all(HOST).iter();
    match (named.next(), named.next()) {
        (_, Some(_)) => Err(refused(status::MALFORMED, "400 Bad Request")),
        (Some(host), None) if !host.as_bytes().iter().all(|byte| is_of_host(*byte)) => {
            Err(refused(status::MALFORMED, "400 Bad Request: malformed Host header"))
        }
        (None, None) if version >= Version::HTTP_11 => {
            Err(refused(status::MALFORMED, "400 Bad Request: missing required Host header"))
        }
        _ => Ok(()),
    }
}

/// Whether a host may have it: RFC 3986, with the braces of an IPv6 address.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&()*+,-.:;='[]_~".contains(&byte)
}

/// Where a body ends must be said in one way alone.
fn transfer_encoding(headers: &HeaderMap) -> Result<(), Encoded> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(refused(status::UNKNOWN_CODING, "Unsupported transfer encoding")),
    }
}

fn expectation(headers: &HeaderMap) -> Result<(), Encoded> {
    let Some(expected) = headers.get(EXPECT) else { return Ok(()) };
    let is_known = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(b"100-continue");
    if expected.is_empty() || expected.as_bytes().split(|byte| *byte == b',').any(is_known) {
        return Ok(());
    }
    Err(refused(status::UNMET_EXPECTATION, ""))
}

fn refused(status: StatusCode, text: &str) -> Encoded {
    Encoded::text(status, "text/plain; charset=utf-8", text.to_owned())
}

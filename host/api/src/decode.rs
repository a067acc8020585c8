//! What a request's line and headers ask for. Everything is checked against its bound
//! before the body is read, and the path is made canonical here, once.

mod form;
mod query;

use bulkhead_model::duration::{self, DurationError};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::json::{Bounds, check_object};
use bulkhead_model::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX, TOKEN_BYTES_MAX};
use bulkhead_model::path::{ApiPath, PathError};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Body, Verb};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;

pub(crate) use self::query::Pairs;
use self::query::{flag, object, parameters};

/// All of a request but its body.
pub(crate) struct Head {
    pub(crate) verb: Verb,
    pub(crate) path: ApiPath,
    pub(crate) namespace: String,
    pub(crate) token: Option<Hidden<String>>,
    pub(crate) content_type: String,
    pub(crate) headers: Pairs,
    pub(crate) wrap_ttl_secs: Option<u64>,
    pub(crate) help: bool,
    pub(crate) query: Pairs,
}

/// Content types that are handed on as bytes. Any other body is JSON or a form, as
/// Vault takes JSON under whatever name clients send it.
const RAW_TYPES: [&str; 4] =
    ["application/octet-stream", "application/ocsp-request", "application/wasm", "application/x-gzip"];

/// Reads line and headers. `below` is the path below `/v1/`, as sent.
///
/// # Errors
/// What the client is told.
pub(crate) fn head(parts: &Parts, below: &str) -> Result<Head, Reply> {
    let path = ApiPath::decode(below).map_err(path_refused)?;
    Ok(head_of(parts, path)?)
}

fn head_of(parts: &Parts, path: ApiPath) -> Result<Head, Failure> {
    let query = parameters(parts.uri.query().unwrap_or_default())?;
    let help = parts.method.as_str() == "HELP" || query.iter().any(|(n, v)| n == "help" && !v.is_empty());
    let verb = if help { Verb::Read } else { verb((parts.method.as_str(), path.as_str()), &query)? };
    let path = match verb {
        Verb::List | Verb::Scan => path.to_folder(),
        Verb::Write | Verb::Patch if path.is_folder() => {
            return Err(Failure::invalid("cannot write to a path ending in '/'"));
        }
        _ => path,
    };
    let content_type = text(&parts.headers, CONTENT_TYPE.as_str())?.unwrap_or_default().to_owned();
    if verb == Verb::Patch {
        merge_patch_only(&content_type)?;
    }
    Ok(Head {
        verb,
        path,
        namespace: namespace(&parts.headers)?,
        token: token(&parts.headers)?,
        content_type,
        headers: others(&parts.headers),
        wrap_ttl_secs: wrap_ttl_secs(&parts.headers)?,
        help,
        query,
    })
}

/// The answer for a path that is none. Two of them come from Go's HTTP server, before
/// Vault sees the request, and are plain text.
fn path_refused(error: PathError) -> Reply {
    let plain = |text: &str| Reply::raw(400, "text/plain; charset=utf-8", text.as_bytes().to_vec());
    match error {
        PathError::Encoding => plain("400 Bad Request"),
        PathError::Character => plain(""),
        PathError::Segment => Failure::invalid("relative paths not supported").into(),
        other => Failure::invalid(other.to_string()).into(),
    }
}

/// What a method asks for. Of the path that tells of the health, Vault refuses what it does not take by itself.
fn verb((method, path): (&str, &str), query: &Pairs) -> Result<Verb, Failure> {
    Ok(match method {
        "GET" => match (flag(query, "list")?, flag(query, "scan")?) {
            (true, true) => return Err(Failure { kind: FailureKind::Invalid, errors: Vec::new() }),
            (true, false) => Verb::List,
            (false, true) => Verb::Scan,
            (false, false) => Verb::Read,
        },
        "POST" | "PUT" => Verb::Write,
        "PATCH" => Verb::Patch,
        "DELETE" => Verb::Delete,
        "LIST" => Verb::List,
        "SCAN" => Verb::Scan,
        "HEAD" => Verb::Head,
        "OPTIONS" if path == "sys/health" => {
            return Err(Failure { kind: FailureKind::Unsupported, errors: Vec::new() });
        }
        "OPTIONS" => return Err(Failure::invalid("cannot handle internal-only request operation")),
        _ => return Err(Failure { kind: FailureKind::Unsupported, errors: Vec::new() }),
    })
}

/// The media type without its parameters, in lower case.
fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn merge_patch_only(content_type: &str) -> Result<(), Failure> {
    match media_type(content_type).as_str() {
        "application/merge-patch+json" => Ok(()),
        "" => Err(Failure::invalid("mime: no media type")),
        other => {
            let text = format!("PATCH requires Content-Type of application/merge-patch+json, provided {other}");
            Err(Failure::new(FailureKind::MediaType, text))
        }
    }
}

/// A header's value. Bytes beyond ASCII are refused: what they mean is anyone's guess.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let value = headers.get(name).map(|value| value.to_str());
    value.transpose().map_err(|_| Failure::invalid(format!("header {name} is not ASCII")))
}

fn token(headers: &HeaderMap) -> Result<Option<Hidden<String>>, Failure> {
    let own = text(headers, "x-vault-token")?;
    let found = match own.filter(|token| !token.is_empty()) {
        Some(token) => Some(token),
        None => text(headers, AUTHORIZATION.as_str())?.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim),
    };
    match found {
        Some(token) if token.len() > TOKEN_BYTES_MAX => {
            Err(Failure::new(FailureKind::HeaderTooLarge, format!("token is longer than {TOKEN_BYTES_MAX} bytes")))
        }
        found => Ok(found.filter(|token| !token.is_empty()).map(|token| Hidden::new(token.to_owned()))),
    }
}

fn namespace(headers: &HeaderMap) -> Result<String, Failure> {
    let Some(sent) = text(headers, "x-vault-namespace")? else { return Ok(String::new()) };
    // Slashes too many separate nothing.
    let named: Vec<&str> = sent.split('/').filter(|part| !part.is_empty()).collect();
    // `root` is how Vault's tools spell the root namespace.
    if matches!(named[..], [] | ["root"]) {
        return Ok(String::new());
    }
    let path = ApiPath::checked(named.join("/")).map_err(|e| Failure::invalid(format!("namespace: {e}")))?;
    Ok(path.as_str().to_owned())
}

fn wrap_ttl_secs(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(sent) = text(headers, "x-vault-wrap-ttl")? else { return Ok(None) };
    let failure =
        |error: &dyn std::fmt::Display| Failure::invalid(format!("error parsing X-Vault-Wrap-TTL header: {error}"));
    match duration::parse(sent) {
        // Rounded up: a wrapped answer that is asked for must never come unwrapped.
        Ok(ttl) if !ttl.is_zero() => Ok(Some(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0))),
        Ok(_) => Ok(None),
        Err(DurationError::Negative(_)) => Err(failure(&"requested wrap ttl cannot be negative")),
        Err(error) => Err(failure(&error)),
    }
}

/// Every header but the token's, whose value goes nowhere else.
fn others(headers: &HeaderMap) -> Pairs {
    let secret = |name: &str| matches!(name, "x-vault-token" | "authorization");
    let plain = headers.iter().filter(|(name, _)| !secret(name.as_str()));
    plain
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// The body of a request that has none of its own: the query's parameters.
pub(crate) fn body_of_query(head: &Head) -> Result<Body, Failure> {
    let asked = match head.verb {
        Verb::List => "list",
        Verb::Scan => "scan",
        _ => "",
    };
    let data: Vec<_> = head.query.iter().filter(|(name, _)| name != asked && name != "help").collect();
    if data.is_empty() { Ok(Body::Empty) } else { object(&data).map(Body::Json) }
}

/// A body that was sent, once it is all there.
pub(crate) fn body(head: &Head, bytes: Hidden<Vec<u8>>, strings_max: usize) -> Result<Body, Failure> {
    let kind = media_type(&head.content_type);
    if RAW_TYPES.contains(&kind.as_str()) {
        let empty = bytes.expose().is_empty();
        return Ok(if empty { Body::Empty } else { Body::Raw { content_type: head.content_type.clone(), bytes } });
    }
    let start = bytes.expose().trim_ascii();
    if start.is_empty() || start == b"null" {
        return Ok(Body::Empty);
    }
    // Tools send JSON as a form all the time (curl's default), so the first byte decides.
    if kind == "application/x-www-form-urlencoded" && !matches!(start[0], b'{' | b'[') {
        return form::body(bytes.expose());
    }
    let bounds = Bounds { depth_max: JSON_DEPTH_MAX, strings_max, values_max: JSON_VALUES_MAX };
    match check_object(bytes.expose(), bounds) {
        Ok(()) => Ok(Body::Json(bytes)),
        Err(e) if e.is_complexity() => Err(Failure::invalid(format!("refused JSON input due to high complexity: {e}"))),
        Err(e) => Err(Failure::invalid(format!("failed to decode JSON input: {e}"))),
    }
}

#[cfg(test)]
mod tests;

//! A login that a request brings along in its headers: its token is for that request alone, and is not stored.
//! Here the headers are read; the journey of such a login is in `journey/inline.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::json::{Bounds, check_object};
use bulkhead_model::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};
use bulkhead_model::path::ApiPath;
use bulkhead_model::reply::{hidden_json, wipe};
use bulkhead_model::request::{Body, Request, Verb};
use serde_json::{Map, Value};

/// What all of these headers begin with.
const FRONT: &str = "x-vault-inline-auth-";
const PATH: &str = "x-vault-inline-auth-path";
const OPERATION: &str = "x-vault-inline-auth-operation";
const NAMESPACE: &str = "x-vault-inline-auth-namespace";
const PARAMETER: &str = "x-vault-inline-auth-parameter-";

/// The header line of an answer that is the login's own, and not that of the request it was for.
pub(crate) const FAILED: &str = "x-vault-inline-auth-failed";

/// Whether a request brings a login along.
pub(crate) fn is_asked(request: &Request) -> bool {
    request.header(PATH).is_some()
}

/// Whether a header is about a login that is brought along. What it holds is for nobody else: neither for plugins nor
/// for audit devices.
pub(crate) fn is_about(name: &str) -> bool {
    name.get(..FRONT.len()).is_some_and(|front| front.eq_ignore_ascii_case(FRONT))
}

/// The login that a request brings along, as a request of its own.
///
/// # Errors
/// What the client is told: the headers cannot be read, or a token was sent as well.
pub(crate) fn login_of(request: &Request, id: String) -> Result<Request, Failure> {
    let path = one(request, PATH)?.filter(|path| !path.is_empty()).ok_or_else(Failure::bad_token)?;
    if request.token.is_some() {
        return Err(refused("cannot layer inline authentication with token authentication"));
    }
    let verb = match one(request, OPERATION)?.unwrap_or("update") {
        "create" | "update" => Verb::Write,
        "read" => Verb::Read,
        _ => return Err(refused("expected a valid login operation in X-Vault-Inline-Auth-Operation")),
    };
    let namespace = match one(request, NAMESPACE)? {
        Some(name) => namespace(name)?,
        None => request.namespace.clone(),
    };
    Ok(Request {
        id,
        verb,
        // What is no path is none that somebody could log in at.
        path: ApiPath::checked(path.to_owned()).map_err(|_| Failure::bad_token())?,
        namespace,
        token: None,
        body: Body::Json(parameters(&request.headers)?),
        content_type: String::new(),
        headers: request.headers.iter().filter(|(name, _)| !is_about(name)).cloned().collect(),
        wrap_ttl_secs: None,
        help: false,
        query: Vec::new(),
        origin: request.origin.clone(),
    })
}

/// What a login came to that has no answer of its own, as the client is told.
pub(crate) fn told(failure: Failure) -> Failure {
    let Failure { kind, mut errors } = failure;
    if let Some(first) = errors.first_mut() {
        first.insert_str(0, "failed to perform inline authentication: ");
    }
    Failure { kind, errors }
}

fn refused(text: &str) -> Failure {
    told(Failure::new(FailureKind::Invalid, text))
}

/// The value of a header that is sent once.
fn one<'r>(request: &'r Request, name: &str) -> Result<Option<&'r str>, Failure> {
    let mut values = request.headers.iter().filter(|(sent, _)| sent == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(refused(&format!("expected exactly one value for {name}"))),
        (value, None) => Ok(value),
    }
}

fn namespace(name: &str) -> Result<String, Failure> {
    match name.trim_matches('/') {
        "" | "root" => Ok(String::new()),
        name => {
            let path = ApiPath::checked(name.to_owned());
            path.map(|path| path.as_str().to_owned()).map_err(|_| refused("inline auth namespace was not found"))
        }
    }
}

/// What is sent with the login: each header has a name and its value, as JSON in base64, so that a name keeps its
/// case and a value its kind.
fn parameters(headers: &[(String, String)]) -> Result<Hidden<Vec<u8>>, Failure> {
    let mut all = Value::Object(Map::new());
    let mut read = Ok(());
    for (at, (name, value)) in headers.iter().enumerate() {
        if !name.starts_with(PARAMETER) {
            continue;
        }
        read = match headers[..at].iter().any(|(other, _)| other == name) {
            true => Err("expected exactly one value for each auth header parameter"),
            false => add(&mut all, value),
        };
        if read.is_err() {
            break;
        }
    }
    let text = read.map(|()| hidden_json(&all));
    wipe(&mut all);
    text.map_err(refused)
}

fn add(all: &mut Value, encoded: &str) -> Result<(), &'static str> {
    let decoded = URL_SAFE_NO_PAD.decode(encoded);
    let text = Hidden::new(decoded.map_err(|_| "failed raw url-safe base64 decoding header value")?);
    let bounds = Bounds { depth_max: JSON_DEPTH_MAX, strings_max: STRINGS_MAX, values_max: JSON_VALUES_MAX };
    check_object(text.expose(), bounds).map_err(|_| "failed json decoding header value")?;
    let mut said = serde_json::from_slice(text.expose()).map_err(|_| "failed json decoding header value")?;
    let added = add_said(all, &mut said);
    wipe(&mut said);
    added
}

/// Strings in one parameter at most. Source: ours. Why: what logs somebody in is a handful of texts.
const STRINGS_MAX: usize = 1000;

fn add_said(all: &mut Value, said: &mut Value) -> Result<(), &'static str> {
    let members = said.as_object_mut().ok_or("failed json decoding header value")?;
    let name = match members.remove("key").ok_or("decoded header lacked `key` field")? {
        Value::String(name) => name,
        _ => return Err("decoded header had incorrect type for `key` field"),
    };
    if !members.contains_key("value") {
        return Err("decoded header lacked `value` field");
    }
    if members.len() > 1 {
        return Err("unexpected field in decoded request parameter");
    }
    let value = members["value"].take();
    match all.as_object_mut().and_then(|all| all.insert(name, value)) {
        None => Ok(()),
        Some(mut other) => {
            wipe(&mut other);
            Err("two headers are about one parameter")
        }
    }
}

#[cfg(test)]
mod tests;

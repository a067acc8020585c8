//! What a component says about itself, checked and turned into the broker's terms.
//! A component whose description cannot be is never mounted.

use std::collections::BTreeSet;

use bulkhead_model::plugin::{Descriptor, Existence, Field, JobDoc, Operation, OperationDoc, ResponseDoc, Route};

use crate::error::SandboxError;
use crate::limits::{DOC_ITEMS_MAX, DOC_NAME_BYTES_MAX, DOC_TEXT_BYTES_MAX, ROUTES_MAX};
use crate::v1::types as wit;
use crate::v1::types::Json;

/// Headers that no route may ask for: they carry the bearer token.
const TOKEN_HEADERS: [&str; 2] = ["x-vault-token", "x-vault-namespace"];

/// Highest layout version of stored data. Source: ours. Why: a number beyond it is a
/// mistake or a timestamp, and would lock the mount's data to this component.
const DATA_VERSION_MAX: u32 = 1_000_000;

/// Checks a description.
///
/// # Errors
/// [`SandboxError::Descriptor`] saying what is wrong and where.
pub(crate) fn parse(from: wit::Descriptor) -> Result<Descriptor, SandboxError> {
    descriptor(from).map_err(|why| SandboxError::Descriptor { why })
}

fn descriptor(from: wit::Descriptor) -> Result<Descriptor, String> {
    name("the plugin's name", &from.name)?;
    name("the plugin's version", &from.version)?;
    text("the summary", &from.summary)?;
    text("the help", &from.help)?;
    if from.data_version > DATA_VERSION_MAX || from.oldest_readable_data > from.data_version {
        return Err(format!("data version {} reads back to {}", from.data_version, from.oldest_readable_data));
    }
    for prefix in from.seal_wrapped.iter().chain(&from.local) {
        storage_prefix(prefix)?;
    }
    from.lease_kinds.iter().try_for_each(|kind| name("a lease kind", kind))?;
    unique("lease kind", &from.lease_kinds)?;
    count("routes", from.routes.len(), ROUTES_MAX)?;
    let routes = from.routes.into_iter().map(route).collect::<Result<Vec<_>, _>>()?;
    unique("route", routes.iter().map(|route| (&route.pattern, &route.when_option)))?;
    Ok(Descriptor {
        name: from.name,
        version: from.version,
        summary: from.summary,
        help: from.help,
        data_version: from.data_version,
        oldest_readable_data: from.oldest_readable_data,
        routes,
        seal_wrapped: from.seal_wrapped,
        local: from.local,
        lease_kinds: from.lease_kinds,
        jobs: jobs(from.jobs)?,
    })
}

fn route(from: wit::Route) -> Result<Route, String> {
    let within = |why: String| format!("route {:?}: {why}", shown(&from.pattern));
    let captures = pattern_captures(&from.pattern).map_err(within)?;
    checked_parts(&from, &captures).map_err(within)?;
    let when_option = when_option(&from.extra).map_err(within)?;
    let folded_captures = folded_captures(&from.extra, &captures).map_err(within)?;
    let pattern = from.pattern.clone();
    let within = |why: String| format!("route {:?}: {why}", shown(&pattern));
    let fields = fields(from.fields).map_err(within)?;
    let operations = from.operations.into_iter().map(operation).collect::<Result<Vec<_>, _>>().map_err(within)?;
    unique("operation", operations.iter().map(|doc| format!("{:?}", doc.operation))).map_err(within)?;
    Ok(Route {
        pattern: from.pattern,
        synopsis: from.synopsis,
        description: from.description,
        fields,
        operations,
        existence: match from.existence {
            wit::Existence::None => Existence::None,
            wit::Existence::Key(key) => Existence::Key(key),
            wit::Existence::Ask => Existence::Ask,
        },
        unauthenticated: from.unauthenticated,
        sudo: from.sudo,
        accepts_unknown_fields: from.accepts_unknown_fields,
        raw_body: from.raw_body,
        request_headers: from.request_headers.iter().map(|header| header.to_ascii_lowercase()).collect(),
        when_option,
        folded_captures,
    })
}

/// Checks a route's own parts.
fn checked_parts(from: &wit::Route, captures: &[&str]) -> Result<(), String> {
    text("the synopsis", &from.synopsis)?;
    text("the description", &from.description)?;
    count("operations", from.operations.len(), DOC_ITEMS_MAX)?;
    count("fields", from.fields.len(), DOC_ITEMS_MAX)?;
    count("request headers", from.request_headers.len(), DOC_ITEMS_MAX)?;
    if from.operations.is_empty() {
        return Err("it answers no operation".to_owned());
    }
    if from.unauthenticated && from.sudo {
        return Err("it is both unauthenticated and sudo".to_owned());
    }
    for header in &from.request_headers {
        name("a request header", header)?;
        if TOKEN_HEADERS.iter().any(|kept| header.eq_ignore_ascii_case(kept)) {
            return Err(format!("it asks for the header {header}, which plugins never see"));
        }
    }
    if let wit::Existence::Key(key) = &from.existence {
        let used = key_captures(key)?;
        if let Some(unknown) = used.iter().find(|capture| !captures.contains(capture)) {
            return Err(format!("the existence key uses {{{unknown}}}, which the pattern does not capture"));
        }
    }
    Ok(())
}

fn when_option(extra: &[(String, Json)]) -> Result<Option<(String, String)>, String> {
    let Some((_, json)) = extra.iter().find(|(name, _)| name == "when-option") else { return Ok(None) };
    match serde_json::from_slice(json) {
        Ok(pair) => Ok(Some(pair)),
        Err(_) => Err("when-option is not an array of two strings".to_owned()),
    }
}

fn folded_captures(extra: &[(String, Json)], captures: &[&str]) -> Result<Vec<String>, String> {
    let Some((_, json)) = extra.iter().find(|(name, _)| name == "folded-captures") else { return Ok(Vec::new()) };
    let folded: Vec<String> =
        serde_json::from_slice(json).map_err(|_| "folded-captures is not an array of strings".to_owned())?;
    match folded.iter().find(|name| !captures.contains(&name.as_str())) {
        // To overlook it would leave policies with a weaker rule than the plugin means.
        Some(unknown) => Err(format!("folded-captures has {:?}, which the pattern does not capture", shown(unknown))),
        None => Ok(folded),
    }
}

fn fields(from: Vec<wit::Field>) -> Result<Vec<Field>, String> {
    unique("field", from.iter().map(|field| &field.name))?;
    from.into_iter().map(field).collect()
}

fn field(from: wit::Field) -> Result<Field, String> {
    name("a field's name", &from.name)?;
    text("a field's description", &from.description)?;
    count("allowed values", from.allowed.len(), DOC_ITEMS_MAX)?;
    let json = |bytes: &Json| {
        serde_json::from_slice(bytes).map_err(|_| format!("field {:?} has a value that is no JSON", from.name))
    };
    Ok(Field {
        default: from.default.as_ref().map(json).transpose()?,
        allowed: from.allowed.iter().map(json).collect::<Result<_, _>>()?,
        kind: from.kind.into(),
        required: from.required,
        sensitive: from.sensitive,
        deprecated: from.deprecated,
        description: from.description,
        name: from.name,
    })
}

fn operation(from: wit::OperationDoc) -> Result<OperationDoc, String> {
    text("an operation's summary", &from.summary)?;
    text("an operation's description", &from.description)?;
    text("an operation's id", &from.id)?;
    count("responses", from.responses.len(), DOC_ITEMS_MAX)?;
    Ok(OperationDoc {
        operation: Operation::from(from.operation),
        id: from.id,
        summary: from.summary,
        description: from.description,
        responses: from.responses.into_iter().map(response).collect::<Result<_, _>>()?,
        active_only: from.active_only,
        deprecated: from.deprecated,
        unpublished: from.unpublished,
    })
}

fn response(from: wit::ResponseDoc) -> Result<ResponseDoc, String> {
    text("a response's description", &from.description)?;
    count("response fields", from.fields.len(), DOC_ITEMS_MAX)?;
    Ok(ResponseDoc { status: from.status, description: from.description, fields: fields(from.fields)? })
}

fn jobs(from: Vec<wit::JobDoc>) -> Result<Vec<JobDoc>, String> {
    count("jobs", from.len(), DOC_ITEMS_MAX)?;
    unique("job", from.iter().map(|job| &job.name))?;
    from.into_iter()
        .map(|job| {
            name("a job's name", &job.name)?;
            match job.every {
                Some(0) => Err(format!("job {:?} would run without pause", job.name)),
                every => Ok(JobDoc { name: job.name, every }),
            }
        })
        .collect()
}

/// What a pattern captures: `roles/{name}`, `creds/{name?}`, `data/{path...}`.
fn pattern_captures(pattern: &str) -> Result<Vec<&str>, String> {
    if pattern.len() > DOC_TEXT_BYTES_MAX || pattern.starts_with('/') || pattern.chars().any(char::is_control) {
        return Err("the pattern is too long, starts with a slash or has control characters".to_owned());
    }
    let segments: Vec<&str> = pattern.split('/').collect();
    let mut captures = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        if segment.is_empty() && !last {
            return Err("the pattern has an empty segment".to_owned());
        }
        let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            if segment.contains(['{', '}']) {
                return Err("a capture must be a whole segment".to_owned());
            }
            continue;
        };
        let whole = inner.strip_suffix("...").or_else(|| inner.strip_suffix('?'));
        if whole.is_some() && !last {
            return Err("only the last segment may be optional or the rest".to_owned());
        }
        captures.push(capture_name(whole.unwrap_or(inner))?);
    }
    unique("capture", &captures)?;
    Ok(captures)
}

/// What an existence key fills in.
fn key_captures(key: &str) -> Result<Vec<&str>, String> {
    text("the existence key", key)?;
    let mut captures = Vec::new();
    let mut rest = key;
    while let Some((_, after)) = rest.split_once('{') {
        let (inner, after) = after.split_once('}').ok_or("the existence key has an open brace")?;
        captures.push(capture_name(inner.trim_end_matches("..."))?);
        rest = after;
    }
    Ok(captures)
}

fn capture_name(name: &str) -> Result<&str, String> {
    let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if good { Ok(name) } else { Err(format!("{:?} cannot be the name of a capture", shown(name))) }
}

fn storage_prefix(prefix: &str) -> Result<(), String> {
    name("a storage prefix", prefix)?;
    let inside = !prefix.starts_with('/') && prefix.split('/').all(|segment| segment != "..");
    if inside { Ok(()) } else { Err(format!("{prefix:?} cannot be a storage prefix")) }
}

fn name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > DOC_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(format!("{what} is empty, over {DOC_NAME_BYTES_MAX} bytes or has control characters"));
    }
    Ok(())
}

fn text(what: &str, text: &str) -> Result<(), String> {
    if text.len() > DOC_TEXT_BYTES_MAX { Err(format!("{what} is over {DOC_TEXT_BYTES_MAX} bytes")) } else { Ok(()) }
}

fn count(what: &str, count: usize, limit: usize) -> Result<(), String> {
    if count > limit { Err(format!("it has {count} {what}, over the limit of {limit}")) } else { Ok(()) }
}

fn unique<T: Ord + std::fmt::Debug>(what: &str, items: impl IntoIterator<Item = T>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for item in items {
        if seen.contains(&item) {
            return Err(format!("{what} {} is declared twice", shown(&format!("{item:?}"))));
        }
        seen.insert(item);
    }
    Ok(())
}

/// A guest's text in one of our sentences: short enough to read.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(100)]
}

#[cfg(test)]
mod tests;

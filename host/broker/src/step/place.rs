//! Finds which namespace a request is in. Header and path together say so: `team` with `app/kv/x`
//! is `kv/x` in `team/app/`, and from here on the request is the same however it was written.

use std::sync::Arc;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::path::ApiPath;
use bulkhead_model::request::Request;

use crate::book::config::Config;
use crate::book::namespaces::{Namespace, Namespaces};

/// Paths about the caller's token alone: they are answered where that token is, wherever it is
/// asked, as whoever holds a token need not know its namespace. Source: OpenBao.
const OF_THE_TOKEN: [&str; 3] = ["auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self"];

/// Where a locked namespace can be unlocked, by the key if nothing else.
const UNLOCK: &str = "sys/namespaces/api-lock/unlock";

/// The namespace of a request, whose path is from here on the one within it.
///
/// # Errors
/// 404: there is none of this name; 503: it is locked.
pub(crate) fn find(config: &Config, request: &mut Request) -> Result<Arc<Namespace>, Failure> {
    let all = &config.namespaces;
    let missing = || Failure::new(FailureKind::NotFound, "namespace not found");
    let from = match request.namespace.as_str() {
        "" => all.root(),
        name => all.at(&format!("{name}/")).ok_or_else(missing)?,
    };
    let (mut found, rest) = all.locate(from, request.path.as_str());
    if rest.len() != request.path.as_str().len() {
        let rest = rest.to_owned();
        request.path = ApiPath::checked(rest).map_err(|error| Failure::invalid(error.to_string()))?;
    }
    if OF_THE_TOKEN.contains(&request.path.as_str())
        && let Some(home) = request.token.as_ref().and_then(|token| home(all, token.expose()))
    {
        found = home;
    }
    if found.path().trim_end_matches('/') != request.namespace {
        found.path().trim_end_matches('/').clone_into(&mut request.namespace);
    }
    if found.record.leaving {
        return Err(missing());
    }
    match &found.locked_by {
        Some(by) if !is_unlock(request.path.as_str()) => Err(locked(by)),
        _ => Ok(found),
    }
}

/// The namespace that a token says it is of. Whether it is, its record says.
fn home(all: &Namespaces, token: &str) -> Option<Arc<Namespace>> {
    let id = token.rsplit_once('.').map_or("", |(_, id)| id);
    Some(all.with_id(id).unwrap_or_else(|| all.root()).clone())
}

fn is_unlock(path: &str) -> bool {
    path.strip_prefix(UNLOCK).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn locked(by: &str) -> Failure {
    let text = format!(
        "API access to this namespace has been locked by an administrator - {by:?} must be unlocked to gain access."
    );
    Failure::new(FailureKind::Unavailable, text)
}

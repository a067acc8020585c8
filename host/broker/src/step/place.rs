//! Finds which namespace a request is in. Header and path together say so: `team` with `app/kv/x`
//! is `kv/x` in `team/app/`, and from here on the request is the same however it was written.

use std::sync::Arc;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::path::ApiPath;
use bulkhead_model::request::{Body, Request};
use serde::Deserialize;

use crate::book::config::Config;
use crate::book::namespaces::{Namespace, Namespaces};

/// Paths about the caller's token alone: they are answered where that token is, wherever it is
/// asked, as whoever holds a token need not know its namespace. Source: OpenBao.
const OF_THE_CALLERS_TOKEN: [&str; 3] = ["auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self"];

/// Paths about a token that is named: they are answered where that is, so that who may do so there
/// decides. Source: OpenBao.
const OF_A_TOKEN: [&str; 4] =
    ["auth/token/lookup", "auth/token/renew", "auth/token/revoke", "auth/token/revoke-orphan"];

/// Where a locked namespace can be unlocked, by the key if nothing else. With one above it locked too it cannot, which
/// is told there.
const UNLOCK: &str = "sys/namespaces/api-lock/unlock";

/// Why a request is in no namespace that it can be served in, and in which it would be.
pub(crate) type Refused = (Failure, Option<Arc<Namespace>>);

/// The namespace of a request, whose path is from here on the one within it.
///
/// # Errors
/// 404: there is none of this name; 503: it is locked. With it the namespace, if it is known.
pub(crate) fn find(config: &Config, request: &mut Request) -> Result<Arc<Namespace>, Refused> {
    let all = &config.namespaces;
    let missing = || (Failure::new(FailureKind::NotFound, "namespace not found"), None);
    let from = match request.namespace.as_str() {
        "" => all.root(),
        name => all.at(&format!("{name}/")).ok_or_else(missing)?,
    };
    let (asked, rest) = all.locate(from, request.path.as_str());
    if rest.len() != request.path.as_str().len() {
        let rest = rest.to_owned();
        request.path = ApiPath::checked(rest).map_err(|error| (Failure::invalid(error.to_string()), None))?;
    }
    if asked.path().trim_end_matches('/') != request.namespace {
        asked.path().trim_end_matches('/').clone_into(&mut request.namespace);
    }
    let meant = if all.len() > 0 { token_meant(request) } else { None };
    let found = meant.map_or_else(|| asked.clone(), |token| home(all, token.expose()));
    if found.record.leaving {
        return Err((missing().0, Some(found)));
    }
    // A lock closes the namespace that is asked; from above its tokens can be ended, by their
    // holders too.
    match &asked.locked_by {
        Some(by) if request.path.as_str() != UNLOCK => Err((locked(by), Some(found))),
        _ => Ok(found),
    }
}

/// The token that a request is about, if it is about one.
fn token_meant(request: &Request) -> Option<Hidden<String>> {
    let path = request.path.as_str();
    let own = || request.token.as_ref().map(Hidden::duplicate);
    if OF_THE_CALLERS_TOKEN.contains(&path) {
        return own();
    }
    if !OF_A_TOKEN.contains(&path) {
        return None;
    }
    let Body::Json(text) = &request.body else { return own() };
    let named = serde_json::from_slice::<Named>(text.expose()).ok()?.token.map(Hidden::new);
    named.filter(|token| !token.expose().is_empty()).or_else(own)
}

/// What of a body says which token is meant.
#[derive(Deserialize)]
struct Named {
    token: Option<String>,
}

/// The namespace that a token says it is of. Whether it is, its record says.
fn home(all: &Namespaces, token: &str) -> Arc<Namespace> {
    let id = token.rsplit_once('.').map_or("", |(_, id)| id);
    all.with_id(id).unwrap_or_else(|| all.root()).clone()
}

fn locked(by: &str) -> Failure {
    let text = format!(
        "API access to this namespace has been locked by an administrator - {by:?} must be unlocked to gain access."
    );
    Failure::new(FailureKind::Unavailable, text)
}

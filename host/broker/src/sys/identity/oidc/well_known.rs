//! `identity/oidc/.well-known`: what verifiers of identity tokens read, without a token of their own.

use bulkhead_barrier::StoreError;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::entropy;
use serde_json::{Value, json};

use super::config;
use crate::book::identity::id_text;
use crate::book::oidc::keys::{self, PublicKey};
use crate::book::oidc::roles;
use crate::fault::Fault;
use crate::signing::{Algorithm, jwk};
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit};

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    HostRoute::new(
        "oidc/.well-known/openid-configuration",
        &[Verb::Read],
        Handler::Now(configuration),
        "Tell how identity tokens are verified.",
    )
    .unauthenticated(),
    HostRoute::new("oidc/.well-known/keys", &[Verb::Read], Handler::Now(public_keys), "Tell the public keys.")
        .unauthenticated(),
];

/// How long the configuration may be kept, in seconds. Source: Vault.
const CONFIGURATION_SECS: u64 = 3600;

/// Public halves whose signatures are believed, of keys that a role uses.
pub(super) fn believed(visit: &mut Visit) -> Result<Vec<PublicKey>, StoreError> {
    let mut believed = Vec::new();
    for name in keys::names(&mut visit.tx)? {
        if roles::use_it(&mut visit.tx, &name)?
            && let Some(key) = keys::get(&mut visit.tx, &name)?
        {
            believed.extend(key.believed(visit.now_ms).cloned());
        }
    }
    Ok(believed)
}

fn configuration(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let issuer = config::issuer(visit)?;
    let told = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/keys"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
    });
    Ok(kept(&told, Some(CONFIGURATION_SECS)))
}

fn public_keys(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let believed = believed(visit)?;
    let shown = believed.iter().filter_map(|key| jwk::shown(key.algorithm, &id_text(&key.id), &key.bytes));
    let shown: Vec<Value> = shown.collect();
    let kept_secs = if shown.is_empty() { None } else { kept_secs(visit)? };
    Ok(kept(&json!({ "keys": shown }), kept_secs))
}

/// How long the keys may be kept: by chance, so that not all who keep them ask at once, and no
/// longer than until the next half that signs could be one they have not read.
fn kept_secs(visit: &mut Visit) -> Result<Option<u64>, StoreError> {
    let mut shortest = None;
    for name in keys::names(&mut visit.tx)? {
        if let Some(key) = keys::get(&mut visit.tx, &name)? {
            let secs = key.rotation_secs.min(key.verification_secs);
            shortest = Some(shortest.map_or(secs, |least: u64| least.min(secs)));
        }
    }
    let random = u64::from_le_bytes(entropy::random(&*visit.open.parts.entropy));
    Ok(shortest.filter(|secs| *secs > 0).map(|secs| random % secs))
}

/// JSON without an envelope, that may be kept for so many seconds.
fn kept(told: &Value, secs: Option<u64>) -> Reply {
    let headers = secs.map(|secs| ("Cache-Control".to_owned(), format!("max-age={secs}")));
    Reply::Raw {
        status: 200,
        content_type: "application/json".to_owned(),
        bytes: Hidden::new(told.to_string().into_bytes()),
        headers: headers.into_iter().collect(),
    }
}

//! `identity/oidc/token` and `identity/oidc/introspect`: making identity tokens, and telling
//! whether one holds. Nothing is written for either, so that any node can do it.

use std::collections::BTreeMap;

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::{Reply, WipedJson};
use bulkhead_model::request::Verb;
use bulkhead_model::template::{Subject, claims};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::role::is_reserved;
use super::{config, well_known};
use crate::book::identity::entities::ENTITIES;
use crate::book::identity::id_text;
use crate::book::oidc::keys;
use crate::book::oidc::roles;
use crate::fault::Fault;
use crate::signing::jws::{self, Unverified};
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit, data};

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    HostRoute::new("oidc/token/{name}", &[Verb::Read], Handler::Now(make), "Make an identity token of the caller."),
    HostRoute::new(
        "oidc/introspect",
        &[Verb::Write],
        Handler::Now(introspect),
        "Tell whether an identity token holds.",
    )
    .fields(&["token", "client_id"]),
];

/// How far clocks may be apart, in seconds. Source: Vault (go-jose).
const LEEWAY_SECS: i64 = 60;

fn make(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = ask.capture("name");
    let Some(role) = roles::get(&mut visit.tx, name)? else {
        return Err(Fault::invalid(format!("role {name:?} not found")));
    };
    let Some(key) = keys::get(&mut visit.tx, &role.key)? else {
        return Err(Fault::invalid(format!("key {:?} not found", role.key)));
    };
    if !key.allows(&role.client_id) {
        let text =
            format!("the key {:?} does not list the client ID of the role {name:?} as an allowed client ID", role.key);
        return Err(Fault::invalid(text));
    }
    let Some(persona) = visit.who()?.persona.clone() else {
        return Err(Fault::invalid("no entity associated with the request's token"));
    };
    let now_secs = visit.now_ms / 1000;
    let own = json!({
        "iss": config::issuer(visit)?,
        "namespace": visit.namespace.shown_id(),
        "sub": persona.subject.id,
        "aud": role.client_id,
        "exp": now_secs.saturating_add(role.ttl_secs.min(key.verification_secs)),
        "iat": now_secs,
    });
    let payload = payload(own, &role.template, (&persona.subject, now_secs));
    let private = match &key.signing {
        Some(id) => keys::private(&mut visit.tx, id)?.map(|private| (id_text(id), private)),
        None => None,
    };
    let Some((id, private)) = private else {
        return Err(Fault::invalid(format!("the key {:?} cannot sign yet; rotate it and try again", role.key)));
    };
    let token = jws::signed((key.algorithm, &id), &private, &payload).map_err(|error| {
        tracing::error!(%error, "an identity token could not be signed");
        Failure::internal()
    })?;
    let told = WipedJson(json!({ "client_id": role.client_id, "token": token, "ttl": role.ttl_secs }));
    Ok(data(&told.0))
}

/// The claims as JSON. Those of every token stand, whatever the template says of them.
fn payload(own: Value, template: &str, (subject, now_secs): (&Subject, u64)) -> Vec<u8> {
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    if !template.is_empty() {
        match claims::expand(template, subject, now_secs).map(|text| serde_json::from_str::<Map<_, _>>(&text)) {
            Ok(Ok(more)) => all.extend(more.into_iter().filter(|(name, _)| !is_reserved(name))),
            // It was checked when it was written. Without its claims the token still tells who it is.
            Ok(Err(_)) | Err(_) => tracing::warn!("the template of an identity token could not be expanded"),
        }
    }
    if let Value::Object(own) = own {
        all.extend(own);
    }
    serde_json::to_vec(&all).expect("claims are JSON")
}

/// What is read of a token to tell whether it holds.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    iat: i64,
}

fn introspect(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (token, client_id) = (ask.fields.text_or_empty("token")?, ask.fields.text_or_empty("client_id")?);
    let told = match fault(visit, &token, &client_id)? {
        None => json!({ "active": true }),
        Some(error) => json!({ "active": false, "error": error }),
    };
    Ok(Reply::raw(200, "application/json", told.to_string().into_bytes()))
}

/// Why a token does not hold; `None`: it does.
fn fault(visit: &mut Visit, token: &str, client_id: &str) -> Result<Option<String>, Fault> {
    let parsed = match Unverified::parse(token) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(Some(format!("error parsing token: {error}"))),
    };
    let keys = well_known::believed(visit)?;
    let signer = keys.iter().find(|key| id_text(&key.id) == parsed.key_id && key.algorithm == parsed.algorithm);
    let claims = signer.and_then(|key| parsed.payload(&key.bytes));
    let Some(claims) = claims.and_then(|payload| serde_json::from_slice::<Claims>(payload).ok()) else {
        return Ok(Some("unable to validate the token signature".to_owned()));
    };
    let now_secs = i64::try_from(visit.now_ms / 1000).unwrap_or(i64::MAX);
    let refused = if claims.iss != config::issuer(visit)? {
        "invalid issuer claim (iss)"
    } else if !client_id.is_empty() && claims.aud != client_id {
        "invalid audience claim (aud)"
    } else if now_secs.saturating_sub(LEEWAY_SECS) > claims.exp {
        "token is expired (exp)"
    } else if now_secs.saturating_add(LEEWAY_SECS) < claims.iat {
        "token issued in the future (iat)"
    } else {
        return Ok(match ENTITIES.by_id(&mut visit.tx, &claims.sub)? {
            None => Some("entity was not found".to_owned()),
            Some(entity) => entity.disabled.then(|| "entity is disabled".to_owned()),
        });
    };
    Ok(Some(format!("error validating claims: go-jose/go-jose/jwt: validation failed, {refused}")))
}

//! `identity/mfa/method/totp/generate` and its like for administrators: making secrets, which are
//! told this once, and taking them away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::{Reply, WipedJson};
use bulkhead_model::request::Verb;
use serde_json::json;

use crate::book::identity::entities::{ENTITIES, EntityRecord};
use crate::book::identity::{Id, id_text, parse_id};
use crate::book::mfa::methods::MethodRecord;
use crate::book::mfa::secrets::{self, SecretRecord};
use crate::fault::Fault;
use crate::step::mfa;
use crate::sys::table::{Handler, HostRoute};
use crate::totp::qr;
use crate::visit::{Ask, Visit, data, warning};

const W: &[Verb] = &[Verb::Write];

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    HostRoute::new("mfa/method/totp/generate", W, Handler::Now(generate), "Make a TOTP secret for oneself.")
        .fields(&["method_id"]),
    HostRoute::new(
        "mfa/method/totp/admin-generate",
        W,
        Handler::Now(admin_generate),
        "Make a TOTP secret for an entity.",
    )
    .fields(&["method_id", "entity_id"]),
    HostRoute::new("mfa/method/totp/admin-destroy", W, Handler::Now(destroy), "Take an entity's TOTP secret away.")
        .fields(&["method_id", "entity_id"]),
];

fn generate(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let method_id = asked_method(ask)?;
    let Some(persona) = visit.who()?.persona.clone() else { return Err(Fault::invalid("missing entityID")) };
    let method = existing(visit, &method_id)?;
    make(visit, &method, &persona.entity.id)
}

fn admin_generate(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let method_id = asked_method(ask)?;
    let entity_id = ask.fields.text_or_empty("entity_id")?;
    if entity_id.is_empty() {
        return Err(Fault::invalid("missing entityID"));
    }
    let method = existing(visit, &method_id)?;
    let entity = entity(visit, &entity_id)?;
    make(visit, &method, &entity.id)
}

fn destroy(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let method_id = asked_method(ask)?;
    let entity_id = ask.fields.text_or_empty("entity_id")?;
    if entity_id.is_empty() {
        return Err(Fault::invalid("missing entity ID"));
    }
    let entity = entity(visit, &entity_id)?;
    let method = existing(visit, &method_id)?;
    secrets::remove(&mut visit.tx, &method.id, &entity.id)?;
    Ok(Reply::Empty)
}

fn asked_method(ask: &Ask<'_>) -> Result<String, Fault> {
    let method_id = ask.fields.text_or_empty("method_id")?;
    if method_id.is_empty() { Err(Fault::invalid("missing method ID")) } else { Ok(method_id) }
}

fn existing(visit: &mut Visit, method_id: &str) -> Result<MethodRecord, Fault> {
    let found = match parse_id(method_id) {
        Some(id) => mfa::method(visit, &id)?,
        None => None,
    };
    found.ok_or_else(|| Fault::invalid(format!("configuration for method ID {method_id:?} does not exist")))
}

fn entity(visit: &mut Visit, entity_id: &str) -> Result<EntityRecord, Fault> {
    ENTITIES.by_id(&mut visit.tx, entity_id)?.ok_or_else(|| Fault::invalid("invalid entity ID"))
}

/// Makes a secret, and tells it. Where there is one already it stays, and is not told again.
fn make(visit: &mut Visit, method: &MethodRecord, entity: &Id) -> Result<Reply, Fault> {
    if secrets::get(&mut visit.tx, &method.id, entity)?.is_some() {
        return Ok(warning(format!("Entity already has a secret for MFA method {:?}", method.name)));
    }
    let mut secret = Hidden::new(vec![0; method.key_bytes as usize]);
    visit.open.parts.entropy.fill(secret.expose_mut());
    let url = method.scheme.url(secret.expose(), &method.issuer, &id_text(entity));
    let mut barcode = String::new();
    if method.qr_pixels > 0 {
        let picture = qr::png(&url, method.qr_pixels);
        let picture = picture.ok_or_else(|| Fault::invalid("qr_size is too small for a QR code of this method"))?;
        barcode = STANDARD.encode(picture.expose());
    }
    let scheme = method.scheme;
    let record = SecretRecord { secret: secret.into(), scheme, used: Vec::new(), attempts: 0, began_ms: 0 };
    secrets::save(&mut visit.tx, (&method.id, entity), &record)?;
    let told = WipedJson(json!({ "barcode": barcode, "url": url.expose() }));
    zeroize::Zeroize::zeroize(&mut barcode);
    Ok(data(&told.0))
}

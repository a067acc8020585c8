//! `sys/capabilities`: what a token may do on some paths.

use std::sync::Arc;

use bulkhead_model::acl::Acl;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::framework::Folded;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use super::table::{Handler, HostRoute};
use crate::book::tokens::{self, TokenRecord};
use crate::fault::{Fault, wrapped};
use crate::step::{identify, route};
use crate::visit::{Ask, Visit, flat};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("capabilities", &[Verb::Write], Handler::Now(of_token), "Tell what a token may do.")
        .fields(&["token", "path", "paths"]),
    HostRoute::new("capabilities-self", &[Verb::Write], Handler::Now(of_self), "Tell what this token may do.")
        .fields(&["token", "path", "paths"]),
    HostRoute::new("capabilities-accessor", &[Verb::Write], Handler::Now(of_accessor), "Tell what a token may do.")
        .fields(&["accessor", "path", "paths"]),
];

fn of_self(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let acl = visit.who()?.acl.clone();
    answer(visit, &acl, ask)
}

fn of_token(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let acl = acl_of_token(visit, ask)?;
    answer(visit, &acl, ask)
}

/// The rules of the token in the field of that name.
pub(super) fn acl_of_token(visit: &mut Visit, ask: &Ask<'_>) -> Result<Arc<Acl>, Fault> {
    let Some(token) = ask.fields.text("token")?.filter(|token| !token.is_empty()) else {
        return Err(Failure::new(FailureKind::Internal, wrapped("no token found")).into());
    };
    let token = Hidden::new(token);
    let found = identify::live((&visit.open, &visit.config), &mut visit.tx, token.expose(), visit.now_ms)?;
    let acl = acl_of(visit, found.map(|(_, record)| record))?;
    acl.ok_or_else(|| Fault::invalid_wrapped("invalid token"))
}

fn of_accessor(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let acl = acl_of_accessor(visit, ask)?;
    answer(visit, &acl, ask)
}

/// The rules of the token whose accessor is in the field of that name.
pub(super) fn acl_of_accessor(visit: &mut Visit, ask: &Ask<'_>) -> Result<Arc<Acl>, Fault> {
    let accessor = ask.fields.text_or_empty("accessor")?;
    if accessor.is_empty() {
        return Err(Fault::invalid("missing accessor"));
    }
    let found = tokens::by_accessor(&mut visit.tx, &visit.open.salt, &accessor)?;
    let record = match found {
        Some(hash) => tokens::get(&mut visit.tx, &hash)?,
        None => None,
    };
    let is_meant =
        |record: &TokenRecord| !record.is_expired(visit.now_ms) && record.namespace == visit.namespace.record.id;
    let record = record.filter(is_meant);
    acl_of(visit, record)?.ok_or_else(|| Fault::invalid_wrapped("invalid accessor"))
}

/// The rules of a token, unless it is none, or its entity is gone or disabled.
fn acl_of(visit: &mut Visit, record: Option<TokenRecord>) -> Result<Option<Arc<Acl>>, Fault> {
    let Some(record) = record else { return Ok(None) };
    let config = visit.config.clone();
    let Some(home) = config.namespaces.with_id(&record.namespace) else { return Ok(None) };
    let persona = match record.entity_id.as_str() {
        "" => None,
        _ => match visit.persona_of(&record)?.filter(|persona| !persona.entity.disabled) {
            None => return Ok(None),
            found => found,
        },
    };
    Ok(Some(config.acl(&mut visit.tx, (home, &record.policies), persona.as_deref(), visit.now_ms)?))
}

fn answer(visit: &Visit, acl: &Acl, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut paths = ask.fields.strings("paths", true)?.unwrap_or_default();
    if paths.is_empty() {
        paths = ask.fields.strings("path", true)?.unwrap_or_default();
    }
    if paths.is_empty() {
        return Err(Fault::invalid("paths must be supplied"));
    }
    if paths.iter().any(String::is_empty) {
        return Err(Fault::invalid(wrapped("missing path")));
    }
    let mut told = Map::new();
    for path in &paths {
        let full = visit.namespace.full(path.trim_start_matches('/'));
        let Folded { path: asked, segments } = route::folded(&visit.config.mounts, &full);
        told.insert(path.clone(), json!(acl.capabilities(&asked, &segments)));
    }
    if let [only] = &paths[..] {
        let capabilities = told[only].clone();
        told.insert("capabilities".into(), capabilities);
    }
    Ok(flat(&Value::Object(told)))
}

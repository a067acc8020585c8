//! Looking tokens up.

use bulkhead_barrier::StoreError;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::LIST_NAMES_MAX;
use bulkhead_model::reply::{Envelope, Reply, WipedJson};
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use crate::book::tokens::{self, TokenHash, TokenRecord};
use crate::fault::Fault;
use crate::fields::{rfc3339, secs_until};
use crate::mint;
use crate::step::identify;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, data, enveloped};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("lookup", &[Verb::Read, Verb::Write], Handler::Now(lookup), "Look a token up.").fields(&["token"]),
    HostRoute::new("lookup-self", &[Verb::Read, Verb::Write], Handler::Now(lookup_self), "Look this token up.")
        .fields(&["token"]),
    HostRoute::new("lookup-accessor", &[Verb::Write], Handler::Now(lookup_accessor), "Look a token up.")
        .fields(&["accessor"]),
    HostRoute::new("accessors", &[Verb::List], Handler::Later(accessors), "List the accessors of all tokens.").sudo(),
];

/// Tokens read at once where all are listed. Source: ours.
const TOKENS_A_LOOK: u32 = 1_000;

/// The token and record that a body's `accessor` leads to, in the namespace that is asked.
pub(super) fn by_accessor(visit: &mut Visit, ask: &Ask<'_>) -> Result<Option<(TokenHash, TokenRecord)>, Fault> {
    let accessor = ask.fields.text_or_empty("accessor")?;
    if accessor.is_empty() {
        return Err(Fault::invalid_wrapped("missing accessor"));
    }
    let Some(hash) = tokens::by_accessor(&mut visit.tx, &visit.open.salt, &accessor)? else { return Ok(None) };
    let here = visit.namespace.record.id.as_str();
    let record = tokens::get(&mut visit.tx, &hash)?.filter(|r| !r.is_expired(visit.now_ms) && r.namespace == here);
    Ok(record.map(|record| (hash, record)))
}

fn lookup(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let token = super::named(ask)?;
    if token.expose().is_empty() {
        return lookup_self(visit, ask);
    }
    let found = identify::live((&visit.open, &visit.config), &mut visit.tx, token.expose(), visit.now_ms)?;
    let found = found.ok_or_else(|| Fault::from(Failure::new(FailureKind::Denied, "bad token")))?;
    told(visit, &found, token.expose())
}

fn lookup_self(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let who = visit.who()?;
    let found = (who.hash, who.record.clone());
    let token = ask.request.token.as_ref().map_or("", |t| t.expose().as_str());
    told(visit, &found, token)
}

fn lookup_accessor(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = by_accessor(visit, ask)?.ok_or_else(|| Fault::invalid_wrapped("invalid accessor"))?;
    told(visit, &found, "")
}

/// What is told of a token, with the policies it has through its entity.
fn told(visit: &mut Visit, (hash, record): &(TokenHash, TokenRecord), id: &str) -> Result<Reply, Fault> {
    let mut told = shown(record, id, visit.now_ms);
    if record.num_uses > 0 && visit.who()?.hash == *hash {
        // This very look is a use. As no uses are no limit, Vault tells the last one as less than that.
        told.0["num_uses"] = if record.num_uses == 1 { json!(-1) } else { json!(record.num_uses - 1) };
    }
    if let Some(home) = visit.config.namespaces.with_id(&record.namespace).filter(|home| !home.is_root()) {
        told.0["namespace_path"] = home.path().into();
    }
    let persona = visit.persona_of(record)?;
    if let Some(persona) = persona.filter(|persona| !persona.policies.is_empty()) {
        told.0["external_namespace_policies"] = json!({});
        told.0["identity_policies"] = json!(persona.policies);
    }
    Ok(data(&told.0))
}

fn shown(record: &TokenRecord, id: &str, now_ms: u64) -> WipedJson {
    let meta: Map<String, Value> = record.metadata.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    let mut told = json!({
        "accessor": record.accessor,
        "creation_time": record.created_ms / 1000,
        "creation_ttl": record.creation_ttl_secs,
        "display_name": record.display_name,
        "entity_id": record.entity_id,
        "expire_time": if record.expires_ms == 0 { Value::Null } else { rfc3339(record.expires_ms).into() },
        "explicit_max_ttl": record.explicit_max_ttl_secs,
        "id": id,
        "meta": if meta.is_empty() { Value::Null } else { meta.into() },
        "num_uses": record.num_uses,
        "orphan": record.is_orphan(),
        "path": record.path,
        "policies": record.policies,
        "ttl": secs_until(record.expires_ms, now_ms).min(record.ttl_secs),
        "type": mint::token_type(record),
    });
    // The first root token has neither, as it was made by no request.
    if record.path != tokens::FIRST_PATH {
        told["issue_time"] = rfc3339(record.created_ms).into();
        told["renewable"] = record.renewable.into();
    }
    if record.renewed_ms != 0 {
        told["last_renewal"] = rfc3339(record.renewed_ms).into();
        told["last_renewal_time"] = (record.renewed_ms / 1000).into();
    }
    if record.period_secs != 0 {
        told["period"] = record.period_secs.into();
    }
    if !record.token_role().is_empty() {
        told["role"] = record.token_role().into();
    }
    if !record.bound_cidrs.is_empty() {
        told["bound_cidrs"] = json!(record.bound_cidrs);
    }
    WipedJson(told)
}

/// Accessors of all tokens of the namespace. The tokens are read in pages, and each accessor is written into
/// the answer at once: there may be a million of them.
fn accessors<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let mut text = br#"{"keys":["#.to_vec();
        let mut told = 0;
        let mut after = None;
        loop {
            let mut tx = visit.open.begin()?;
            let page = tokens::page(&mut tx, after.as_ref(), TOKENS_A_LOOK)?;
            for hash in &page {
                let record = tokens::get_untracked(&mut tx, hash)?;
                let Some(record) = record.filter(|record| record.namespace == visit.namespace.record.id) else {
                    continue;
                };
                if told > 0 {
                    text.push(b',');
                }
                serde_json::to_writer(&mut text, &record.accessor).expect("a text can be written as JSON");
                told += 1;
            }
            if told > LIST_NAMES_MAX {
                return Err(StoreError::TooMany { what: "names", limit: LIST_NAMES_MAX }.into());
            }
            after = page.last().copied();
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        if told == 0 {
            return Err(Failure::absent().into());
        }
        text.extend_from_slice(b"]}");
        Ok(enveloped(Envelope { data: Some(Hidden::new(text)), ..Envelope::default() }))
    })
}

//! `identity/oidc/key`: keys that sign identity tokens, and their rotation.

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::ledger::LedgerError;
use serde_json::json;

use crate::book::oidc::keys::{self, DEFAULT, KeyRecord, NewHalf, PUBLIC_MAX};
use crate::book::oidc::roles;
use crate::fault::Fault;
use crate::login;
use crate::signing::{self, Algorithm};
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, data, listed, plain_name};

const FIELDS: &[&str] = &["name", "rotation_period", "verification_ttl", "algorithm", "allowed_client_ids"];

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    HostRoute::new("oidc/key", &[Verb::List], Handler::Now(list), "List the keys of identity tokens."),
    HostRoute::new("oidc/key/{name}", &[Verb::Read], Handler::Now(read), "Read a key of identity tokens."),
    HostRoute::new(
        "oidc/key/{name}",
        &[Verb::Write],
        Handler::Later(write),
        "Make or change a key of identity tokens.",
    )
    .fields(FIELDS)
    .exists(exists),
    HostRoute::new("oidc/key/{name}", &[Verb::Delete], Handler::Now(delete), "Delete a key of identity tokens."),
    HostRoute::new(
        "oidc/key/{name}/rotate",
        &[Verb::Write],
        Handler::Later(rotate),
        "Rotate a key of identity tokens.",
    )
    .fields(&["name", "verification_ttl"]),
];

/// Shortest time between rotations, in seconds. Source: Vault.
const ROTATION_SECS_MIN: u64 = 60;
/// How many rotations a public half may outlast at most. Source: Vault.
const ROTATIONS_OUTLASTED_MAX: u64 = 10;

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(keys::names(&mut visit.tx)?)
}

fn exists(visit: &mut Visit, captures: &[(&'static str, String)]) -> Result<bool, Fault> {
    let name = captures.first().map_or("", |(_, name)| name.as_str());
    Ok(keys::get(&mut visit.tx, name)?.is_some())
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let record = keys::get(&mut visit.tx, ask.capture("name"))?.ok_or_else(Failure::absent)?;
    Ok(data(&json!({
        "algorithm": record.algorithm.name(),
        "allowed_client_ids": record.allowed_client_ids,
        "rotation_period": record.rotation_secs,
        "verification_ttl": record.verification_secs,
    })))
}

fn write<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let (name, now_ms) = (plain_name(ask, "name")?, visit.now_ms);
        let before = keys::get(&mut visit.tx, name)?;
        let is_new = before.is_none();
        let nobody = || KeyRecord { allowed_client_ids: Vec::new(), ..KeyRecord::default() };
        let mut record = before.unwrap_or_else(nobody);
        let algorithm = taken(visit, ask, &mut record)?;
        if is_new || algorithm != record.algorithm {
            record.drop_halves(&mut visit.tx, now_ms)?;
            record.algorithm = algorithm;
            refuse_more(name, &record, now_ms)?;
            give_halves(visit, &mut record, 0).await?;
        }
        let soonest_ms = now_ms.saturating_add(record.rotation_secs.saturating_mul(1000));
        record.next_rotation_ms = record.next_rotation_ms.map(|at_ms| at_ms.min(soonest_ms));
        keys::save(&mut visit.tx, name, &record)?;
        Ok(Reply::Empty)
    })
}

/// What the caller wants of a key, in the record; the algorithm apart.
fn taken(visit: &mut Visit, ask: &Ask<'_>, record: &mut KeyRecord) -> Result<Algorithm, Fault> {
    let (name, fields) = (ask.capture("name"), &ask.fields);
    if let Some(secs) = fields.seconds_of_field("rotation_period")? {
        record.rotation_secs = secs;
    }
    if record.rotation_secs < ROTATION_SECS_MIN {
        return Err(Fault::invalid("rotation_period must be at least one minute"));
    }
    if let Some(secs) = fields.seconds_of_field("verification_ttl")? {
        record.verification_secs = secs;
    }
    if record.verification_secs > record.rotation_secs.saturating_mul(ROTATIONS_OUTLASTED_MAX) {
        return Err(Fault::invalid("verification_ttl cannot be longer than 10x rotation_period"));
    }
    for role in roles::using(&mut visit.tx, name)? {
        let ttl_secs = roles::get(&mut visit.tx, &role)?.map_or(0, |role| role.ttl_secs);
        if ttl_secs > record.verification_secs {
            return Err(Fault::invalid(format!(
                "unable to update key {name:?} because it is currently referenced by one or more roles with a token \
                 ttl greater than {} seconds",
                record.verification_secs
            )));
        }
    }
    if let Some(ids) = fields.strings("allowed_client_ids", true)? {
        record.allowed_client_ids = ids;
    }
    match fields.text("algorithm")? {
        None => Ok(record.algorithm),
        Some(asked) => {
            Algorithm::named(&asked).ok_or_else(|| Fault::invalid(format!("unknown signing algorithm {asked:?}")))
        }
    }
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = ask.capture("name");
    if name == DEFAULT {
        return Err(Fault::invalid(format!("deletion of key {DEFAULT:?} not allowed")));
    }
    let users = roles::using(&mut visit.tx, name)?;
    if !users.is_empty() {
        let users = users.join(", ");
        let text = format!("unable to delete key {name:?} because it is currently referenced by these roles: {users}");
        return Err(Fault::invalid(text));
    }
    keys::remove(&mut visit.tx, name)?;
    Ok(Reply::Empty)
}

/// A key has so many public halves at most.
fn refuse_more(name: &str, record: &KeyRecord, now_ms: u64) -> Result<(), Fault> {
    if record.believed(now_ms).count() + record.lacks() > PUBLIC_MAX {
        let text = format!("key {name:?} has {PUBLIC_MAX} public keys already; rotate it when some have retired");
        return Err(Fault::invalid(text));
    }
    Ok(())
}

fn rotate<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let (name, now_ms) = (ask.capture("name"), visit.now_ms);
        let Some(mut record) = keys::get(&mut visit.tx, name)? else {
            return Err(Fault::invalid(format!("no named key found at {name:?}")));
        };
        refuse_more(name, &record, now_ms)?;
        let verification_secs = ask.fields.seconds_of_field("verification_ttl")?.unwrap_or(record.verification_secs);
        give_halves(visit, &mut record, verification_secs).await?;
        keys::save(&mut visit.tx, name, &record)?;
        Ok(Reply::Empty)
    })
}

/// Rotates a key if it is time. False: it is not.
///
/// # Errors
/// [`Fault`] from the store, or if no pair could be made.
pub(crate) async fn rotate_if_due(visit: &mut Visit, name: &str) -> Result<bool, Fault> {
    let Some(mut record) = keys::get(&mut visit.tx, name)? else { return Ok(false) };
    if record.next_rotation_ms.is_none_or(|at_ms| at_ms > visit.now_ms) {
        return Ok(false);
    }
    let verification_secs = record.verification_secs;
    give_halves(visit, &mut record, verification_secs).await?;
    keys::save(&mut visit.tx, name, &record)?;
    Ok(true)
}

/// Sees to it that the default key can sign, which nobody made.
///
/// # Errors
/// [`Fault`] from the store, or if no pair could be made.
pub(super) async fn have_default(visit: &mut Visit) -> Result<(), Fault> {
    let mut record = keys::get(&mut visit.tx, DEFAULT)?.unwrap_or_default();
    if record.signing.is_some() {
        return Ok(());
    }
    give_halves(visit, &mut record, 0).await?;
    Ok(keys::save(&mut visit.tx, DEFAULT, &record)?)
}

/// Rotates a key to new halves, of which it may be the first. What signed so far is believed for
/// so many seconds more.
async fn give_halves(visit: &mut Visit, record: &mut KeyRecord, verification_secs: u64) -> Result<(), Fault> {
    // The node that leads would make them again.
    if !visit.open.ledger().standing().leader {
        return Err(LedgerError::NotLeader { leader: None }.into());
    }
    let made = signing::pairs(record.algorithm, record.lacks()).await.map_err(|error| {
        tracing::error!(%error, "a key of identity tokens lacks its halves");
        Failure::internal()
    })?;
    let halves: Vec<NewHalf> = made.into_iter().map(|pair| (login::new_id(visit), pair)).collect();
    Ok(record.rotate(&mut visit.tx, halves, (visit.now_ms, verification_secs))?)
}

//! Revoking tokens, with all below them.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;

use crate::book::batch;
use crate::book::tokens::{self, TokenHash};
use crate::fault::Fault;
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{After, Ask, Visit, nothing_to_tidy, warning};

const W: &[Verb] = &[Verb::Write];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("revoke", W, Handler::Now(revoke), "Revoke a token and all below it.").fields(&["token"]),
    HostRoute::new("revoke-self", W, Handler::Now(revoke_self), "Revoke this token and all below it."),
    HostRoute::new("revoke-accessor", W, Handler::Now(revoke_accessor), "Revoke a token and all below it.")
        .fields(&["accessor"]),
    HostRoute::new("revoke-orphan", W, Handler::Now(revoke_orphan), "Revoke a token, but none below it.")
        .sudo()
        .fields(&["token"]),
    HostRoute::new("tidy", W, Handler::Now(tidy), "Look for remains of ended tokens."),
];

fn named(ask: &Ask<'_>) -> Result<Hidden<String>, Fault> {
    let token = ask.fields.text_or_empty("token")?;
    if token.is_empty() { Err(Fault::invalid("missing token ID")) } else { Ok(Hidden::new(token)) }
}

/// A batch token is nowhere, so there is nothing to take away.
fn refuse_batch(visit: &mut Visit, token: &Hidden<String>) -> Result<(), Fault> {
    match batch::open(&mut visit.tx, token.expose()) {
        Some(_) => Err(Fault::invalid("batch tokens cannot be revoked")),
        None => Ok(()),
    }
}

fn end(visit: &mut Visit, hash: &TokenHash) -> Result<Reply, Fault> {
    let now_ms = visit.now_ms;
    tokens::remove_tree(&mut visit.tx, &visit.open.salt, hash, now_ms)?;
    visit.after.push(After::LookForDue);
    Ok(Reply::Empty)
}

fn revoke(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let token = named(ask)?;
    refuse_batch(visit, &token)?;
    let hash = visit.open.salt.hash(token.expose());
    end(visit, &hash)
}

fn revoke_self(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let who = visit.who()?;
    if who.record.is_batch() {
        return Err(Fault::invalid("batch tokens cannot be revoked"));
    }
    let hash = who.hash;
    end(visit, &hash)
}

fn revoke_accessor(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    match super::lookup::by_accessor(visit, ask)? {
        Some((hash, _)) => end(visit, &hash),
        None => Ok(warning("No token found with this accessor")),
    }
}

fn revoke_orphan(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let token = named(ask)?;
    refuse_batch(visit, &token)?;
    let hash = visit.open.salt.hash(token.expose());
    let found = tokens::get(&mut visit.tx, &hash)?;
    let record = found.ok_or_else(|| Fault::invalid("token to revoke not found"))?;
    for child in tokens::children(&mut visit.tx, &hash, u32::MAX)? {
        if let Some(mut orphan) = tokens::get(&mut visit.tx, &child)? {
            tokens::orphan(&mut visit.tx, &child, &mut orphan)?;
        }
    }
    let now_ms = visit.now_ms;
    tokens::remove(&mut visit.tx, &visit.open.salt, &hash, &record, now_ms)?;
    visit.after.push(After::LookForDue);
    Ok(Reply::Empty)
}

/// Everything about a token goes in one change, so there are never remains.
fn tidy(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(nothing_to_tidy())
}

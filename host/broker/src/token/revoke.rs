//! Revoking tokens, with all below them.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;

use crate::book::batch;
use crate::book::removals::Slice;
use crate::book::tokens::{self, TokenHash, tree};
use crate::fault::Fault;
use crate::step::remove;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{After, Ask, Visit, nothing_to_tidy, warning};

const W: &[Verb] = &[Verb::Write];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("revoke", W, Handler::Later(revoke), "Revoke a token and all below it.").fields(&["token"]),
    HostRoute::new("revoke-self", W, Handler::Later(revoke_self), "Revoke this token and all below it."),
    HostRoute::new("revoke-accessor", W, Handler::Later(revoke_accessor), "Revoke a token and all below it.")
        .fields(&["accessor"]),
    HostRoute::new("revoke-orphan", W, Handler::Later(revoke_orphan), "Revoke a token, but none below it; needs sudo.")
        .fields(&["token"]),
    HostRoute::new("tidy", W, Handler::Now(tidy), "Look for remains of ended tokens."),
];

fn named(ask: &Ask<'_>) -> Result<Hidden<String>, Fault> {
    let token = super::named(ask)?;
    if token.expose().is_empty() { Err(Fault::invalid("missing token ID")) } else { Ok(token) }
}

/// A batch token is nowhere, so there is nothing to take away.
fn refuse_batch(visit: &mut Visit, token: &Hidden<String>) -> Result<(), Fault> {
    match batch::open(&mut visit.tx, token.expose()) {
        Some(_) => Err(Fault::invalid("batch tokens cannot be revoked")),
        None => Ok(()),
    }
}

/// Ends a token and all below it. When this returns, none of them is valid any more.
async fn end(visit: &mut Visit, hash: &TokenHash) -> Result<Reply, Fault> {
    visit.after.push(After::LookForDue);
    let (open, slice) = (visit.open.clone(), Slice::at_once(visit.attempt > 0));
    if let Some(rest) = tree::end(&mut visit.tx, &open.salt, hash, visit.now_ms, slice)? {
        remove::finish(visit, rest, "the token is revoked; the end of all tokens below it takes longer").await?;
    }
    Ok(Reply::Empty)
}

fn revoke<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let token = named(ask)?;
        refuse_batch(visit, &token)?;
        let hash = visit.open.salt.hash(token.expose());
        end(visit, &hash).await
    })
}

fn revoke_self<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let who = visit.who()?;
        if who.record.is_batch() {
            return Err(Fault::invalid("batch tokens cannot be revoked"));
        }
        let hash = who.hash;
        end(visit, &hash).await
    })
}

fn revoke_accessor<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        match super::lookup::by_accessor(visit, ask)? {
            Some((hash, _)) => end(visit, &hash).await,
            None => Ok(warning("No token found with this accessor")),
        }
    })
}

fn revoke_orphan<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let (open, slice) = (visit.open.clone(), Slice::at_once(visit.attempt > 0));
        let token = named(ask)?;
        // Not the policies' step: without a token named there is nothing to ask sudo for, which
        // is how OpenBao tells a mistake from a lack of permission.
        if !visit.has_sudo(ask.request)? {
            return Err(Fault::invalid("root or sudo privileges required to revoke and orphan"));
        }
        refuse_batch(visit, &token)?;
        let hash = open.salt.hash(token.expose());
        let found = tokens::get(&mut visit.tx, &hash)?;
        let record = found.ok_or_else(|| Fault::invalid("token to revoke not found"))?;
        visit.after.push(After::LookForDue);
        if let Some(rest) = tree::end_alone(&mut visit.tx, &open.salt, (&hash, &record), visit.now_ms, slice)? {
            let begun = "the token is revoked; making orphans of its children takes longer";
            remove::finish(visit, rest, begun).await?;
        }
        Ok(Reply::Empty)
    })
}

/// A token goes with all about it, or its removal is on record and goes on by itself: there
/// are never remains to look for.
fn tidy(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(nothing_to_tidy())
}

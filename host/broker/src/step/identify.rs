//! Turns a bearer token into somebody.

use std::time::Instant;

use bulkhead_barrier::{StoreError, Transaction};
use bulkhead_model::failure::Failure;
use bulkhead_model::request::Request;

use crate::book::batch;
use crate::book::config::{AclError, Config};
use crate::book::namespaces::Namespace;
use crate::book::removals::Slice;
use crate::book::tokens::{self, TokenHash, TokenRecord, tree};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::route::Target;
use crate::visit::Who;

/// The caller, if a token was sent.
///
/// # Errors
/// 403 for a token that is unknown, over, used from the wrong address, or of a namespace that the
/// one asked is not within.
pub(crate) fn identify(
    open: &Open,
    (config, here, target): (&Config, &Namespace, &Target),
    tx: &mut Transaction,
    request: &Request,
    now_ms: u64,
) -> Result<Option<Who>, Fault> {
    let Some(token) = &request.token else { return Ok(None) };
    let began = Instant::now();
    let found = live((open, config), tx, token.expose(), now_ms)?;
    open.catalog.figures.tokens.lookup.record(began.elapsed());
    let found = found.filter(|(_, record)| address_fits(record, request));
    let (hash, record) = found.ok_or_else(Failure::bad_token)?;
    known((config, here, target), tx, (hash, record), now_ms).map(Some)
}

/// The caller whom a request has logged in for itself, if that still holds.
///
/// # Errors
/// As of [`identify`].
pub(crate) fn brought(
    (config, here, target): (&Config, &Namespace, &Target),
    tx: &mut Transaction,
    request: &Request,
    (hash, record): (TokenHash, TokenRecord),
    now_ms: u64,
) -> Result<Who, Fault> {
    if !may_be_used(config, &record, now_ms) || !address_fits(&record, request) {
        return Err(Failure::bad_token().into());
    }
    let who = known((config, here, target), tx, (hash, record), now_ms)?;
    Ok(Who { brought: true, is_counted: false, ..who })
}

/// Who has a token that may be used.
fn known(
    (config, here, target): (&Config, &Namespace, &Target),
    tx: &mut Transaction,
    (hash, record): (TokenHash, TokenRecord),
    now_ms: u64,
) -> Result<Who, Fault> {
    let home = config.namespaces.with_id(&record.namespace).cloned().ok_or_else(Failure::bad_token)?;
    // A token reaches down, as far as its policies say, and never up or aside. What the host tells
    // everybody it tells this caller too, by the policies it has, which are about its own namespace.
    let is_for_all = matches!(target, Target::Host { .. }) && target.is_unauthenticated();
    if !here.is_within(&home) && !is_for_all {
        return Err(Failure::denied().into());
    }
    let persona = match record.entity_id.as_str() {
        "" => None,
        // With its entity a token ends, or rests.
        id => {
            let found = tx.within(home.realm(), |tx| config.persona(tx, id))?;
            Some(found.filter(|p| !p.entity.disabled).ok_or_else(Failure::bad_token)?)
        }
    };
    let acl = match config.acl(tx, (&home, &record.policies), persona.as_deref(), now_ms) {
        Ok(acl) => acl,
        Err(AclError::Store(error)) => return Err(error.into()),
        Err(AclError::Policy { name, error }) => {
            // Not the caller's to know; whoever may ask for capabilities is told.
            tracing::warn!(policy = %name, error = %error, "a token is refused for one of its policies");
            return Err(Failure::denied().into());
        }
    };
    let is_counted = record.num_uses > 0 && target.takes_a_use();
    Ok(Who { hash, record, namespace: home, acl, persona, is_counted, brought: false })
}

/// The record of a token that may be used now: a stored one, or what a batch token says of
/// itself while its parent is there. With the auth method behind its login, and with its
/// namespace, a token ends.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn live(
    (open, config): (&Open, &Config),
    tx: &mut Transaction,
    token: &str,
    now_ms: u64,
) -> Result<Option<(TokenHash, TokenRecord)>, StoreError> {
    let is_live = |record: &TokenRecord| may_be_used(config, record, now_ms);
    let hash = open.salt.hash(token);
    let found = match batch::open(tx, token) {
        Some(record) => match record.parent {
            Some(parent) => tokens::get(tx, &parent)?.filter(is_live).map(|_| record),
            None => Some(record),
        },
        None => tokens::get(tx, &hash)?,
    };
    Ok(found.filter(is_live).map(|record| (hash, record)))
}

fn may_be_used(config: &Config, record: &TokenRecord, now_ms: u64) -> bool {
    let method = |accessor: &str| accessor.is_empty() || config.mounts.with_accessor(accessor).is_some();
    let home = |id: &str| config.namespaces.with_id(id).is_some_and(|home| !home.record.leaving);
    !record.is_expired(now_ms) && method(&record.mount_accessor) && home(&record.namespace)
}

/// Takes one use off a use-limited token, in the commit of what the use was for; the
/// last one ends the token.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn count_use(open: &Open, tx: &mut Transaction, hash: &TokenHash, now_ms: u64) -> Result<(), Fault> {
    let Some(record) = tokens::get(tx, hash)? else { return Ok(()) };
    match record.num_uses {
        0 => {}
        1 => {
            // Where much is left of it, the scheduler goes on.
            let _ = tree::end(tx, &open.salt, hash, now_ms, Slice::at_once(false))?;
        }
        uses => tokens::update(tx, hash, &TokenRecord { num_uses: uses - 1, ..record })?,
    }
    Ok(())
}

fn address_fits(record: &TokenRecord, request: &Request) -> bool {
    record.bound_cidrs.is_empty()
        || request
            .origin
            .address
            .is_some_and(|address| record.bound_cidrs.iter().any(|cidr| bulkhead_model::cidr::contains(cidr, address)))
}

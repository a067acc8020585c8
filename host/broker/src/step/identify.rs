//! Turns a bearer token into somebody.

use bulkhead_barrier::Transaction;
use bulkhead_model::failure::Failure;
use bulkhead_model::request::Request;

use crate::book::config::Config;
use crate::book::removals::Slice;
use crate::book::tokens::{self, TokenHash, TokenRecord, tree};
use crate::fault::Fault;
use crate::open::Open;
use crate::visit::Who;

/// The caller, if a token was sent.
///
/// # Errors
/// 403 for a token that is unknown, over, or used from the wrong address.
pub(crate) fn identify(
    open: &Open,
    config: &Config,
    tx: &mut Transaction,
    request: &Request,
    now_ms: u64,
) -> Result<Option<Who>, Fault> {
    let Some(token) = &request.token else { return Ok(None) };
    let hash = open.salt.hash(token.expose());
    let Some(record) = tokens::get(tx, &hash)? else { return Err(Failure::bad_token().into()) };
    if record.is_expired(now_ms) || !address_fits(&record, request) {
        return Err(Failure::bad_token().into());
    }
    let acl = config.acl(tx, &record.policies, now_ms)?;
    Ok(Some(Who { hash, record, acl }))
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
        || record.bound_cidrs.iter().any(|cidr| bulkhead_model::cidr::contains(cidr, request.origin.address))
}

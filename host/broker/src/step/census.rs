//! Counts leases, and tokens that have an end, in the background: a slice of the list of what
//! falls due at a time, so that neither a request nor whoever asks for numbers waits for it,
//! however many there are.

use std::sync::Arc;
use std::time::Duration;

use crate::book::leases::{self, DUE_LEASE};
use crate::book::tokens::DUE_TOKEN;
use crate::fault::Fault;
use crate::figures::Census;
use crate::open::Open;

/// Things looked at in one slice. Source: ours.
const SLICE: u32 = 1_000;
/// Pause between slices. Source: ours. Why: ten million leases take a quarter of an hour, and
/// about a hundredth of a processor.
const BETWEEN_SLICES: Duration = Duration::from_millis(100);
/// Pause between counts. Source: ours. Why: it is short of the interval that numbers are told in.
const BETWEEN_COUNTS: Duration = Duration::from_secs(5);

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    loop {
        let expiry = &open.catalog.figures.expiry;
        if open.ledger().standing().leader {
            match count(&open).await {
                Ok(Some(census)) => expiry.finish(open.parts.clock.now_ms(), census),
                Ok(None) => expiry.forget(),
                Err(fault) => tracing::debug!(cause = ?fault, "leases could not be counted; it is tried again"),
            }
        } else {
            expiry.forget();
        }
        tokio::time::sleep(BETWEEN_COUNTS).await;
    }
}

/// Counts once; `None`: this node ceased to lead.
pub(crate) async fn count(open: &Open) -> Result<Option<Census>, Fault> {
    let expiry = &open.catalog.figures.expiry;
    let mut census = Census::default();
    let mut after = None;
    expiry.begin();
    loop {
        let now_ms = open.parts.clock.now_ms();
        let slice = leases::to_come(&mut open.begin()?, after.as_ref(), SLICE)?;
        for due in slice.iter().filter(|due| matches!(due.kind, DUE_LEASE | DUE_TOKEN)) {
            census.count(due.kind == DUE_LEASE, due.at_ms, now_ms);
        }
        expiry.met(slice.iter().filter(|due| due.kind == DUE_LEASE).map(|due| &due.id));
        if slice.len() < SLICE as usize {
            return Ok(Some(census));
        }
        after = slice.last().copied();
        tokio::time::sleep(BETWEEN_SLICES).await;
        if !open.ledger().standing().leader {
            return Ok(None);
        }
    }
}

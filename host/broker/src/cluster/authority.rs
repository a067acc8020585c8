//! The cluster's own authority: founded when the first node joins, kept behind the barrier.
//! Only the leader makes certificates; members ask it for new ones in time.

use std::time::Duration;

use bulkhead_barrier::Key;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::seam::peer::{AuthorityKeys, PeerCredentials, Validity};
use serde::{Deserialize, Serialize};

use super::wire::{Question, Told};
use super::{PeerParts, forward};
use crate::book::kept::{self, Kept};
use crate::book::{opaque, space};
use crate::fault::Fault;
use crate::open::Open;

/// How long the authority is believed, in seconds. Source: ours. Why: replacing it is not
/// offered yet.
const AUTHORITY_SECS: u64 = 20 * 365 * 86_400;
/// How long a node's certificate is, in seconds. Source: ours. Why: a node that was away for
/// longer has to join anew.
const NODE_SECS: u64 = 365 * 86_400;
/// Clocks may differ by so much, in seconds.
const SKEW_SECS: u64 = 86_400;
/// Longest the leader is waited for. Source: ours.
const WITHIN: Duration = Duration::from_secs(10);
/// Format of the record.
const FORMAT: u8 = 1;

#[derive(Serialize, Deserialize)]
struct AuthorityRecord {
    certificate: Vec<u8>,
    key: Kept,
}

/// Where it is kept.
pub(super) fn key() -> Key {
    opaque(space::HOST, b"peer authority")
}

/// From now on for so long, in seconds.
fn validity(now_secs: u64, secs: u64) -> Validity {
    Validity { from_secs: now_secs.saturating_sub(SKEW_SECS), until_secs: now_secs.saturating_add(secs) }
}

/// The validity of a node's certificate that is issued now.
pub(super) fn of_node(now_secs: u64) -> Validity {
    validity(now_secs, NODE_SECS)
}

/// The authority; founded, where there is none yet.
async fn keys(open: &Open, peers: &PeerParts) -> Result<AuthorityKeys, Fault> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let mut tx = open.begin()?;
        if let Some(bytes) = tx.get(&key())? {
            let record: AuthorityRecord = kept::decoded(&bytes, FORMAT, (space::HOST, "the cluster's authority"))?;
            return Ok(AuthorityKeys { certificate: record.certificate, key: record.key.into_hidden() });
        }
        let made = peers.office.found(validity(open.parts.clock.now_secs(), AUTHORITY_SECS)).map_err(broken)?;
        let record = AuthorityRecord { certificate: made.certificate, key: Kept::from(made.key) };
        tx.put(&key(), kept::encoded(&[FORMAT], &record).expose())?;
        match open.commit(tx).await {
            // Of two that found one, the first counts.
            Ok(()) | Err(Fault::Conflict) => {}
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault::Conflict)
}

/// Makes a certificate for the node `number`. Comes with the authority's.
///
/// # Errors
/// [`Fault`]: the request is none, or this node does not lead.
pub(super) async fn certify(
    open: &Open,
    peers: &PeerParts,
    number: u64,
    request: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let authority = keys(open, peers).await?;
    let issued = peers.office.issue(&authority, number, request, of_node(open.parts.clock.now_secs()));
    Ok((issued.map_err(Fault::invalid)?, authority.certificate))
}

/// Gives this node a certificate, if it has none or the one it has is to be replaced.
///
/// # Errors
/// [`Fault`]: the leader could not be asked, or could not make one.
pub(super) async fn renew_own(open: &Open, peers: &PeerParts) -> Result<(), Fault> {
    if peers.office.current().is_some_and(|credentials| !is_due(&credentials, open.parts.clock.now_secs())) {
        return Ok(());
    }
    let Some(cluster) = open.ledger().cluster() else { return Ok(()) };
    let asked = peers.office.request().map_err(broken)?;
    let (certificate, authorities) = if open.ledger().standing().leader {
        let (certificate, authority) = certify(open, peers, cluster.candidate().number, &asked.request).await?;
        (certificate, vec![authority])
    } else {
        let Some(leader) = cluster.leader() else { return Ok(()) };
        match forward::ask(open, cluster, leader.number, &Question::Certify(asked.request), WITHIN).await {
            Ok(Told::Certified { certificate, authorities }) => (certificate, authorities),
            Ok(Told::Refused(why)) => return Err(broken(why)),
            Ok(_) | Err(_) => return Err(broken("the leader was not reached".to_owned())),
        }
    };
    let (number, now_secs) = (cluster.candidate().number, open.parts.clock.now_secs());
    let made = PeerCredentials { certificate, key: asked.key, authorities, validity: of_node(now_secs) };
    peers.office.install(number, made, now_secs).map_err(broken)
}

/// Whether a certificate has less than half of its time left.
fn is_due(credentials: &PeerCredentials, now_secs: u64) -> bool {
    let Validity { from_secs, until_secs } = credentials.validity;
    now_secs > from_secs.saturating_add(until_secs.saturating_sub(from_secs) / 2)
}

/// What the operator is told.
pub(super) fn broken(why: String) -> Fault {
    tracing::error!(%why, "certificates between nodes");
    Failure::new(FailureKind::Internal, format!("certificates between nodes: {why}")).into()
}

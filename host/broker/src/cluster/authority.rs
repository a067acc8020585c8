//! The cluster's own authority: founded when the first node joins, kept behind the barrier.
//! Only the leader makes certificates; members ask it for new ones in time.

use std::time::Duration;

use bulkhead_barrier::{Key, Transaction};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::seam::cluster::Cluster;
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

/// What to do where the state has another authority than the one the nodes know each other by.
const PARTED: &str = "the state does not hold the authority by which the nodes of this cluster know each other: remove \
                      the other nodes (sys/storage/raft/remove-peer), and let them join anew with empty data \
                      directories";

/// The authority, if there is one.
fn kept_keys(tx: &mut Transaction) -> Result<Option<AuthorityKeys>, Fault> {
    let Some(bytes) = tx.get(&key())? else { return Ok(None) };
    let record: AuthorityRecord = kept::decoded(&bytes, FORMAT, (space::HOST, "the cluster's authority"))?;
    Ok(Some(AuthorityKeys { certificate: record.certificate, key: record.key.into_hidden() }))
}

/// The authority; founded, where there is none yet.
async fn keys(open: &Open, peers: &PeerParts) -> Result<AuthorityKeys, Fault> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let mut tx = open.begin()?;
        if let Some(keys) = kept_keys(&mut tx)? {
            return Ok(keys);
        }
        if !is_alone(open) && peers.office.current().is_some() {
            return Err(broken(PARTED.to_owned()));
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

/// The authority as a record under the keyring of a snapshot that is about to take the state's
/// place. `None`: there is no authority, or the keys of the snapshot are others.
///
/// # Errors
/// [`Fault`] from the store.
#[expect(clippy::type_complexity, reason = "a place and what is there")]
pub(super) fn carried_over(open: &Open, wrapped: Option<&Vec<u8>>) -> Result<Option<(Vec<u8>, Vec<u8>)>, Fault> {
    let (Some(wrapped), Some(record)) = (wrapped, open.begin()?.get(&key())?) else { return Ok(None) };
    Ok(open.barrier.carried_over(wrapped.clone(), (&key(), &record), &*open.parts.entropy)?)
}

/// Whether there is nobody who knows this node by its certificate.
fn is_alone(open: &Open) -> bool {
    open.ledger().cluster().is_none_or(|cluster| cluster.peers().len() <= 1)
}

/// Whether a node goes by these authorities. Who has no certificate yet goes by any.
fn goes_by(peers: &PeerParts, authorities: &[Vec<u8>]) -> bool {
    peers.office.current().is_none_or(|own| authorities.iter().all(|one| own.authorities.contains(one)))
}

/// A certificate of another authority would part a node from the others, which do not know it.
fn refuse_other(open: &Open, peers: &PeerParts, authorities: &[Vec<u8>]) -> Result<(), Fault> {
    if is_alone(open) || goes_by(peers, authorities) { Ok(()) } else { Err(broken(PARTED.to_owned())) }
}

/// Makes a certificate for the node `number`. Comes with the authority's.
///
/// # Errors
/// [`Fault`]: the request is none, this node does not lead, or the authority is not the one that
/// the nodes know each other by.
pub(super) async fn certify(
    open: &Open,
    peers: &PeerParts,
    number: u64,
    request: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let authority = keys(open, peers).await?;
    refuse_other(open, peers, std::slice::from_ref(&authority.certificate))?;
    let issued = peers.office.issue(&authority, number, request, of_node(open.parts.clock.now_secs()));
    Ok((issued.map_err(Fault::invalid)?, authority.certificate))
}

/// Gives this node a certificate, if it has none or the one it has is to be replaced.
///
/// # Errors
/// [`Fault`]: the leader could not be asked, could not make one, or made one of an authority that
/// the other nodes do not know.
pub(crate) async fn renew_own(open: &Open, peers: &PeerParts) -> Result<(), Fault> {
    let leads = open.ledger().standing().leader;
    let due = peers.office.current().is_none_or(|credentials| is_due(&credentials, open.parts.clock.now_secs()));
    let wanted = due || leads && is_of_another(open, peers)?;
    if !wanted {
        return Ok(());
    }
    let Some(cluster) = open.ledger().cluster() else { return Ok(()) };
    let number = cluster.candidate().number;
    let asked = peers.office.request().map_err(broken)?;
    let (certificate, authorities) = if leads {
        let (certificate, authority) = certify(open, peers, number, &asked.request).await?;
        (certificate, vec![authority])
    } else {
        let Some(issued) = asked_for(open, cluster, asked.request).await? else { return Ok(()) };
        issued
    };
    refuse_other(open, peers, &authorities)?;
    let now_secs = open.parts.clock.now_secs();
    let made = PeerCredentials { certificate, key: asked.key, authorities, validity: of_node(now_secs) };
    peers.office.install(number, made, now_secs).map_err(broken)
}

/// Whether the one node there is has a certificate of another authority than the state's, which
/// came with a snapshot: whoever joins would not know it by that.
fn is_of_another(open: &Open, peers: &PeerParts) -> Result<bool, Fault> {
    if !is_alone(open) {
        return Ok(false);
    }
    let kept = kept_keys(&mut open.begin()?)?;
    Ok(!kept.is_some_and(|kept| goes_by(peers, &[kept.certificate])))
}

/// A certificate from the leader, and its authorities; `None`, while there is none.
async fn asked_for(
    open: &Open,
    cluster: &dyn Cluster,
    request: Vec<u8>,
) -> Result<Option<(Vec<u8>, Vec<Vec<u8>>)>, Fault> {
    let Some(leader) = cluster.leader() else { return Ok(None) };
    match forward::ask(open, cluster, leader.number, &Question::Certify(request), WITHIN).await {
        Ok(Told::Certified { certificate, authorities }) => Ok(Some((certificate, authorities))),
        Ok(Told::Refused(why)) => Err(broken(why)),
        Ok(_) | Err(_) => Err(broken("the leader was not reached".to_owned())),
    }
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

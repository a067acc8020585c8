//! What comes and goes with leadership. A node that comes to lead reads anew what others may
//! have changed; one that does not lead follows what the leader does, and tells it where it
//! is. Nodes without peers need none of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bulkhead_model::seam::cluster::{Cluster, Peer};
use bulkhead_model::seam::ledger::Ledger;

use super::wire::Question;
use super::{PeerParts, authority, forward};
use crate::fault::Fault;
use crate::node::birth;
use crate::open::Open;
use crate::sys;

/// How often a node looks whether it leads. Source: ours. Why: what a request needs it looks
/// up itself; this only keeps up what nobody asks for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two at the certificate. Source: ours.
const LOOKS_A_CERTIFICATE: u32 = 60;
/// Longest the leader may take to note where this node is. Source: ours.
const HERE_WITHIN: Duration = Duration::from_secs(2);
/// Longest a node that is sealed tries to hand over. Source: ours.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(4);

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    let (Some(peers), Some(cluster)) = (&open.parts.peers, open.ledger().cluster()) else { return };
    let (mut tenure, mut seen_index, mut looks) = (None, 0, 0_u32);
    let mut silent = BTreeSet::new();
    loop {
        let standing = open.ledger().standing();
        // The term: leadership that was lost and regained between two looks is another.
        let now = standing.leader.then_some(standing.term);
        if tenure != Some(now) {
            if tenure.flatten().is_some() {
                let since_ms = open.active_since_ms.load(Ordering::Relaxed);
                let led_ms = open.parts.clock.now_ms().saturating_sub(since_ms);
                open.catalog.figures.leadership_lost.record(Duration::from_millis(led_ms));
            }
            match turned(&open, cluster, standing.leader).await {
                Ok(()) => tenure = Some(now),
                Err(fault) => tracing::warn!(cause = ?fault, "leadership turned, and the node could not follow yet"),
            }
        }
        if standing.leader {
            silent = tell_of_silent(cluster, &silent);
        } else {
            if standing.applied_index != seen_index {
                seen_index = standing.applied_index;
                follow(&open).await;
            }
            say_where(&open, cluster).await;
            if !peers.stale_reads_max.is_zero() {
                // So that it is known how old the state is, whether or not anybody reads.
                drop(tokio::time::timeout(LOOK_EVERY, open.ledger().linearizable()).await);
            }
        }
        if looks.is_multiple_of(LOOKS_A_CERTIFICATE) {
            renew(&open, peers).await;
        }
        looks = looks.wrapping_add(1);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells the operator of members that fell silent, or are heard again.
fn tell_of_silent(cluster: &dyn Cluster, before: &BTreeSet<String>) -> BTreeSet<String> {
    let is_silent = |peer: &Peer| peer.contact.is_some_and(|contact| !contact.healthy);
    let now: BTreeSet<String> = cluster.peers().into_iter().filter(is_silent).map(|peer| peer.id).collect();
    for node in now.difference(before) {
        tracing::warn!(%node, "a member of the cluster does not answer, or lags behind");
    }
    for node in before.difference(&now) {
        tracing::info!(%node, "a member of the cluster is back");
    }
    now
}

/// Before a node seals itself: another voter is to lead, if there is one.
pub(crate) async fn hand_over(ledger: &dyn Ledger) {
    let Some(cluster) = ledger.cluster().filter(|_| ledger.standing().leader) else { return };
    if cluster.peers().iter().filter(|peer| peer.voter).count() < 2 {
        return;
    }
    match tokio::time::timeout(HAND_OVER_WITHIN, cluster.step_down(None)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "leadership could not be handed over"),
        Err(_) => tracing::warn!("leadership could not be handed over in time"),
    }
}

async fn turned(open: &Open, cluster: &dyn Cluster, leads: bool) -> Result<(), Fault> {
    // What was begun in another term goes now, whether or not anybody asks.
    drop(open.ceremonies());
    if !leads {
        return Ok(());
    }
    open.ledger().linearizable().await?;
    open.learn_keys()?;
    open.barrier.resume_count(&*open.ledger().view()?)?;
    open.active_since_ms.store(open.parts.clock.now_ms(), Ordering::Relaxed);
    let mut tx = open.begin()?;
    birth::adopt_configured(&mut tx, &open.parts)?;
    open.commit(tx).await?;
    sys::raft::apply_autopilot(open)?;
    follow(open).await;
    let me = cluster.candidate();
    let known = cluster.peers().into_iter().find(|peer| peer.number == me.number);
    if known.is_some_and(|known| (&known.id, &known.address) != (&me.id, &me.address)) && !me.address.is_empty() {
        cluster.join(me).await.map_err(|error| super::admission::of_cluster(&error))?;
    }
    tracing::info!("this node leads");
    Ok(())
}

/// Brings up to date what this node keeps parsed or open. What cannot be read is told of, and
/// read again after the next change.
async fn follow(open: &Open) {
    // Also where the keys cannot be read: then another cluster's state was restored, and the look
    // at it is what seals this node.
    let (keys, read) = (open.learn_keys().map(drop), open.refresh());
    if let Err(fault) = keys.and(read) {
        tracing::warn!(cause = ?fault, "what another node changed could not be read");
    }
    sys::audit::follow_book(open, None).await;
}

/// Tells the leader where this node is. One that is sealed hands over when it hears that.
async fn say_where(open: &Open, cluster: &dyn Cluster) {
    let me = cluster.candidate();
    let Some(leader) = cluster.leader().filter(|leader| leader.number != me.number) else { return };
    let hostname = open.parts.facts.hostname.clone();
    let here = Question::Here { hostname, id: me.id, address: me.address };
    if let Err(error) = forward::ask(open, cluster, leader.number, &here, HERE_WITHIN).await {
        tracing::debug!(%error, "the leader was not told where this node is");
    }
}

async fn renew(open: &Open, peers: &PeerParts) {
    // A node that nobody has joined needs none.
    if peers.office.current().is_none() {
        return;
    }
    if let Err(fault) = authority::renew_own(open, peers).await {
        tracing::warn!(cause = ?fault, "this node's certificate could not be renewed yet");
    }
}

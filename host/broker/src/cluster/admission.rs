//! `sys/storage/raft/bootstrap/{challenge,answer}`: the leader's side of a node's becoming a
//! member. Anyone may ask for a challenge, which costs and tells nothing but how the cluster
//! is sealed. The answer proves that the node has enough of the cluster's shares.
//!
//! A nonce is its own record: time, chance and a tag over both, so that asking for many fills
//! nothing. What is remembered is which ones served, each until its time is over.

use std::collections::HashMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::cluster::{Cluster, ClusterError, Joining, Peer};
use bulkhead_model::seam::entropy::{Entropy, random};
use parking_lot::Mutex;
use serde_json::json;

use super::proof::{self, Candidacy};
use super::{PeerParts, authority};
use crate::fault::Fault;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, data};

pub(crate) const ROUTES: &[HostRoute] = &[
    HostRoute::new(
        "storage/raft/bootstrap/challenge",
        &[Verb::Write],
        Handler::Now(challenge),
        "Begin to become a member.",
    )
    .fields(&["server_id"])
    .unauthenticated(),
    HostRoute::new("storage/raft/bootstrap/answer", &[Verb::Write], Handler::Later(answer), "Become a member.")
        .fields(&["server_id", "answer", "challenge", "cluster_addr", "non_voter", "number", "certificate_request"])
        .unauthenticated(),
];

/// How long a nonce is good, in milliseconds. Source: ours. Why: a node asks for one when its
/// operator has given the last share.
const NONCE_MS: u64 = 60_000;
/// Nonces that served and are remembered. Source: ours. Why: more nodes than this do not
/// join within a nonce's time.
const SPENT_MAX: usize = 1_024;
/// Longest name or address of a node, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Longest request for a certificate, in bytes.
const REQUEST_BYTES_MAX: usize = 4 * 1024;

/// Makes nonces, and knows which ones served.
pub(crate) struct Spent {
    key: hmac::Key,
    spent: Mutex<HashMap<Vec<u8>, u64>>,
}

impl Spent {
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let key = Hidden::new(random::<32>(entropy));
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()), spent: Mutex::default() }
    }

    fn nonce(&self, now_ms: u64, entropy: &dyn Entropy) -> Vec<u8> {
        let head = [&now_ms.to_be_bytes()[..], &random::<16>(entropy)].concat();
        let tag = hmac::sign(&self.key, &head);
        [&head, tag.as_ref()].concat()
    }

    /// Whether this node made the nonce a short while ago, and it did not serve yet.
    fn is_good(&self, nonce: &[u8], now_ms: u64) -> bool {
        let Some((head, tag)) = nonce.split_at_checked(24) else { return false };
        let Some(made_ms) = head.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)) else { return false };
        hmac::verify(&self.key, head, tag).is_ok()
            && made_ms <= now_ms
            && now_ms - made_ms <= NONCE_MS
            && !self.spent.lock().contains_key(nonce)
    }

    /// Uses a nonce up; false if that was done before.
    fn spend(&self, nonce: &[u8], now_ms: u64) -> bool {
        let mut spent = self.spent.lock();
        spent.retain(|_, made_ms| now_ms.saturating_sub(*made_ms) <= 2 * NONCE_MS);
        spent.len() < SPENT_MAX && spent.insert(nonce.to_vec(), now_ms).is_none()
    }
}

fn cluster(visit: &Visit) -> Result<(&dyn Cluster, &PeerParts), Fault> {
    let alone = || Fault::invalid("this node was started without a cluster address: no other can join it");
    let peers = visit.open.parts.peers.as_ref().ok_or_else(alone)?;
    Ok((visit.open.ledger().cluster().ok_or_else(alone)?, peers))
}

/// A number belongs to one node. A member that answers under it is not replaced by another.
fn refuse_double(cluster: &dyn Cluster, node: &Joining) -> Result<(), Fault> {
    let threshold = cluster.autopilot().last_contact_threshold;
    let other = |peer: &Peer| peer.number == node.number && (&peer.id, &peer.address) != (&node.id, &node.address);
    match cluster.peers().into_iter().find(other) {
        // One that the leader had no time to hear counts as alive.
        Some(peer) if peer.contact.is_some_and(|contact| contact.silent <= threshold) => Err(Fault::invalid(format!(
            "this node's data directory is a copy of that of {:?}, which is alive",
            peer.id
        ))),
        _ => Ok(()),
    }
}

fn challenge(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    if ask.fields.text_or_empty("server_id")?.is_empty() {
        return Err(Fault::invalid("no server id provided"));
    }
    cluster(visit)?;
    let config = visit.open.seal_config()?;
    let sealed = bulkhead_barrier::read_sealed_joining_key(&*visit.open.ledger().view()?)?;
    let nonce = visit.open.peering.spent.nonce(visit.now_ms, &*visit.open.parts.entropy);
    Ok(data(&json!({
        "challenge": STANDARD.encode(nonce),
        "seal_config": {
            "type": config.kind().name(),
            "secret_shares": config.shares(),
            "secret_threshold": config.threshold(),
            "pgp_keys": null,
            "nonce": "",
            "backup": false,
        },
        "sealed_joining_key": sealed.map(|sealed| STANDARD.encode(sealed)),
    })))
}

/// What a node that wants to become a member sent.
struct Sent {
    node: Joining,
    nonce: Vec<u8>,
    proof: Vec<u8>,
    request: Vec<u8>,
}

fn sent(ask: &Ask<'_>) -> Result<Sent, Fault> {
    let fields = &ask.fields;
    let bytes = |name: &str, bytes_max: usize| {
        let text = fields.text_or_empty(name)?;
        // Before it is decoded: four characters for three bytes.
        let decoded = (text.len() <= bytes_max.div_ceil(3) * 4).then(|| STANDARD.decode(text).ok()).flatten();
        decoded.ok_or_else(|| Fault::invalid(format!("{name} is missing, too long or not base64")))
    };
    let id = fields.text_or_empty("server_id")?;
    if id.is_empty() {
        return Err(Fault::invalid("no server_id provided"));
    }
    let address = fields.text_or_empty("cluster_addr")?;
    if address.is_empty() {
        return Err(Fault::invalid("no cluster_addr provided"));
    }
    if id.len() > TEXT_BYTES_MAX || address.len() > TEXT_BYTES_MAX {
        return Err(Fault::invalid("server_id or cluster_addr is too long"));
    }
    let number = u64::from_str_radix(&fields.text_or_empty("number")?, 16).ok();
    let number = number.ok_or_else(|| Fault::invalid("number is not a node's number"))?;
    let non_voter = fields.flag("non_voter")?.unwrap_or(false);
    Ok(Sent {
        node: Joining { number, id, address, non_voter },
        nonce: bytes("challenge", 64)?,
        proof: bytes("answer", 32)?,
        request: bytes("certificate_request", REQUEST_BYTES_MAX)?,
    })
}

fn answer<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let open = visit.open.clone();
        let (_, peers) = cluster(visit)?;
        let Sent { node, nonce, proof: proved, request } = sent(ask)?;
        let key = open.barrier.joining_key(&*open.ledger().view()?)?;
        let key = key.ok_or_else(|| {
            Fault::invalid(
                "the key shares are older than joining is: rekey once, then let nodes join with the new ones",
            )
        })?;
        let said = Candidacy {
            nonce: &nonce,
            number: node.number,
            id: &node.id,
            address: &node.address,
            non_voter: node.non_voter,
            request: &request,
        };
        // One text for whatever is wrong. A nonce is used up by a proof alone, so that nobody
        // can use up that of another.
        let spent = &open.peering.spent;
        if !spent.is_good(&nonce, visit.now_ms)
            || !proof::is_of_candidate(&key, &said, &proved)
            || !spent.spend(&nonce, visit.now_ms)
        {
            return Err(Fault::invalid("invalid answer given"));
        }
        refuse_double(cluster(visit)?.0, &node)?;
        let (certificate, authority) = authority::certify(&open, peers, node.number, &request).await?;
        // Whoever joins must be able to reach this node, which had no peers to be known by so far.
        authority::renew_own(&open, peers).await?;
        let (cluster, _) = cluster(visit)?;
        let proof = proof::of_issuer(&key, &said, &certificate, &authority);
        // Its certificate is of this state's authority, which another state may lack.
        open.fence.refuse_shut()?;
        cluster.join(node.clone()).await.map_err(|error| of_cluster(&error))?;
        tracing::info!(node = %node.id, "a node has joined the cluster");
        Ok(data(&json!({
            "certificate": STANDARD.encode(&certificate),
            "authority": STANDARD.encode(&authority),
            "proof": STANDARD.encode(proof),
        })))
    })
}

/// What a caller is told of a change to the cluster that failed.
pub(crate) fn of_cluster(error: &ClusterError) -> Fault {
    match error {
        ClusterError::Ledger(error) => error.clone().into(),
        ClusterError::UnknownPeer { id } => Failure::new(
            FailureKind::Internal,
            crate::fault::wrapped(&format!("server {id} not found in raft configuration")),
        )
        .into(),
        ClusterError::Refused { why } => Fault::invalid(why.clone()),
        ClusterError::Busy { why } => Failure::new(FailureKind::Unavailable, why.clone()).into(),
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_model::fake::entropy::FakeEntropy;

    use super::{NONCE_MS, SPENT_MAX, Spent};

    #[test]
    fn a_nonce_serves_once_within_its_time_and_at_its_maker_only() {
        let entropy = FakeEntropy::seeded(1);
        let (ours, other) = (Spent::new(&entropy), Spent::new(&entropy));
        let nonce = ours.nonce(1_000_000, &entropy);
        assert!(ours.is_good(&nonce, 1_000_000 + NONCE_MS));
        assert!(!ours.is_good(&nonce, 1_000_001 + NONCE_MS), "its time is over");
        assert!(!ours.is_good(&nonce, 999_999), "it is from the future");
        assert!(!other.is_good(&nonce, 1_000_000), "another node made it");
        for at in 0..nonce.len() {
            let mut altered = nonce.clone();
            altered[at] ^= 1;
            assert!(!ours.is_good(&altered, 1_000_000), "byte {at}");
        }
        assert!(ours.spend(&nonce, 1_000_000));
        assert!(!ours.is_good(&nonce, 1_000_000) && !ours.spend(&nonce, 1_000_000), "it served already");
    }

    // whoever asks for nonces fills nothing, and of those that served only so many are kept, for a while.
    #[test]
    fn r75_asking_for_nonces_fills_nothing() {
        let entropy = FakeEntropy::seeded(1);
        let ours = Spent::new(&entropy);
        for n in 0..100_000 {
            ours.nonce(1_000_000 + n, &entropy);
        }
        assert_eq!(ours.spent.lock().len(), 0);
        for _ in 0..2 * SPENT_MAX {
            ours.spend(&ours.nonce(1_000_000, &entropy), 1_000_000);
        }
        assert_eq!(ours.spent.lock().len(), SPENT_MAX);
        assert!(ours.spend(&ours.nonce(1_000_000, &entropy), 1_000_001 + 2 * NONCE_MS), "the old ones are forgotten");
        assert_eq!(ours.spent.lock().len(), 1);
    }
}

//! Answers what other members ask of this node while it leads. A node that is sealed, or does
//! not lead, says only that: who asks is unsealed, so a sealed leader hands over to it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_barrier::{LetterAbout, Letters, letter_name};
use bulkhead_model::limits::{CHANGE_BYTES_MAX, REQUEST_MS_MAX};
use bulkhead_model::request::{OpenCeremonies, Request};
use bulkhead_model::seam::cluster::{Joining, Responder, RestoreStep};

use super::forward::TOO_MUCH;
use super::wire::{self, Given, Question, Told};
use super::{Heard, authority, restoring};
use crate::journey;
use crate::node::Node;
use crate::open::Open;

/// The answer of a node that does not lead or is sealed. Nothing was done.
pub(super) const NOT_SERVED: &[u8] = b"0";

/// Longest answer, in bytes. Source: ours. Why: a message between nodes has a bound.
const ANSWER_BYTES_MAX: usize = CHANGE_BYTES_MAX + 3 * 1024 * 1024;

/// Longest text that a member says of itself, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// Answers for a node.
pub(crate) struct Desk {
    node: Weak<Node>,
    /// Held while the node hands over: all who ask a sealed leader mean the same.
    handing_over: tokio::sync::Mutex<()>,
}

impl Desk {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        Self { node: Arc::downgrade(node), handing_over: tokio::sync::Mutex::default() }
    }
}

#[async_trait]
impl Responder for Desk {
    async fn answer(&self, from: u64, question: Vec<u8>) -> Vec<u8> {
        let Some(node) = self.node.upgrade() else { return NOT_SERVED.to_vec() };
        if node.is_sealed() {
            if let Ok(_turn) = self.handing_over.try_lock() {
                hand_over(&node, from).await;
            }
            return NOT_SERVED.to_vec();
        }
        // A task of its own: a request that was begun is carried out and recorded, whatever
        // becomes of the connection it came over. It ends within the request's time.
        let answering = tokio::spawn(async move { answered(&node, from, &question).await });
        match answering.await {
            Ok(answer) => answer.unwrap_or_else(|| NOT_SERVED.to_vec()),
            // It panicked, and nobody knows how far it came: no letter, which is no "not done".
            Err(_) => Vec::new(),
        }
    }
}

async fn answered(node: &Arc<Node>, from: u64, question: &[u8]) -> Option<Vec<u8>> {
    let open = node.open()?;
    let told = match open.peering.asked.take(question.len()) {
        Some(_bytes) => told(node, &open, from, question).await?,
        None => Told::Refused(TOO_MUCH.to_owned()),
    };
    let letters = Letters::of(&open.barrier);
    let mut text = wire::encode(&told);
    if text.expose().len() > ANSWER_BYTES_MAX {
        text =
            wire::encode(&Told::Refused("the answer is too large to be passed on: ask the leader itself".to_owned()));
    }
    Some(letters.seal(LetterAbout::Answer(letter_name(question)), text, &*open.parts.entropy))
}

async fn told(node: &Arc<Node>, open: &Open, from: u64, question: &[u8]) -> Option<Told> {
    let _place = Arc::clone(&open.peering.answers).acquire_owned().await.ok()?;
    let me = open.ledger().cluster().map(|cluster| cluster.candidate().number)?;
    let letter = Letters::of(&open.barrier).open(LetterAbout::Question(from, me), question);
    let asked: Question = letter.and_then(|text| wire::decode(&text))?;
    Some(match asked {
        _ if !open.ledger().standing().leader => Told::NotServed,
        Question::Serve(asked, within_ms) => serve(node, asked.into_request(), within_ms).await,
        Question::LetThrough(asked, within_ms) => serve(node, asked.into_request().map(let_through), within_ms).await,
        Question::Certify(request) => certify(open, from, &request).await,
        Question::Restore { bytes, is_last, forced } => restore(open, RestoreStep { bytes, is_last }, forced).await,
        Question::Here { hostname, id, address } => here(open, from, hostname, (id, address)).await,
    })
}

/// The member that took it in looked whether its listener lets it through.
fn let_through(mut request: Request) -> Request {
    request.origin.open_ceremonies = OpenCeremonies { generate_root: true, rekey: true };
    request
}

async fn serve(node: &Arc<Node>, asked: Option<Request>, within_ms: u64) -> Told {
    let Some(request) = asked else { return Told::Refused("the request could not be read".to_owned()) };
    let time_max = Duration::from_millis(within_ms.min(REQUEST_MS_MAX));
    match journey::run_here(node, request, time_max).await {
        Some(audited) => Told::Served(Box::new(Given::from(audited.into_answer()))),
        None => Told::NotServed,
    }
}

async fn certify(open: &Open, number: u64, request: &[u8]) -> Told {
    let Some(peers) = &open.parts.peers else { return Told::NotServed };
    match authority::certify(open, peers, number, request).await {
        Ok((certificate, authority)) => Told::Certified { certificate, authorities: vec![authority] },
        Err(fault) => Told::Refused(fault.into_failure().errors.join("; ")),
    }
}

async fn restore(open: &Open, step: RestoreStep, forced: bool) -> Told {
    let Some(cluster) = open.ledger().cluster() else { return Told::NotServed };
    match restoring::take_here(open, cluster, step, forced).await {
        Ok(()) => Told::Noted,
        Err(fault) => Told::Refused(fault.into_failure().errors.join("; ")),
    }
}

/// A member says where it is. It may have been started anew under another name or address.
async fn here(open: &Open, number: u64, hostname: String, (id, address): (String, String)) -> Told {
    let Some(cluster) = open.ledger().cluster() else { return Told::NotServed };
    if [&hostname, &id, &address].iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Told::Refused("a text is too long".to_owned());
    }
    let peers = cluster.peers();
    let at_ms = open.parts.clock.now_ms();
    {
        let mut heard = open.peering.heard.lock();
        heard.retain(|known, _| peers.iter().any(|peer| peer.number == *known));
        heard.insert(number, Heard { hostname, at_ms });
    }
    let Some(known) = peers.into_iter().find(|peer| peer.number == number) else { return Told::NotServed };
    if (known.id == id && known.address == address) || address.is_empty() {
        return Told::Noted;
    }
    let moved = Joining { number, id, address, non_voter: known.non_voter };
    match cluster.join(moved).await {
        Ok(()) => Told::Noted,
        Err(error) => Told::Refused(error.to_string()),
    }
}

async fn hand_over(node: &Node, to: u64) {
    let ledger = &node.parts.ledger;
    let Some(cluster) = ledger.cluster().filter(|_| ledger.standing().leader) else { return };
    let Some(heir) = cluster.peers().into_iter().find(|peer| peer.number == to && peer.voter) else { return };
    tracing::info!(to = %heir.id, "this node is sealed and leads: it hands over");
    if let Err(error) = cluster.step_down(Some(&heir.id)).await {
        tracing::warn!(%error, "leadership could not be handed over");
    }
}

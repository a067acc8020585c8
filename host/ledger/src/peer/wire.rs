//! What nodes say to each other, as bytes: one version byte, then postcard. Nothing is
//! acted on here, and nothing is allocated for what a message only claims to hold.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::raft::{
    AppendRequest, AppendResponse, Payload, SnapshotMeta, SnapshotResponse, TransferRequest, TransferResponse, Vote,
    VoteRequest, VoteResponse,
};

/// First byte of every message. A node that meets another one answers nothing.
const VERSION: u8 = 1;

/// Longest message, in bytes. Source: ours. Why: the largest change, and what else may be
/// sent with it.
pub(crate) const MESSAGE_BYTES_MAX: usize = bulkhead_model::limits::CHANGE_BYTES_MAX + 4 * 1024 * 1024;

/// Longest text a node may say about itself, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) api_address: String,
    pub(crate) version: String,
}

impl About {
    /// Whether it is within its bounds.
    fn fits(&self) -> bool {
        [&self.name, &self.api_address, &self.version].iter().all(|text| text.len() <= TEXT_BYTES_MAX)
    }
}

/// What is asked of a node. New ones go to the end: nodes of two versions talk to each other.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Append(AppendRequest),
    Vote(VoteRequest),
    PreVote(VoteRequest),
    TransferLeader(TransferRequest),
    /// How far must one be to show everything acknowledged by now?
    ReadIndex,
    Greet(About),
    /// A snapshot of so many bytes follows; what came of another one is forgotten.
    SnapshotBegin {
        bytes: u64,
    },
    SnapshotChunk {
        offset: u64,
        crc: u32,
        content: Payload,
    },
    SnapshotEnd {
        vote: Vote,
        meta: SnapshotMeta,
    },
    /// A question that means nothing here.
    Ask(Payload),
    /// [`ReadIndex`](Self::ReadIndex), of one whose vote is for whom it asks. Nodes of before it
    /// was added refuse it, and the next.
    ReadIndexSeconded,
    /// Is your vote for me?
    Second,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub(crate) enum Response {
    Append(AppendResponse),
    Vote(VoteResponse),
    TransferLeader(TransferResponse),
    ReadIndex(u64),
    Greet(About),
    /// The part of the snapshot was taken.
    SnapshotTaken,
    SnapshotInstalled(SnapshotResponse),
    /// It does not lead.
    NotLeader,
    /// It can't, and why.
    Refused(String),
    /// The answer to a question that means nothing here.
    Told(Payload),
    /// Whether its vote is for whom asked.
    Seconded(bool),
}

/// Encodes a message.
pub(crate) fn encode<T: Serialize>(message: &T) -> Bytes {
    let bytes = postcard::to_extend(message, vec![VERSION]).expect("a message has no value postcard can't write");
    Bytes::from(bytes)
}

/// Decodes a request; `None` if it is none of this version, or over a bound.
pub(crate) fn request(bytes: &[u8]) -> Option<Request> {
    let request = decode(bytes)?;
    match &request {
        Request::Greet(about) if !about.fits() => None,
        _ => Some(request),
    }
}

/// Decodes an answer.
pub(crate) fn response(bytes: &[u8]) -> Option<Response> {
    let response = decode(bytes)?;
    match &response {
        Response::Greet(about) if !about.fits() => None,
        _ => Some(response),
    }
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (version, rest) = bytes.split_first()?;
    if *version != VERSION || bytes.len() > MESSAGE_BYTES_MAX {
        return None;
    }
    let (message, left) = postcard::take_from_bytes(rest).ok()?;
    left.is_empty().then_some(message)
}

#[cfg(test)]
mod tests;

//! Other nodes. openraft asks through [`network`], what comes in goes through [`service`];
//! between the two lies a [`Link`], which carries bytes and knows nothing of what they
//! mean: [`tcp`] for real, a simulated one in tests, none in a cluster of one.
//!
//! Every call is a request and its answer. Requests of one lane reach a node in the order
//! they were sent in, so that many may be under way at once.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

pub(crate) mod authority;
mod frame;
mod intake;
mod network;
mod plausible;
pub(crate) mod service;
#[cfg(test)]
pub(crate) mod sim;
pub(crate) mod tcp;
mod tls;
pub(crate) mod wire;

pub(crate) use self::network::Peers;

/// Who is called, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) number: u64,
    pub(crate) address: String,
}

/// What travels apart, so that one does not wait behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Entries, votes, questions.
    Talk,
    /// Snapshots.
    Bulk,
    /// What is asked above the ledger, and may take long to answer.
    Above,
}

/// Why a call brought no answer. The request may have been acted on all the same.
#[derive(Clone, Debug, thiserror::Error)]
#[error("node {number:016x} at {address:?}: {why}")]
pub(crate) struct LinkError {
    pub(crate) number: u64,
    pub(crate) address: String,
    pub(crate) why: String,
    /// The request never left.
    pub(crate) unsent: bool,
}

impl LinkError {
    pub(crate) fn new(target: &Target, why: impl Into<String>) -> Self {
        Self { number: target.number, address: target.address.clone(), why: why.into(), unsent: false }
    }

    /// The same of a request that never left.
    pub(crate) fn unsent(target: &Target, why: impl Into<String>) -> Self {
        Self { unsent: true, ..Self::new(target, why) }
    }
}

/// The answer to a call, on its way.
pub(crate) type Answer = BoxFuture<'static, Result<Bytes, LinkError>>;

/// Carries requests to other nodes, and theirs to this one.
pub(crate) trait Link: Send + Sync + 'static {
    /// Sends a request. It is sent when this returns, whether or not the answer is awaited.
    fn call(&self, target: &Target, lane: Lane, request: Bytes) -> Answer;

    /// Starts handing requests of others to this node's service.
    fn serve(&self, service: Arc<dyn Service>);

    /// Ends every connection at once. The future ends once nothing more is handed to the
    /// service.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Answers requests of other nodes.
pub(crate) trait Service: Send + Sync + 'static {
    /// Acts on a request of the node `from`, which proved that it is this node. Requests
    /// of one lane are acted on in the order in which their answers are first polled.
    fn take(&self, from: u64, request: Bytes) -> BoxFuture<'static, Bytes>;

    /// Whether the node is heard at all.
    fn hears(&self, from: u64) -> bool;
}

/// The link of a node that has no peers.
pub(crate) struct NoLink;

impl Link for NoLink {
    fn call(&self, target: &Target, _: Lane, _: Bytes) -> Answer {
        // An error is "no vote, no acknowledgement", never consent.
        let error = LinkError::unsent(target, "this node was started without a cluster address");
        Box::pin(async { Err(error) })
    }

    fn serve(&self, _: Arc<dyn Service>) {}

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

//! Other nodes, as openraft reaches them. A peer that gives no answer gives no consent:
//! every failure here is "unreachable", and openraft comes again.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream::{BoxStream, Stream, StreamExt};
use openraft::base::BoxFuture;
use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::StreamAppendResult;
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use super::intake;
use super::plausible;
use super::wire::{self, Request, Response};
use super::{Answer, Lane, Link, LinkError, Target};
use crate::raft::{
    AppendRequest, AppendResponse, LogId, Member, Snapshot, SnapshotResponse, TransferRequest, TransferResponse, Types,
    Vote, VoteRequest, VoteResponse,
};
use crate::removed::Removed;
use crate::retain::Holds;
use crate::snapshot::SnapshotFile;

/// Requests with entries under way to one peer. Why: the next group is on its way while
/// the one before is synced over there; more would only be memory.
const PIPELINE: usize = 16;

/// Waits before a peer that could not be reached is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LAST: Duration = Duration::from_millis(500);

/// Makes the ways to peers.
pub(crate) struct Peers {
    link: Arc<dyn Link>,
    removed: Arc<Removed>,
    holds: Arc<Holds>,
}

impl Peers {
    pub(crate) fn new(link: Arc<dyn Link>, removed: Arc<Removed>, holds: Arc<Holds>) -> Self {
        Self { link, removed, holds }
    }
}

/// The way to one peer.
pub(crate) struct Peer {
    link: Arc<dyn Link>,
    target: Target,
    removed: Arc<Removed>,
    holds: Arc<Holds>,
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, number: u64, member: &Member) -> Peer {
        let target = Target { number, address: member.address.clone() };
        let (removed, holds) = (Arc::clone(&self.removed), Arc::clone(&self.holds));
        Peer { link: Arc::clone(&self.link), target, removed, holds }
    }
}

type Appended = Result<StreamAppendResult<Types>, RPCError<Types>>;

impl Peer {
    async fn ask(&self, request: &Request) -> Result<Response, RPCError<Types>> {
        let answer = self.call(request).await.map_err(|e| unreachable(&e))?;
        understood(&answer, term_of(request)).ok_or_else(|| self.strange())
    }

    /// Sends a request now, unless it would go to one that was removed.
    fn call(&self, request: &Request) -> Answer {
        match self.gone() {
            Some(error) => Box::pin(async { Err(error) }),
            None => self.link.call(&self.target, Lane::Talk, wire::encode(request)),
        }
    }

    fn gone(&self) -> Option<LinkError> {
        let gone = self.removed.contains(self.target.number);
        gone.then(|| LinkError::unsent(&self.target, "it was removed from the cluster"))
    }

    /// Sends entries now; the future waits for what the peer makes of them.
    fn append(&self, request: AppendRequest) -> impl Future<Output = Appended> + Send + 'static {
        let previous = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id).or(previous);
        let request = Request::Append(request);
        let (answer, asked) = (self.call(&request), term_of(&request));
        let strange = self.strange();
        async move {
            let answer = answer.await.map_err(|e| unreachable(&e))?;
            match understood(&answer, asked) {
                Some(Response::Append(response)) => understand(response, previous, last).ok_or(strange),
                _ => Err(strange),
            }
        }
    }

    fn strange(&self) -> RPCError<Types> {
        unreachable(&LinkError::new(&self.target, "it answered something else than was asked"))
    }
}

/// An answer of one that keeps to the protocol.
fn understood(answer: &[u8], asked: Option<u64>) -> Option<Response> {
    wire::response(answer).filter(|response| plausible::response(response, asked).is_ok())
}

fn term_of(request: &Request) -> Option<u64> {
    plausible::vote_of(request).map(|vote| vote.leader_id.term)
}

/// What an answer says of the stream of entries; `None` if it makes no sense.
fn understand(
    response: AppendResponse,
    previous: Option<LogId>,
    last: Option<LogId>,
) -> Option<StreamAppendResult<Types>> {
    // Nothing can conflict with the beginning of the log; openraft would panic over it.
    let senseless = match &response {
        AppendResponse::Conflict => previous.is_none(),
        AppendResponse::PartialSuccess(matching) => *matching < previous || *matching > last,
        _ => false,
    };
    (!senseless).then(|| response.into_stream_result(previous, last))
}

fn unreachable(error: &LinkError) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendRequest,
        _: RPCOption,
    ) -> Result<AppendResponse, RPCError<Types>> {
        match self.ask(&Request::Append(request)).await? {
            Response::Append(response) => Ok(response),
            _ => Err(self.strange()),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Appended>, RPCError<Types>>>
    where
        S: Stream<Item = AppendRequest> + OptionalSend + Unpin + 'static,
    {
        let peer: &'s Self = self;
        let answers = input.map(move |request| peer.append(request)).buffered(PIPELINE);
        // The first answer that is no success ends the stream; what was sent after it
        // is sent again.
        let answers = answers.scan(true, |going, answer| {
            let last = !std::mem::replace(going, matches!(answer, Ok(Ok(_))));
            futures::future::ready((!last).then_some(answer))
        });
        Box::pin(async move { Ok(answers.boxed()) })
    }

    async fn vote(&mut self, request: VoteRequest, _: RPCOption) -> Result<VoteResponse, RPCError<Types>> {
        match self.ask(&Request::Vote(request)).await? {
            Response::Vote(response) => Ok(response),
            _ => Err(self.strange()),
        }
    }

    async fn pre_vote(&mut self, request: VoteRequest, _: RPCOption) -> Result<VoteResponse, RPCError<Types>> {
        match self.ask(&Request::PreVote(request)).await? {
            Response::Vote(response) => Ok(response),
            _ => Err(self.strange()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferRequest,
        _: RPCOption,
    ) -> Result<TransferResponse, RPCError<Types>> {
        match self.ask(&Request::TransferLeader(request)).await? {
            Response::TransferLeader(response) => Ok(response),
            _ => Err(self.strange()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse, StreamingError<Types>> {
        if let Some(error) = self.gone() {
            return Err(StreamingError::Unreachable(Unreachable::new(&error)));
        }
        let last = snapshot.meta.last_log_id.map_or(0, |id| id.index);
        let _held = self.holds.sending(self.target.number, last);
        let sending = pin!(intake::send(self.link.as_ref(), &self.target, vote, snapshot));
        match select(sending, pin!(cancel)).await {
            Either::Left((sent, _)) => sent.map_err(|e| StreamingError::Unreachable(Unreachable::new(&e))),
            Either::Right((closed, _)) => Err(StreamingError::Closed(closed)),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        let doubled = |wait: &Duration| Some((*wait * 2).min(RETRY_LAST));
        Some(Backoff::new(std::iter::successors(Some(RETRY_FIRST), doubled)))
    }
}

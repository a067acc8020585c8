//! What other nodes ask of this one. A request that can't be read, or that nobody who keeps
//! to the protocol would send, is refused. Who was removed is not heard; whoever is not a
//! member is told nothing of how far the cluster is.

use std::sync::Arc;

use bulkhead_model::seam::cluster::Responder;
use bytes::Bytes;
use futures::future::BoxFuture;
use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver;
use parking_lot::RwLock;

use super::Service;
use super::intake::Intake;
use super::plausible;
use super::wire::{self, About, Request, Response};
use crate::raft::{Payload, Raft, Snapshot, SnapshotMeta, Vote};
use crate::reads;
use crate::removed::Removed;
use crate::roster::Roster;
use crate::snapshot::Snapshots;

/// What a node is told that is not heard.
const REMOVED: &str = "this node was removed from the cluster, and is not heard any more";

/// Answers other nodes out of this node's Raft. Clones share it.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    raft: Raft,
    intake: Intake,
    roster: Arc<Roster>,
    about: About,
    above: Above,
    removed: Arc<Removed>,
}

/// Who answers questions that mean nothing here, once somebody does.
pub(crate) type Above = Arc<RwLock<Option<Arc<dyn Responder>>>>;

impl Desk {
    pub(crate) fn new(
        raft: Raft,
        snapshots: Arc<Snapshots>,
        (roster, about): (Arc<Roster>, About),
        above: Above,
        removed: Arc<Removed>,
    ) -> Self {
        Self(Arc::new(Inner { raft, intake: Intake::new(snapshots), roster, about, above, removed }))
    }

    async fn answer(self, from: u64, request: Request) -> Response {
        let raft = &self.0.raft;
        if plausible::vote_of(&request).is_some_and(|vote| vote.leader_id.node_id != from) {
            return Response::Refused("a node speaks for itself only".to_owned());
        }
        if let Err(why) = plausible::request(&request, plausible::latest_after(self.term())) {
            return Response::Refused(why.to_owned());
        }
        match request {
            Request::Append(request) => match raft.append_entries(request).await {
                Ok(response) => Response::Append(response),
                Err(e) => Response::Refused(e.to_string()),
            },
            Request::Vote(request) => match raft.vote(request).await {
                Ok(response) => Response::Vote(response),
                Err(e) => Response::Refused(e.to_string()),
            },
            Request::PreVote(request) => match raft.pre_vote(request).await {
                Ok(response) => Response::Vote(response),
                Err(e) => Response::Refused(e.to_string()),
            },
            Request::TransferLeader(request) => match raft.handle_transfer_leader(request).await {
                Ok(response) => Response::TransferLeader(response),
                Err(e) => Response::Refused(e.to_string()),
            },
            Request::ReadIndex => self.read_index(from, false).await,
            Request::ReadIndexSeconded => self.read_index(from, true).await,
            Request::Second => Response::Seconded(matches!(reads::is_for(raft, from).await, Ok(true))),
            Request::Greet(about) => {
                self.0.roster.note(from, about);
                Response::Greet(self.0.about.clone())
            }
            Request::SnapshotBegin { bytes } => self.blocking(move |intake| intake.begin(from, bytes)).await,
            Request::SnapshotChunk { offset, crc, content } => {
                self.blocking(move |intake| intake.chunk(from, offset, crc, &content.0)).await
            }
            Request::SnapshotEnd { vote, meta } => self.install(from, vote, meta).await,
            Request::Ask(question) => self.ask(from, question).await,
        }
    }

    /// The term this node is in; `None`: it belongs to no cluster yet.
    fn term(&self) -> Option<u64> {
        let metrics = self.0.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let belongs = metrics.membership_config.membership().nodes().next().is_some();
        belongs.then_some(metrics.vote.leader_id.term)
    }

    /// Whoever was removed has a certificate still.
    fn is_member(&self, number: u64) -> bool {
        let metrics = self.0.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().get_node(&number).is_some()
    }

    async fn ask(&self, from: u64, question: Payload) -> Response {
        let above = self.0.above.read().clone();
        match above.filter(|_| self.is_member(from)) {
            Some(above) => Response::Told(Payload(Bytes::from(above.answer(from, question.0.into()).await))),
            None => Response::Refused("nobody answers this here".to_owned()),
        }
    }

    async fn read_index(&self, from: u64, seconded: bool) -> Response {
        let raft = &self.0.raft;
        if !self.is_member(from) {
            return Response::Refused("this node is no member of the cluster".to_owned());
        }
        let index = match seconded {
            true => reads::seconded(raft, from).await,
            false => reads::confirmed(raft, ReadPolicy::ReadIndex.into()).await,
        };
        index.map_or(Response::NotLeader, Response::ReadIndex)
    }

    async fn blocking(&self, act: impl FnOnce(&Intake) -> Result<(), String> + Send + 'static) -> Response {
        let inner = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || act(&inner.intake)).await {
            Ok(Ok(())) => Response::SnapshotTaken,
            Ok(Err(why)) => Response::Refused(why),
            Err(e) => Response::Refused(e.to_string()),
        }
    }

    async fn install(&self, from: u64, vote: Vote, meta: SnapshotMeta) -> Response {
        let inner = Arc::clone(&self.0);
        let committed = self.0.raft.metrics().borrow_watched().local_committed;
        if let Err(why) = plausible::follows(&meta, committed) {
            return Response::Refused(why.to_owned());
        }
        let said = meta.clone();
        let snapshot = match tokio::task::spawn_blocking(move || inner.intake.end(from, &said)).await {
            Ok(Ok(file)) => Snapshot { meta, snapshot: file },
            Ok(Err(why)) => return Response::Refused(why),
            Err(e) => return Response::Refused(e.to_string()),
        };
        match self.0.raft.install_full_snapshot(vote, snapshot).await {
            Ok(response) => Response::SnapshotInstalled(response),
            Err(e) => Response::Refused(e.to_string()),
        }
    }
}

impl Service for Desk {
    fn take(&self, from: u64, request: Bytes) -> BoxFuture<'static, Bytes> {
        let desk = self.clone();
        Box::pin(async move {
            let response = match wire::request(&request) {
                _ if !desk.hears(from) => Response::Refused(REMOVED.to_owned()),
                Some(read) => {
                    drop(request);
                    desk.answer(from, read).await
                }
                None => Response::Refused("a request that can't be read".to_owned()),
            };
            wire::encode(&response)
        })
    }

    fn hears(&self, from: u64) -> bool {
        !self.0.removed.contains(from)
    }
}

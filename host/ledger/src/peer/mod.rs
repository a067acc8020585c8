//! Other nodes, as openraft reaches them. A cluster has one node for now, so there is
//! nobody to reach: every call answers that the peer is unreachable, which openraft takes
//! as "no vote, no acknowledgement", never as consent. Mutually authenticated TLS
//! connections come here, as `client`, `server` and `tls`.

use std::future::Future;

use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use crate::raft::{Member, Snapshot, Types, Vote};
use crate::snapshot::SnapshotFile;

/// Makes connections to peers.
pub(crate) struct Peers;

/// The way to one peer.
pub(crate) struct Peer {
    target: u64,
}

impl Peer {
    fn unreachable(&self) -> Unreachable<Types> {
        Unreachable::from_string(format!("node {:016x}: this version runs clusters of one node", self.target))
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _: &Member) -> Peer {
        Peer { target }
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(self.unreachable().into())
    }

    async fn vote(&mut self, _: VoteRequest<Types>, _: RPCOption) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(self.unreachable().into())
    }

    async fn pre_vote(&mut self, _: VoteRequest<Types>, _: RPCOption) -> Result<VoteResponse<Types>, RPCError<Types>> {
        // openraft's default consents for a peer that was never asked.
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: Snapshot,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(self.unreachable().into())
    }
}

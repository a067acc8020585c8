//! The types openraft is told to use, and short names for what it makes of them. The
//! encoding of a change lives in [`crate::codec`]; what an entry does, in [`crate::machine`].

use std::fmt;

use bulkhead_model::change::Verdict;
use bytes::Bytes;
use openraft::type_config::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::snapshot::SnapshotFile;

pub(crate) type AppendRequest = openraft::raft::AppendEntriesRequest<Types>;
pub(crate) type AppendResponse = openraft::raft::AppendEntriesResponse<Types>;
pub(crate) type VoteRequest = openraft::raft::VoteRequest<Types>;
pub(crate) type VoteResponse = openraft::raft::VoteResponse<Types>;
pub(crate) type TransferRequest = openraft::raft::TransferLeaderRequest<Types>;
pub(crate) type TransferResponse = openraft::raft::TransferLeaderResponse<Types>;
pub(crate) type SnapshotResponse = openraft::raft::SnapshotResponse<Types>;

openraft::declare_raft_types!(
    /// What this room fills openraft's blanks with.
    pub(crate) Types:
        D = Payload,
        R = Answer,
        NodeId = u64,
        Node = Member,
);

pub(crate) type Entry = EntryOf<Types>;
pub(crate) type LogId = LogIdOf<Types>;
pub(crate) type Vote = VoteOf<Types>;
pub(crate) type StoredMembership = StoredMembershipOf<Types>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type LeaderId = openraft::type_config::alias::CommittedLeaderIdOf<Types>;
pub(crate) type SnapshotMeta = SnapshotMetaOf<Types>;
pub(crate) type Snapshot = SnapshotOf<Types, SnapshotFile>;
pub(crate) type Raft = openraft::Raft<Types, crate::machine::Machine>;

/// An encoded change, as it lies in the log. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(pub(crate) Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Self(Bytes::from(bytes)))
    }
}

/// What the state machine answers to one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The entry carried no change.
    Nothing,
    /// The change was judged.
    Judged(Verdict),
    /// The entry is over a limit or can't be decoded; it wrote nothing, on any node.
    Refused,
    /// It ends a restoring that lacks records; it wrote nothing.
    NotWhole,
    /// It ends a restoring that is for a cluster of one node; it wrote nothing.
    NotAlone,
}

/// A member of the cluster, as the log keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    /// The operator's name for the node.
    pub(crate) name: String,
    /// Where its peers reach it; empty in a cluster of one.
    pub(crate) address: String,
    /// It is never made a voter by itself.
    pub(crate) non_voter: bool,
}

/// What follows the address of one that is never made a voter. Why there: members have
/// been kept as two texts from the beginning, and a line end is in no address.
const NON_VOTER: &str = "\nnon-voter";

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mark = if self.non_voter { NON_VOTER } else { "" };
        (&self.name, format!("{}{mark}", self.address)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, mut address) = <(String, String)>::deserialize(deserializer)?;
        let non_voter = address.strip_suffix(NON_VOTER).map(str::len);
        if let Some(bytes) = non_voter {
            address.truncate(bytes);
        }
        Ok(Self { name, address, non_voter: non_voter.is_some() })
    }
}

/// The id of the entry at `index` of a leader's term.
pub(crate) fn log_id(term: u64, node: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id: node }, index)
}

#[cfg(test)]
mod tests {
    use super::Member;

    #[test]
    fn a_member_written_before_there_were_non_voters_is_read() {
        let old = postcard::to_stdvec(&("one", "127.0.0.1:8201")).unwrap();
        let member = Member { name: "one".into(), address: "127.0.0.1:8201".into(), non_voter: false };
        assert_eq!(postcard::from_bytes::<Member>(&old).unwrap(), member);
        assert_eq!(postcard::to_stdvec(&member).unwrap(), old);
        let never = Member { non_voter: true, ..member };
        assert_eq!(postcard::from_bytes::<Member>(&postcard::to_stdvec(&never).unwrap()).unwrap(), never);
    }
}

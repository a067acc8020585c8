//! Replicated, ordered, durable bytes: a Raft cluster over a log of our own and an ordered
//! map. Everything that passes here is ciphertext; this room has no keys and can tell no
//! secret's name.
//!
//! | file | holds |
//! |---|---|
//! | [`node`] | the ledger itself: open, bootstrap, propose, shut down |
//! | [`gate`] | when a read may be served without asking anyone, and why that is right |
//! | [`log`] | the durable log, and in `log/recover.rs` the exact guarantee it gives |
//! | [`machine`] | what a committed entry does to the state |
//! | [`disk`] | the ordered map, an LSM tree |
//! | [`snapshot`] | the whole state in one file |
//! | [`peer`] | other nodes: what is said to them, and how it gets there |
//! | [`reads`] | how far a node must be before it may read |
//! | [`removed`] | who was a member, and is not heard any more |
//! | `planted` | bugs put in on purpose, in tests and in no release |
//! | [`in_hand`] | the restoring that a leader is at, and what is given up |
//! | [`survey`](survey::survey) | what a directory holds, told from outside |
//! | [`pilot`] | looks after the members; [`autopilot`] decides what is due |
//!
//! No type of openraft or lsm-tree appears in what this room shows to others.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

#[cfg(all(feature = "planted-bugs", not(debug_assertions)))]
compile_error!("planted-bugs is for programs that are built to be found out, never for a release");

mod autopilot;
mod codec;
mod config;
mod disk;
mod fault;
mod files;
mod gate;
mod identity;
mod in_hand;
mod log;
mod machine;
mod node;
mod peer;
mod pilot;
#[cfg(any(test, feature = "planted-bugs"))]
mod planted;
mod raft;
mod reads;
mod removed;
mod retain;
mod roster;
mod snapshot;
mod survey;

pub use self::config::{LedgerConfig, Timings};
pub use self::node::RaftLedger;
pub use self::peer::authority::{Authority, AuthorityError, NodeKey, check_credentials};
pub use self::peer::tcp::PeerNetwork;
pub use self::snapshot::inspect_snapshot;
pub use self::survey::{Survey, survey};

//! This node among others: what it hands to the leader and answers for it, how nodes become
//! members, and what changes for it with leadership. The ledger carries what they say to
//! each other and sees ciphertext alone.
//!
//! | file | holds |
//! |---|---|
//! | [`consistency`] | how new the state must be that a request is answered from |
//! | [`forward`] | which requests go to the leader, and how |
//! | [`desk`] | answers other members |
//! | [`budget`] | bytes that may be under way |
//! | [`wire`] | what they say, as bytes; the barrier encrypts it |
//! | [`authority`] | the cluster's certificates |
//! | [`admission`], [`joining`] | both sides of becoming a member |
//! | [`proof`] | what each side shows the other for it |
//! | [`restoring`] | snapshots: made, taken in, put in the place of the state |
//! | [`tenure`] | what comes and goes with leadership |

pub(crate) mod admission;
pub(crate) mod authority;
mod budget;
pub(crate) mod consistency;
pub(crate) mod desk;
pub(crate) mod forward;
pub(crate) mod joining;
mod proof;
pub(crate) mod restoring;
pub(crate) mod tenure;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{Barrier, HmacKey};
use bulkhead_model::limits::{FORWARD_BYTES_MAX, FORWARDED_BYTES_MAX};
use bulkhead_model::seam::entropy::Entropy;
use bulkhead_model::seam::peer::{ApiAddress, ApiClient, PeerOffice};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use self::budget::Budget;

/// Questions of other members that are answered at a time. Source: ours. Why: each is a
/// request; those who ask bound theirs as well.
const ANSWERS_MAX: usize = 2_048;

/// What a node needs to be one of several.
pub struct PeerParts {
    /// Makes and keeps certificates.
    pub office: Arc<dyn PeerOffice>,
    /// Reaches other nodes' API.
    pub client: Arc<dyn ApiClient>,
    /// Whom to ask to become a member, until it is one.
    pub retry_join: Vec<ApiAddress>,
    /// It shall never vote.
    pub non_voter: bool,
    /// The oldest state that a client may ask to be answered from; zero: nobody may.
    pub stale_reads_max: Duration,
}

/// What an open node knows of others besides what the ledger does.
pub(crate) struct Peering {
    /// Nonces that served their purpose, and their time.
    pub spent: admission::Spent,
    /// What members said of themselves, by number.
    pub heard: Mutex<BTreeMap<u64, Heard>>,
    /// Keys the HMAC of the indexes that clients are given.
    pub indexes: HmacKey,
    answers: Arc<Semaphore>,
    /// Bytes of requests on their way to the leader.
    handed: Budget,
    /// Bytes of questions of others that this node has in hand.
    asked: Budget,
}

/// What a member said of itself, and when.
#[derive(Clone)]
pub(crate) struct Heard {
    pub hostname: String,
    pub at_ms: u64,
}

impl Peering {
    pub(crate) fn new(barrier: &Barrier, entropy: &dyn Entropy) -> Self {
        Self {
            spent: admission::Spent::new(entropy),
            heard: Mutex::default(),
            indexes: barrier.hmac_key("indexes of clients"),
            answers: Arc::new(Semaphore::new(ANSWERS_MAX)),
            handed: Budget::of(FORWARD_BYTES_MAX),
            asked: Budget::of(FORWARDED_BYTES_MAX),
        }
    }
}

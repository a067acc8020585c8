//! How far a node must be before it may read. The leader makes sure that it still leads,
//! others ask it; either way many readers share one round. A round answers for those who
//! came before it began, never for those who came after: what they may expect to see can
//! be newer than its answer.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::seam::cluster::Leader;
use bulkhead_model::seam::ledger::LedgerError;
use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver;
use openraft::error::RaftError;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::fault::{Health, explain_fatal};
use crate::peer::wire::{self, Request, Response};
use crate::peer::{Lane, Link, Target};
#[cfg(any(test, feature = "planted-bugs"))]
use crate::planted::{Bug, Planted};
use crate::raft::Raft;
use crate::roster::Roster;

/// Longest one question to the leader may take, before it is asked again.
const QUESTION_WITHIN: Duration = Duration::from_millis(1500);

/// Pause before asking again, while there is no leader.
const AGAIN: Duration = Duration::from_millis(15);

/// Rounds of asking, shared by those who read.
pub(crate) struct Rounds(Arc<Inner>);

struct Inner {
    oracle: Oracle,
    turn: Mutex<Turn>,
    #[cfg(any(test, feature = "planted-bugs"))]
    planted: Planted,
}

type Outcome = Result<u64, LedgerError>;

#[derive(Default)]
struct Turn {
    /// A round is under way, and another one follows if somebody waits at its end.
    busy: bool,
    waiting: Vec<oneshot::Sender<Outcome>>,
    /// When the last round began, and what it found.
    last: Option<(Instant, u64)>,
}

impl Rounds {
    pub(crate) fn new(oracle: Oracle) -> Self {
        Self(Arc::new(Inner {
            oracle,
            turn: Mutex::default(),
            #[cfg(any(test, feature = "planted-bugs"))]
            planted: Planted::new(),
        }))
    }

    /// What is wrong on purpose.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub(crate) fn planted(&self) -> &Planted {
        &self.0.planted
    }

    /// The index one must be at to show everything that was acknowledged before this call.
    pub(crate) async fn index(&self) -> Outcome {
        #[cfg(any(test, feature = "planted-bugs"))]
        if self.0.planted.has(Bug::StaleReads) {
            return Ok(0);
        }
        let (tell, told) = oneshot::channel();
        let begin = {
            let mut turn = self.0.turn.lock();
            turn.waiting.push(tell);
            !std::mem::replace(&mut turn.busy, true)
        };
        if begin {
            // A task of its own: whoever waits may go away, others wait on. It ends with
            // the last who waits, each round within the oracle's patience.
            tokio::spawn(run(Arc::clone(&self.0)));
        }
        told.await.unwrap_or_else(|_| Err(LedgerError::Stopped { cause: "asking the leader panicked".to_owned() }))
    }

    /// What the last round found, if it began no longer than `age` ago.
    pub(crate) fn recent(&self, age: Duration) -> Option<u64> {
        let last = self.0.turn.lock().last;
        last.filter(|(began, _)| began.elapsed() <= age).map(|(_, index)| index)
    }
}

async fn run(inner: Arc<Inner>) {
    loop {
        let waiting = {
            let mut turn = inner.turn.lock();
            turn.busy = !turn.waiting.is_empty();
            std::mem::take(&mut turn.waiting)
        };
        if waiting.is_empty() {
            return;
        }
        let began = Instant::now();
        let outcome = inner.oracle.index().await;
        if let Ok(index) = outcome {
            inner.turn.lock().last = Some((began, index));
        }
        for reader in waiting {
            // A reader that has gone does not mind.
            drop(reader.send(outcome.clone()));
        }
    }
}

/// Knows how to find out how far the cluster is.
pub(crate) struct Oracle {
    pub(crate) number: u64,
    pub(crate) raft: Raft,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) health: Arc<Health>,
    /// How long one round goes on asking.
    pub(crate) patience: Duration,
}

/// What this node knows of who leads.
enum Known {
    Myself,
    Other(Target),
    Nobody,
    /// It is in no cluster, so there is nobody to wait for.
    Outside,
}

impl Oracle {
    async fn index(&self) -> Outcome {
        let until = Instant::now() + self.patience;
        loop {
            let found = match self.leader() {
                Known::Outside => return Err(LedgerError::NotLeader { leader: None }),
                Known::Myself => self.lead().await?,
                Known::Other(leader) => self.ask(&leader).await,
                Known::Nobody => None,
            };
            if let Some(index) = found {
                return Ok(index);
            }
            if Instant::now() >= until {
                return Err(LedgerError::Timeout);
            }
            sleep(AGAIN).await;
        }
    }

    /// `None` if this node leads no more, or could not make sure in time.
    async fn lead(&self) -> Result<Option<u64>, LedgerError> {
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => Ok(Some(linearizer.read_log_id().index())),
            Err(RaftError::APIError(_)) => Ok(None),
            Err(RaftError::Fatal(e)) => Err(explain_fatal(&self.health, &e)),
        }
    }

    async fn ask(&self, leader: &Target) -> Option<u64> {
        let answer = self.link.call(leader, Lane::Talk, wire::encode(&Request::ReadIndex));
        let answer = timeout(QUESTION_WITHIN, answer).await.ok()?.ok()?;
        match wire::response(&answer)? {
            Response::ReadIndex(index) => Some(index),
            _ => None,
        }
    }

    fn leader(&self) -> Known {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        match metrics.current_leader {
            Some(leader) if leader == self.number => Known::Myself,
            Some(leader) => match membership.get_node(&leader) {
                Some(member) => Known::Other(Target { number: leader, address: member.address.clone() }),
                None => Known::Nobody,
            },
            None if membership.nodes().next().is_none() => Known::Outside,
            None => Known::Nobody,
        }
    }
}

/// Who leads, as this node knows it.
pub(crate) fn leader(raft: &Raft, roster: &Roster) -> Option<Leader> {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let number = metrics.current_leader?;
    let member = metrics.membership_config.membership().get_node(&number)?;
    Some(Leader {
        number,
        id: member.name.clone(),
        api_address: roster.of(number).map(|about| about.api_address).unwrap_or_default(),
        cluster_address: member.address.clone(),
    })
}

//! How far a node must be before it may read. The leader makes sure that it still leads,
//! others ask it; either way many readers share one round. A round answers for those who
//! came before it began, never for those who came after: what they may expect to see can
//! be newer than its answer.
//!
//! With three voters, the leader and one other are a majority. So whoever asks says with it
//! whom its vote is for, and a leader that asks for itself asks one other whom its vote is for.
//! Why that is enough: any majority that elects another leader has one of the two in it, and it
//! votes after it was asked, or the leader after it answered; so nothing of another leader was
//! acknowledged before the question. With more voters, Raft asks all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bulkhead_model::seam::cluster::Leader;
use bulkhead_model::seam::ledger::LedgerError;
use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{Fatal, LinearizableReadError, RaftError};
use openraft::raft::linearizable_read::LinearizerOption;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::fault::{Health, explain_fatal};
use crate::peer::wire::{self, Request, Response};
use crate::peer::{Lane, Link, Target};
#[cfg(any(test, feature = "planted-bugs"))]
use crate::planted::{Bug, Planted};
use crate::raft::{Raft, Types};
use crate::roster::Roster;

/// Longest one question to the leader may take, before it is asked again.
const QUESTION_WITHIN: Duration = Duration::from_millis(1500);

/// Pause before asking again, while there is no leader.
const AGAIN: Duration = Duration::from_millis(15);

/// How often others are let run before a round begins.
const GATHER_MAX: usize = 8;

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

    #[cfg(test)]
    pub(crate) fn oracle(&self) -> &Oracle {
        &self.0.oracle
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
        match timeout(self.0.oracle.patience, told).await {
            Ok(told) => {
                told.unwrap_or_else(|_| Err(LedgerError::Stopped { cause: "asking the leader panicked".to_owned() }))
            }
            Err(_) => Err(LedgerError::Timeout),
        }
    }

    /// What the last round found, if it began no longer than `age` ago.
    pub(crate) fn recent(&self, age: Duration) -> Option<u64> {
        let last = self.0.turn.lock().last;
        last.filter(|(began, _)| began.elapsed() <= age).map(|(_, index)| index)
    }
}

impl Inner {
    /// Lets those run who can, for as long as that brings more readers into the round that
    /// is to begin. With few it takes no time.
    async fn gather(&self) {
        let mut waiting = 0;
        for _ in 0..GATHER_MAX {
            tokio::task::yield_now().await;
            let more = self.turn.lock().waiting.len();
            if more <= waiting {
                return;
            }
            waiting = more;
        }
    }
}

/// Ends the rounds if one panics: the next reader begins anew.
struct Ending(Arc<Inner>);

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut turn = self.0.turn.lock();
            turn.busy = false;
            turn.waiting.clear();
        }
    }
}

async fn run(inner: Arc<Inner>) {
    let _ending = Ending(Arc::clone(&inner));
    loop {
        inner.gather().await;
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
    /// How long another voter is waited for, before all are asked.
    pub(crate) second_within: Duration,
    /// Who was asked last: its number, or all bits of it turned if it did not answer well.
    pub(crate) seconder: AtomicU64,
    /// How long one round goes on asking, and a reader waits for one.
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
                Known::Other(leader) => self.ask(&leader).await?,
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
        let how = if self.is_seconded().await { lately() } else { ReadPolicy::ReadIndex.into() };
        match confirmed(&self.raft, how).await {
            Ok(index) => Ok(Some(index)),
            Err(RaftError::APIError(_)) => Ok(None),
            Err(RaftError::Fatal(e)) => Err(explain_fatal(&self.health, &e)),
        }
    }

    /// Whether another voter stands behind this node, and the two are a majority.
    async fn is_seconded(&self) -> bool {
        let Some(other) = self.other_voter() else { return false };
        let asking = self.link.call(&other, Lane::Talk, wire::encode(&Request::Second));
        let answer = timeout(self.second_within, asking).await;
        let answer = answer.ok().and_then(Result::ok).and_then(|answer| wire::response(&answer));
        let is_seconded = matches!(answer, Some(Response::Seconded(true)));
        // Whoever answers is asked again.
        self.seconder.store(if is_seconded { other.number } else { !other.number }, Ordering::Relaxed);
        is_seconded
    }

    /// One that is a majority with this node: who seconded it last, or else another than who
    /// did not.
    fn other_voter(&self) -> Option<Target> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let last = self.seconder.load(Ordering::Relaxed);
        let fits =
            |number: &u64| *number != self.number && enough(membership.get_joint_config(), [self.number, *number]);
        let number = membership.voter_ids().filter(fits).min_by_key(|number| (*number != last, *number == !last))?;
        Some(Target { number, address: membership.get_node(&number)?.address.clone() })
    }

    /// `None` if the leader gave no answer in time.
    async fn ask(&self, leader: &Target) -> Result<Option<u64>, LedgerError> {
        let question = self.question(leader.number).await?;
        let is_seconded = matches!(question, Request::ReadIndexSeconded);
        Ok(match self.put(leader, &question).await {
            // It is of an older version.
            Some(Response::Refused(_)) if is_seconded => index_in(self.put(leader, &Request::ReadIndex).await),
            answer => index_in(answer),
        })
    }

    /// What a leader is asked: it is told whether this node stands behind it.
    pub(crate) async fn question(&self, leader: u64) -> Result<Request, LedgerError> {
        let is_for = is_for(&self.raft, leader).await.map_err(|e| explain_fatal(&self.health, &e))?;
        Ok(if is_for { Request::ReadIndexSeconded } else { Request::ReadIndex })
    }

    async fn put(&self, leader: &Target, question: &Request) -> Option<Response> {
        let answer = self.link.call(leader, Lane::Talk, wire::encode(question));
        wire::response(&timeout(QUESTION_WITHIN, answer).await.ok()?.ok()?)
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

fn index_in(answer: Option<Response>) -> Option<u64> {
    match answer {
        Some(Response::ReadIndex(index)) => Some(index),
        _ => None,
    }
}

/// Whether this node's vote is for that one, now. Raft itself is asked: what is published of it
/// can be from before a vote that was cast.
pub(crate) async fn is_for(raft: &Raft, number: u64) -> Result<bool, Fatal<Types>> {
    raft.with_raft_state(move |state| state.vote_ref().leader_id.node_id == number).await
}

/// Of a leader that heard of a majority not long ago, at once; else it asks. Enough where another
/// reason makes sure that it leads.
fn lately() -> LinearizerOption {
    LinearizerOption::new(None, true)
}

/// What a leader answers to one that stands behind it, if the two of them are a majority. It
/// heard of its own followers not long ago, or asks them after all.
pub(crate) async fn seconded(raft: &Raft, asker: u64) -> Result<u64, ReadError> {
    let enough = {
        let metrics = raft.server_metrics();
        let metrics = metrics.borrow_watched();
        // One change behind what Raft goes by, at most: another is proposed only when the one
        // before it is committed. The majorities of two that follow each other meet.
        enough(metrics.membership_config.membership().get_joint_config(), [metrics.id, asker])
    };
    confirmed(raft, if enough { lately() } else { ReadPolicy::ReadIndex.into() }).await
}

/// Whether these two are a majority of the voters; while they change, of the old and the new.
fn enough(voters: &[BTreeSet<u64>], two: [u64; 2]) -> bool {
    voters.iter().all(|voters| two.iter().filter(|one| voters.contains(one)).count() > voters.len() / 2)
}

type ReadError = RaftError<Types, LinearizableReadError<Types>>;

/// The index of what this node has committed, once it is as sure as asked for that it leads.
pub(crate) async fn confirmed(raft: &Raft, how: LinearizerOption) -> Result<u64, ReadError> {
    Ok(raft.get_read_linearizer(how).await?.read_log_id().index())
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::enough;

    #[test]
    fn two_are_enough_only_where_they_are_a_majority() {
        let of = |count: u64| (1..=count).collect::<BTreeSet<u64>>();
        assert!(enough(&[of(2)], [1, 2]));
        assert!(enough(&[of(3)], [3, 1]));
        assert!(!enough(&[of(4)], [1, 2]));
        assert!(!enough(&[of(5)], [1, 2]));
        assert!(!enough(&[of(3)], [1, 7]), "7 does not vote");
        assert!(enough(&[of(3), of(2)], [1, 2]));
        assert!(!enough(&[of(3), of(5)], [1, 2]), "nor are they one of the new voters");
        assert!(!enough(&[of(5), of(3)], [1, 2]), "nor of the old");
        assert!(!enough(&[of(3), [1, 4, 5].into()], [1, 2]));
    }
}

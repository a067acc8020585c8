//! Looks after the members, at a pace of its own: finds out who they are, notes how long
//! each has been healthy, and does what [`crate::autopilot`] finds due. It acts only
//! where this node leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::seam::cluster::AutopilotConfig;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::Precondition;
use openraft::{ChangeMembers, Instant as _, ServerState};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::autopilot::{self, Sight, Step};
use crate::codec::restore;
use crate::in_hand::InHand;
use crate::peer::wire::{self, About, Request, Response};
use crate::peer::{Lane, Link, Target};
use crate::raft::{LogId, Member, Membership, Payload, Raft, Types};
use crate::roster::Roster;

/// Longest a node may take to say who it is.
const GREETING_WITHIN: Duration = Duration::from_secs(1);

/// Everybody is asked again who they are after so many rounds. Why: they may have been
/// restarted under another version or address.
const ROUNDS_BETWEEN_GREETINGS: u32 = 10;

/// Longest what the pilot writes may take before it is looked at anew.
const CHANGE_WITHIN: Duration = Duration::from_secs(10);

/// Looks after the members, as long as it is not stopped.
pub(crate) struct Pilot {
    number: u64,
    raft: Raft,
    link: Arc<dyn Link>,
    roster: Arc<Roster>,
    about: About,
    books: Mutex<Books>,
    /// The right to change the members: a change is two entries, and another one between
    /// them would fail.
    changing: Semaphore,
    in_hand: InHand,
}

#[derive(Default)]
struct Books {
    config: AutopilotConfig,
    /// Since when this node leads.
    leading: Option<(u64, Instant)>,
    /// Since when each member has been healthy.
    healthy: BTreeMap<u64, Instant>,
    /// The term in which this leader has looked for what was laid aside long ago.
    swept: Option<u64>,
    task: Option<JoinHandle<()>>,
}

/// A change of the members, and why it failed.
pub(crate) type Change = ChangeMembers<u64, Member>;
pub(crate) type ChangeError = RaftError<Types, ClientWriteError<Types>>;

/// What became of a change of the members.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Done,
    /// Others are members by now, or are just becoming so: nothing was changed.
    Overtaken,
}

/// The members, by number, with what they are.
pub(crate) type Members = BTreeMap<u64, (Member, bool)>;

impl Pilot {
    /// Starts to look after them.
    pub(crate) fn start(
        (number, about): (u64, About),
        (raft, in_hand): (Raft, InHand),
        link: Arc<dyn Link>,
        roster: Arc<Roster>,
        pace: Duration,
    ) -> Arc<Self> {
        let (books, changing) = (Mutex::default(), Semaphore::new(1));
        let pilot = Arc::new(Self { number, raft, link, roster, about, books, changing, in_hand });
        let task = tokio::spawn(Arc::clone(&pilot).run(pace));
        pilot.books.lock().task = Some(task);
        pilot
    }

    /// Ends it. The task is over once it was awaited.
    pub(crate) fn stop(&self) -> Option<JoinHandle<()>> {
        self.books.lock().task.take().inspect(JoinHandle::abort)
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.roster
    }

    pub(crate) fn in_hand(&self) -> &InHand {
        &self.in_hand
    }

    pub(crate) fn config(&self) -> AutopilotConfig {
        self.books.lock().config
    }

    pub(crate) fn set_config(&self, config: AutopilotConfig) {
        self.books.lock().config = config;
    }

    /// The members, and whether each votes.
    pub(crate) fn members(&self) -> Members {
        self.membership().1
    }

    /// The entry that made the members what they are, and the members.
    pub(crate) fn membership(&self) -> (Option<LogId>, Members) {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters = voters(membership);
        let members = membership.nodes();
        let members = members.map(|(number, member)| (*number, (member.clone(), voters.contains(number)))).collect();
        (*metrics.membership_config.log_id(), members)
    }

    /// The members as this leader sees them; `None` if it does not lead.
    pub(crate) fn sights(&self) -> Option<Vec<Sight>> {
        Some(self.look()?.1)
    }

    /// The entry that made the members what they are, and the members as this leader sees them.
    fn look(&self) -> Option<(Option<LogId>, Vec<Sight>)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched().clone();
        let (heartbeat, replication) = (metrics.heartbeat?, metrics.replication?);
        let end = metrics.last_log_index.unwrap_or_default();
        let now = Instant::now();
        let mut books = self.books.lock();
        let config = books.config;
        // Of this term only: leadership may have been lost and regained since it was noted.
        let leading = books.leading.filter(|(term, _)| *term == metrics.current_term);
        let leading_for = leading.map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(since));
        let membership = metrics.membership_config.membership();
        let voters = voters(membership);
        let mut sights = Vec::new();
        for (number, member) in membership.nodes() {
            let leader = *number == self.number;
            let matched = replication.get(number).copied().flatten().map_or(0, |id| id.index);
            let matched = if leader { end } else { matched };
            let last = heartbeat.get(number).copied().flatten().map(|heard| heard.elapsed());
            let mut sight = Sight {
                number: *number,
                leader,
                voter: voters.contains(number),
                non_voter: member.non_voter,
                last: if leader { Some(Duration::ZERO) } else { last },
                silent: last.unwrap_or(leading_for),
                matched_index: matched,
                behind: end.saturating_sub(matched),
                healthy_for: None,
            };
            if autopilot::is_healthy(&sight, &config) {
                let since = *books.healthy.entry(*number).or_insert(now);
                sight.healthy_for = Some(now.saturating_duration_since(since));
            } else {
                books.healthy.remove(number);
            }
            sights.push(sight);
        }
        books.healthy.retain(|number, _| membership.get_node(number).is_some());
        Some((*metrics.membership_config.log_id(), sights))
    }

    async fn run(self: Arc<Self>, pace: Duration) {
        let mut changed = self.raft.server_metrics();
        let (mut known, mut round) = (None, 0_u32);
        loop {
            let (leader, leads) = self.note_leader();
            if known != leader || round.is_multiple_of(ROUNDS_BETWEEN_GREETINGS) || self.is_unsure(leader, leads) {
                known = leader;
                self.greet(leader, leads).await;
            }
            if leads {
                self.look_after().await;
                self.sweep().await;
            }
            round = round.wrapping_add(1);
            // Sooner, if somebody else leads now.
            let waiting = async {
                while changed.changed().await.is_ok() {
                    if changed.borrow_watched().current_leader != leader {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            drop(timeout(pace, waiting).await);
        }
    }

    fn note_leader(&self) -> (Option<u64>, bool) {
        let metrics = self.raft.metrics();
        let (leader, state, term) = {
            let metrics = metrics.borrow_watched();
            (metrics.current_leader, metrics.state, metrics.current_term)
        };
        let leads = state == ServerState::Leader;
        let mut books = self.books.lock();
        if !leads {
            books.leading = None;
            books.healthy.clear();
        } else if books.leading.is_none_or(|(since_term, _)| since_term != term) {
            books.leading = Some((term, Instant::now()));
            books.healthy.clear();
        }
        (leader, leads)
    }

    /// Whether somebody who is asked has not said yet who it is.
    fn is_unsure(&self, leader: Option<u64>, leads: bool) -> bool {
        let is_known = |number: &u64| self.roster.of(*number).is_some();
        if leads { !self.members().keys().all(is_known) } else { !leader.iter().all(is_known) }
    }

    /// Asks the leader who it is; the leader asks everybody.
    async fn greet(&self, leader: Option<u64>, leads: bool) {
        let members = self.members();
        self.roster.keep(|number| number == self.number || members.is_empty() || members.contains_key(&number));
        let asked = members.into_iter().filter(|(number, _)| *number != self.number);
        let asked = asked.filter(|(number, _)| leads || Some(*number) == leader);
        let asking = asked.map(|(number, (member, _))| async move {
            let target = Target { number, address: member.address };
            let request = wire::encode(&Request::Greet(self.about.clone()));
            let answer = timeout(GREETING_WITHIN, self.link.call(&target, Lane::Talk, request)).await;
            let answer = answer.ok().and_then(Result::ok);
            if let Some(Response::Greet(about)) = answer.as_deref().and_then(wire::response) {
                self.roster.note(number, about);
            }
        });
        futures::future::join_all(asking).await;
    }

    /// The right to change the members, after whoever is changing them already.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        self.changing.acquire().await.expect("it is never closed")
    }

    /// Changes the members, if they are those of the entry `seen` still: what was decided on
    /// others may take one in again who was removed meanwhile.
    pub(crate) async fn change(
        &self,
        change: Change,
        retain: bool,
        seen: Option<LogId>,
        _turn: &SemaphorePermit<'_>,
    ) -> Result<Changed, ChangeError> {
        let seen = Precondition::LastMembershipLogId { last_membership_log_id: seen };
        match self.raft.change_membership_if(change, retain, Some(seen)).await {
            Ok(_) => Ok(Changed::Done),
            Err(RaftError::APIError(
                ClientWriteError::PreconditionFailed(_)
                | ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)),
            )) => Ok(Changed::Overtaken),
            Err(error) => Err(error),
        }
    }

    /// Gives up a restoring that nobody is at, such as one of another leader.
    async fn sweep(&self) {
        let term = self.raft.metrics().borrow_watched().current_term;
        let is_swept = self.books.lock().swept == Some(term);
        let step = match self.in_hand.abandoned() {
            Ok(None) if !is_swept => self.in_hand.left_behind(),
            found => found,
        };
        let step = match step {
            Ok(Some(step)) => step,
            Ok(None) => return self.books.lock().swept = Some(term),
            Err(error) => return tracing::warn!(%error, "what was left of a restoring could not be looked for"),
        };
        tracing::info!("giving up a restoring that nobody is at");
        match timeout(CHANGE_WITHIN, self.raft.client_write(Payload(restore::encode(&step)))).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a restoring that nobody is at could not be given up"),
            Err(_) => tracing::warn!("giving up a restoring that nobody is at takes long"),
        }
    }

    async fn look_after(&self) {
        if self.changing.available_permits() == 0 {
            return;
        }
        let Some((seen, sights)) = self.look() else { return };
        // First, a change that a leader's death cut in half is brought to its end.
        let (change, retain) = match self.half_done() {
            Some(half_done) => half_done,
            None => match autopilot::due(&sights, &self.config()) {
                Some(step) => (change(step), matches!(step, Step::Promote(_))),
                None => return,
            },
        };
        tracing::info!(?change, "changing the cluster's members");
        let turn = self.turn().await;
        match timeout(CHANGE_WITHIN, self.change(change, retain, seen, &turn)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the cluster's members could not be changed"),
            Err(_) => tracing::warn!("changing the cluster's members takes long"),
        }
    }

    /// The rest of a change, and whether who loses its vote by it stays a member.
    fn half_done(&self) -> Option<(Change, bool)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let committed = metrics.committed_membership_config == metrics.membership_config;
        let membership = metrics.membership_config.membership();
        let configs = membership.get_joint_config();
        let (first, last) = (configs.first()?, configs.last().filter(|_| committed && configs.len() > 1)?);
        // Who is demoted was made one that never votes in the first half; who is removed was not.
        let is_demoted = |number| membership.get_node(number).is_some_and(|member| member.non_voter);
        let retain = first.difference(last).all(is_demoted);
        Some((ChangeMembers::ReplaceAllVoters(last.clone()), retain))
    }
}

/// Who votes whatever becomes of a change that is under way.
fn voters(membership: &Membership) -> BTreeSet<u64> {
    let mut configs = membership.get_joint_config().iter();
    let first = configs.next().cloned().unwrap_or_default();
    configs.fold(first, |voters, config| &voters & config)
}

fn change(step: Step) -> Change {
    match step {
        Step::Promote(number) => ChangeMembers::AddVoterIds([number].into()),
        Step::RemoveLearner(number) => ChangeMembers::RemoveNodes([number].into()),
        Step::RemoveVoter(number) => ChangeMembers::RemoveVoters([number].into()),
    }
}

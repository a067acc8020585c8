//! What is ended, and what waits for its turn, by the lane that it is of: mounts have their things ended side by
//! side, and so have the lanes of a mount. Who has how much room: [`room`].

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bulkhead_barrier::{StoreError, Transaction};

use crate::book::jobs;
use crate::book::lane::Lane;
use crate::book::leases::{self, DUE_JOB, DUE_LEASE, Due};
use crate::book::lockouts::DUE_LOCK;
use crate::book::mfa::secrets::DUE_SECRETS;
use crate::book::mfa::waiting::DUE_WAITING;
use crate::book::removals::DUE_REMOVAL;
use crate::book::space;
use crate::fault::Fault;
use crate::open::Open;
use crate::step::expire::DUE_DROP;
use crate::step::intent::{self, DUE_INTENT};
use crate::step::remove;
use crate::step::upgrade::DUE_UPGRADE;

mod room;

pub(crate) use self::room::AT_WORK_OF_MOUNT_MAX;
use self::room::{AT_WORK_MAX, Pace, Room, Whose};

/// Things taken up in one look. Source: ours.
const BATCH: u32 = 256;
/// Things read in one look where those at the head all wait for a busy lane. Source: ours.
/// Why: what is due behind them need not wait; more would be much to read every second.
const BATCH_MAX: u32 = 4_096;

/// How an attempt to end something went.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Done,
    /// It is tried again later.
    PutOff,
    /// Somebody else's change came first.
    Crossed,
    /// Nothing can be written: it is where it was.
    Stuck,
}

/// What is being ended, and what waits for its turn.
#[derive(Default)]
pub(super) struct Work {
    /// In their order, each with its number among all that was queued.
    waiting: HashMap<Whose, VecDeque<(u64, Due)>>,
    at_work: Vec<AtWork>,
    queued: u64,
    /// What was queued last.
    last: Option<Due>,
    /// Where it is looked on, where all that was read waits for lanes that are busy.
    behind: Option<Due>,
    pace: Pace,
    /// More is due than was queued.
    is_cut: bool,
    /// Something has left its place since the last look.
    has_moved: bool,
}

struct AtWork {
    due: Due,
    whose: Whose,
    begun: Instant,
}

impl Work {
    /// Queues what is due by now, instead of what was queued before.
    pub(super) fn look(&mut self, open: &Open) -> Result<(), Fault> {
        let now_ms = open.parts.clock.now_ms();
        (self.is_cut, self.has_moved) = (false, false);
        for limit in [BATCH, BATCH_MAX] {
            let mut tx = open.begin()?;
            let mut due = leases::due(&mut tx, now_ms, limit)?;
            let is_all = due.len() < limit as usize;
            self.is_cut = !is_all;
            due.retain(|due| !is_left_alone(open, due));
            self.queue(&mut tx, due);
            if is_all || self.startable() >= AT_WORK_OF_MOUNT_MAX {
                self.behind = None;
                return Ok(());
            }
        }
        self.look_behind(open, now_ms)
    }

    /// Looks at what is due behind, each time further on: what a lane that does not come to an end has
    /// at the head is no reason for others to wait.
    fn look_behind(&mut self, open: &Open, now_ms: u64) -> Result<(), Fault> {
        let mut tx = open.begin()?;
        let from = self.behind.take().or(self.last);
        let mut due = leases::to_come(&mut tx, from.as_ref(), BATCH_MAX)?;
        due.retain(|due| due.at_ms <= now_ms);
        // At the end it begins anew behind the head.
        self.behind = due.last().cloned();
        due.retain(|due| !is_left_alone(open, due));
        self.append(&mut tx, due);
        Ok(())
    }

    fn queue(&mut self, tx: &mut Transaction, due: Vec<Due>) {
        self.waiting.clear();
        self.last = None;
        self.append(tx, due);
    }

    fn append(&mut self, tx: &mut Transaction, due: Vec<Due>) {
        for due in due {
            if !self.at_work.iter().any(|busy| busy.due == due) {
                // What cannot be read fails, and is told of, at its turn.
                let whose = lane(tx, &due).unwrap_or(None);
                self.add(due, whose);
            }
        }
    }

    fn add(&mut self, due: Due, whose: Whose) {
        self.queued += 1;
        self.last = Some(due);
        self.waiting.entry(whose).or_default().push_back((self.queued, due));
    }

    /// Whose turn it is, of those that there is room for: the mount's that has least at work, and in it the lane's that
    /// has, so that many of a mount that hang are found out one by one.
    fn next(&self) -> Option<Whose> {
        let room = self.room();
        let turn = |(whose, waits): &(&Whose, &VecDeque<(u64, Due)>)| {
            (room.at_work(whose), waits.front().map(|(number, _)| *number))
        };
        let startable = self.waiting.iter().filter(|(whose, _)| room.has(whose));
        startable.min_by_key(turn).map(|(whose, _)| *whose)
    }

    /// How many of the things that wait there is room for, roughly: what one takes, others may lack.
    fn startable(&self) -> usize {
        let mut room = self.room();
        self.waiting.iter().map(|(whose, waits)| waits.iter().take_while(|_| room.take(whose)).count()).sum()
    }

    fn room(&self) -> Room<'_> {
        let mut room = Room::new(&self.pace);
        for busy in &self.at_work {
            room.add(&busy.whose, busy.begun.elapsed());
        }
        room
    }

    /// Takes the next thing that there is room for.
    pub(super) fn start(&mut self) -> Option<Due> {
        if self.at_work.len() >= AT_WORK_MAX {
            return None;
        }
        let whose = self.next()?;
        let waits = self.waiting.get_mut(&whose)?;
        let (_, due) = waits.pop_front()?;
        if waits.is_empty() {
            self.waiting.remove(&whose);
        }
        self.at_work.push(AtWork { due, whose, begun: Instant::now() });
        Some(due)
    }

    /// It has come to an end, well or not. Whether it should be looked for more: nothing of its lane waits any
    /// more, though more is due.
    pub(super) fn ended(&mut self, ended: &Due, how: How) -> bool {
        let Some(at) = self.at_work.iter().position(|busy| busy.due == *ended) else { return false };
        let AtWork { whose, begun, .. } = self.at_work.swap_remove(at);
        if let Some(lane) = whose {
            self.pace.note(lane, begun.elapsed(), how == How::Done);
        }
        if self.waiting.is_empty() && self.at_work.is_empty() {
            self.pace.rest();
        }
        if how == How::Stuck {
            // Nor can anything else: what touches the outside first would do so again and again.
            self.clear();
        }
        self.has_moved |= matches!(how, How::Done | How::PutOff);
        self.has_moved && self.is_cut && !self.waiting.contains_key(&whose)
    }

    /// Nothing waits any more: another node sees to it.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.is_cut = false;
    }

    /// How many wait, and how many are at work.
    pub(super) fn counts(&self) -> (u64, u64) {
        let waiting: usize = self.waiting.values().map(VecDeque::len).sum();
        (waiting as u64, self.at_work.len() as u64)
    }
}

/// Whether somebody is at it who is not to be met.
fn is_left_alone(open: &Open, due: &Due) -> bool {
    open.in_flight.in_hand.has(due) || intent::is_underway(open, due)
}

fn lane(tx: &mut Transaction, due: &Due) -> Result<Whose, StoreError> {
    let whole = Lane::whole;
    Ok(match due.kind {
        DUE_LEASE => match leases::id_at(tx, due)? {
            Some(id) => leases::get(tx, &id)?.map(|lease| Lane::of(lease.mount, lease.internal.expose())),
            None => None,
        },
        DUE_JOB => jobs::get(tx, &due.id)?.map(|job| Lane::of(job.mount, job.payload.expose())),
        DUE_INTENT => intent::at(tx, due)?.map(|intent| intent.lane()),
        DUE_DROP | DUE_UPGRADE => due.id.first_chunk().copied().map(whole),
        DUE_REMOVAL => remove::mount_of(tx, due)?.map(whole),
        // Anybody can have many locks made: tokens do not wait behind them.
        DUE_LOCK => Some(whole(space::LOCKED_ALIASES.0)),
        DUE_SECRETS => Some(whole(space::MFA.0)),
        DUE_WAITING => Some(whole(space::MFA_WAITING.0)),
        _ => None,
    })
}

#[cfg(test)]
mod tests;

//! Whose turn it is to be ended: mounts have their things ended side by side, and a mount whose
//! things take long, or never come to an end, leaves room for the others. One that is quick has
//! many at once, so that ten thousand leases that fall due together are gone in seconds.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bulkhead_barrier::{StoreError, Transaction};

use crate::book::jobs;
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

/// Things taken up in one look. Source: ours.
const BATCH: u32 = 256;
/// Things read in one look where those at the head all wait for a busy mount. Source: ours.
/// Why: what is due behind them need not wait; more would be much to read every second.
const BATCH_MAX: u32 = 4_096;
/// Things being ended at once. Source: ours. Why: each may hold an instance of a plugin.
const AT_WORK_MAX: usize = 64;
/// Of these, things of one mount that nothing is known of. Source: ours. Why: a plugin that
/// hangs must leave room for what the others have to end.
pub(crate) const AT_WORK_OF_MOUNT_MAX: usize = 4;
/// What takes no longer to end has one thing more of its mount ended at once. Source: ours.
const QUICK: Duration = Duration::from_millis(250);
/// Things of one mount at once that ends them quickly. Source: ours. Why: what one waits for
/// the disk and its turn, others use. And why no more: a database does sixteen things of a mount at
/// once, and requests want some of them.
const AT_WORK_OF_QUICK_MAX: usize = 12;
/// Of all at work, those that mounts have beyond [`AT_WORK_OF_MOUNT_MAX`]. Source: ours. Why:
/// quick ones may hang all at once.
const BEYOND_MAX: usize = AT_WORK_MAX / 2;
/// What takes so long to end makes its mount a slow one. Source: ours.
const SLOW: Duration = Duration::from_secs(5);
/// How long a mount counts as a slow one. Source: ours.
const SLOW_FOR: Duration = Duration::from_secs(120);

/// The space of the mount that a due thing is of; none for what the host ends by itself.
type Lane = Option<[u8; 16]>;

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
    waiting: VecDeque<(Due, Lane)>,
    at_work: Vec<(Due, Lane, Instant)>,
    /// Where it is looked on, where all that was read waits for mounts that are busy.
    behind: Option<Due>,
    /// Mounts whose things take long, and since when that is known.
    slow: HashMap<Lane, Instant>,
    /// How many things of a mount may be at work, where it is more than of others.
    quick: HashMap<Lane, usize>,
    /// More is due than was queued.
    is_cut: bool,
    /// Something has left its place since the last look.
    has_moved: bool,
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

    /// Looks at what is due behind, each time further on: what a mount that does not come to an end has
    /// at the head is no reason for others to wait.
    fn look_behind(&mut self, open: &Open, now_ms: u64) -> Result<(), Fault> {
        let mut tx = open.begin()?;
        let from = self.behind.take().or_else(|| self.waiting.back().map(|(due, _)| *due));
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
        self.append(tx, due);
    }

    fn append(&mut self, tx: &mut Transaction, due: Vec<Due>) {
        for due in due {
            if !self.at_work.iter().any(|(busy, ..)| *busy == due) {
                // What cannot be read fails, and is told of, at its turn.
                let lane = lane(tx, &due).unwrap_or(None);
                self.waiting.push_back((due, lane));
            }
        }
    }

    fn is_full(&self) -> bool {
        self.at_work.len() >= AT_WORK_MAX
    }

    /// The place of the first thing whose mount has room.
    fn next(&self) -> Option<usize> {
        let room = self.room();
        self.waiting.iter().position(|(_, lane)| room.has(lane))
    }

    /// How many of the things that wait there is room for, roughly: what one takes, others may lack.
    fn startable(&self) -> usize {
        let mut room = self.room();
        self.waiting.iter().filter(|(_, lane)| room.take(lane)).count()
    }

    fn room(&self) -> Room<'_> {
        let mut busy: HashMap<Lane, usize> = HashMap::new();
        for (_, lane, _) in &self.at_work {
            *busy.entry(*lane).or_default() += 1;
        }
        let slow_at_work = self.slow.keys().filter_map(|lane| busy.get(lane)).sum();
        let beyond = busy.values().map(|busy| busy.saturating_sub(AT_WORK_OF_MOUNT_MAX)).sum();
        Room { work: self, busy, slow_at_work, beyond }
    }

    /// Takes the next thing that there is room for.
    pub(super) fn start(&mut self) -> Option<Due> {
        if self.is_full() {
            return None;
        }
        let (due, lane) = self.waiting.remove(self.next()?)?;
        self.at_work.push((due, lane, Instant::now()));
        Some(due)
    }

    /// It has come to an end, well or not. Whether it should be looked for more: nothing of its mount waits any
    /// more, though more is due.
    pub(super) fn ended(&mut self, ended: &Due, how: How) -> bool {
        self.slow.retain(|_, since| since.elapsed() < SLOW_FOR);
        let Some(at) = self.at_work.iter().position(|(due, ..)| due == ended) else { return false };
        let (_, lane, begun) = self.at_work.swap_remove(at);
        self.note_pace(lane, begun.elapsed(), how);
        if how == How::Stuck {
            // Nor can anything else: what touches the outside first would do so again and again.
            self.clear();
        }
        self.has_moved |= matches!(how, How::Done | How::PutOff);
        self.has_moved && self.is_cut && !self.waiting.iter().any(|(_, other)| *other == lane)
    }

    /// A thing of this mount took so long.
    fn note_pace(&mut self, lane: Lane, took: Duration, how: How) {
        if lane.is_none() {
            return;
        }
        if took >= SLOW {
            self.slow.insert(lane, Instant::now());
        } else {
            self.slow.remove(&lane);
        }
        // Things that cross each other, or fail, are not to be tried by the dozen.
        if took < QUICK && how == How::Done {
            let most = self.quick.entry(lane).or_insert(AT_WORK_OF_MOUNT_MAX);
            *most = (*most + 1).min(AT_WORK_OF_QUICK_MAX);
        } else {
            self.quick.remove(&lane);
        }
        if self.waiting.is_empty() && self.at_work.is_empty() {
            // What is known is of now: later it may hang.
            self.quick.clear();
        }
    }

    /// Nothing waits any more: another node sees to it.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.is_cut = false;
    }

    /// How many wait, and how many are at work.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.waiting.len() as u64, self.at_work.len() as u64)
    }
}

/// What may be at work beside what is.
struct Room<'a> {
    work: &'a Work,
    busy: HashMap<Lane, usize>,
    /// Things of slow mounts at work.
    slow_at_work: usize,
    /// Things at work that quick mounts have beyond their share.
    beyond: usize,
}

impl Room<'_> {
    fn has(&self, lane: &Lane) -> bool {
        let busy = self.busy.get(lane).copied().unwrap_or_default();
        match lane {
            // The host's own work is mostly trees of tokens, which would meet each other.
            None => busy < 1,
            // What takes long leaves room for what does not, of however many mounts it is.
            Some(_) if self.work.slow.contains_key(lane) => busy < 1 && self.slow_at_work < AT_WORK_MAX / 2,
            Some(_) if busy < AT_WORK_OF_MOUNT_MAX => true,
            Some(_) => self.beyond < BEYOND_MAX && self.work.quick.get(lane).is_some_and(|most| busy < *most),
        }
    }

    fn take(&mut self, lane: &Lane) -> bool {
        let has_room = self.has(lane);
        if has_room {
            let busy = self.busy.entry(*lane).or_default();
            *busy += 1;
            self.beyond += usize::from(lane.is_some() && *busy > AT_WORK_OF_MOUNT_MAX);
            self.slow_at_work += usize::from(self.work.slow.contains_key(lane));
        }
        has_room
    }
}

/// Whether somebody is at it who is not to be met.
fn is_left_alone(open: &Open, due: &Due) -> bool {
    open.in_flight.in_hand.has(due) || intent::is_underway(open, due)
}

fn lane(tx: &mut Transaction, due: &Due) -> Result<Lane, StoreError> {
    Ok(match due.kind {
        DUE_LEASE => match leases::id_at(tx, due)? {
            Some(id) => leases::get(tx, &id)?.map(|record| record.mount),
            None => None,
        },
        DUE_JOB => jobs::get(tx, &due.id)?.map(|record| record.mount),
        DUE_INTENT => intent::at(tx, due)?.map(|record| record.mount),
        DUE_DROP | DUE_UPGRADE => due.id.first_chunk().copied(),
        DUE_REMOVAL => remove::mount_of(tx, due)?,
        // Anybody can have many locks made: tokens do not wait behind them.
        DUE_LOCK => Some(space::LOCKED_ALIASES.0),
        DUE_SECRETS => Some(space::MFA.0),
        DUE_WAITING => Some(space::MFA_WAITING.0),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(mount: u8, nth: u32) -> (Due, Lane) {
        let mut id = [mount; 32];
        id[..4].copy_from_slice(&nth.to_be_bytes());
        (Due { at_ms: 1, kind: DUE_LEASE, id }, Some([mount; 16]))
    }

    fn work(mounts: &[u8]) -> Work {
        let waiting = (0..200).flat_map(|nth| mounts.iter().map(move |mount| due(*mount, nth)));
        Work { waiting: waiting.collect(), ..Work::default() }
    }

    /// Starts what there is room for; returns what is at work of each mount.
    fn start_all(work: &mut Work) -> HashMap<u8, usize> {
        while work.start().is_some() {}
        let mut busy = HashMap::new();
        for (_, lane, _) in &work.at_work {
            *busy.entry(lane.map_or(0, |space| space[0])).or_default() += 1;
        }
        busy
    }

    /// Ends a thing of a mount that took so long.
    fn end(work: &mut Work, mount: u8, took: Duration) {
        let of_mount = |(_, lane, _): &&mut (Due, Lane, Instant)| *lane == Some([mount; 16]);
        let at_work = work.at_work.iter_mut().find(of_mount).expect("something of the mount is at work");
        at_work.2 = Instant::now().checked_sub(took).expect("the machine runs longer than that");
        let ended = at_work.0;
        work.ended(&ended, How::Done);
    }

    #[test]
    fn a_mount_of_which_nothing_is_known_has_its_share_and_no_more() {
        let mut work = work(&[1, 2]);
        assert_eq!(start_all(&mut work), [(1, 4), (2, 4)].into());
    }

    #[test]
    fn a_quick_mount_has_more_at_once_and_loses_it_with_the_first_that_takes_long() {
        let mut work = work(&[1]);
        for _ in 0..60 {
            start_all(&mut work);
            end(&mut work, 1, Duration::ZERO);
        }
        assert_eq!(start_all(&mut work), [(1, AT_WORK_OF_QUICK_MAX)].into());
        end(&mut work, 1, QUICK);
        while work.at_work.len() > 1 {
            end(&mut work, 1, QUICK);
        }
        assert_eq!(start_all(&mut work), [(1, AT_WORK_OF_MOUNT_MAX)].into());
    }

    #[test]
    fn quick_mounts_that_hang_all_at_once_leave_the_others_their_share() {
        let quick = [1, 2, 3, 5, 6];
        let mut work = work(&quick);
        for _ in 0..60 {
            start_all(&mut work);
            for mount in quick {
                end(&mut work, mount, Duration::ZERO);
            }
        }
        start_all(&mut work);
        work.waiting.extend((0..9).map(|nth| due(4, nth)));
        let busy = start_all(&mut work);
        assert_eq!(busy[&4], AT_WORK_OF_MOUNT_MAX);
        let of_quick: usize = quick.iter().map(|mount| busy[mount]).sum();
        assert_eq!(of_quick, quick.len() * AT_WORK_OF_MOUNT_MAX + BEYOND_MAX);
    }

    #[test]
    fn a_slow_mount_has_one_at_a_time() {
        let mut work = work(&[1]);
        start_all(&mut work);
        for _ in 0..4 {
            end(&mut work, 1, SLOW);
        }
        assert_eq!(start_all(&mut work), [(1, 1)].into());
    }

    #[test]
    fn what_has_run_out_is_looked_for_again_if_more_is_due_and_something_moves() {
        for is_cut in [true, false] {
            for how in [How::Done, How::PutOff, How::Crossed, How::Stuck] {
                // Of another mount something waits, and is kept waiting.
                let waiting = [due(1, 1), due(2, 1), due(1, 2), due(2, 2), due(2, 3), due(2, 4), due(2, 5)];
                let mut work = Work { waiting: waiting.into(), is_cut, ..Work::default() };
                start_all(&mut work);
                let moves = matches!(how, How::Done | How::PutOff);
                assert_eq!(work.ended(&due(1, 1).0, how), is_cut && moves);
                assert!(!work.ended(&due(2, 1).0, how), "some of it waits");
                work.clear();
                assert!(!work.ended(&due(1, 2).0, how), "another node sees to it");
            }
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_tried_before_the_next_look() {
        let mut work = work(&[1, 2]);
        start_all(&mut work);
        work.ended(&due(1, 0).0, How::Stuck);
        assert_eq!((work.start(), work.counts().0), (None, 0));
    }

    #[test]
    fn things_that_cross_each_other_or_fail_do_not_make_a_mount_quick() {
        for how in [How::Crossed, How::PutOff] {
            let mut work = work(&[1]);
            for _ in 0..20 {
                start_all(&mut work);
                let ended = work.at_work[0].0;
                work.ended(&ended, how);
            }
            assert_eq!(start_all(&mut work), [(1, AT_WORK_OF_MOUNT_MAX)].into(), "{}", how == How::Crossed);
        }
    }
}

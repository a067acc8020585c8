//! How much may be ended at once, of whom. A mount whose things take long, or never come to an end, leaves room for the
//! others, and so does a lane of it for its other lanes: what hangs holds what it took for as long as its calls last,
//! and has little of it. What is quick has much, so that ten thousand leases due together are gone in seconds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::book::lane::Lane;

/// Things being ended at once. Source: ours. Why: each may hold an instance of a plugin.
pub(super) const AT_WORK_MAX: usize = 64;
/// Of these, things that a mount may have whatever others do; and of a lane that nothing is known of. Source: ours.
/// Why: a plugin that hangs must leave room for what the others have to end.
pub(crate) const AT_WORK_OF_MOUNT_MAX: usize = 4;
/// What takes no longer to end has one thing more of its lane ended at once. Source: ours.
const QUICK: Duration = Duration::from_millis(250);
/// Things of one lane at once that ends them quickly. Source: ours. Why: what one waits for
/// the disk and its turn, others use. And why no more: a database does sixteen things of a mount at
/// once, and requests want some of them.
pub(super) const AT_WORK_OF_QUICK_MAX: usize = 12;
/// Of all at work, those that mounts have beyond [`AT_WORK_OF_MOUNT_MAX`]. Source: ours. Why:
/// quick ones may hang all at once.
pub(super) const BEYOND_MAX: usize = AT_WORK_MAX / 2;
/// Of these, those of quick lanes, and those of others. Source: ours. Why: neither keeps the other from going on.
pub(super) const BEYOND_OF_KIND_MAX: usize = BEYOND_MAX - 4;
/// Things of a lane that nothing is known of, beside others of its mount that are not quick. Source: ours. Why:
/// so many of them are found out at once.
const AT_WORK_BESIDE_MAX: usize = 2;
/// Things of a mount at once of which it is not known whether they hang. Source: ours. Why: where a server of many
/// connections is gone, its mount does not take all there is at a stroke.
pub(super) const FRESH_OF_MOUNT_MAX: usize = 12;
/// What takes longer is taken for one that hangs, while it is at work. Source: ours.
pub(super) const HANGS: Duration = Duration::from_secs(1);
/// What takes so long to end makes its lane a slow one. Source: ours.
pub(super) const SLOW: Duration = Duration::from_secs(5);
/// Things of slow lanes of one mount at once. Source: ours. Why: a mount may have many that hang.
pub(super) const SLOW_OF_MOUNT_MAX: usize = 4;
/// How long a lane counts as a slow one. Source: ours.
const SLOW_FOR: Duration = Duration::from_secs(120);

/// Of which lane a due thing is; none for what the host ends by itself.
pub(super) type Whose = Option<Lane>;

/// How fast lanes end their things.
#[derive(Default)]
pub(super) struct Pace {
    /// Lanes whose things take long, and since when that is known.
    slow: HashMap<Lane, Instant>,
    /// How many things of a lane may be at work, where it is more than of others.
    quick: HashMap<Lane, usize>,
}

enum Known {
    Slow,
    /// As many may be at work.
    Quick(usize),
    Nothing,
}

impl Pace {
    /// A thing of this lane took so long.
    pub(super) fn note(&mut self, lane: Lane, took: Duration, is_done: bool) {
        self.slow.retain(|_, since| since.elapsed() < SLOW_FOR);
        if took >= SLOW {
            self.slow.insert(lane, Instant::now());
        } else {
            self.slow.remove(&lane);
        }
        // Things that cross each other, or fail, are not to be tried by the dozen.
        if took < QUICK && is_done {
            let most = self.quick.entry(lane).or_insert(AT_WORK_OF_MOUNT_MAX);
            *most = (*most + 1).min(AT_WORK_OF_QUICK_MAX);
        } else {
            self.quick.remove(&lane);
        }
    }

    /// Nothing is left to do. What is known of the quick ones is of now: later they may hang.
    pub(super) fn rest(&mut self) {
        self.quick.clear();
    }

    fn of(&self, lane: &Lane) -> Known {
        match self.quick.get(lane) {
            _ if self.slow.contains_key(lane) => Known::Slow,
            Some(most) => Known::Quick(*most),
            None => Known::Nothing,
        }
    }
}

/// What of one mount is at work.
#[derive(Clone, Copy, Default)]
struct OfMount {
    all: usize,
    /// Of lanes that are not quick.
    unproven: usize,
    /// Of slow lanes.
    slow: usize,
    /// Of lanes that nothing is known of, begun a moment ago.
    fresh: usize,
}

impl OfMount {
    /// What it has beyond its share, and how much of that is of lanes that are not quick.
    fn beyond(&self) -> (usize, usize) {
        (self.all.saturating_sub(AT_WORK_OF_MOUNT_MAX), self.unproven.saturating_sub(AT_WORK_OF_MOUNT_MAX))
    }
}

/// What may be at work beside what is.
pub(super) struct Room<'a> {
    pace: &'a Pace,
    lanes: HashMap<Whose, usize>,
    mounts: HashMap<[u8; 16], OfMount>,
    /// Of slow lanes.
    slow: usize,
    /// What mounts have beyond their share.
    beyond: usize,
    /// How much of that is of lanes that are not quick.
    unproven_beyond: usize,
}

impl<'a> Room<'a> {
    pub(super) fn new(pace: &'a Pace) -> Self {
        let (lanes, mounts) = (HashMap::new(), HashMap::new());
        Self { pace, lanes, mounts, slow: 0, beyond: 0, unproven_beyond: 0 }
    }

    /// How many things of its mount are at work, and of its lane.
    pub(super) fn at_work(&self, whose: &Whose) -> (usize, usize) {
        let of_mount = whose.map(|lane| self.of_mount(&lane).all);
        (of_mount.unwrap_or_default(), self.lanes.get(whose).copied().unwrap_or_default())
    }

    fn of_mount(&self, lane: &Lane) -> OfMount {
        self.mounts.get(&lane.mount).copied().unwrap_or_default()
    }

    /// Counts one that has been at work for so long.
    pub(super) fn add(&mut self, whose: &Whose, age: Duration) {
        *self.lanes.entry(*whose).or_default() += 1;
        let Some(lane) = whose else { return };
        let of_mount = self.mounts.entry(lane.mount).or_default();
        let before = of_mount.beyond();
        of_mount.all += 1;
        match self.pace.of(lane) {
            Known::Quick(_) => {}
            Known::Slow => {
                (of_mount.unproven, of_mount.slow) = (of_mount.unproven + 1, of_mount.slow + 1);
                self.slow += 1;
            }
            Known::Nothing => {
                of_mount.unproven += 1;
                of_mount.fresh += usize::from(age < HANGS);
            }
        }
        let after = of_mount.beyond();
        self.beyond += after.0 - before.0;
        self.unproven_beyond += after.1 - before.1;
    }

    /// Whether one more of them may be at work.
    pub(super) fn has(&self, whose: &Whose) -> bool {
        let (in_mount, busy) = self.at_work(whose);
        // The host's own work is mostly trees of tokens, which would meet each other.
        let Some(lane) = whose else { return busy < 1 };
        let of_mount = self.of_mount(lane);
        let has_share = in_mount < AT_WORK_OF_MOUNT_MAX;
        let proven_beyond = self.beyond - self.unproven_beyond;
        let is_unproven_low = of_mount.unproven < AT_WORK_OF_MOUNT_MAX || self.unproven_beyond < BEYOND_OF_KIND_MAX;
        let has_unproven_place = has_share || self.beyond < BEYOND_MAX && is_unproven_low;
        match self.pace.of(lane) {
            // What takes long leaves room for what does not, of however many lanes and mounts it is.
            Known::Slow => {
                let is_slow_low = of_mount.slow < SLOW_OF_MOUNT_MAX && self.slow < AT_WORK_MAX / 2;
                busy < 1 && is_slow_low && has_unproven_place
            }
            Known::Quick(most) => {
                let has_beyond = self.beyond < BEYOND_MAX && proven_beyond < BEYOND_OF_KIND_MAX;
                busy < most && (has_share || has_beyond)
            }
            Known::Nothing => {
                let is_alone = of_mount.unproven == busy;
                let most = if is_alone { AT_WORK_OF_MOUNT_MAX } else { AT_WORK_BESIDE_MAX };
                busy < most && of_mount.fresh < FRESH_OF_MOUNT_MAX && has_unproven_place
            }
        }
    }

    /// Counts one more of them in, if it may be at work.
    pub(super) fn take(&mut self, whose: &Whose) -> bool {
        let has_room = self.has(whose);
        if has_room {
            self.add(whose, Duration::ZERO);
        }
        has_room
    }
}

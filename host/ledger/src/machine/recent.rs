//! Records read lately: what every request reads (its token, the mounts' epoch, a hot
//! secret) is not looked for in the map each time. Holds what the map holds, ciphertext.
//!
//! The claim: a view finds here just what it would find in its snapshot. Every entry is
//! the latest state of its key, because
//!
//! * before a batch is committed, [`Recent::forget`] takes out every key it writes, and
//!   notes its index in the key's shard;
//! * a reader puts in what it found only while nothing newer than its view was noted in
//!   that shard ([`Recent::remember`]).
//!
//! And a view takes an entry only if it was so at the view's own index. The index is read
//! before the snapshot is made, so a snapshot may show more than its index says, never
//! less; what it shows beyond was taken out of here before it could be seen.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::state::split_version;
use crate::disk::Slice;

/// Why so many: two processors should seldom want the same one.
const SHARDS: usize = 32;

/// Bytes kept at most, over all shards. Source: ours: some ten thousand records.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// A longer record is not kept. Why: it would push out a shard's worth of short ones.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// What an entry takes beside key and value, roughly, in bytes.
const ENTRY_BYTES: usize = 128;

/// The records and the index they are good for. Indexes are kept plus one; 0: none.
pub(crate) struct Recent {
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    applied: AtomicU64,
}

#[derive(Default)]
struct Shard {
    /// Keys are ciphertext, which nobody can choose: a fast hash does.
    known: HashMap<Box<[u8]>, Known, RandomState>,
    bytes: usize,
    /// The last batch that wrote, or is about to write, a key of this shard.
    changed: u64,
}

/// A key's latest state.
#[derive(Clone)]
enum Known {
    Is(Slice),
    /// There is no record, and was none at this index.
    Absent(u64),
}

/// What is known of a key: `None` if nothing is.
pub(crate) type Hit = Option<Option<Slice>>;

impl Recent {
    /// Nothing known, of a state with everything applied up to an index.
    pub(crate) fn new(applied: Option<u64>) -> Self {
        let applied = AtomicU64::new(applied.map_or(0, |index| index + 1));
        Self { hasher: RandomState::default(), shards: (0..SHARDS).map(|_| Mutex::default()).collect(), applied }
    }

    /// The index a view made from now on is good for.
    pub(crate) fn index(&self) -> u64 {
        self.applied.load(SeqCst)
    }

    /// The record at a key as it was at an index.
    pub(crate) fn at(&self, key: &[u8], index: u64) -> Hit {
        match self.shard(key).lock().known.get(key)? {
            Known::Is(value) => {
                let (version, _) = split_version(value).ok()?;
                (version < index).then(|| Some(value.clone()))
            }
            Known::Absent(since) => (*since <= index).then_some(None),
        }
    }

    /// The record at a key as it is, for the one who writes.
    pub(crate) fn now(&self, key: &[u8]) -> Hit {
        let shard = self.shard(key).lock();
        shard.known.get(key).map(|known| match known {
            Known::Is(value) => Some(value.clone()),
            Known::Absent(_) => None,
        })
    }

    /// Keeps what a view of this index found in its snapshot.
    pub(crate) fn remember(&self, key: &[u8], found: Option<&Slice>, index: u64) {
        let bytes = key.len() + found.map_or(0, |value| value.len()) + ENTRY_BYTES;
        if bytes > RECORD_BYTES_MAX {
            return;
        }
        let mut shard = self.shard(key).lock();
        if shard.changed > index {
            return;
        }
        if shard.bytes + bytes > BYTES_MAX / SHARDS {
            shard.halve();
        }
        let known = found.map_or(Known::Absent(index), |value| Known::Is(value.clone()));
        shard.bytes += bytes;
        if let Some(before) = shard.known.insert(key.into(), known) {
            shard.bytes -= before.bytes(key);
        }
    }

    /// Called before a batch is committed, with every key it writes and its last index.
    pub(crate) fn forget<'k>(&self, keys: impl Iterator<Item = &'k [u8]>, last_index: u64) {
        for key in keys {
            let mut shard = self.shard(key).lock();
            shard.changed = shard.changed.max(last_index + 1);
            if let Some(before) = shard.known.remove(key) {
                shard.bytes -= before.bytes(key);
            }
        }
    }

    /// Called before the whole state is replaced by one of this index.
    pub(crate) fn forget_all(&self, index: Option<u64>) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            // Views of the state as it was may still be looking things up.
            let changed = index.map_or(0, |index| index + 1).max(self.index() + 1).max(shard.changed);
            *shard = Shard { changed, ..Shard::default() };
        }
    }

    /// Called once everything up to an index shows in new snapshots.
    pub(crate) fn applied(&self, index: u64) {
        self.applied.fetch_max(index + 1, SeqCst);
    }

    fn shard(&self, key: &[u8]) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

impl Shard {
    /// Lets go of every other record: which ones are hot shows when they come back.
    fn halve(&mut self) {
        let (mut keep, mut bytes) = (false, 0);
        self.known.retain(|key, known| {
            keep = !keep;
            bytes += if keep { known.bytes(key) } else { 0 };
            keep
        });
        self.bytes = bytes;
    }
}

impl Known {
    fn bytes(&self, key: &[u8]) -> usize {
        let value = match self {
            Self::Is(value) => value.len(),
            Self::Absent(_) => 0,
        };
        key.len() + value + ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Hit, RECORD_BYTES_MAX, Recent};
    use crate::disk::Slice;
    use crate::machine::state::versioned;

    fn record(index: u64, text: &str) -> Slice {
        versioned(index, text.as_bytes()).into()
    }

    fn text(hit: Hit) -> Option<Option<String>> {
        hit.map(|found| found.map(|value| String::from_utf8(value[8..].to_vec()).unwrap()))
    }

    /// A state at index 5, as a view made there sees it: index 6.
    fn recent() -> Recent {
        let recent = Recent::new(Some(5));
        assert_eq!(recent.index(), 6);
        recent
    }

    #[test]
    fn what_was_found_is_found_again() {
        let recent = recent();
        recent.remember(b"a", Some(&record(3, "x")), 6);
        recent.remember(b"b", None, 6);
        assert_eq!(text(recent.at(b"a", 6)), Some(Some("x".to_owned())));
        assert_eq!(text(recent.at(b"b", 6)), Some(None));
        assert_eq!(text(recent.at(b"c", 6)), None);
        assert_eq!(text(recent.now(b"b")), Some(None));
    }

    #[test]
    fn an_older_view_does_not_see_a_newer_record() {
        let recent = recent();
        recent.forget([&b"a"[..]].into_iter(), 7);
        recent.applied(7);
        recent.remember(b"a", Some(&record(7, "new")), 8);
        recent.remember(b"gone", None, 8);
        assert_eq!(text(recent.at(b"a", 7)), None, "the view is of index 6");
        assert_eq!(text(recent.at(b"gone", 7)), None, "it may have been there");
        assert_eq!(text(recent.at(b"a", 8)), Some(Some("new".to_owned())));
    }

    #[test]
    fn a_reader_that_was_overtaken_puts_nothing_in() {
        let recent = recent();
        recent.remember(b"a", Some(&record(3, "old")), 6);
        recent.forget([&b"a"[..]].into_iter(), 6);
        recent.remember(b"a", Some(&record(3, "old")), 6);
        assert_eq!(text(recent.now(b"a")), None);
        recent.applied(6);
        recent.remember(b"a", Some(&record(6, "new")), recent.index());
        assert_eq!(text(recent.now(b"a")), Some(Some("new".to_owned())));
    }

    #[test]
    fn replacing_the_state_forgets_all() {
        let recent = recent();
        recent.remember(b"a", Some(&record(3, "old")), 6);
        recent.forget_all(Some(9));
        recent.remember(b"a", Some(&record(3, "old")), 6);
        assert_eq!(text(recent.now(b"a")), None);
    }

    #[test]
    fn it_stays_within_its_bytes() {
        let recent = recent();
        for number in 0..200_000_u32 {
            recent.remember(&number.to_be_bytes(), Some(&record(1, &"v".repeat(200))), 6);
        }
        recent.remember(b"long", Some(&record(1, &"v".repeat(RECORD_BYTES_MAX))), 6);
        assert_eq!(text(recent.now(b"long")), None);
        let held: usize = recent.shards.iter().map(|shard| shard.lock().bytes).sum();
        assert!(held <= BYTES_MAX && held > BYTES_MAX / 4, "{held} bytes");
        recent.forget((0..200_000_u32).map(u32::to_be_bytes).collect::<Vec<_>>().iter().map(|key| &key[..]), 6);
        assert!(recent.shards.iter().all(|shard| shard.lock().bytes == 0), "every byte was counted once");
    }
}

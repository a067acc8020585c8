use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bulkhead_barrier::{Barrier, Key, SealConfig, Sealing, SpaceId, Transaction, init};
use bulkhead_model::change::{Change, Verdict};
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::seam::ledger::Ledger;

use super::{FOLDER_RECORDS_MAX, GuestCache};

const SPACE: SpaceId = SpaceId([7; 16]);

/// An open barrier over memory, and a cache that holds one value under `k`.
struct Mount {
    ledger: FakeLedger,
    barrier: Barrier,
    cache: GuestCache,
}

impl Mount {
    fn new() -> Self {
        let ledger = FakeLedger::new();
        let made = init(Sealing::Fresh(SealConfig::new(1, 1).expect("possible")), 1_000, &FakeEntropy::seeded(1));
        commit(&ledger, made.change);
        Self { ledger, barrier: made.barrier, cache: GuestCache::default() }
    }

    fn begin(&self) -> Transaction {
        self.barrier.begin(self.ledger.view().expect("memory has views"))
    }

    /// Changes records: with a value, or removed.
    fn change(&self, records: &[(&str, Option<&[u8]>)]) {
        let mut tx = self.begin();
        for (name, value) in records {
            match value {
                Some(value) => tx.put(&leaf(name), value).expect("within limits"),
                None => tx.delete(&leaf(name)).expect("within limits"),
            }
        }
        commit(&self.ledger, tx.into_change(&FakeEntropy::seeded(2)).expect("within limits"));
    }

    fn keep(&self, tx: &mut Transaction, depends_on: &[&str]) {
        let depends_on: Vec<String> = depends_on.iter().map(|name| (*name).to_owned()).collect();
        self.cache.put(tx, SPACE, "k", b"kept".to_vec(), (u64::MAX, &depends_on));
    }

    fn is_kept(&self) -> bool {
        self.cache.get(&mut self.begin(), SPACE, "k", 0).is_some()
    }
}

fn leaf(name: &str) -> Key {
    Key::leaf(SPACE, name).expect("a key")
}

fn commit(ledger: &FakeLedger, change: Change) {
    match pin!(ledger.propose(change)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(Verdict::Committed(_))) => {}
        _ => panic!("memory commits at once, and nothing conflicts"),
    }
}

#[test]
fn what_depends_on_a_folder_is_forgotten_when_anything_below_it_changes() {
    type Records<'a> = &'a [(&'a str, Option<&'a [u8]>)];
    let table: [(Records<'_>, bool); 6] = [
        (&[("config/a", Some(b"2"))], false),
        (&[("config/deep/b", Some(b"2"))], false),
        (&[("config/new", Some(b"1"))], false),
        (&[("config/a", None)], false),
        (&[("other", Some(b"1"))], true),
        (&[("configuration/a", Some(b"1"))], true),
    ];
    for (records, kept) in table {
        let mount = Mount::new();
        mount.change(&[("config/a", Some(b"1")), ("config/deep/b", Some(b"1"))]);
        mount.keep(&mut mount.begin(), &["config/"]);
        assert!(mount.is_kept());
        mount.change(records);
        assert_eq!(mount.is_kept(), kept, "after {records:?}");
    }
}

#[test]
fn what_depends_on_an_empty_folder_is_forgotten_with_its_first_record() {
    let mount = Mount::new();
    mount.keep(&mut mount.begin(), &["config/"]);
    assert!(mount.is_kept());
    mount.change(&[("config/a", Some(b"1"))]);
    assert!(!mount.is_kept());
}

#[test]
fn a_folder_with_too_many_records_is_not_watched_and_its_value_not_kept() {
    let mount = Mount::new();
    let names: Vec<String> = (0..=FOLDER_RECORDS_MAX).map(|n| format!("config/{n}")).collect();
    let records: Vec<(&str, Option<&[u8]>)> = names.iter().map(|name| (name.as_str(), Some(&b"1"[..]))).collect();
    mount.change(&records[1..]);
    mount.keep(&mut mount.begin(), &["config/"]);
    assert!(mount.is_kept());
    mount.change(&records[..1]);
    mount.keep(&mut mount.begin(), &["config/"]);
    assert!(!mount.is_kept());
}

#[test]
fn what_depends_on_a_record_is_forgotten_when_it_changes() {
    let mount = Mount::new();
    mount.change(&[("a", Some(b"1"))]);
    mount.keep(&mut mount.begin(), &["a", "none"]);
    assert!(mount.is_kept());
    mount.change(&[("b", Some(b"1"))]);
    assert!(mount.is_kept());
    mount.change(&[("none", Some(b"1"))]);
    assert!(!mount.is_kept());
}

#[test]
fn what_depends_on_a_write_that_is_not_committed_is_not_kept() {
    let mount = Mount::new();
    for name in ["config/a", "config/"] {
        let mut tx = mount.begin();
        tx.put(&leaf("config/a"), b"1").expect("within limits");
        mount.keep(&mut tx, &[name]);
        // Another transaction with a write of its own must not take it for the same.
        let mut other = mount.begin();
        other.put(&leaf("config/a"), b"2").expect("within limits");
        assert!(mount.cache.get(&mut other, SPACE, "k", 0).is_none(), "{name}");
    }
}

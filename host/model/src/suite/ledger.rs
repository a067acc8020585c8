//! The rules of a ledger, each as a function over any [`Ledger`] that leads. Each keeps
//! to keys of its own, so they may share a ledger; a room's own faults (crashes, full
//! disks, lost leaders) are tested in that room.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use crate::change::{Change, RangeCheck, ReadCheck, Verdict, Version, Write, keys_digest};
use crate::limits::{CHANGE_BYTES_MAX, LEDGER_KEY_BYTES_MAX, LEDGER_VALUE_BYTES_MAX};
use crate::seam::ledger::{Ledger, LedgerError, View};

/// Every rule of this suite, one after the other, on one ledger.
pub async fn all(ledger: Arc<dyn Ledger>) {
    what_was_put_is_read_back_until_deleted(&ledger).await;
    the_writes_of_a_change_apply_in_order(&ledger).await;
    versions_grow_and_tell_which_change_wrote(&ledger).await;
    an_empty_value_is_a_record(&ledger).await;
    a_view_does_not_see_later_changes(&ledger).await;
    keys_come_in_byte_order_within_their_stretch(&ledger).await;
    a_read_that_no_longer_holds_is_a_conflict(&ledger).await;
    a_read_of_nothing_conflicts_with_a_new_record(&ledger).await;
    a_record_written_anew_is_another_version(&ledger).await;
    a_phantom_in_a_listed_stretch_is_a_conflict(&ledger).await;
    a_key_gone_from_a_listed_stretch_is_a_conflict(&ledger).await;
    a_range_check_looks_no_further_than_its_limit(&ledger).await;
    a_conflict_writes_nothing(&ledger).await;
    a_change_that_only_checks_can_commit(&ledger).await;
    what_is_over_a_limit_is_refused_before_it_is_written(&ledger).await;
    what_is_just_within_the_limits_is_taken(&ledger).await;
    of_many_changes_over_one_version_one_commits(&ledger).await;
    what_was_acknowledged_shows_after_linearizable(&ledger).await;
}

/// A put shows, an overwrite replaces it, a delete removes it, twice does no harm.
pub async fn what_was_put_is_read_back_until_deleted(ledger: &Arc<dyn Ledger>) {
    let key = b"suite/basic/a".to_vec();
    assert_eq!(read(ledger, &key), None, "nothing was written yet");
    put(ledger, &key, b"one").await;
    assert_eq!(read(ledger, &key), Some(b"one".to_vec()));
    put(ledger, &key, b"two").await;
    assert_eq!(read(ledger, &key), Some(b"two".to_vec()));
    for _ in 0..2 {
        committed(ledger, writes([(key.clone(), None)])).await;
        assert_eq!(read(ledger, &key), None);
    }
}

/// Where a change writes a key twice, the later write stands.
pub async fn the_writes_of_a_change_apply_in_order(ledger: &Arc<dyn Ledger>) {
    let (a, b) = (b"suite/order/a".to_vec(), b"suite/order/b".to_vec());
    let change = writes([
        (a.clone(), Some(b"first".to_vec())),
        (a.clone(), Some(b"second".to_vec())),
        (b.clone(), Some(b"first".to_vec())),
        (b.clone(), None),
    ]);
    committed(ledger, change).await;
    assert_eq!(read(ledger, &a), Some(b"second".to_vec()));
    assert_eq!(read(ledger, &b), None);
}

/// A record's version is the index its change was committed at.
pub async fn versions_grow_and_tell_which_change_wrote(ledger: &Arc<dyn Ledger>) {
    let (a, b) = (b"suite/version/a".to_vec(), b"suite/version/b".to_vec());
    let first = committed(ledger, writes([(a.clone(), Some(vec![1])), (b.clone(), Some(vec![1]))])).await;
    assert_eq!((version(ledger, &a), version(ledger, &b)), (Some(first), Some(first)));
    let second = committed(ledger, writes([(a.clone(), Some(vec![1]))])).await;
    assert!(second > first, "a later change has a later version");
    assert_eq!((version(ledger, &a), version(ledger, &b)), (Some(second), Some(first)));
    assert!(ledger.standing().applied_index >= second);
}

/// No value and a value of no bytes are different things.
pub async fn an_empty_value_is_a_record(ledger: &Arc<dyn Ledger>) {
    let key = b"suite/empty".to_vec();
    put(ledger, &key, b"").await;
    assert_eq!(read(ledger, &key), Some(Vec::new()));
    assert_eq!(keys(ledger, b"suite/empty", b"suite/emptz", 10), [key]);
}

/// A snapshot stays as it was, for reads and for listings.
pub async fn a_view_does_not_see_later_changes(ledger: &Arc<dyn Ledger>) {
    let key = |name: &str| format!("suite/snapshot/{name}").into_bytes();
    put(ledger, &key("changed"), b"old").await;
    put(ledger, &key("removed"), b"old").await;
    let view = view(ledger);
    let change = writes([
        (key("changed"), Some(b"new".to_vec())),
        (key("removed"), None),
        (key("added"), Some(b"new".to_vec())),
    ]);
    committed(ledger, change).await;
    let old = |name| view.get(&key(name)).expect("a read succeeds").map(|found| found.bytes);
    assert_eq!(old("changed"), Some(b"old".to_vec()));
    assert_eq!(old("removed"), Some(b"old".to_vec()));
    assert_eq!(old("added"), None);
    let listed = view.keys(b"suite/snapshot/", b"suite/snapshot0", 10).expect("a walk succeeds");
    assert_eq!(listed, [key("changed"), key("removed")]);
    assert_eq!(keys(ledger, b"suite/snapshot/", b"suite/snapshot0", 10), [key("added"), key("changed")]);
}

/// From the first key, inclusive, to the end, exclusive, and no more than asked for.
pub async fn keys_come_in_byte_order_within_their_stretch(ledger: &Arc<dyn Ledger>) {
    let key = |tail: &[u8]| [b"suite/keys/".as_slice(), tail].concat();
    let tails: [&[u8]; 6] = [&[0xff], &[0], &[], &[0, 0], &[0x7f], &[0x80, 1]];
    committed(ledger, writes(tails.map(|tail| (key(tail), Some(vec![1]))))).await;
    let sorted = [key(&[]), key(&[0]), key(&[0, 0]), key(&[0x7f]), key(&[0x80, 1]), key(&[0xff])];
    assert_eq!(keys(ledger, &key(&[]), b"suite/keys0", 100), sorted);
    assert_eq!(keys(ledger, &key(&[]), b"suite/keys0", 2), sorted[..2]);
    assert_eq!(keys(ledger, &key(&[0, 0]), &key(&[0x80, 1]), 100), sorted[2..4]);
    assert!(keys(ledger, &key(&[]), b"suite/keys0", 0).is_empty());
    assert!(keys(ledger, &key(&[1]), &key(&[1]), 9).is_empty(), "an empty stretch has no keys");
    assert!(keys(ledger, &key(&[2]), &key(&[1]), 9).is_empty(), "nor has one that ends before it starts");
}

/// Optimistic concurrency: a change over a version that has passed does not commit.
pub async fn a_read_that_no_longer_holds_is_a_conflict(ledger: &Arc<dyn Ledger>) {
    let key = b"suite/read/a".to_vec();
    put(ledger, &key, b"one").await;
    let seen = version(ledger, &key);
    let change = over_read(&key, seen, writes([(key.clone(), Some(b"two".to_vec()))]));
    committed(ledger, change.clone()).await;
    assert_eq!(propose(ledger, change).await, Verdict::Conflict);
    let seen = version(ledger, &key);
    committed(ledger, writes([(key.clone(), None)])).await;
    assert_eq!(propose(ledger, over_read(&key, seen, Change::default())).await, Verdict::Conflict);
}

/// "It was not there" is a read as well.
pub async fn a_read_of_nothing_conflicts_with_a_new_record(ledger: &Arc<dyn Ledger>) {
    let key = b"suite/absent/a".to_vec();
    let change = over_read(&key, None, writes([(key.clone(), Some(b"mine".to_vec()))]));
    committed(ledger, change.clone()).await;
    assert_eq!(propose(ledger, change).await, Verdict::Conflict);
}

/// Same bytes, deleted and put again, are another version: no ABA.
pub async fn a_record_written_anew_is_another_version(ledger: &Arc<dyn Ledger>) {
    let key = b"suite/aba".to_vec();
    put(ledger, &key, b"same").await;
    let seen = version(ledger, &key);
    committed(ledger, writes([(key.clone(), None)])).await;
    put(ledger, &key, b"same").await;
    assert_eq!(propose(ledger, over_read(&key, seen, Change::default())).await, Verdict::Conflict);
}

/// A key that appears where a change has listed makes it a conflict.
pub async fn a_phantom_in_a_listed_stretch_is_a_conflict(ledger: &Arc<dyn Ledger>) {
    let stretch = Stretch::of("suite/phantom/");
    put(ledger, &stretch.key("b"), b"").await;
    let check = stretch.check(ledger, 100);
    put(ledger, &stretch.key("b"), b"another value, same keys").await;
    committed(ledger, over_range(check.clone())).await;
    put(ledger, &stretch.key("a"), b"").await;
    assert_eq!(propose(ledger, over_range(check)).await, Verdict::Conflict);
    let nothing = Stretch::of("suite/phantom-in-nothing/");
    let check = nothing.check(ledger, 100);
    committed(ledger, over_range(check.clone())).await;
    put(ledger, &nothing.key("a"), b"").await;
    assert_eq!(propose(ledger, over_range(check)).await, Verdict::Conflict);
}

/// As is a key that has gone.
pub async fn a_key_gone_from_a_listed_stretch_is_a_conflict(ledger: &Arc<dyn Ledger>) {
    let stretch = Stretch::of("suite/gone/");
    put(ledger, &stretch.key("a"), b"").await;
    put(ledger, &stretch.key("b"), b"").await;
    let check = stretch.check(ledger, 100);
    committed(ledger, writes([(stretch.key("a"), None)])).await;
    assert_eq!(propose(ledger, over_range(check)).await, Verdict::Conflict);
}

/// A walk that stopped at its limit does not care what comes behind.
pub async fn a_range_check_looks_no_further_than_its_limit(ledger: &Arc<dyn Ledger>) {
    let stretch = Stretch::of("suite/limit/");
    for name in ["b", "d", "f"] {
        put(ledger, &stretch.key(name), b"").await;
    }
    let check = stretch.check(ledger, 2);
    put(ledger, &stretch.key("e"), b"").await;
    committed(ledger, over_range(check.clone())).await;
    put(ledger, &stretch.key("c"), b"").await;
    assert_eq!(propose(ledger, over_range(check)).await, Verdict::Conflict);
}

/// All or nothing.
pub async fn a_conflict_writes_nothing(ledger: &Arc<dyn Ledger>) {
    let key = |name: &str| format!("suite/nothing/{name}").into_bytes();
    put(ledger, &key("kept"), b"kept").await;
    let change = writes([(key("kept"), None), (key("new"), Some(b"new".to_vec()))]);
    assert_eq!(propose(ledger, over_read(&key("kept"), None, change)).await, Verdict::Conflict);
    assert_eq!(read(ledger, &key("kept")), Some(b"kept".to_vec()));
    assert_eq!(read(ledger, &key("new")), None);
}

/// A change without writes is a question whether its reads still hold.
pub async fn a_change_that_only_checks_can_commit(ledger: &Arc<dyn Ledger>) {
    let key = b"suite/check".to_vec();
    put(ledger, &key, b"").await;
    let seen = version(ledger, &key);
    committed(ledger, over_read(&key, seen, Change::default())).await;
    assert_eq!(version(ledger, &key), seen);
    committed(ledger, Change::default()).await;
}

/// Too large a key, value or change is the caller's error, not the replicas' crash.
pub async fn what_is_over_a_limit_is_refused_before_it_is_written(ledger: &Arc<dyn Ledger>) {
    let small = b"suite/over/small".to_vec();
    let mut long_key = b"suite/over/long".to_vec();
    long_key.resize(LEDGER_KEY_BYTES_MAX + 1, b'x');
    let million = LEDGER_VALUE_BYTES_MAX;
    let many =
        (0..=CHANGE_BYTES_MAX / million).map(|n| (format!("suite/over/{n}").into_bytes(), Some(vec![0; million])));
    let offers = [
        writes([(small.clone(), Some(vec![1])), (long_key, Some(vec![1]))]),
        writes([(small.clone(), Some(vec![1])), (b"suite/over/v".to_vec(), Some(vec![0; million + 1]))]),
        writes(many.chain([(small.clone(), Some(vec![1]))])),
    ];
    for offer in offers {
        let answer = ledger.propose(offer).await;
        assert!(matches!(answer, Err(LedgerError::TooLarge { .. })), "{answer:?}");
        assert_eq!(read(ledger, &small), None, "nothing of a refused change is written");
    }
}

/// The limits themselves are allowed.
pub async fn what_is_just_within_the_limits_is_taken(ledger: &Arc<dyn Ledger>) {
    let mut key = b"suite/within/".to_vec();
    key.resize(LEDGER_KEY_BYTES_MAX, 0xff);
    let value = vec![0xa5; LEDGER_VALUE_BYTES_MAX];
    put(ledger, &key, &value).await;
    assert_eq!(read(ledger, &key), Some(value));
    assert_eq!(keys(ledger, b"suite/within/", b"suite/within0", 2), std::slice::from_ref(&key));
    committed(ledger, writes([(key, None)])).await;
}

/// Proposals in flight together are checked one after the other.
pub async fn of_many_changes_over_one_version_one_commits(ledger: &Arc<dyn Ledger>) {
    let key = b"suite/race".to_vec();
    for round in 0..4u8 {
        let seen = version(ledger, &key);
        let offers = (0..32u8).map(|n| over_read(&key, seen, writes([(key.clone(), Some(vec![round, n]))])));
        let verdicts = together(offers.map(|offer| ledger.propose(offer)).collect()).await;
        let verdicts: Vec<Verdict> = verdicts.into_iter().map(|v| v.expect("a proposal is answered")).collect();
        let winners: Vec<usize> = (0..32).filter(|n| verdicts[*n] != Verdict::Conflict).collect();
        let [winner] = winners[..] else { panic!("one change commits, not {winners:?}") };
        let winner_byte = u8::try_from(winner).expect("there are 32");
        assert_eq!(read(ledger, &key), Some(vec![round, winner_byte]));
        assert_eq!(version(ledger, &key).map(Verdict::Committed), Some(verdicts[winner]));
    }
}

/// An acknowledged write is seen by every view taken after [`Ledger::linearizable`].
pub async fn what_was_acknowledged_shows_after_linearizable(ledger: &Arc<dyn Ledger>) {
    let key = b"suite/linear".to_vec();
    for n in 0..10u8 {
        put(ledger, &key, &[n]).await;
        ledger.linearizable().await.expect("a leader can say it leads");
        assert_eq!(read(ledger, &key), Some(vec![n]));
    }
    assert!(ledger.standing().leader);
}

/// Keys below a prefix that ends in a slash.
struct Stretch(&'static str);

impl Stretch {
    fn of(prefix: &'static str) -> Self {
        assert!(prefix.ends_with('/'), "the end of the stretch is the prefix with its slash counted up");
        Self(prefix)
    }

    fn key(&self, name: &str) -> Vec<u8> {
        [self.0, name].concat().into_bytes()
    }

    /// What a listing of the stretch as it is now would have recorded.
    fn check(&self, ledger: &Arc<dyn Ledger>, limit: u32) -> RangeCheck {
        let from = self.0.as_bytes().to_vec();
        let end = [&from[..from.len() - 1], b"0"].concat();
        let found = keys(ledger, &from, &end, limit);
        RangeCheck { digest: keys_digest(found.iter().map(Vec::as_slice)), from, end, limit }
    }
}

fn view(ledger: &Arc<dyn Ledger>) -> Arc<dyn View> {
    ledger.view().expect("a ledger gives views")
}

fn read(ledger: &Arc<dyn Ledger>, key: &[u8]) -> Option<Vec<u8>> {
    view(ledger).get(key).expect("a read succeeds").map(|found| found.bytes)
}

fn version(ledger: &Arc<dyn Ledger>, key: &[u8]) -> Option<Version> {
    view(ledger).get(key).expect("a read succeeds").map(|found| found.version)
}

fn keys(ledger: &Arc<dyn Ledger>, from: &[u8], end: &[u8], limit: u32) -> Vec<Vec<u8>> {
    view(ledger).keys(from, end, limit).expect("a walk succeeds")
}

fn writes(pairs: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Change {
    let writes = pairs.into_iter().map(|(key, value)| Write { key, value }).collect();
    Change { writes, ..Change::default() }
}

fn over_read(key: &[u8], version: Option<Version>, change: Change) -> Change {
    Change { reads: vec![ReadCheck { key: key.to_vec(), version }], ..change }
}

fn over_range(check: RangeCheck) -> Change {
    Change { ranges: vec![check], ..Change::default() }
}

async fn propose(ledger: &Arc<dyn Ledger>, change: Change) -> Verdict {
    ledger.propose(change).await.expect("a proposal is answered")
}

async fn committed(ledger: &Arc<dyn Ledger>, change: Change) -> Version {
    match propose(ledger, change).await {
        Verdict::Committed(version) => version,
        Verdict::Conflict => panic!("a change whose checks hold commits"),
    }
}

async fn put(ledger: &Arc<dyn Ledger>, key: &[u8], value: &[u8]) {
    committed(ledger, writes([(key.to_vec(), Some(value.to_vec()))])).await;
}

/// Waits for all of these at once. Here because this room has no async runtime.
async fn together<T>(mut waiting: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, slot) in waiting.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

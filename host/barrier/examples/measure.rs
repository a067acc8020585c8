//! What the barrier costs, in microseconds of one thread's CPU time. Run it with
//! `cargo run --release -p bulkhead-barrier --example measure`; Linux only.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bulkhead_barrier::{Barrier, Folder, Key, SealConfig, SpaceId, seal};
use bulkhead_model::change::Change;
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::seam::ledger::Ledger;

const ROUNDS: u32 = 15_000;
const SPACE: SpaceId = SpaceId([7; 16]);

fn main() {
    let entropy = FakeEntropy::seeded(1);
    let ledger = FakeLedger::new();
    let config = SealConfig::new(1, 1).expect("one of one is a split");
    let initialised = seal::init(seal::Sealing::Fresh(config), 0, &entropy);
    commit(&ledger, initialised.change);
    let barrier = initialised.barrier;
    fill(&ledger, &barrier, &entropy);

    let known = Key::leaf(SPACE, "metadata/team/app-17").expect("a key");
    let opaque = Key::opaque(SPACE, &[17; 32]).expect("a key");
    let view = ledger.view().expect("memory has views");

    per_call("begin, drop", || drop(barrier.begin(Arc::clone(&view))));
    let mut tx = barrier.begin(Arc::clone(&view));
    per_call("get, folder known, 200 bytes", || tx.get_untracked(&known).map(drop).expect("a read"));
    let mut tx = barrier.begin(Arc::clone(&view));
    per_call("get, opaque, 200 bytes", || tx.get_untracked(&opaque).map(drop).expect("a read"));
    let mut tx = barrier.begin(Arc::clone(&view));
    per_call("version, folder known", || tx.version_untracked(&known).map(drop).expect("a read"));
    let mut tx = barrier.begin(Arc::clone(&view));
    let mut number = 0;
    per_call("get, 3 new segments", || {
        number += 1;
        let key = Key::leaf(SPACE, &format!("{number}/other/name")).expect("a key");
        tx.get_untracked(&key).map(drop).expect("a read");
    });
    per_call("begin + 6 tracked gets", || {
        let mut tx = barrier.begin(Arc::clone(&view));
        for _ in 0..6 {
            tx.get(&known).map(drop).expect("a read");
        }
    });
    per_call("begin + put + into_change, 200 bytes", || {
        let mut tx = barrier.begin(Arc::clone(&view));
        tx.put(&known, &[1; 200]).expect("a write");
        drop(tx.into_change(&entropy).expect("a change"));
    });
    per_call("view.get alone (FakeLedger)", || drop(view.get(b"nothing there").expect("a read")));
    let folder = Folder::new(SPACE, "metadata/team/").expect("a folder");
    per_call("list of 100 names", || {
        let mut tx = barrier.begin(Arc::clone(&view));
        assert_eq!(tx.list(&folder, None, 1000).expect("a listing").keys.len(), 100);
    });
}

fn fill(ledger: &FakeLedger, barrier: &Barrier, entropy: &FakeEntropy) {
    for batch in 0..100u8 {
        let mut tx = barrier.begin(ledger.view().expect("memory has views"));
        for n in 0..100u8 {
            tx.put(&Key::opaque(SPACE, &[batch, n]).expect("a key"), &[n; 200]).expect("a write");
        }
        let name = format!("metadata/team/app-{batch}");
        tx.put(&Key::leaf(SPACE, &name).expect("a key"), &[batch; 200]).expect("a write");
        tx.put(&Key::opaque(SPACE, &[batch; 32]).expect("a key"), &[batch; 200]).expect("a write");
        commit(ledger, tx.into_change(entropy).expect("a change"));
    }
}

fn commit(ledger: &FakeLedger, change: Change) {
    let proposal = pin!(ledger.propose(change)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(proposal, Poll::Ready(Ok(_))), "memory commits at once");
}

fn per_call(what: &str, mut call: impl FnMut()) {
    let best = (0..5).map(|_| {
        let started_us = cpu_us();
        (0..ROUNDS).for_each(|_| call());
        (cpu_us() - started_us) / f64::from(ROUNDS)
    });
    println!("{:8.2} µs  {what}", best.fold(f64::MAX, f64::min));
}

/// CPU time of this thread: the machine may be busy with other things.
fn cpu_us() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let run_ns: f64 = schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("the first field is a number");
    run_ns / 1000.0
}

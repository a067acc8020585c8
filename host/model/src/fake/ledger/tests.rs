use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;

use super::FakeLedger;
use super::pages::{Pages, Record};
use crate::seam::ledger::View;
use crate::suite;

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = Box::pin(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

#[test]
fn the_ledger_in_memory_passes_the_suite_of_every_ledger() {
    block_on(suite::ledger::all(Arc::new(FakeLedger::new())));
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>),
    Remove(Vec<u8>),
    Snapshot,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..6, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![6 => key().prop_map(Step::Put), 3 => key().prop_map(Step::Remove), 1 => Just(Step::Snapshot)]
}

proptest! {
    #[test]
    fn pages_and_their_snapshots_are_what_a_map_would_be(
        steps in prop::collection::vec(step(), 0..900),
        from in key(), end in key(), limit in 0u32..40,
    ) {
        let mut pages = Pages::default();
        let mut model = BTreeMap::new();
        let mut snapshots = Vec::new();
        for (version, step) in steps.into_iter().enumerate() {
            let version = version as u64;
            match step {
                Step::Put(key) => {
                    pages.put(Record { key: key.clone(), version, bytes: vec![1] });
                    model.insert(key, version);
                }
                Step::Remove(key) => {
                    pages.remove(&key);
                    model.remove(&key);
                }
                Step::Snapshot => snapshots.push((pages.clone(), model.clone())),
            }
        }
        snapshots.push((pages, model));
        for (pages, model) in snapshots {
            let all: Vec<_> = pages.stretch(&[], &[9], u32::MAX).map(|r| (r.key.clone(), r.version)).collect();
            prop_assert_eq!(&all, &model.iter().map(|(k, v)| (k.clone(), *v)).collect::<Vec<_>>());
            let part = pages.keys(&from, &end, limit).expect("memory does not fail");
            let expected: Vec<_> =
                model.keys().filter(|k| **k >= from && **k < end).take(limit as usize).cloned().collect();
            prop_assert_eq!(part, expected);
            for (key, version) in &model {
                prop_assert_eq!(pages.find(key).map(|r| r.version), Some(*version));
            }
        }
    }
}

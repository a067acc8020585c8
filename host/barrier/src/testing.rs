//! What the tests of this room share: a ledger in memory, an open barrier over it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bulkhead_model::change::{Change, Verdict, Write};
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::ledger::{Ledger, View};

use crate::names::plain_key;
use crate::{Barrier, Key, SealConfig, SpaceId, Transaction, seal};

/// A mount's space.
pub(crate) const SPACE: SpaceId = SpaceId([0xa1; 16]);

/// An unsealed node over memory.
pub(crate) struct Node {
    pub(crate) ledger: FakeLedger,
    pub(crate) barrier: Barrier,
    pub(crate) shares: Vec<Hidden<Vec<u8>>>,
    pub(crate) entropy: FakeEntropy,
}

impl Node {
    pub(crate) fn new(shares: u64, threshold: u64) -> Self {
        let entropy = FakeEntropy::seeded(shares * 1000 + threshold);
        let ledger = FakeLedger::new();
        let config = SealConfig::new(shares, threshold).expect("a possible split");
        let initialised = seal::init(seal::Sealing::Fresh(config), 1_000, &entropy);
        assert!(matches!(propose(&ledger, initialised.change), Verdict::Committed(_)));
        Self { ledger, barrier: initialised.barrier, shares: initialised.shares, entropy }
    }

    pub(crate) fn view(&self) -> Arc<dyn View> {
        self.ledger.view().expect("memory has views")
    }

    pub(crate) fn begin(&self) -> Transaction {
        self.barrier.begin(self.view())
    }

    pub(crate) fn commit(&self, tx: Transaction) -> Verdict {
        propose(&self.ledger, tx.into_change(&self.entropy).expect("a change within limits"))
    }

    pub(crate) fn put(&self, path: &str, value: &[u8]) {
        let mut tx = self.begin();
        tx.put(&leaf(path), value).expect("a write within limits");
        assert!(matches!(self.commit(tx), Verdict::Committed(_)));
    }

    pub(crate) fn read(&self, path: &str) -> Option<Vec<u8>> {
        let found = self.begin().get(&leaf(path)).expect("a readable record");
        found.map(|value| value.expose().clone())
    }

    /// Every key in the ledger.
    pub(crate) fn ledger_keys(&self) -> Vec<Vec<u8>> {
        self.view().keys(&[], &[0xff; 20], u32::MAX).expect("memory does not fail")
    }

    pub(crate) fn raw(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.view().get(key).expect("memory does not fail").map(|found| found.bytes)
    }

    pub(crate) fn raw_plain(&self, name: &str) -> Vec<u8> {
        self.raw(&plain_key(name)).expect("the barrier's records are there")
    }

    /// Writes behind the barrier's back.
    pub(crate) fn tamper(&self, key: &[u8], value: Option<Vec<u8>>) {
        let writes = vec![Write { key: key.to_vec(), value }];
        propose(&self.ledger, Change { writes, ..Change::default() });
    }
}

pub(crate) fn leaf(path: &str) -> Key {
    Key::leaf(SPACE, path).expect("a key")
}

pub(crate) fn propose(ledger: &FakeLedger, change: Change) -> Verdict {
    match pin!(ledger.propose(change)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => verdict.expect("a change within limits"),
        Poll::Pending => panic!("memory answers at once"),
    }
}

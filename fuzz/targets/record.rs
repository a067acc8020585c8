//! What comes up from the ledger: records, names and the keyring. Whoever can write to
//! the disk may give the barrier any bytes; none but those it wrote itself may open.
#![no_main]

use std::sync::{Arc, LazyLock};

use bulkhead_barrier::{Barrier, Folder, Key, SealConfig, Sealing, SpaceId, seal};
use bulkhead_model::change::Change;
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::ledger::{LedgerError, Versioned, View};
use libfuzzer_sys::fuzz_target;

const SPACE: SpaceId = SpaceId([0xa1; 16]);
const PLAINTEXT: &[u8] = b"the value that was stored";

/// A node with one record, and what initialisation wrote.
struct Node {
    barrier: Barrier,
    share: Vec<u8>,
    initial: Change,
    key: Vec<u8>,
    record: Vec<u8>,
}

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let entropy = FakeEntropy::seeded(7);
    let initialised = seal::init(Sealing::Fresh(SealConfig::new(1, 1).expect("one share of one")), 1_000, &entropy);
    let mut writing = initialised.barrier.begin(Arc::new(Disk(Vec::new())));
    writing.put(&leaf(), PLAINTEXT).expect("a write within limits");
    let change = writing.into_change(&entropy).expect("a change within limits");
    let find = |write: &&bulkhead_model::change::Write| write.key.starts_with(&SPACE.0);
    let write = change.writes.iter().find(find).expect("the record is in its space");
    Node {
        share: initialised.shares[0].expose().clone(),
        barrier: initialised.barrier,
        initial: initialised.change,
        key: write.key.clone(),
        record: write.value.clone().expect("a put has a value"),
    }
});

/// A ledger that holds just this.
struct Disk(Vec<(Vec<u8>, Vec<u8>)>);

impl View for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, LedgerError> {
        let found = self.0.iter().find(|(name, _)| name == key);
        Ok(found.map(|(_, bytes)| Versioned { version: 1, bytes: bytes.clone() }))
    }

    fn keys(&self, from: &[u8], end: &[u8], limit: u32) -> Result<Vec<Vec<u8>>, LedgerError> {
        let within =
            self.0.iter().map(|(name, _)| name).filter(|name| name.as_slice() >= from && name.as_slice() < end);
        Ok(within.take(limit as usize).cloned().collect())
    }
}

fn leaf() -> Key {
    Key::leaf(SPACE, "app/db").expect("a good path")
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else { return };
    match mode % 4 {
        0 => value(bytes.to_vec()),
        1 => value(edited(&NODE.record, bytes)),
        2 => name(bytes),
        _ => keyring(bytes),
    }
});

fn value(bytes: Vec<u8>) {
    let written = bytes == NODE.record;
    let mut reading = NODE.barrier.begin(Arc::new(Disk(vec![(NODE.key.clone(), bytes)])));
    let read = reading.get(&leaf());
    let opened = matches!(&read, Ok(Some(value)) if value.expose() == PLAINTEXT);
    assert!(opened == written, "only the record that was written may open");
    assert!(written || read.is_err(), "a damaged record must be an error, not an absence");
}

fn name(bytes: &[u8]) {
    let mut key = NODE.key.clone();
    // Space and kind stay, so that the barrier looks at it at all.
    key.truncate(17);
    key.extend(edited(&NODE.key[17..], bytes));
    let mut reading = NODE.barrier.begin(Arc::new(Disk(vec![(key, NODE.record.clone())])));
    let Ok(page) = reading.list(&Folder::root(SPACE), None, 10) else { return };
    // A change below the folder leaves its name readable; no change makes another name.
    assert!(page.keys.iter().all(|name| name == "app/"), "a damaged name opened as {:?}", page.keys);
}

fn keyring(bytes: &[u8]) {
    let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for write in &NODE.initial.writes {
        records.push((write.key.clone(), write.value.clone().unwrap_or_default()));
    }
    let (Some((place, edit)), count) = (bytes.split_first(), records.len()) else { return };
    let record = &mut records[usize::from(*place) % count].1;
    let before = record.clone();
    *record = edited(&before, edit);
    let same = *record == before;
    let unsealed = Barrier::unseal(&Disk(records), &Hidden::new(NODE.share.clone()));
    // Only the seal's configuration is plain text, which has many spellings.
    assert!(unsealed.is_ok() || !same, "what was written no longer opens");
}

/// The original with bytes replaced, in pairs of place and value; the last odd byte
/// cuts it.
fn edited(original: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    let pairs = edits.chunks_exact(2);
    let cut = pairs.remainder().first().copied();
    for pair in pairs {
        let place = usize::from(pair[0]) % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= pair[1];
        }
    }
    if let Some(cut) = cut {
        bytes.truncate(usize::from(cut));
    }
    bytes
}

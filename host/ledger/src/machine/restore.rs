//! A snapshot's records on their way into the state. Until the end they lie apart, in
//! the same map, so that crashes and snapshots of the moment take them along; then a new
//! map is made of them, and takes the old one's place as a whole.
//!
//! All of them get the version of the entry that ends it: the versions they had belong to
//! another log, and might come up again in this one.

use bulkhead_model::seam::ledger::LedgerError;

use super::state::{Meta, State, map_key, meta_put, versioned};
use crate::codec::restore::RestoreId;
use crate::disk::{Disk, DiskView};

/// First byte of what lies apart; after the records.
const APART_PREFIX: u8 = 2;

/// Bytes of a batch while the new map is made.
const BATCH_BYTES: usize = 1024 * 1024;

/// Where a record lies until the end.
pub(super) fn apart_key(id: &RestoreId, key: &[u8]) -> Vec<u8> {
    let mut out = apart(id);
    out.extend_from_slice(key);
    out
}

fn apart(id: &RestoreId) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + id.len() + 64);
    out.push(APART_PREFIX);
    out.extend_from_slice(id);
    out
}

/// Whether so many records lie apart.
pub(super) fn is_whole(view: &DiskView, id: &RestoreId, records: u64) -> Result<bool, LedgerError> {
    let mut found = 0;
    for key in view.keys(&apart(id), &after(id)) {
        key?;
        found += 1;
    }
    Ok(found == records)
}

/// Makes the records that lie apart the state, at the index of this note. What there is at
/// the keys to keep stays, with its version.
pub(super) fn put_in_place(
    state: &State,
    view: &DiskView,
    (id, keep): (&RestoreId, &[Vec<u8>]),
    meta: &Meta,
) -> Result<(), LedgerError> {
    let index = meta.applied.map_or(0, |id| id.index);
    state.replace(Some(index), |disk| {
        fill(disk, view, (id, keep), meta)?;
        let mut batch = disk.batch(keep.len());
        for key in keep.iter().map(|key| map_key(key)) {
            if let Some(value) = view.get(&key)? {
                batch.put(key, value.to_vec());
            }
        }
        batch.commit()
    })
}

fn fill(disk: &Disk, view: &DiskView, (id, keep): (&RestoreId, &[Vec<u8>]), meta: &Meta) -> Result<(), LedgerError> {
    let index = meta.applied.map_or(0, |id| id.index);
    let (prefix, end) = (apart(id), after(id));
    let (mut batch, mut bytes) = (disk.batch(0), 0);
    for record in view.range(&prefix, &end) {
        let (key, value) = record?;
        let key = &key[prefix.len()..];
        if keep.iter().any(|kept| kept == key) {
            continue;
        }
        bytes += key.len() + value.len();
        batch.put(map_key(key), versioned(index, &value));
        if bytes >= BATCH_BYTES {
            batch.commit()?;
            (batch, bytes) = (disk.batch(0), 0);
        }
    }
    let (key, value) = meta_put(meta);
    batch.put(key, value);
    batch.commit()
}

/// Where what lies apart for this one ends.
fn after(id: &RestoreId) -> Vec<u8> {
    let mut end = apart(id);
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            break;
        }
        end.pop();
    }
    end
}

#[cfg(test)]
mod tests {
    use super::{after, apart, apart_key};

    #[test]
    fn what_lies_apart_is_between_its_bounds_and_nothing_else() {
        for id in [[0; 16], [7; 16], [u8::MAX; 16]] {
            let (from, end) = (apart(&id), after(&id));
            for key in [&b""[..], b"a", &[0xff; 40]] {
                let key = apart_key(&id, key);
                assert!(from <= key && key < end);
            }
            let mut next = id;
            next[15] = next[15].wrapping_add(1);
            assert!(!(from..end).contains(&apart_key(&next, b"")));
        }
    }
}

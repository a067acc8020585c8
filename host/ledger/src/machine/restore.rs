//! A snapshot's records on their way into the state. Until the end they lie apart, in
//! the same map, so that crashes and snapshots of the moment take them along; then a new
//! map is made of them, and takes the old one's place as a whole. Beside them lies which
//! restoring is under way: a step of another is refused.
//!
//! All of them get the version of the entry that ends it: the versions they had belong to
//! another log, and might come up again in this one.

use bulkhead_model::change::Verdict;
use bulkhead_model::seam::ledger::LedgerError;

use super::state::{Meta, State, map_key, meta_put, versioned};
use crate::codec::restore::{self, End, Form, RestoreId, Step};
use crate::disk::{Disk, DiskView};
use crate::raft::Answer;

/// First byte of what lies apart; after the records.
const APART_PREFIX: u8 = 2;

/// Where it is noted which restoring is under way: before all that lies apart.
pub(crate) const UNDER_WAY: [u8; 1] = [APART_PREFIX];

/// Bytes of a batch while the new map is made.
const BATCH_BYTES: usize = 1024 * 1024;

/// Records that are cleared at once.
const CLEARED_AT_ONCE: usize = 4096;

/// A step that takes more than a few writes. Such a one is a group by itself.
pub(super) enum Turn {
    Begin(RestoreId),
    End(Ending),
    Abandon(Option<RestoreId>),
}

/// What an entry that ends a restoring says of it.
pub(super) struct Ending {
    form: Form,
    id: RestoreId,
    records: u64,
    keep: Vec<Vec<u8>>,
    put: Vec<(Vec<u8>, Vec<u8>)>,
    alone: bool,
}

impl Turn {
    /// The turn that an entry's bytes are; `None`: they are something else.
    pub(super) fn of(payload: &[u8]) -> Option<Self> {
        let (form, step) = restore::decode(payload)?;
        Some(match step {
            Step::Begin { id } => Self::Begin(id),
            Step::Abandon { id } => Self::Abandon(id),
            Step::Records { .. } => return None,
            Step::End(End { id, records, keep, put, alone }) => {
                let keep = keep.into_iter().map(|key| key.0.to_vec()).collect();
                let put = put.into_iter().map(|(key, value)| (key.0.to_vec(), value.0.to_vec())).collect();
                Self::End(Ending { form, id, records, keep, put, alone })
            }
        })
    }

    /// What is answered to it, at this index: the same on every node.
    pub(super) fn judge(&self, view: &DiskView, meta: &Meta, index: u64) -> Result<Answer, LedgerError> {
        let done = Answer::Judged(Verdict::Committed(index));
        match self {
            Self::Begin(_) => Ok(done),
            Self::Abandon(id) => Ok(if under_way(view)? == *id { done } else { Answer::Judged(Verdict::Conflict) }),
            Self::End(ending) => ending.judge(view, meta).map(|refused| refused.unwrap_or(done)),
        }
    }
}

impl Ending {
    /// Why it does not count; `None`: it does.
    fn judge(&self, view: &DiskView, meta: &Meta) -> Result<Option<Answer>, LedgerError> {
        let whole = is_whole(view, &self.id, self.records)?;
        if self.form == Form::Unbegun {
            return Ok((!whole).then_some(Answer::Refused));
        }
        if under_way(view)? != Some(self.id) {
            return Ok(Some(Answer::Judged(Verdict::Conflict)));
        }
        if self.alone && meta.membership.membership().nodes().count() > 1 {
            return Ok(Some(Answer::NotAlone));
        }
        Ok((!whole).then_some(Answer::NotWhole))
    }
}

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

/// Which restoring is under way.
fn under_way(view: &DiskView) -> Result<Option<RestoreId>, LedgerError> {
    view.get(&UNDER_WAY)?.map(|id| id_of(&id)).transpose()
}

/// The restoring that is noted to be under way.
pub(crate) fn id_of(noted: &[u8]) -> Result<RestoreId, LedgerError> {
    noted.try_into().map_err(|_| LedgerError::Damaged { what: "the state: what is being restored".to_owned() })
}

/// Whether anything lies apart, or is noted to.
pub(crate) fn lies_apart(view: &DiskView) -> Result<bool, LedgerError> {
    view.keys(&UNDER_WAY, &[APART_PREFIX + 1]).next().transpose().map(|found| found.is_some())
}

/// Whether so many records lie apart.
fn is_whole(view: &DiskView, id: &RestoreId, records: u64) -> Result<bool, LedgerError> {
    let mut found = 0;
    for key in view.keys(&apart(id), &after(id)) {
        key?;
        found += 1;
    }
    Ok(found == records)
}

/// Clears whatever lies apart, but for the note of what is under way: that one goes, or is
/// replaced, together with the machine's note, so that this step is judged the same way where
/// a crash has it done again.
pub(super) fn clear(disk: &Disk, view: &DiskView) -> Result<(), LedgerError> {
    let mut keys =
        view.keys(&UNDER_WAY, &[APART_PREFIX + 1]).filter(|key| !matches!(key, Ok(key) if **key == UNDER_WAY));
    loop {
        let some = keys.by_ref().take(CLEARED_AT_ONCE).collect::<Result<Vec<_>, _>>()?;
        if some.is_empty() {
            return Ok(());
        }
        let mut batch = disk.batch(some.len());
        some.into_iter().for_each(|key| batch.remove(key));
        batch.commit()?;
    }
}

/// Makes the records that lie apart the state, at the index of this note. What there is at
/// the keys to keep stays, with its version.
pub(super) fn put_in_place(state: &State, view: &DiskView, ending: &Ending, meta: &Meta) -> Result<(), LedgerError> {
    let index = meta.applied.map_or(0, |id| id.index);
    state.replace(Some(index), |disk| {
        fill(disk, view, ending, meta)?;
        let mut batch = disk.batch(ending.keep.len() + ending.put.len());
        for key in ending.keep.iter().filter(|key| !ending.puts(key)).map(|key| map_key(key)) {
            if let Some(value) = view.get(&key)? {
                batch.put(key, value.to_vec());
            }
        }
        for (key, value) in &ending.put {
            batch.put(map_key(key), versioned(index, value));
        }
        batch.commit()
    })
}

impl Ending {
    fn puts(&self, key: &[u8]) -> bool {
        self.put.iter().any(|(put, _)| put == key)
    }

    /// Whether what the snapshot has at this key does not count.
    fn has_own(&self, key: &[u8]) -> bool {
        self.puts(key) || self.keep.iter().any(|kept| kept == key)
    }
}

fn fill(disk: &Disk, view: &DiskView, ending: &Ending, meta: &Meta) -> Result<(), LedgerError> {
    let index = meta.applied.map_or(0, |id| id.index);
    let (prefix, end) = (apart(&ending.id), after(&ending.id));
    let (mut batch, mut bytes) = (disk.batch(0), 0);
    for record in view.range(&prefix, &end) {
        let (key, value) = record?;
        let key = &key[prefix.len()..];
        if ending.has_own(key) {
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
    use super::{UNDER_WAY, after, apart, apart_key};

    #[test]
    fn what_lies_apart_is_between_its_bounds_and_nothing_else() {
        for id in [[0; 16], [7; 16], [u8::MAX; 16]] {
            let (from, end) = (apart(&id), after(&id));
            for key in [&b""[..], b"a", &[0xff; 40]] {
                let key = apart_key(&id, key);
                assert!(from <= key && key < end);
                assert!(UNDER_WAY[..] < key[..]);
            }
            let mut next = id;
            next[15] = next[15].wrapping_add(1);
            assert!(!(from..end).contains(&apart_key(&next, b"")));
        }
    }
}

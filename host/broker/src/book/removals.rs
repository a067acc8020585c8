//! Removals that are too large for one change. From its first change on, a removal stands
//! in the due index with all that it takes to go on, so that whoever looks there next can:
//! the request that began it, or the scheduler after that request is gone.

use bulkhead_barrier::{StoreError, Transaction};
use serde::{Deserialize, Serialize};

use super::leases::{self, Due};
use super::tokens::TokenHash;
use super::{jobs, space};

/// Kind byte of a removal in the due index.
pub(crate) const DUE_REMOVAL: u8 = b'r';

/// Things (tokens, leases, names in a cubbyhole) that are removed at once, in the change
/// of the request that asks for it. Source: ours. Why: more would keep a commit busy for
/// longer than others should wait for it.
const AT_ONCE_MAX: usize = 500;
/// Things removed in one slice of a large removal. Source: ours. Why: as above; a slice
/// waits for the disk, so that many small ones would take long.
const SLICE_MAX: usize = 1_000;
/// The least that a slice is made smaller to where others change the same things.
const SLICE_MIN: usize = 8;
/// Bytes of records that one slice rewrites. Source: ours. Why: far enough below the
/// largest change that a record of the largest size still fits.
const SLICE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What is being removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum What {
    /// All that is left of a token that was ended, and all tokens below it.
    Tree { root: TokenHash, parent: Option<TokenHash> },
    /// The ties between an ended token and its children, who live on, and what else is
    /// left of the token.
    Orphans { parent: TokenHash },
    /// The leases below a prefix, behind the one named `after`; where a mount is given,
    /// those of this mount.
    Leases { prefix: String, after: Option<String>, of: Option<[u8; 16]>, end: LeaseEnd },
    /// The leases of a mount, then the mount.
    Mount { space: [u8; 16] },
    /// The tokens and mounts of a namespace, then the namespace.
    Namespace { id: String },
}

/// How leases are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LeaseEnd {
    /// They fall due, and their guests revoke.
    FallDue,
    /// They are struck from the book, and nobody is asked.
    Forgotten,
}

/// A removal that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RemovalRecord {
    pub what: What,
    /// Slices that failed in a row.
    pub failures: u32,
    /// Of a mount: all leases up to this one were tried.
    pub tried: Option<String>,
    /// Of an auth method or a namespace: how far its tokens are ended.
    pub tokens: TokensEnded,
    /// Of a mount: whoever disabled it did so without its plugin, so that its leases are given
    /// up where nobody can revoke them.
    pub without_plugin: bool,
}

impl RemovalRecord {
    /// One that is at its beginning.
    pub(crate) fn new(what: What) -> Self {
        Self { what, failures: 0, tried: None, tokens: TokensEnded::None, without_plugin: false }
    }
}

/// How far the tokens of an auth method are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TokensEnded {
    None,
    UpTo(TokenHash),
    All,
}

/// Puts a removal on record. It begins with the commit of this transaction.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn begin(tx: &mut Transaction, now_ms: u64, what: What) -> Result<Due, StoreError> {
    let id = match &what {
        What::Tree { root: id, .. } | What::Orphans { parent: id } => *id,
        What::Leases { prefix, .. } => leases::digest(prefix),
        What::Namespace { id } => leases::digest(&format!("namespace {id}")),
        What::Mount { space } => {
            let mut id = [0; 32];
            id[..16].copy_from_slice(space);
            id
        }
    };
    let due = Due { at_ms: now_ms, kind: DUE_REMOVAL, id };
    save(tx, &due, &RemovalRecord::new(what))?;
    Ok(due)
}

/// Writes how far a removal is.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save(tx: &mut Transaction, due: &Due, record: &RemovalRecord) -> Result<(), StoreError> {
    let bytes = postcard::to_stdvec(record).expect("a removal is plain data");
    tx.put(&leases::due_key(due.at_ms, due.kind, &due.id), &bytes)
}

/// The removal at this place of the due index; none: it is done, or was moved.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn at(tx: &mut Transaction, due: &Due) -> Result<Option<RemovalRecord>, StoreError> {
    let Some(bytes) = tx.get(&leases::due_key(due.at_ms, due.kind, &due.id))? else { return Ok(None) };
    decoded(bytes.expose()).map(Some)
}

/// Fields of a removal that its first version did not have.
const FIELDS_ADDED: usize = 3;

fn decoded(bytes: &[u8]) -> Result<RemovalRecord, StoreError> {
    // Those of earlier versions lack fields at the end; a zero for each says that there is
    // nothing.
    let mut bytes = bytes.to_vec();
    for _ in 0..=FIELDS_ADDED {
        if let Ok(found) = postcard::from_bytes(&bytes) {
            return Ok(found);
        }
        bytes.push(0);
    }
    Err(super::damaged(space::DUE, "a removal"))
}

/// Moves a removal in the due index: behind what became due before this time.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn put_off(tx: &mut Transaction, due: &Due, at_ms: u64, failures: u32) -> Result<(), StoreError> {
    let Some(record) = at(tx, due)? else { return Ok(()) };
    jobs::forget(tx, due)?;
    save(tx, &Due { at_ms, ..*due }, &RemovalRecord { failures, ..record })
}

/// How much one change may still remove.
pub(crate) struct Slice {
    things_max: usize,
    things: usize,
    bytes: usize,
    contended: bool,
}

impl Slice {
    /// What a request removes in its own change. `contended`: it was tried before, and met
    /// a conflict.
    pub(crate) fn at_once(contended: bool) -> Self {
        Self::of(AT_ONCE_MAX, contended)
    }

    fn of(things_max: usize, contended: bool) -> Self {
        Self { things_max, things: 0, bytes: 0, contended }
    }

    /// Takes room for so many bytes to be written for one more thing; says whether there was
    /// room. In an empty slice there always is.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let (things, bytes) = (self.things + 1, self.bytes + bytes);
        let fits = self.things == 0 || (things <= self.things_max && bytes <= SLICE_BYTES_MAX);
        if fits {
            (self.things, self.bytes) = (things, bytes);
        }
        fits
    }

    /// Whether something more may fit.
    pub(crate) fn has_room(&self) -> bool {
        self.things < self.things_max && self.bytes < SLICE_BYTES_MAX
    }

    /// Things that fit into an empty slice of this size.
    pub(crate) fn things_max(&self) -> usize {
        self.things_max
    }

    /// Whether others change the same things just now. What is removed must then not be
    /// bound to what is seen: whoever is to lose a token must not be able to keep it by
    /// making others from it all the time.
    pub(crate) fn is_contended(&self) -> bool {
        self.contended
    }
}

/// The size of a removal's next slice: half after each conflict, so that those who change
/// the same things cannot hold it up for ever; then larger again.
pub(crate) struct Pace {
    things_max: usize,
    contended: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { things_max: SLICE_MAX, contended: false }
    }
}

impl Pace {
    pub(crate) fn slice(&self) -> Slice {
        Slice::of(self.things_max, self.contended)
    }

    pub(crate) fn committed(&mut self) {
        *self = Self { things_max: (self.things_max * 2).min(SLICE_MAX), contended: false };
    }

    pub(crate) fn met_conflict(&mut self) {
        self.contended = true;
        self.reduce();
    }

    /// Makes the next slice smaller; says whether that was possible.
    pub(crate) fn reduce(&mut self) -> bool {
        let before = self.things_max;
        self.things_max = (before / 2).max(SLICE_MIN);
        self.things_max < before
    }
}

#[cfg(test)]
mod tests;

//! Ends tokens with all below them, as far as one change goes. A token that is ended has
//! no record any more, so nobody can use it, and whoever makes a child of it meanwhile has
//! read that record and meets a conflict. What could not go in the same change (children,
//! leases, its cubbyhole) keeps its place below the ended token, and that one its tie to
//! its parent: all that is left can be reached from the root, whose removal stands in the
//! due index until nothing is.
//!
//! A token that goes whole in one change binds that change to its having no other children.
//! Where that met a conflict, all that are seen are ended first, which is bound to nothing.
//! Whom they made until then makes no children any more, as [`is_below_ended`] tells, so
//! that the next change finds nobody in its way.

use std::collections::VecDeque;

use bulkhead_barrier::{StoreError, Transaction};

use super::{Salt, TokenHash, TokenRecord, children, children_untracked, get, get_untracked, key, strike, tie, untie};
use crate::book::Cubby;
use crate::book::leases::{self, Due, LeaseRecord};
use crate::book::removals::{self, Slice, What};

/// Children, leases or names read at once. Source: ours. Why: on a long way down a page of
/// each level is in memory.
const PAGE: u32 = 64;
/// Tokens looked at in one change while all that are seen are ended. Source: ours. Why: most
/// may have ended before, and looking at them is work as well.
const SEEN_MAX: usize = 20_000;
/// Bytes that are written where a child is tied to another token, roughly.
const TIE_BYTES: usize = 256;

/// Ends a token with all below it. Where that is too much for one change, the token is
/// ended, and the rest goes on as the removal whose place this gives back.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn end(
    tx: &mut Transaction,
    salt: &Salt,
    root: &TokenHash,
    now_ms: u64,
    mut slice: Slice,
) -> Result<Option<Due>, StoreError> {
    end_within(tx, salt, root, now_ms, &mut slice)
}

/// As [`end`], for one of many that share a slice.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn end_within(
    tx: &mut Transaction,
    salt: &Salt,
    root: &TokenHash,
    now_ms: u64,
    slice: &mut Slice,
) -> Result<Option<Due>, StoreError> {
    let contended = slice.is_contended();
    let record = if contended { get_untracked(tx, root)? } else { get(tx, root)? };
    let parent = record.as_ref().and_then(|record| record.parent);
    if let Some(record) = &record {
        strike(tx, salt, root, record)?;
    }
    let mut cut = Cut::new(tx, salt, now_ms, slice);
    cut.slice.take(0);
    if !contended && cut.has_room_for_children(root)? && cut.all_of(root)? {
        bind_to_no_children(tx, root)?;
        if let Some(parent) = &parent {
            untie(tx, parent, root)?;
        }
        return Ok(None);
    }
    removals::begin(tx, now_ms, What::Tree { root: *root, parent }).map(Some)
}

/// Ends a token without those below it, who become orphans. As [`end`] otherwise.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn end_alone(
    tx: &mut Transaction,
    salt: &Salt,
    (hash, record): (&TokenHash, &TokenRecord),
    now_ms: u64,
    mut slice: Slice,
) -> Result<Option<Due>, StoreError> {
    strike(tx, salt, hash, record)?;
    // At once, so that the end of the parent does not reach the children through this one.
    if let Some(parent) = &record.parent {
        untie(tx, parent, hash)?;
    }
    let mut cut = Cut::new(tx, salt, now_ms, &mut slice);
    cut.slice.take(0);
    if !cut.slice.is_contended()
        && cut.has_room_for_children(hash)?
        && cut.free_children(hash)?
        && cut.leavings(hash)?
    {
        bind_to_no_children(tx, hash)?;
        return Ok(None);
    }
    removals::begin(tx, now_ms, What::Orphans { parent: *hash }).map(Some)
}

/// A slice of what is left of an ended token and of all below it; says whether that was
/// the last.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn go_on(
    tx: &mut Transaction,
    salt: &Salt,
    (root, parent): (&TokenHash, Option<&TokenHash>),
    now_ms: u64,
    mut slice: Slice,
) -> Result<bool, StoreError> {
    let done = Cut::new(tx, salt, now_ms, &mut slice).all_of(root)?;
    if let Some(parent) = parent.filter(|_| done) {
        untie(tx, parent, root)?;
    }
    Ok(done)
}

/// A slice of the children of an ended token that become orphans; says whether that was
/// the last.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn free(
    tx: &mut Transaction,
    salt: &Salt,
    parent: &TokenHash,
    now_ms: u64,
    mut slice: Slice,
) -> Result<bool, StoreError> {
    let mut cut = Cut::new(tx, salt, now_ms, &mut slice);
    Ok(cut.free_children(parent)? && cut.leavings(parent)?)
}

/// Whether something of a token is there: itself, or what is left of it while it is being
/// removed. A token made under the same id meanwhile would take that over.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn is_taken(tx: &mut Transaction, hash: &TokenHash) -> Result<bool, StoreError> {
    if tx.version(&key(hash))?.is_some() || !children(tx, hash, 1)?.is_empty() {
        return Ok(true);
    }
    let folder = Cubby::of(hash).folder("").expect("a hexadecimal name is a folder");
    Ok(!leases::of_token(tx, hash, 1)?.is_empty() || !tx.walk(&folder, None, 1)?.keys.is_empty())
}

/// Whether a token's parent has ended, so that the token is about to: it must make no
/// children, or those who remove it would always be one behind.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn is_below_ended(tx: &mut Transaction, record: &TokenRecord) -> Result<bool, StoreError> {
    match &record.parent {
        Some(parent) => Ok(tx.version(&key(parent))?.is_none()),
        None => Ok(false),
    }
}

/// Makes the change a conflict if a child has come meanwhile. What is ended in an earlier
/// change needs none of this: it can have no new children.
fn bind_to_no_children(tx: &mut Transaction, hash: &TokenHash) -> Result<(), StoreError> {
    let left = children(tx, hash, 1)?;
    assert!(left.is_empty(), "children of a removed token would live on unseen");
    Ok(())
}

/// The removal of one slice.
struct Cut<'a> {
    tx: &'a mut Transaction,
    salt: &'a Salt,
    now_ms: u64,
    slice: &'a mut Slice,
}

/// What became of a child.
enum Child {
    /// Nothing of it is left.
    Gone,
    /// It is ended, and all that is below it is to go first.
    Ended,
    /// It must wait for the next slice.
    Waits,
}

impl<'a> Cut<'a> {
    fn new(tx: &'a mut Transaction, salt: &'a Salt, now_ms: u64, slice: &'a mut Slice) -> Self {
        Self { tx, salt, now_ms, slice }
    }

    /// Whether so few children are there that they may fit. Not bound to what it sees: a
    /// token that makes children all the time is ended all the same, and then makes none.
    fn has_room_for_children(&mut self, hash: &TokenHash) -> Result<bool, StoreError> {
        let most = self.slice.things_max();
        let seen = children_untracked(self.tx, hash, None, limit(most))?;
        Ok(seen.len() < most)
    }

    /// Removes what is left of an ended token and all below it; says whether that is all.
    fn all_of(&mut self, root: &TokenHash) -> Result<bool, StoreError> {
        if self.slice.is_contended() {
            self.end_below(root)?;
            return Ok(false);
        }
        let mut way = vec![(*root, VecDeque::new())];
        while let Some((at, page)) = way.last_mut() {
            let at = *at;
            if page.is_empty() {
                page.extend(children_untracked(self.tx, &at, None, PAGE)?);
            }
            let Some(child) = page.pop_front() else {
                if !self.leavings(&at)? {
                    return Ok(false);
                }
                way.pop();
                if let Some((above, _)) = way.last() {
                    untie(self.tx, above, &at)?;
                }
                continue;
            };
            match self.child(&at, &child)? {
                Child::Gone => {}
                Child::Ended => way.push((child, VecDeque::new())),
                Child::Waits => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Removes a child of an ended token. Its own children are tied to that token in its
    /// place, so that a long line of tokens is no long way down.
    fn child(&mut self, above: &TokenHash, child: &TokenHash) -> Result<Child, StoreError> {
        let record = match get(self.tx, child) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Child::Ended),
            Err(StoreError::Damaged { what, .. }) => {
                self.strike_unread(child, what)?;
                return Ok(Child::Ended);
            }
            Err(error) => return Err(error),
        };
        let most = self.slice.things_max();
        let below = children(self.tx, child, limit(most))?;
        // So many never fit beside it. They go where they are, from the next slice on, as
        // by then it can make no more.
        let crowded = below.len() >= most;
        if !self.slice.take(if crowded { 0 } else { below.len() * TIE_BYTES }) {
            return Ok(Child::Waits);
        }
        strike(self.tx, self.salt, child, &record)?;
        if crowded {
            return Ok(Child::Waits);
        }
        for grandchild in below {
            untie(self.tx, child, &grandchild)?;
            tie(self.tx, above, &grandchild)?;
        }
        if !self.leavings(child)? {
            return Ok(Child::Waits);
        }
        untie(self.tx, above, child)?;
        Ok(Child::Gone)
    }

    /// Ends tokens below an ended one and leaves them where they are, bound to nothing.
    fn end_below(&mut self, root: &TokenHash) -> Result<(), StoreError> {
        let mut way = vec![(*root, None, VecDeque::new())];
        let mut seen = 0;
        while let Some((at, last, page)) = way.last_mut() {
            if page.is_empty() {
                page.extend(children_untracked(self.tx, at, last.as_ref(), PAGE)?);
            }
            let Some(child) = page.pop_front() else {
                way.pop();
                continue;
            };
            *last = Some(child);
            seen += 1;
            match get_untracked(self.tx, &child) {
                Ok(None) => {}
                Ok(Some(record)) if self.slice.take(0) => strike(self.tx, self.salt, &child, &record)?,
                Ok(Some(_)) => return Ok(()),
                Err(StoreError::Damaged { what, .. }) => self.strike_unread(&child, what)?,
                Err(error) => return Err(error),
            }
            if seen >= SEEN_MAX {
                return Ok(());
            }
            way.push((child, None, VecDeque::new()));
        }
        Ok(())
    }

    /// Ends a token that cannot be read. Nobody could use it, and it must not keep the
    /// others from being removed.
    fn strike_unread(&mut self, token: &TokenHash, what: &'static str) -> Result<(), StoreError> {
        tracing::error!(what, "a token that is revoked could not be read; it is removed unread");
        self.tx.note_end(*token);
        self.tx.delete(&key(token))
    }

    /// Cuts the ties between an ended token and its children; says whether that is all.
    fn free_children(&mut self, parent: &TokenHash) -> Result<bool, StoreError> {
        loop {
            let page = children_untracked(self.tx, parent, None, PAGE)?;
            if page.is_empty() {
                return Ok(true);
            }
            for child in page {
                if !self.slice.take(0) {
                    return Ok(false);
                }
                if let Some(mut record) = get(self.tx, &child)? {
                    super::orphan(self.tx, &child, &mut record)?;
                }
                untie(self.tx, parent, &child)?;
            }
        }
    }

    /// Lets an ended token's leases fall due and empties its cubbyhole; says whether that
    /// is all.
    fn leavings(&mut self, token: &TokenHash) -> Result<bool, StoreError> {
        loop {
            let page = leases::of_token(self.tx, token, PAGE)?;
            if page.is_empty() {
                break;
            }
            for place in page {
                let lease = leases::behind(self.tx, &place)?;
                if !self.slice.take(lease.as_ref().map_or(0, LeaseRecord::stored_bytes)) {
                    return Ok(false);
                }
                leases::leave_token(self.tx, &place, lease, self.now_ms)?;
            }
        }
        let folder = Cubby::of(token).folder("").expect("a hexadecimal name is a folder");
        loop {
            let page = self.tx.walk(&folder, None, PAGE as usize)?.keys;
            if page.is_empty() {
                return Ok(true);
            }
            for name in page {
                if !self.slice.take(0) {
                    return Ok(false);
                }
                self.tx.delete(&Cubby::of(token).key(&name).expect("a listed name is a key"))?;
            }
        }
    }
}

fn limit(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}

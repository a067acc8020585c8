//! Reads, soon after a start, the segments that the start did not read: whatever has become of a
//! byte of the log is found then, and not when somebody asks for it. What is damaged stops the node
//! from taking writes, as damage does that a read meets.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bulkhead_model::seam::ledger::LedgerError;

use super::Shared;
use super::contents::Contents;
use super::reading::Reading;
use super::recover::Scan;
use super::segment;
use crate::files::DiskFile;

/// How long a start is left alone, and a node between two segments. Why: a segment takes some
/// milliseconds of a processor, which requests and elections should not wait for.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(50));

/// Looks at these segments in a thread of its own, until the log is closed.
pub(super) fn start(directory: PathBuf, shared: &Arc<Shared>, unread: Vec<Contents>) {
    if unread.is_empty() {
        return;
    }
    let shared = Arc::downgrade(shared);
    let work = move || {
        std::thread::sleep(PAUSE.0);
        for contents in unread {
            if !one(&directory, &shared, &contents) {
                return;
            }
            std::thread::sleep(PAUSE.1);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("ledger-recheck".into()).spawn(work) {
        tracing::warn!(%error, "no thread to check the older part of the log: its entries are checked when they are read");
    }
}

/// Whether there is more to do.
fn one(directory: &Path, shared: &Weak<Shared>, contents: &Contents) -> bool {
    let Some(shared) = shared.upgrade().filter(|shared| shared.health.fault().is_none()) else { return false };
    // One that was dropped meanwhile is nobody's concern.
    let file = shared.book.lock().segments.get(&contents.segment).map(Arc::clone);
    let Some(file) = file else { return true };
    match segment(directory, file, contents) {
        Ok(()) => true,
        Err(fault) => {
            shared.health.fail(fault);
            false
        }
    }
}

/// Reads a segment whole, and finds it to hold what it is said to.
pub(super) fn segment(directory: &Path, file: Arc<dyn DiskFile>, contents: &Contents) -> Result<(), LedgerError> {
    let path = segment::path(directory, contents.segment);
    let mut scan = Scan::new(contents.node, None);
    let mut reading = Reading::new(path, contents.segment, file, Vec::new())?;
    scan.segment(&mut reading, false)?;
    if let Some(at) = scan.links.broken() {
        return Err(reading.damaged(at.offset, "a record does not follow the one before it"));
    }
    if scan.contents == *contents { Ok(()) } else { Err(reading.damaged(0, "it does not hold what was written to it")) }
}

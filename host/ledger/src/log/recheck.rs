//! Reads, soon after a start, the segments that the start did not read, and proves that each record
//! follows the one before in those that it did: whatever has become of a byte of the log is found
//! then, and not when somebody asks for it. What is damaged stops the node from taking writes, as
//! damage does that a read meets.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Shared;

/// How long a start is left alone, and a node between two segments. Why: a segment takes some
/// milliseconds of a processor, which requests and elections should not wait for.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(50));

/// Looks at what is unread in a thread of its own, until the log is closed.
pub(super) fn start(shared: &Arc<Shared>) {
    if shared.book.lock().leftovers.next().is_none() {
        return;
    }
    let shared = Arc::downgrade(shared);
    let work = move || {
        std::thread::sleep(PAUSE.0);
        while one(&shared) {
            std::thread::sleep(PAUSE.1);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("ledger-recheck".into()).spawn(work) {
        tracing::warn!(%error, "no thread to check the older part of the log: its entries are checked when they are read");
    }
}

/// Whether there is more to do.
fn one(shared: &Weak<Shared>) -> bool {
    let Some(shared) = shared.upgrade().filter(|shared| shared.health.fault().is_none()) else { return false };
    let Some((unread, file)) = shared.book.lock().leftovers.next() else { return false };
    shared.learn(&unread, file).is_ok()
}

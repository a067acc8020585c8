//! The sheets at the ends of the last intervals: what happened in between is told by whoever
//! pushes numbers, and by `sys/metrics` in its JSON form.

use std::sync::Arc;

use bulkhead_model::metrics::{Interval, Sheet};
use parking_lot::Mutex;

/// A sheet, and when it was made, in seconds since 1970.
#[derive(Clone, Default)]
struct Stood {
    at_secs: u64,
    sheet: Arc<Sheet>,
}

/// The end of the last interval and that of the one before.
#[derive(Default)]
pub(crate) struct Intervals(Mutex<(Stood, Option<Stood>)>);

impl Intervals {
    /// Ends an interval.
    pub(crate) fn end(&self, at_secs: u64, sheet: Sheet) -> Interval {
        let now = Stood { at_secs, sheet: Arc::new(sheet) };
        let mut ends = self.0.lock();
        if let Some(last) = ends.1.replace(now.clone()) {
            ends.0 = last;
        }
        between(&ends.0, &now)
    }

    /// The last whole interval; before the first one has ended, all until now.
    pub(crate) fn last(&self, now_secs: u64, sheet: impl FnOnce() -> Sheet) -> Interval {
        let ends = self.0.lock().clone();
        match ends {
            (before, Some(after)) => between(&before, &after),
            (before, None) => between(&before, &Stood { at_secs: now_secs, sheet: Arc::new(sheet()) }),
        }
    }

    /// How it was at the beginning of the last interval.
    pub(crate) fn before_last(&self) -> Arc<Sheet> {
        Arc::clone(&self.0.lock().0.sheet)
    }
}

fn between(before: &Stood, after: &Stood) -> Interval {
    // Nothing is known of the time before the first sheet.
    let began_secs = if before.at_secs == 0 { after.at_secs } else { before.at_secs };
    Interval {
        before: Arc::clone(&before.sheet),
        after: Arc::clone(&after.sheet),
        began_secs,
        length_secs: after.at_secs.saturating_sub(began_secs),
    }
}

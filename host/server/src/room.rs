//! How much room is left where this server writes: told to operators before the disk is full, and
//! not by the request that fails then.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use bulkhead_model::metrics::Sheet;
use bulkhead_model::seam::metrics::Measured;
use parking_lot::Mutex;
use rustix::fs::statvfs;

/// How often it is looked at. Source: ours. Why: what fills a disk takes longer, as a rule.
const EVERY: Duration = Duration::from_secs(15);

const MIB: u64 = 1024 * 1024;

/// A place that is written to, as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Place {
    /// What lies there, for operators: `data` or `audit`.
    what: &'static str,
    path: PathBuf,
    found: Mutex<Found>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Found {
    room: Option<Space>,
    level: Level,
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Space {
    free: u64,
    size: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Enough,
    Low,
    Short,
}

/// All places that are written to.
#[derive(Debug, Default)]
pub(crate) struct Room {
    places: Mutex<Vec<Weak<Place>>>,
}

impl Space {
    fn of(path: &Path) -> Option<Self> {
        let about = statvfs(path).ok()?;
        Some(Self {
            free: about.f_bavail.saturating_mul(about.f_frsize),
            size: about.f_blocks.saturating_mul(about.f_frsize),
        })
    }

    /// A part of what there is, but of a large disk no more than an operator would call little,
    /// and of a small one no less than is written within minutes.
    fn level(self) -> Level {
        let low = (self.size / 20).clamp(256 * MIB, 10 * 1024 * MIB);
        let short = (self.size / 100).clamp(64 * MIB, 2 * 1024 * MIB);
        match self.free {
            free if free < short => Level::Short,
            free if free < low => Level::Low,
            _ => Level::Enough,
        }
    }
}

impl Place {
    fn look(&self) {
        let room = Space::of(&self.path);
        let level = room.map_or(Level::Enough, Space::level);
        let was = std::mem::replace(&mut *self.found.lock(), Found { room, level }).level;
        let Some(Space { free, size }) = room.filter(|_| level != was) else { return };
        let (what, path, free_mib, size_mib) = (self.what, self.path.display(), free / MIB, size / MIB);
        match level {
            Level::Short => tracing::error!(
                what, %path, free_mib, size_mib,
                "the disk is almost full: make room now; once it is full, requests are refused"
            ),
            Level::Low => {
                tracing::warn!(what, %path, free_mib, size_mib, "little room is left on the disk: make room");
            }
            Level::Enough => tracing::info!(what, %path, free_mib, size_mib, "there is room on the disk again"),
        }
    }
}

impl Room {
    /// Looks after the file system that a path lies on, until what this returns is dropped.
    pub(crate) fn watch(&self, what: &'static str, path: &Path) -> Arc<Place> {
        let place = Arc::new(Place { what, path: path.to_owned(), found: Mutex::default() });
        self.places.lock().push(Arc::downgrade(&place));
        place
    }

    /// Starts to look, in a thread of its own: a file system that hangs does not answer at all.
    pub(crate) fn start(self: &Arc<Self>) {
        let room = Arc::downgrade(self);
        let looking = move || {
            while let Some(room) = room.upgrade() {
                room.places().iter().for_each(|place| place.look());
                drop(room);
                thread::sleep(EVERY);
            }
        };
        if let Err(error) = thread::Builder::new().name("room".to_owned()).spawn(looking) {
            tracing::warn!(%error, "no thread to look after the room on the disks");
        }
    }

    fn places(&self) -> Vec<Arc<Place>> {
        let mut places = self.places.lock();
        places.retain(|place| place.strong_count() > 0);
        places.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Measured for Room {
    fn tell(&self, sheet: &mut Sheet) {
        for place in self.places() {
            let Some(Space { free, size }) = place.found.lock().room else { continue };
            let labels = [("what", place.what), ("path", &place.path.to_string_lossy())];
            sheet.gauge("bulkhead.disk.free_bytes", "Room left where this server writes.", &labels, free as f64);
            sheet.gauge(
                "bulkhead.disk.size_bytes",
                "Size of the file system where this server writes.",
                &labels,
                size as f64,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_a_part_of_the_disk_within_bounds() {
        let level = |free_mib, size_mib| Space { free: free_mib * MIB, size: size_mib * MIB }.level();
        // 100 GiB: 5 GiB and 1 GiB.
        assert_eq!(level(5121, 102_400), Level::Enough);
        assert_eq!(level(5119, 102_400), Level::Low);
        assert_eq!(level(1023, 102_400), Level::Short);
        // 100 TiB: 10 GiB and 2 GiB.
        assert_eq!(level(10_241, 104_857_600), Level::Enough);
        assert_eq!(level(10_239, 104_857_600), Level::Low);
        assert_eq!(level(2047, 104_857_600), Level::Short);
        // 1 GiB: 256 MiB and 64 MiB.
        assert_eq!(level(257, 1024), Level::Enough);
        assert_eq!(level(255, 1024), Level::Low);
        assert_eq!(level(63, 1024), Level::Short);
    }

    #[test]
    fn a_place_is_told_of_as_long_as_it_is_held() {
        let room = Arc::new(Room::default());
        let told = || {
            room.places().iter().for_each(|place| place.look());
            let mut sheet = Sheet::default();
            room.tell(&mut sheet);
            let labels = vec![("what", "data".to_owned()), ("path", "/".to_owned())];
            sheet.value("bulkhead.disk.free_bytes", &labels).is_some()
        };
        let place = room.watch("data", Path::new("/"));
        assert!(told());
        drop(place);
        assert!(!told());
    }
}

//! The directory that `snapshot_directory` names, and nothing outside of it: whoever may
//! configure snapshots over the API must not be able to write anywhere else.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use bulkhead_model::seam::shelf::{ShelfPlace, SnapshotShelf};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, fsync, mkdirat, open, openat, renameat, unlinkat};

/// How the name of a snapshot ends.
const END: &str = ".snap";
/// How the name ends while not all of it is there.
const PART: &str = ".part";

/// A directory for snapshots.
pub(crate) struct Shelf {
    directory: PathBuf,
}

impl Shelf {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The way from the directory to a place.
    fn below(&self, path_prefix: &str) -> Result<PathBuf, String> {
        let path = Path::new(path_prefix);
        let relative = path.strip_prefix(&self.directory).unwrap_or(path);
        let plain = |component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        };
        let steps: Option<PathBuf> = relative.components().map(plain).collect();
        steps.ok_or_else(|| {
            let allowed = self.directory.display();
            format!("path_prefix must be {allowed} (the server's snapshot_directory), or below it")
        })
    }

    /// Goes there step by step, and follows no link: one could lead anywhere.
    fn open(&self, below: &Path) -> io::Result<OwnedFd> {
        let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = open(&self.directory, folder, Mode::empty())?;
        for step in below.components() {
            match mkdirat(&at, step.as_os_str(), Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            at = openat(&at, step.as_os_str(), folder | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(at)
    }
}

impl SnapshotShelf for Shelf {
    fn check(&self, path_prefix: &str) -> Result<(), String> {
        let below = self.below(path_prefix)?;
        let failed = |error| format!("{} cannot be used: {error}", self.directory.join(&below).display());
        self.open(&below).map(drop).map_err(failed)
    }

    fn lay(&self, place: &ShelfPlace, stream: &mut dyn Read) -> Result<String, String> {
        let below = self.below(&place.path_prefix)?;
        let name = format!("{}-{}{END}", place.file_prefix, place.number);
        let path = self.directory.join(&below).join(&name);
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let folder = self.open(&below).map_err(failed)?;
        let laid = write(&folder, &name, stream);
        if laid.is_err() {
            let _ = remove(&folder, &part(&name));
        }
        laid.map_err(failed)?;
        // It is there: what could not be removed beside it is no reason to take it again soon.
        if let Err(error) = tidy(&folder, place) {
            tracing::warn!(folder = %self.directory.join(&below).display(), %error, "old snapshots could not be removed");
        }
        Ok(format!("file://{}", path.display()))
    }
}

fn part(name: &str) -> String {
    format!(".{name}{PART}")
}

fn write(folder: &OwnedFd, name: &str, stream: &mut dyn Read) -> io::Result<()> {
    let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, part(name), new, Mode::RUSR | Mode::WUSR)?);
    io::copy(stream, &mut file)?;
    file.sync_all()?;
    renameat(folder, part(name), folder, name)?;
    Ok(fsync(folder)?)
}

fn remove(folder: &OwnedFd, name: &str) -> io::Result<()> {
    Ok(unlinkat(folder, name, AtFlags::empty())?)
}

/// Removes the oldest, and what a crash left half written. The one just laid is none of the
/// oldest, whatever the clock said when the others were laid.
fn tidy(folder: &OwnedFd, place: &ShelfPlace) -> io::Result<()> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let half = name.strip_prefix('.').and_then(|name| name.strip_suffix(PART));
        match (number(name, place), half.and_then(|name| number(name, place))) {
            (Some(number), _) if number != place.number => numbers.push(number),
            (Some(_), _) => {}
            (None, Some(_)) => remove(folder, name)?,
            (None, None) => {}
        }
    }
    numbers.sort_unstable();
    let keep = usize::try_from(place.retain).unwrap_or(usize::MAX).saturating_sub(1);
    let many = numbers.len().saturating_sub(keep);
    for number in &numbers[..many] {
        remove(folder, &format!("{}-{number}{END}", place.file_prefix))?;
    }
    Ok(())
}

/// The number of a snapshot of this prefix.
fn number(name: &str, place: &ShelfPlace) -> Option<u64> {
    let number = name.strip_prefix(&place.file_prefix)?.strip_prefix('-')?.strip_suffix(END)?;
    number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use bulkhead_model::seam::shelf::{ShelfPlace, SnapshotShelf};

    use super::Shelf;

    fn place(path_prefix: &str, number: u64) -> ShelfPlace {
        ShelfPlace { path_prefix: path_prefix.to_owned(), file_prefix: "s".to_owned(), number, retain: 2 }
    }

    #[test]
    fn only_the_directory_and_what_is_below_it_are_places() {
        let dir = tempfile::tempdir().expect("a folder of its own");
        let outside = tempfile::tempdir().expect("a folder of its own");
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).expect("a folder of its own");
        let shelf = Shelf::new(dir.path().to_owned());
        let own = dir.path().to_str().expect("a folder of its own");
        for path in ["", "daily", "a/b", own, &format!("{own}/daily")] {
            assert_eq!(shelf.check(path), Ok(()), "{path}");
        }
        for path in ["/etc", "..", "a/../../b", "link", "link/a", &format!("{own}/../x"), &format!("{own}x")] {
            assert!(shelf.check(path).is_err(), "{path}");
            assert!(shelf.lay(&place(path, 1), &mut &b"x"[..]).is_err(), "{path}");
        }
        assert_eq!(outside.path().read_dir().expect("a folder of its own").count(), 0);
    }

    #[test]
    fn the_newest_are_kept_and_others_are_left_alone() {
        let dir = tempfile::tempdir().expect("a folder of its own");
        let shelf = Shelf::new(dir.path().to_owned());
        for other in ["s-old.snap", "s-7.snap.gz", "t-1.snap", ".s-3.snap.part"] {
            std::fs::write(dir.path().join(other), b"other").expect("a folder of its own");
        }
        for number in [9, 10, 11] {
            let url = shelf.lay(&place("", number), &mut &b"content"[..]).expect("a folder of its own");
            assert!(url.starts_with("file:///") && url.ends_with(&format!("s-{number}.snap")), "{url}");
        }
        let mut names: Vec<_> = dir
            .path()
            .read_dir()
            .expect("a folder of its own")
            .map(|entry| entry.expect("a folder of its own").file_name().into_string().expect("a folder of its own"))
            .collect();
        names.sort();
        assert_eq!(names, ["s-10.snap", "s-11.snap", "s-7.snap.gz", "s-old.snap", "t-1.snap"]);
        let mode = dir.path().join("s-11.snap").metadata().expect("a folder of its own").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // The clock was ahead, and is right again.
        let url = shelf.lay(&place("", 5), &mut &b"content"[..]).expect("a folder of its own");
        assert!(url.ends_with("s-5.snap") && dir.path().join("s-5.snap").is_file());
        assert!(dir.path().join("s-11.snap").is_file() && !dir.path().join("s-10.snap").exists());
    }
}

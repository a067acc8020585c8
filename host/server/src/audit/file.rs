//! The `file` audit device: JSON lines appended to a file, whole lines a system call, so
//! that lines of different servers never mix. A pipe or a character device is as good.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::{self, ErrorKind, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bulkhead_model::seam::audit::AuditSink;
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, retry_on_intr};

use super::given;
use super::queue::{Carrier, Queue};
use crate::room::{self, Room};

/// Longest wait for a line to be written. Source: ours; Vault waits for ever. Why: a file
/// system that hangs may do so for hours, while a disk that is busy answers after seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A `file` device with these options.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn make(options: &BTreeMap<String, String>, room: &Room) -> Result<Arc<dyn AuditSink>, String> {
    make_within(options, room, TIMEOUT)
}

fn make_within(
    options: &BTreeMap<String, String>,
    room: &Room,
    timeout: Duration,
) -> Result<Arc<dyn AuditSink>, String> {
    let Some(place) = place(options)? else { return Ok(Arc::new(Discard)) };
    let (name, path) = match &place {
        Place::Stdout => ("standard output".to_owned(), "stdout".to_owned()),
        Place::Path(path, _) => (format!("file {}", path.display()), path.display().to_string()),
    };
    let open = place.make_folder().and_then(|()| place.open(None));
    let open = open.map_err(|error| format!("opening {path}: {error}"))?;
    let on = match &place {
        Place::Path(path, _) if open.is_file => Some(room.watch("audit", path)),
        Place::Path(..) | Place::Stdout => None,
    };
    Queue::start(name, timeout, Appender { place, open, is_suspect: false, _on: on })
}

/// Where lines go by these options; `None`: nowhere.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn place(options: &BTreeMap<String, String>) -> Result<Option<Place>, String> {
    let path = given(options, "file_path").or_else(|| given(options, "path")).ok_or("file_path is required")?;
    match path {
        "discard" => Ok(None),
        "stdout" => Ok(Some(Place::Stdout)),
        path => Ok(Some(Place::Path(path.into(), mode(options.get("mode").map_or("", String::as_str))?))),
    }
}

/// Permissions in octal; default 0600. `0000` leaves those of an existing file alone.
fn mode(text: &str) -> Result<Option<u32>, String> {
    let bits = match text {
        "" => 0o600,
        text => u32::from_str_radix(text, 8).map_err(|_| format!("mode {text:?} is not an octal number"))?,
    };
    // An audit file that can be run would let whoever fills it choose what is run.
    if bits & 0o111 != 0 {
        return Err(format!("mode {text:?} makes the audit file executable"));
    }
    if bits > 0o777 {
        return Err(format!("mode {text:?} holds more than permissions"));
    }
    Ok((bits != 0).then_some(bits))
}

/// Where lines go.
pub(super) enum Place {
    Stdout,
    /// And the permissions that the file gets.
    Path(PathBuf, Option<u32>),
}

/// A place that was opened.
struct Opened {
    file: File,
    is_file: bool,
    /// The last line was cut off, by a full disk or a crash: the next one starts anew.
    torn: bool,
}

impl Place {
    /// Makes the folder of a file where there is none. Not so when the file is opened anew: then it went
    /// with the file, and whoever took it away knows why.
    fn make_folder(&self) -> io::Result<()> {
        let Self::Path(path, _) = self else { return Ok(()) };
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)
            }
            _ => Ok(()),
        }
    }

    /// Opens it, perhaps anew: then `was` is what it was until now.
    fn open(&self, was: Option<&Opened>) -> io::Result<Opened> {
        let Self::Path(path, mode) = self else {
            let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            return Ok(Opened { file, is_file: false, torn: false });
        };
        // Without waiting for somebody to read a pipe, and without a terminal of our own.
        let how = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY;
        let permissions = Mode::from_bits_truncate(mode.unwrap_or(0o600));
        let file = retry_on_intr(|| rustix::fs::open(path, how | OFlags::CLOEXEC, permissions)).map_err(unread)?;
        let file = File::from(file);
        let about = file.metadata()?;
        if !about.is_file() {
            // A device such as /dev/null, or a pipe, keeps what permissions it has. Whoever
            // reads the pipe may be slow: that is waited for.
            fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
            return Ok(Opened { file, is_file: false, torn: false });
        }
        match mode {
            Some(mode) => file.set_permissions(Permissions::from_mode(*mode))?,
            None if about.permissions().mode() & 0o111 != 0 => {
                return Err(io::Error::other("the file is executable; take that permission away"));
            }
            None => {}
        }
        let torn = about.len() > 0 && is_torn(last_byte(path), &about, was);
        Ok(Opened { file, is_file: true, torn })
    }
}

fn unread(error: Errno) -> io::Error {
    match error {
        Errno::NXIO => io::Error::new(ErrorKind::NotConnected, "nobody reads this pipe"),
        error => error.into(),
    }
}

/// Whether the last line of a file is cut off. Of one that may not be read only its own
/// writer knows.
fn is_torn(last: io::Result<u8>, about: &Metadata, was: Option<&Opened>) -> bool {
    let is_same = |was: &Opened| {
        was.file.metadata().is_ok_and(|before| (before.dev(), before.ino()) == (about.dev(), about.ino()))
    };
    last.map_or_else(|_| was.is_some_and(|was| was.torn && is_same(was)), |last| last != b'\n')
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let (mut file, mut last) = (File::open(path)?, [0]);
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last[0])
}

/// Appends lines to what is open. Its thread may block: whoever waits for it need not.
struct Appender {
    place: Place,
    open: Opened,
    /// The last write failed, perhaps for good: what is open now may be of no more use.
    is_suspect: bool,
    /// The room there is looked after as long as this is held.
    _on: Option<Arc<room::Place>>,
}

impl Appender {
    /// A file that was moved away still takes lines, until the operator says that it is to
    /// be opened anew. One that was deleted would take them to nobody.
    fn renew(&mut self) -> io::Result<()> {
        if self.open.is_file && self.open.file.metadata()?.nlink() == 0 {
            self.open = self.place.open(Some(&self.open))?;
        } else if self.is_suspect
            && let Ok(fresh) = self.place.open(Some(&self.open))
        {
            self.open = fresh;
        }
        Ok(())
    }
}

impl Carrier for Appender {
    /// A full disk says so at once, and whoever made room need not wait.
    const REST_MIN: Duration = Duration::ZERO;

    fn carry(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
        self.carry_some(&[line], deadline).map(drop)
    }

    fn carry_some(&mut self, lines: &[&[u8]], _: Instant) -> io::Result<usize> {
        self.renew()?;
        // What others write into the same pipe may stand between pieces of what is large.
        let count = if self.open.is_file { lines.len() } else { 1 };
        let carried = self.open.append(lines.get(..count).unwrap_or_default())?;
        self.is_suspect = false;
        Ok(carried)
    }

    fn close(&mut self) {
        self.is_suspect = true;
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open = self.place.open(Some(&self.open))?;
        self.is_suspect = false;
        Ok(())
    }
}

impl Opened {
    /// Writes these, and says how many are there whole. An error is about the first.
    fn append(&mut self, lines: &[&[u8]]) -> io::Result<usize> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let pieces: Vec<IoSlice<'_>> =
            lines.iter().flat_map(|line| [IoSlice::new(line), IoSlice::new(b"\n")]).collect();
        let mut written = loop {
            match self.file.write_vectored(&pieces) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        for (count, line) in lines.iter().enumerate() {
            if written > line.len() {
                written -= line.len() + 1;
                continue;
            }
            // Cut off in this one, or before it, after others that are there.
            return match self.finish(line, written) {
                Err(_) if count > 0 => Ok(count),
                finished => finished.map(|()| count + 1),
            };
        }
        Ok(lines.len())
    }

    /// Writes the rest of a line of which so much is there.
    fn finish(&mut self, line: &[u8], there: usize) -> io::Result<()> {
        if there == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        self.torn = true;
        self.file.write_all(line.get(there..).unwrap_or_default())?;
        self.file.write_all(b"\n")?;
        self.torn = false;
        Ok(())
    }
}

/// `file_path = "discard"`: takes every line and keeps none. For tests of other things.
struct Discard;

#[async_trait]
impl AuditSink for Discard {
    async fn write(&self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    async fn reopen(&self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The `file` audit device: JSON lines appended to a file, one system call a line, so
//! that lines of different requests never mix.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bulkhead_model::seam::audit::AuditSink;
use parking_lot::Mutex;

/// A `file` device with these options.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn make(options: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
    let given = options.get("file_path").or_else(|| options.get("path")).filter(|path| !path.is_empty());
    match given.map(String::as_str) {
        None => Err("file_path is required".to_owned()),
        Some("stdout") => Ok(Arc::new(Stdout)),
        Some("discard") => Ok(Arc::new(Discard)),
        Some(path) => {
            let mode = mode(options.get("mode").map_or("", String::as_str))?;
            Ok(Arc::new(FileSink::open(PathBuf::from(path), mode)?))
        }
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

/// An open file.
struct FileSink {
    path: PathBuf,
    mode: Option<u32>,
    target: Mutex<Target>,
}

struct Target {
    file: File,
    /// A line was cut off, by a full disk for example: the next one starts anew.
    torn: bool,
}

impl FileSink {
    fn open(path: PathBuf, mode: Option<u32>) -> Result<Self, String> {
        let file = open(&path, mode).map_err(|error| format!("opening {}: {error}", path.display()))?;
        Ok(Self { path, mode, target: Mutex::new(Target { file, torn: false }) })
    }
}

fn open(path: &PathBuf, mode: Option<u32>) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(mode.unwrap_or(0o600)).open(path)?;
    let about = file.metadata()?;
    // A device such as /dev/null, or a pipe, keeps what permissions it has.
    if let (Some(mode), true) = (mode, about.is_file()) {
        file.set_permissions(Permissions::from_mode(mode))?;
    } else if about.is_file() && about.permissions().mode() & 0o111 != 0 {
        return Err(io::Error::other("the file is executable; take that permission away"));
    }
    Ok(file)
}

#[async_trait]
impl AuditSink for FileSink {
    async fn write(&self, line: &[u8]) -> Result<(), String> {
        let result = self.append(line);
        result.map_err(|error| format!("writing {}: {error}", self.path.display()))
    }

    fn reopen(&self) -> Result<(), String> {
        let fresh = Self::open(self.path.clone(), self.mode)?;
        *self.target.lock() = fresh.target.into_inner();
        Ok(())
    }
}

impl FileSink {
    /// A file that was moved away still takes lines, until the operator says that it is to
    /// be opened anew. One that was deleted would take them to nobody.
    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut target = self.target.lock();
        let about = target.file.metadata()?;
        if about.is_file() && about.nlink() == 0 {
            *target = Target { file: open(&self.path, self.mode)?, torn: false };
        }
        append(&mut target, line)
    }
}

fn append(target: &mut Target, line: &[u8]) -> io::Result<()> {
    if target.torn {
        target.file.write_all(b"\n")?;
        target.torn = false;
    }
    let written = loop {
        match target.file.write_vectored(&[IoSlice::new(line), IoSlice::new(b"\n")]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if written == line.len() + 1 {
        return Ok(());
    }
    target.torn = written > 0;
    target.file.write_all(line.get(written..).unwrap_or_default())?;
    target.file.write_all(b"\n")?;
    target.torn = false;
    Ok(())
}

/// `file_path = "stdout"`.
struct Stdout;

#[async_trait]
impl AuditSink for Stdout {
    async fn write(&self, line: &[u8]) -> Result<(), String> {
        let mut out = io::stdout().lock();
        let result = out.write_all(line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        result.map_err(|error| format!("writing to standard output: {error}"))
    }

    fn reopen(&self) -> Result<(), String> {
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

    fn reopen(&self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

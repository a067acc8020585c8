//! The files the log lies in: their names, and how one is made before it is needed. A
//! segment is filled with zeros and synced before its first use, so that a write into it
//! changes no metadata, can't find the disk full, and leaves zeros where it did not reach.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sector::SECTOR_BYTES;
use crate::files::{DiskFile, Files};

/// Zeros written at a time.
const FILL_BYTES: usize = 256 * 1024;

/// The segment being written.
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) sectors: u32,
    pub(crate) sectors_used: u32,
}

impl Segment {
    /// Sectors not yet written.
    pub(crate) fn sectors_left(&self) -> u32 {
        self.sectors - self.sectors_used
    }

    /// Where the next group goes, in bytes from the start of the file.
    pub(crate) fn offset(&self) -> u64 {
        u64::from(self.sectors_used) * SECTOR_BYTES as u64
    }
}

/// The path of a segment.
pub(crate) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("segment-{number:016x}.log"))
}

/// The number of the segment at a path, if it is one.
pub(crate) fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let hex = name.strip_prefix("segment-")?.strip_suffix(".log")?;
    if hex.len() == 16 { u64::from_str_radix(hex, 16).ok() } else { None }
}

/// The numbers of the segments in a directory, ascending.
pub(crate) fn numbers(files: &dyn Files, directory: &Path) -> io::Result<Vec<u64>> {
    let mut found: Vec<u64> = files.list(directory)?.iter().filter_map(|path| number(path)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The path of a segment made ahead.
pub(crate) fn spare_path(directory: &Path) -> PathBuf {
    directory.join("spare.tmp")
}

/// Makes a blank segment under the spare's name.
pub(crate) fn make_spare(files: &dyn Files, directory: &Path, segment_bytes: u64) -> io::Result<()> {
    let file = files.create(&spare_path(directory))?;
    let zeros = vec![0; FILL_BYTES];
    let mut offset = 0;
    while offset < segment_bytes {
        let bytes = (segment_bytes - offset).min(FILL_BYTES as u64);
        file.write_all_at(&zeros[..bytes as usize], offset)?;
        offset += bytes;
    }
    file.sync()
}

/// Whether nothing was ever written to a segment.
pub(crate) fn is_blank(files: &dyn Files, path: &Path) -> io::Result<bool> {
    let file = files.open(path)?;
    let (length, mut bytes) = (file.len()?, vec![0; FILL_BYTES]);
    let mut offset = 0;
    while offset < length {
        let piece = &mut bytes[..(length - offset).min(FILL_BYTES as u64) as usize];
        file.read_at(piece, offset)?;
        if piece.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += piece.len() as u64;
    }
    Ok(true)
}

/// Makes the spare the segment of this number; returns its file.
pub(crate) fn adopt_spare(files: &dyn Files, directory: &Path, number: u64) -> io::Result<Arc<dyn DiskFile>> {
    let path = path(directory, number);
    files.rename(&spare_path(directory), &path)?;
    files.sync_dir(directory)?;
    files.open(&path)
}

/// Sectors in a segment.
pub(crate) fn sectors(segment_bytes: u64) -> u32 {
    u32::try_from(segment_bytes / SECTOR_BYTES as u64).expect("a segment is under 2 TiB")
}

//! A snapshot as a stream. Every chunk is checked before it is used, the whole before it
//! is believed.
//!
//! ```text
//! magic 8
//! chunk*   bytes 4 · CRC32C 4 · content; the first is the machine's note (postcard), the
//!          others records: key bytes 4 · value bytes 4 · key · value
//! end      0 4 · records 8 · SHA-256 32 over all before the hash
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use bulkhead_model::limits::{LEDGER_KEY_BYTES_MAX, LEDGER_VALUE_BYTES_MAX};
use bulkhead_model::seam::ledger::LedgerError;
use sha2::{Digest, Sha256};

use crate::fault::storage;
use crate::machine::state::Meta;

const MAGIC: [u8; 8] = *b"BkSnap1\n";

/// A chunk is closed once it holds this many bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// No chunk is larger: one record over a nearly full chunk.
const CHUNK_BYTES_MAX: usize = CHUNK_BYTES + LEDGER_KEY_BYTES_MAX + LEDGER_VALUE_BYTES_MAX + 1024;

/// Bytes after which what was written is brought to the disk, and others get their turn. Why: all
/// of it at the end is more than a disk takes without keeping the log's syncs waiting.
const TURN_BYTES: u64 = 4 * 1024 * 1024;

/// Longest such turn of others.
const TURN_MAX: Duration = Duration::from_millis(50);

/// Writes the stream.
pub(crate) struct Sink {
    out: BufWriter<File>,
    /// When the last turn of others ended, and where.
    turn: (Instant, u64),
    bytes: u64,
    hash: Sha256,
    chunk: Vec<u8>,
    records: u64,
}

impl Sink {
    pub(crate) fn create(path: &Path, meta: &Meta) -> io::Result<Self> {
        Self::over(create(path)?, meta)
    }

    /// Writes to an empty file.
    pub(crate) fn over(file: File, meta: &Meta) -> io::Result<Self> {
        let out = BufWriter::with_capacity(CHUNK_BYTES, file);
        let turn = (Instant::now(), 0);
        let mut sink = Self { out, turn, bytes: 0, hash: Sha256::new(), chunk: Vec::new(), records: 0 };
        sink.raw(&MAGIC)?;
        sink.chunk = meta.to_bytes();
        sink.close_chunk()?;
        Ok(sink)
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.chunk.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.chunk.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.chunk.extend_from_slice(key);
        self.chunk.extend_from_slice(value);
        self.records += 1;
        if self.chunk.len() >= CHUNK_BYTES { self.close_chunk() } else { Ok(()) }
    }

    /// Ends the stream and returns once it is on the disk, with what it holds.
    pub(crate) fn finish(mut self) -> io::Result<(File, End)> {
        if !self.chunk.is_empty() {
            self.close_chunk()?;
        }
        self.raw(&0u32.to_le_bytes())?;
        self.raw(&self.records.to_le_bytes())?;
        let digest = self.hash.clone().finalize();
        self.hash.update(digest);
        self.out.write_all(&digest)?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let bytes = self.bytes + digest.len() as u64;
        let file_digest = self.hash.finalize().into();
        Ok((file, End { records: self.records, bytes, digest: digest.into(), file_digest }))
    }

    fn close_chunk(&mut self) -> io::Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        self.raw(&(chunk.len() as u32).to_le_bytes())?;
        self.raw(&crc32c::crc32c(&chunk).to_le_bytes())?;
        self.raw(&chunk)?;
        self.chunk = chunk;
        self.chunk.clear();
        if self.bytes - self.turn.1 >= TURN_BYTES { self.give_turn() } else { Ok(()) }
    }

    /// Rests for as long as it has worked: who reads and writes meanwhile has half of the machine.
    fn give_turn(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_data()?;
        std::thread::sleep(self.turn.0.elapsed().min(TURN_MAX));
        self.turn = (Instant::now(), self.bytes);
        Ok(())
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// What a whole snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) digest: [u8; 32],
    /// Over all of it.
    pub(crate) file_digest: [u8; 32],
}

/// A snapshot being read; its records are believed only after the last chunk.
pub(crate) struct Contents<R> {
    input: BufReader<R>,
    hash: Sha256,
    meta: Meta,
    records: u64,
    bytes: u64,
    end: Option<End>,
}

impl Contents<File> {
    /// Starts reading a snapshot from its beginning.
    pub(crate) fn open(file: &File) -> Result<Self, LedgerError> {
        let mut file = file.try_clone().map_err(|e| reading(&e))?;
        file.seek(SeekFrom::Start(0)).map_err(|e| reading(&e))?;
        Self::of(file)
    }
}

impl<R: Read> Contents<R> {
    /// Starts reading a snapshot from a stream.
    pub(crate) fn of(stream: R) -> Result<Self, LedgerError> {
        let input = BufReader::with_capacity(CHUNK_BYTES, stream);
        let (hash, meta) = (Sha256::new(), Meta::default());
        let mut contents = Self { input, hash, meta, records: 0, bytes: 0, end: None };
        if contents.array::<8>()? != MAGIC {
            return Err(damaged("it does not begin as one"));
        }
        let header = contents.chunk()?.ok_or_else(|| damaged("it has no header"))?;
        contents.meta = Meta::from_bytes(&header).ok_or_else(|| damaged("its header can't be decoded"))?;
        Ok(contents)
    }

    /// The machine's note when the snapshot was made.
    pub(crate) fn note(&self) -> &Meta {
        &self.meta
    }

    /// What it holds, once all was read.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// The next records; `None` once all were read and the whole has passed its check.
    #[expect(clippy::type_complexity, reason = "a list of records, keys and values")]
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Vec<(Vec<u8>, Vec<u8>)>>, LedgerError> {
        let Some(chunk) = self.chunk()? else {
            self.check_end()?;
            return Ok(None);
        };
        let (mut rest, mut records) = (&chunk[..], Vec::new());
        while !rest.is_empty() {
            let (record, after) = split_record(rest).ok_or_else(|| damaged("a record is cut off"))?;
            records.push(record);
            rest = after;
        }
        self.records += records.len() as u64;
        Ok(Some(records))
    }

    fn chunk(&mut self) -> Result<Option<Vec<u8>>, LedgerError> {
        let bytes = u32::from_le_bytes(self.array()?) as usize;
        if bytes == 0 {
            return Ok(None);
        }
        if bytes > CHUNK_BYTES_MAX {
            return Err(damaged("a chunk is larger than any that is written"));
        }
        let crc = u32::from_le_bytes(self.array()?);
        let mut chunk = vec![0; bytes];
        self.fill(&mut chunk)?;
        if crc32c::crc32c(&chunk) != crc {
            return Err(damaged("a chunk fails its checksum"));
        }
        Ok(Some(chunk))
    }

    fn check_end(&mut self) -> Result<(), LedgerError> {
        if u64::from_le_bytes(self.array()?) != self.records {
            return Err(damaged("records are missing"));
        }
        let digest: [u8; 32] = self.hash.clone().finalize().into();
        if self.array::<32>()? != digest {
            return Err(damaged("its digest does not match"));
        }
        if self.input.read(&mut [0]).map_err(|e| reading(&e))? != 0 {
            return Err(damaged("something follows its end"));
        }
        let file_digest = self.hash.clone().finalize().into();
        self.end = Some(End { records: self.records, bytes: self.bytes, digest, file_digest });
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LedgerError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), LedgerError> {
        self.input.read_exact(bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is cut off"),
            _ => reading(&e),
        })?;
        self.hash.update(&*bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Reads the note at the start of a snapshot.
pub(crate) fn read_header(file: &File) -> Result<Meta, LedgerError> {
    Contents::open(file).map(|contents| contents.meta)
}

/// Copies a snapshot's bytes to a new file and returns once they are on the disk.
pub(crate) fn copy(from: &File, to: &Path) -> io::Result<()> {
    let mut input = from.try_clone()?;
    input.seek(SeekFrom::Start(0))?;
    let mut output = create(to)?;
    io::copy(&mut input, &mut output)?;
    output.sync_all()
}

/// An empty file, its owner's alone.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[expect(clippy::type_complexity, reason = "a record and what follows it")]
fn split_record(bytes: &[u8]) -> Option<((Vec<u8>, Vec<u8>), &[u8])> {
    let (key_bytes, rest) = bytes.split_first_chunk::<4>()?;
    let (value_bytes, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_bytes) as usize)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_bytes) as usize)?;
    Some(((key.to_vec(), value.to_vec()), rest))
}

pub(super) fn reading(error: &io::Error) -> LedgerError {
    storage("reading a snapshot", error)
}

pub(super) fn damaged(why: &str) -> LedgerError {
    LedgerError::Damaged { what: format!("a snapshot: {why}") }
}

//! A snapshot as operators keep it: the stream of [`format`](super::format) in the archive
//! that OpenBao's tools expect, a tar file in gzip's wrapping.
//!
//! ```text
//! meta.json           index, term, number of records and length of what follows
//! state.bin           the stream
//! SHA256SUMS          digests of the two
//! SHA256SUMS.sealed   what shows whoever has the key that they are not altered
//! ```
//!
//! It is never compressed, since ciphertext does not shrink; so reading it back takes no
//! inflating of what a stranger sent, and no byte of it becomes two.

use std::io::{self, Read};

use bulkhead_model::seam::cluster::SnapshotInfo;
use bulkhead_model::seam::ledger::LedgerError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::gzip::{Gunzip, Gzip};
use super::format::{End, damaged, reading};

mod gzip;
mod tar;

/// The files in it, in their order.
const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
const SEAL: &str = "SHA256SUMS.sealed";

/// Longest of the small files, in bytes. Source: ours; ours have less than 300.
const SMALL_BYTES_MAX: u64 = 4096;

/// What `meta.json` tells, under OpenBao's names where it has them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    version: u32,
    #[serde(rename = "ID")]
    id: String,
    index: u64,
    term: u64,
    records: u64,
    size: u64,
}

/// Version of the archive.
const VERSION: u32 = 1;
const ID: &str = "bulkhead-snapshot";

/// An archive around a finished stream, to be read once.
pub(crate) struct Packed<R> {
    out: Gzip,
    /// Of `out`, what was read.
    at: usize,
    state: R,
    left: u64,
    /// What follows the state; taken once it was written.
    tail: Option<Vec<u8>>,
}

impl<R: Read> Packed<R> {
    /// `seal` is asked for what goes beside the digests.
    pub(crate) fn new(info: &SnapshotInfo, end: End, state: R, seal: &dyn Fn(&[u8]) -> Vec<u8>) -> Self {
        let meta = Meta {
            version: VERSION,
            id: ID.to_owned(),
            index: info.index,
            term: info.term,
            records: info.records,
            size: info.bytes,
        };
        let meta = serde_json::to_vec(&meta).expect("numbers and a text are JSON");
        let sums = sums(Sha256::digest(&meta).into(), end.file_digest).into_bytes();
        let sealed = seal(&sums);
        let mut out = Gzip::new();
        out.put(&tar::file(META, &meta));
        out.put(&tar::header(STATE, info.bytes));
        let mut tail = vec![0; tar::padding(info.bytes)];
        tail.extend(tar::file(SUMS, &sums));
        tail.extend(tar::file(SEAL, &sealed));
        tail.extend([0; 2 * tar::BLOCK]);
        Self { out, at: 0, state, left: info.bytes, tail: Some(tail) }
    }

    /// Makes more to read; nothing, at the end.
    fn refill(&mut self) -> io::Result<()> {
        self.out.clear();
        self.at = 0;
        if self.left > 0 {
            let mut piece = vec![0; usize::try_from(self.left).map_or(gzip::PIECE, |left| left.min(gzip::PIECE))];
            self.state.read_exact(&mut piece)?;
            self.left -= piece.len() as u64;
            self.out.put(&piece);
        } else if let Some(tail) = self.tail.take() {
            self.out.put(&tail);
            self.out.end();
        }
        Ok(())
    }
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.out.bytes().len() {
            self.refill()?;
        }
        let rest = &self.out.bytes()[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// What an archive holds besides the state.
pub(crate) struct Unpacked {
    pub(crate) info: SnapshotInfo,
    pub(crate) sums: Vec<u8>,
    pub(crate) seal: Vec<u8>,
}

/// Reads an archive to its end, checking all of it. `take` is given the state, and is to read
/// and check it to its end.
pub(crate) fn unpack<R: Read>(
    archive: R,
    take: impl FnOnce(&mut dyn Read) -> Result<SnapshotInfo, LedgerError>,
) -> Result<Unpacked, LedgerError> {
    let mut input = Gunzip::new(archive);
    let read = read_files(&mut input, take);
    // What the wrapping found comes first: it names the cause.
    match input.fault() {
        Some(why) => Err(damaged(why)),
        None => read,
    }
}

fn read_files<R: Read>(
    input: &mut Gunzip<R>,
    take: impl FnOnce(&mut dyn Read) -> Result<SnapshotInfo, LedgerError>,
) -> Result<Unpacked, LedgerError> {
    let meta_bytes = small(input, META)?;
    let meta: Meta = serde_json::from_slice(&meta_bytes).map_err(|_| damaged("its meta.json can't be read"))?;
    if meta.id != ID || meta.version != VERSION {
        return Err(damaged("it was made by another program, or by another version of this one"));
    }
    let size = begin(input, STATE)?;
    let mut state = Hashed { input: &mut *input, left: size, hash: Sha256::new() };
    let info = take(&mut state)?;
    let (left, state_digest) = (state.left, state.hash.finalize());
    if left != 0 {
        return Err(damaged("something follows its records"));
    }
    skip(input, size)?;
    let told = (meta.index, meta.term, meta.records, meta.size);
    if told != (info.index, info.term, info.records, info.bytes) {
        return Err(damaged("its meta.json is of another"));
    }
    let found = small(input, SUMS)?;
    if found != sums(Sha256::digest(&meta_bytes).into(), state_digest.into()).as_bytes() {
        return Err(damaged("its digests do not match"));
    }
    let seal = small(input, SEAL)?;
    let mut rest = Vec::new();
    input.take(2 * tar::BLOCK as u64 + 1).read_to_end(&mut rest).map_err(|e| reading(&e))?;
    if rest != [0; 2 * tar::BLOCK] {
        return Err(damaged("it does not end as one"));
    }
    Ok(Unpacked { info, sums: found, seal })
}

/// The digests as `sha256sum` writes them.
fn sums(meta: [u8; 32], state: [u8; 32]) -> String {
    let line = |digest: [u8; 32], name| {
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digest}  {name}\n")
    };
    line(meta, META) + &line(state, STATE)
}

/// The header of a file, which must be this one. Its length.
fn begin(input: &mut impl Read, name: &str) -> Result<u64, LedgerError> {
    let mut block = [0; tar::BLOCK];
    filled(input, &mut block)?;
    tar::parse(&block, name).map_err(|why| LedgerError::Damaged { what: format!("a snapshot: {why}") })
}

fn small(input: &mut impl Read, name: &str) -> Result<Vec<u8>, LedgerError> {
    let bytes = begin(input, name)?;
    if bytes > SMALL_BYTES_MAX {
        return Err(damaged("one of its small files is too long"));
    }
    let mut content = vec![0; usize::try_from(bytes).expect("it is small")];
    filled(input, &mut content)?;
    skip(input, bytes)?;
    Ok(content)
}

/// Skips what fills the last block of a file so long.
fn skip(input: &mut impl Read, bytes: u64) -> Result<(), LedgerError> {
    let mut padding = [0; tar::BLOCK];
    let padding = &mut padding[..tar::padding(bytes)];
    filled(input, padding)?;
    if padding.iter().any(|byte| *byte != 0) { Err(damaged("something is between its files")) } else { Ok(()) }
}

fn filled(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), LedgerError> {
    input.read_exact(bytes).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it is cut off"),
        _ => reading(&e),
    })
}

/// One file's content, hashed as it is read.
struct Hashed<'a, R> {
    input: &'a mut R,
    left: u64,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.input.read(&mut buffer[..most])?;
        self.hash.update(&buffer[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;

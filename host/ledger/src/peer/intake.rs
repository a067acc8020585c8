//! A snapshot on its way between two nodes: cut into chunks with a checksum each, put
//! together in a file beside the others, and handed on only whole. The stream's own
//! digest is checked again before any of it is believed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::plausible;
use super::wire::{self, Request, Response};
use super::{Lane, Link, LinkError, Target};
use crate::raft::{Payload, Snapshot, SnapshotMeta, SnapshotResponse, Vote};
use crate::snapshot::{self, Contents, SnapshotFile, Snapshots};

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 512 * 1024;

/// Longest one chunk may take. Why: past it, the sender starts anew.
const CHUNK_WITHIN: Duration = Duration::from_secs(10);

/// Longest the receiver may take to put a whole snapshot in its state's place, in seconds.
pub(super) const INSTALL_SECS_MAX: u64 = 600;

/// Largest snapshot taken, in bytes. Source: ours. Why: a length that is not one must not
/// fill the disk.
const SNAPSHOT_BYTES_MAX: u64 = 1 << 40;

/// Sends a snapshot whole and returns what the peer says once it has it in place.
pub(super) async fn send(
    link: &dyn Link,
    target: &Target,
    vote: Vote,
    snapshot: Snapshot,
) -> Result<SnapshotResponse, LinkError> {
    let failed = |e: io::Error| LinkError::new(target, format!("reading the snapshot to send: {e}"));
    let file = Arc::new(Mutex::new(snapshot.snapshot.0));
    let bytes = start(&file).map_err(failed)?;
    let call = Call { link, target };
    call.taken(&Request::SnapshotBegin { bytes }).await?;
    let mut offset = 0;
    while offset < bytes {
        let content = next(&file).await.map_err(failed)?;
        let (crc, length) = (crc32c::crc32c(&content), content.len() as u64);
        call.taken(&Request::SnapshotChunk { offset, crc, content: Payload(content) }).await?;
        offset += length;
    }
    match call.ask(&Request::SnapshotEnd { vote, meta: snapshot.meta }, Duration::from_secs(INSTALL_SECS_MAX)).await? {
        Response::SnapshotInstalled(response) => Ok(response),
        other => Err(call.refused(other)),
    }
}

struct Call<'a> {
    link: &'a dyn Link,
    target: &'a Target,
}

impl Call<'_> {
    async fn ask(&self, request: &Request, within: Duration) -> Result<Response, LinkError> {
        let answer = self.link.call(self.target, Lane::Bulk, wire::encode(request));
        let answer = timeout(within, answer).await;
        let answer = answer.map_err(|_| LinkError::new(self.target, "no answer in time to a part of a snapshot"))??;
        let asked = plausible::vote_of(request).map(|vote| vote.leader_id.term);
        let answer = wire::response(&answer).filter(|answer| plausible::response(answer, asked).is_ok());
        answer.ok_or_else(|| LinkError::new(self.target, "an answer that can't be read"))
    }

    async fn taken(&self, request: &Request) -> Result<(), LinkError> {
        match self.ask(request, CHUNK_WITHIN).await? {
            Response::SnapshotTaken => Ok(()),
            other => Err(self.refused(other)),
        }
    }

    fn refused(&self, response: Response) -> LinkError {
        match response {
            Response::Refused(why) => LinkError::new(self.target, why),
            _ => LinkError::new(self.target, "it answered something else than was asked"),
        }
    }
}

fn start(file: &Mutex<File>) -> io::Result<u64> {
    let mut file = file.lock();
    file.seek(SeekFrom::Start(0))?;
    Ok(file.metadata()?.len())
}

/// Reads the next chunk to send.
async fn next(file: &Arc<Mutex<File>>) -> io::Result<Bytes> {
    let file = Arc::clone(file);
    let reading = tokio::task::spawn_blocking(move || {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        (&mut *file.lock()).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Bytes::from(chunk)) }
    });
    reading.await.map_err(io::Error::other)?
}

/// The snapshot a node is being sent. One at a time: whoever begins anew ends the other.
pub(super) struct Intake {
    snapshots: Arc<Snapshots>,
    arriving: Mutex<Option<Arriving>>,
}

struct Arriving {
    from: u64,
    file: File,
    bytes: u64,
    have: u64,
}

impl Intake {
    pub(super) fn new(snapshots: Arc<Snapshots>) -> Self {
        Self { snapshots, arriving: Mutex::new(None) }
    }

    /// A node begins to send one. Blocks.
    pub(super) fn begin(&self, from: u64, bytes: u64) -> Result<(), String> {
        if bytes > SNAPSHOT_BYTES_MAX {
            return Err(format!("a snapshot of {bytes} bytes is larger than any"));
        }
        let file = self.snapshots.scratch().map_err(|e| format!("making a file for the snapshot: {e}"))?;
        *self.arriving.lock() = Some(Arriving { from, file, bytes, have: 0 });
        Ok(())
    }

    /// The next chunk. Blocks.
    pub(super) fn chunk(&self, from: u64, offset: u64, crc: u32, content: &[u8]) -> Result<(), String> {
        let mut arriving = self.arriving.lock();
        let Some(this) = arriving.as_mut().filter(|this| this.from == from && this.have == offset) else {
            return Err("this is not the next chunk of the snapshot that is arriving".to_owned());
        };
        if crc32c::crc32c(content) != crc {
            return Err("a chunk of the snapshot fails its checksum".to_owned());
        }
        let have = this.have + content.len() as u64;
        if have > this.bytes {
            return Err("the snapshot is longer than it was said to be".to_owned());
        }
        if let Err(e) = this.file.write_all(content) {
            *arriving = None;
            return Err(format!("writing the snapshot: {e}"));
        }
        this.have = have;
        Ok(())
    }

    /// All of it, if all is there and none of it is damaged: a state machine that is given
    /// a damaged one must stop. What was said of it must be what it says of itself. Blocks.
    pub(super) fn end(&self, from: u64, said: &SnapshotMeta) -> Result<SnapshotFile, String> {
        let whole = self.arriving.lock().take_if(|this| this.from == from && this.have == this.bytes);
        let Some(mut whole) = whole else { return Err("the snapshot is not whole".to_owned()) };
        whole.file.seek(SeekFrom::Start(0)).map_err(|e| format!("reading the snapshot: {e}"))?;
        snapshot::check(&whole.file, |_, _| ()).map_err(|e| e.to_string())?;
        let contents = Contents::open(&whole.file).map_err(|e| e.to_string())?;
        if (&contents.note().applied, &contents.note().membership) != (&said.last_log_id, &said.last_membership) {
            return Err("the snapshot is not what it was said to be".to_owned());
        }
        Ok(SnapshotFile(whole.file))
    }
}

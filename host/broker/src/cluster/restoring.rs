//! Snapshots for operators: made, taken in, and put in the place of the state. Any node does
//! it; one that does not lead has the leader take the steps.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{Barrier, HmacKey};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::request::Pieces;
use bulkhead_model::seam::cluster::{Cluster, ClusterError, ReceivedSnapshot, RestoreStep, SavedSnapshot};
use bulkhead_model::seam::ledger::LedgerError;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc};

use super::admission::of_cluster;
use super::wire::{Question, Told};
use super::{authority, forward};
use crate::fault::Fault;
use crate::node::birth;
use crate::open::Open;
use crate::sys;

/// Snapshots that are saved at a time. Source: ours. Why: each is a copy of the state on the
/// disk until it was sent.
const SAVING_MAX: usize = 2;

/// Largest snapshot that is taken in, in bytes. Source: ours. Why: it is laid on the disk
/// before it is believed; the listener has a bound of its own.
const BYTES_MAX: u64 = 1 << 40;

/// Pieces of a body that wait to be written. Source: ours.
const PIECES_MAX: usize = 4;

/// Longest the leader may take for a step. Source: ours. Why: the last one writes everything
/// anew.
const STEP_WITHIN: Duration = Duration::from_secs(30 * 60);

/// What of snapshots is under way on this node.
pub(crate) struct Snapshots {
    saving: Arc<Semaphore>,
    restoring: Arc<Mutex<()>>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self { saving: Arc::new(Semaphore::new(SAVING_MAX)), restoring: Arc::default() }
    }
}

/// The right to restore: one at a time.
pub(crate) struct Turn {
    _of_all: OwnedMutexGuard<()>,
}

impl Snapshots {
    /// # Errors
    /// 503, while another one is restored.
    pub(crate) fn turn(&self) -> Result<Turn, Fault> {
        let busy = |_| Failure::new(FailureKind::Unavailable, "another snapshot is being restored; try again");
        Ok(Turn { _of_all: Arc::clone(&self.restoring).try_lock_owned().map_err(busy)? })
    }
}

/// A snapshot, and the right to hold its copy of the state.
struct Held {
    stream: Box<dyn Read + Send + Sync>,
    _place: OwnedSemaphorePermit,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

/// The key of the seal beside a snapshot's digests.
fn seal_key(open: &Open) -> HmacKey {
    open.barrier.hmac_key("snapshot digests")
}

/// A snapshot of everything that was acknowledged before.
///
/// # Errors
/// [`Fault`]: the ledger's, or others are saved already.
pub(crate) async fn save(open: &Open, cluster: &dyn Cluster) -> Result<SavedSnapshot, Fault> {
    let busy = |_| Failure::new(FailureKind::Unavailable, "other snapshots are being saved; try again");
    let place = Arc::clone(&open.snapshots.saving).try_acquire_owned().map_err(busy)?;
    let key = seal_key(open);
    let seal = move |sums: &[u8]| key.sign(sums).to_vec();
    let SavedSnapshot { info, stream } = cluster.save_snapshot(&seal).await.map_err(|error| of_cluster(&error))?;
    Ok(SavedSnapshot { info, stream: Box::new(Held { stream, _place: place }) })
}

/// What is not of the snapshot after it was restored: the keys, which only ever become more,
/// and who vouches for the nodes of the cluster.
fn kept(open: &Open) -> Result<Vec<Vec<u8>>, Fault> {
    let mut kept = Barrier::own_places();
    kept.push(open.barrier.place(&authority::key())?);
    Ok(kept)
}

/// Takes a snapshot in, and finds out whether it may be restored. Nothing has changed yet.
///
/// # Errors
/// [`Fault`]: it is none, or not of this cluster and not forced; or what the client did.
pub(crate) async fn receive(
    open: &Open,
    cluster: &dyn Cluster,
    pieces: Box<dyn Pieces>,
    forced: bool,
) -> Result<ReceivedSnapshot, Fault> {
    let keep = if forced { Vec::new() } else { kept(open)? };
    let (feed, fed) = mpsc::channel(PIECES_MAX);
    let stream = Box::new(Fed { pieces: fed, piece: Vec::new(), at: 0, ended: false });
    let mut receiving = cluster.receive_snapshot(stream, BYTES_MAX, keep);
    let (received, broken) = tokio::select! {
        received = &mut receiving => (received, Ok(())),
        fed = feed_all(open, pieces, feed) => (receiving.await, fed),
    };
    broken?;
    let received = received.map_err(|error| match error {
        ClusterError::Ledger(LedgerError::Damaged { what }) => {
            let what = what.strip_prefix("a snapshot: ").unwrap_or(&what);
            Fault::invalid(format!("this is no whole snapshot of this program: {what}"))
        }
        ClusterError::Ledger(error) => Fault::Ledger(error),
        other => of_cluster(&other),
    })?;
    if !forced {
        refuse_foreign(open, &received)?;
    }
    Ok(received)
}

/// The text is OpenBao's.
fn refuse_foreign(open: &Open, received: &ReceivedSnapshot) -> Result<(), Fault> {
    open.learn_keys()?;
    let keyring = received.kept.get(&Barrier::keyring_place());
    let covered = keyring.is_some_and(|wrapped| open.barrier.covers(wrapped.clone()));
    if covered && seal_key(open).verify(&received.sums, &received.seal) {
        return Ok(());
    }
    Err(Fault::invalid(
        "could not verify hash file, possibly the snapshot is using a different set of unseal keys; use the \
         snapshot-force API to bypass this check",
    ))
}

/// Hands on what comes, for as long as somebody wants it.
async fn feed_all(open: &Open, mut pieces: Box<dyn Pieces>, feed: mpsc::Sender<Option<Vec<u8>>>) -> Result<(), Fault> {
    loop {
        // What comes slowly must not keep a node that was sealed from forgetting its keys.
        open.fence.refuse_ended()?;
        match pieces.next().await {
            Ok(Some(piece)) => {
                if feed.send(Some(piece)).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => {
                let _ = feed.send(None).await;
                return Ok(());
            }
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// A body as whoever blocks reads it.
struct Fed {
    /// `None` is its end; a channel that ends without has broken off.
    pieces: mpsc::Receiver<Option<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => (self.piece, self.at) = (piece, 0),
                Some(None) => self.ended = true,
                None => return Err(io::Error::from(io::ErrorKind::BrokenPipe)),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Puts a snapshot in the place of the state, on every node.
///
/// # Errors
/// [`Fault`]: then either nothing has changed, or that is not known; the text says so.
pub(crate) async fn put_in_place(
    open: &Open,
    cluster: &dyn Cluster,
    received: ReceivedSnapshot,
    forced: bool,
    _turn: &Turn,
) -> Result<(), Fault> {
    let info = received.info;
    let (tell, mut told) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || {
        for step in received.steps {
            let failed = step.is_err();
            if tell.blocking_send(step).is_err() || failed {
                return;
            }
        }
    });
    while let Some(step) = told.recv().await {
        take_anywhere(open, cluster, step?, forced).await?;
    }
    drop(reading.await);
    tracing::warn!(
        index = info.index,
        records = info.records,
        forced,
        "a snapshot was restored: the state is the one of then"
    );
    Ok(())
}

async fn take_anywhere(open: &Open, cluster: &dyn Cluster, step: RestoreStep, forced: bool) -> Result<(), Fault> {
    if open.parts.peers.is_none() || open.ledger().standing().leader {
        return take_here(open, cluster, step, forced).await;
    }
    let unavailable = |text: &str| Fault::Answer(Failure::new(FailureKind::Unavailable, text));
    let Some(leader) = cluster.leader() else { return Err(unavailable("there is no leader: nothing was changed")) };
    let RestoreStep { bytes, is_last } = step;
    match forward::ask(open, cluster, leader.number, &Question::Restore { bytes, is_last, forced }, STEP_WITHIN).await {
        Ok(Told::Noted) => Ok(()),
        Ok(Told::Refused(why)) => Err(unavailable(&why)),
        Ok(_) => Err(unavailable("leadership moved: nothing was changed; try again")),
        Err(error) if is_last && error.maybe_acted_on => {
            Err(unavailable("the leader did not answer; the snapshot may or may not be in place"))
        }
        Err(_) => Err(unavailable("the leader was not reached: nothing was changed; try again")),
    }
}

/// Takes a step on the node that leads.
///
/// # Errors
/// [`Fault`] from the ledger.
pub(super) async fn take_here(
    open: &Open,
    cluster: &dyn Cluster,
    step: RestoreStep,
    forced: bool,
) -> Result<(), Fault> {
    let ends = step.is_last;
    // What is written under keys that the snapshot does not have could never be read again.
    let fences = ends && forced;
    if fences {
        open.fence.shut(true);
    }
    match cluster.restore_step(step).await {
        Ok(_) if fences => open.fence.close(),
        Ok(_) if ends => follow(open).await,
        Ok(_) => {}
        Err(error @ (ClusterError::Refused { .. } | ClusterError::Ledger(LedgerError::NotLeader { .. }))) => {
            if fences {
                open.fence.shut(false);
            }
            return Err(of_cluster(&error));
        }
        // Whether it is in place is not known: a forced one leaves the node closed.
        Err(error) => {
            if fences {
                open.fence.close();
            }
            return Err(of_cluster(&error));
        }
    }
    Ok(())
}

/// Brings up to date what this node keeps parsed, open or running, after a snapshot took the
/// place of the state. What fails is told of; most of it is read anew by whoever needs it.
async fn follow(open: &Open) {
    let done = async {
        open.refresh()?;
        let mut tx = open.begin()?;
        birth::adopt_configured(&mut tx, &open.parts)?;
        open.commit(tx).await?;
        sys::raft::apply_autopilot(open)
    };
    if let Err(fault) = done.await {
        tracing::error!(cause = ?fault, "not all of what the snapshot holds is in use yet");
    }
    sys::audit::follow_book(open, None).await;
    open.due.notify_one();
}

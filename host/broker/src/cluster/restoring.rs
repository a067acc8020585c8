//! Snapshots for operators: made, taken in, and put in the place of the state. Any node does
//! it; one that does not lead has the leader take the steps.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{Barrier, HmacKey};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::request::Pieces;
use bulkhead_model::seam::cluster::{
    Cluster, ClusterError, ReceivedSnapshot, Restoration, RestoreStep, RestoreSteps, SavedSnapshot, SnapshotInfo,
};
use bulkhead_model::seam::entropy::random;
use bulkhead_model::seam::ledger::LedgerError;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc};

use super::admission::of_cluster;
use super::wire::{Question, Told};
use super::{authority, forward};
use crate::fault::Fault;
use crate::fence::Fence;
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

/// A snapshot that may be restored, and how.
pub(crate) struct Admitted {
    info: SnapshotInfo,
    steps: RestoreSteps,
    /// Its keys are the state's afterwards, so that the nodes must be unsealed anew.
    forced: bool,
}

impl Admitted {
    /// Whether the nodes are sealed once it is in place.
    pub(crate) fn seals(&self) -> bool {
        self.forced
    }
}

/// Takes a snapshot in, and finds out whether it may be restored. Nothing has changed yet.
///
/// # Errors
/// [`Fault`]: it is none, or not of this cluster and not forced; it would part the nodes of the
/// cluster; or what the client did.
pub(crate) async fn receive(
    open: &Open,
    cluster: &dyn Cluster,
    pieces: Box<dyn Pieces>,
    forced: bool,
) -> Result<Admitted, Fault> {
    let (feed, fed) = mpsc::channel(PIECES_MAX);
    let stream = Box::new(Fed { pieces: fed, piece: Vec::new(), at: 0, ended: false });
    let mut receiving = cluster.receive_snapshot(stream, BYTES_MAX, vec![Barrier::keyring_place()]);
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
    open.learn_keys()?;
    // What is this cluster's own needs no force: the node stays as open as it is.
    let (terms, forced) = match (is_own(open, &received), forced) {
        (true, _) => (terms(open)?, false),
        (false, true) => (forced_terms(open, cluster, &received)?, true),
        (false, false) => return Err(foreign()),
    };
    Ok(Admitted { info: received.info, steps: (received.steps)(terms), forced })
}

/// What is not of the snapshot after it was restored: the keys, which only ever become more,
/// and who vouches for the nodes of the cluster.
fn terms(open: &Open) -> Result<Restoration, Fault> {
    let mut keep = Barrier::own_places();
    keep.push(open.barrier.place(&authority::key())?);
    Ok(Restoration { attempt: random(&*open.parts.entropy), keep, ..Restoration::default() })
}

/// Of a forced one all is the snapshot's, its keys among it. Who vouches for the nodes goes with
/// it as a record under those; where that cannot be written, there must be no other node, which
/// would be cut off once its certificate is to be renewed.
fn forced_terms(open: &Open, cluster: &dyn Cluster, received: &ReceivedSnapshot) -> Result<Restoration, Fault> {
    let carried = authority::carried_over(open, received.shown.get(&Barrier::keyring_place()))?;
    if carried.is_none() && cluster.peers().len() > 1 {
        return Err(Fault::invalid(
            "the snapshot is of other keys, under which the nodes of this cluster could not know each other any more: \
             remove all nodes but one (sys/storage/raft/remove-peer), restore there, and let the others join anew with \
             empty data directories",
        ));
    }
    let attempt = random(&*open.parts.entropy);
    Ok(Restoration { attempt, keep: Vec::new(), alone: carried.is_none(), put: carried.into_iter().collect() })
}

/// Whether a snapshot is of this cluster, and its keys are among those that are in use.
fn is_own(open: &Open, received: &ReceivedSnapshot) -> bool {
    let keyring = received.shown.get(&Barrier::keyring_place());
    let covered = keyring.is_some_and(|wrapped| open.barrier.covers(wrapped.clone()));
    covered && seal_key(open).verify(&received.sums, &received.seal)
}

/// The text is OpenBao's.
fn foreign() -> Fault {
    Fault::invalid(
        "could not verify hash file, possibly the snapshot is using a different set of unseal keys; use the \
         snapshot-force API to bypass this check",
    )
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

/// Puts a snapshot in the place of the state, on every node. Once begun it is carried out or given
/// up, whatever becomes of whoever asked for it.
///
/// # Errors
/// [`Fault`]: then either nothing has changed, or that is not known; the text says so.
pub(crate) async fn put_in_place(open: &Arc<Open>, admitted: Admitted, turn: Turn) -> Result<(), Fault> {
    let open = Arc::clone(open);
    let working = tokio::spawn(async move {
        let _turn = turn;
        carry_out(&open, admitted).await
    });
    working
        .await
        .unwrap_or_else(|_| Err(unavailable("the restoring broke off; the snapshot may or may not be in place")))
}

async fn carry_out(open: &Open, admitted: Admitted) -> Result<(), Fault> {
    let Admitted { info, steps: RestoreSteps { steps, abandon }, forced } = admitted;
    let Some(cluster) = open.ledger().cluster() else { return Err(unavailable("the storage keeps no cluster")) };
    let (tell, mut told) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || {
        for step in steps {
            let failed = step.is_err();
            if tell.blocking_send(step).is_err() || failed {
                return;
            }
        }
    });
    let taken = async {
        while let Some(step) = told.recv().await {
            // A node that was sealed must not hold its keys until all is done.
            open.fence.refuse_ended()?;
            take_anywhere(open, cluster, step?, forced).await?;
        }
        Ok::<(), Fault>(())
    };
    let taken = taken.await;
    drop(told);
    drop(reading.await);
    if let Err(fault) = taken {
        // Whatever the leader did not hear of it finds out by itself, a little later.
        if let Err(fault) = take_anywhere(open, cluster, abandon, forced).await {
            tracing::debug!(cause = ?fault, "a restoring that failed could not be given up at once");
        }
        return Err(fault);
    }
    tracing::warn!(
        index = info.index,
        records = info.records,
        forced,
        "a snapshot was restored: the state is the one of then"
    );
    Ok(())
}

fn unavailable(text: &str) -> Fault {
    Fault::Answer(Failure::new(FailureKind::Unavailable, text))
}

async fn take_anywhere(open: &Open, cluster: &dyn Cluster, step: RestoreStep, forced: bool) -> Result<(), Fault> {
    if open.parts.peers.is_none() || open.ledger().standing().leader {
        return take_here(open, cluster, step, forced).await;
    }
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

/// Keeps a node shut while the last step of a forced restoring is under way: what is written under
/// keys that the snapshot does not have could never be read again. Dropped without a word, be it
/// in the middle, whether the state was replaced is not known, and the node closes.
struct Shut<'a>(Option<&'a Fence>);

impl<'a> Shut<'a> {
    fn begin(fence: &'a Fence) -> Self {
        fence.shut(true);
        Self(Some(fence))
    }

    /// Nothing was replaced: the node goes on.
    fn open(mut self) {
        if let Some(fence) = self.0.take() {
            fence.shut(false);
        }
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        if let Some(fence) = self.0 {
            fence.close();
        }
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
    let shut = (ends && forced).then(|| Shut::begin(&open.fence));
    let taken = cluster.restore_step(step).await;
    let unchanged = matches!(
        taken,
        Err(ClusterError::Refused { .. }
            | ClusterError::Busy { .. }
            | ClusterError::Ledger(LedgerError::NotLeader { .. }))
    );
    match shut {
        Some(shut) if unchanged => shut.open(),
        Some(shut) => drop(shut),
        // Where it is not known whether the state was replaced, it is looked at all the same.
        None if ends && !unchanged => follow(open).await,
        None => {}
    }
    taken.map(drop).map_err(|error| of_cluster(&error))
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

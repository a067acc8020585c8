//! The state machine: committed entries in, verdicts out. [`group`] judges, [`state`]
//! holds the map. Nothing here waits for a disk sync except around snapshots.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bulkhead_model::change::Verdict;
use bulkhead_model::seam::ledger::LedgerError;
use futures::{Stream, TryStreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use self::group::Group;
use self::restore::Turn;
use self::state::{Meta, State, meta_put};
use crate::disk::{Disk, DiskView};
use crate::fault::{Health, as_io};
use crate::gate::Gate;
use crate::raft::{Answer, Entry, LogId, Snapshot, SnapshotMeta, StoredMembership, Types};
use crate::removed::{self, Removed};
use crate::snapshot::{Contents, SnapshotFile, Snapshots};

mod group;
pub(crate) mod recent;
pub(crate) mod restore;
pub(crate) mod state;

/// A snapshot is put off while the log has grown by less than this part of the state.
const SNAPSHOT_GROWTH: u64 = 2;

/// A snapshot is put off no longer than this many entries. Why: the log takes room on the disk, and in
/// memory the place of each entry.
const SNAPSHOT_ENTRIES_MAX: u64 = 400_000;

/// Bytes an entry takes in the log, roughly, to weigh log against state.
const ENTRY_BYTES: u64 = 1024;

/// What openraft applies entries to.
pub(crate) struct Machine {
    state: Arc<State>,
    snapshots: Arc<Snapshots>,
    meta: Meta,
    gate: Arc<Gate>,
    removed: Arc<Removed>,
    health: Arc<Health>,
    node: u64,
    last_snapshot: u64,
}

type Entries = std::vec::IntoIter<EntryResponder<Types>>;
type Waiting = (ApplyResponder<Types>, Answer);

impl Machine {
    pub(crate) fn new(
        (state, meta): (Arc<State>, Meta),
        snapshots: Arc<Snapshots>,
        (gate, removed): (Arc<Gate>, Arc<Removed>),
        health: Arc<Health>,
        node: u64,
    ) -> Self {
        let last_snapshot = snapshots.last_index();
        let machine = Self { state, snapshots, meta, gate, removed, health, node, last_snapshot };
        machine.report();
        machine
    }

    /// The digest of what was applied, and the last applied index.
    pub(crate) fn digest(&self) -> (u64, [u8; 32]) {
        (self.meta.applied.map_or(0, |id| id.index), self.meta.digest)
    }

    /// The state as it is now, for whoever wants to read all of it. Nothing is put off or
    /// counted for it, unlike for a snapshot of the log's.
    pub(crate) fn moment(&self) -> Builder {
        Builder {
            state: Arc::clone(&self.state),
            snapshots: Arc::clone(&self.snapshots),
            health: Arc::clone(&self.health),
            view: self.state.disk().map(|disk| disk.view()),
            meta: self.meta.clone(),
        }
    }

    /// Tells the gate what views show from now on, and others whom they need not hear.
    fn report(&self) {
        self.removed.set(&self.meta.removed);
        if let Some(id) = self.meta.membership.log_id() {
            let membership = self.meta.membership.membership();
            let sole = membership.get_joint_config().len() == 1 && membership.voter_ids().eq([self.node]);
            self.gate.membership_applied(id.index, sole);
        }
        if let Some(id) = self.meta.applied {
            self.gate.applied(id.index);
        }
    }

    /// Applies entries up to one that is a group by itself, which is for the caller to do.
    fn take(
        &mut self,
        entries: &mut Entries,
        waiting: &mut Vec<Waiting>,
    ) -> Result<Option<(EntryResponder<Types>, Turn)>, LedgerError> {
        let disk = self.state.disk()?;
        let mut group = Group::new(&disk, &self.state.recent, std::mem::take(&mut self.meta));
        let mut ended = None;
        for (entry, responder) in entries.by_ref() {
            if let Some(turn) = turn_of(&entry) {
                ended = Some(((entry, responder), turn));
                break;
            }
            let answer = judge(&mut group, &entry)?;
            waiting.extend(responder.map(|responder| (responder, answer)));
            if group.is_full() {
                group.write()?;
            }
        }
        group.write()?;
        self.meta = group.meta;
        Ok(ended)
    }

    async fn take_all(&mut self, entries: Vec<EntryResponder<Types>>) -> Result<Vec<Waiting>, LedgerError> {
        let mut waiting = Vec::with_capacity(entries.len());
        let mut entries = entries.into_iter();
        while let Some(((entry, responder), turn)) = self.take(&mut entries, &mut waiting)? {
            let answer = self.turn(&entry, turn).await?;
            waiting.extend(responder.map(|responder| (responder, answer)));
        }
        Ok(waiting)
    }

    /// Begins a restoring, ends it or gives it up. Until that is done, the entry does not
    /// count as applied: a crash has it done again.
    async fn turn(&mut self, entry: &Entry, turn: Turn) -> Result<Answer, LedgerError> {
        let (state, meta, entry) = (Arc::clone(&self.state), self.meta.clone(), entry.clone());
        let turning = tokio::task::spawn_blocking(move || turned(&state, meta, &entry, &turn));
        let (meta, answer) = turning.await.map_err(|e| LedgerError::Stopped { cause: e.to_string() })??;
        self.meta = meta;
        Ok(answer)
    }

    fn fail(&self, error: LedgerError) -> io::Error {
        as_io(self.health.fail(error))
    }
}

/// The turn of a restoring that an entry is.
fn turn_of(entry: &Entry) -> Option<Turn> {
    let EntryPayload::Normal(payload) = &entry.payload else { return None };
    Turn::of(&payload.0)
}

fn turned(state: &State, meta: Meta, entry: &Entry, turn: &Turn) -> Result<(Meta, Answer), LedgerError> {
    let disk = state.disk()?;
    let view = disk.view();
    let answer = turn.judge(&view, &meta, entry.log_id.index)?;
    let mut group = Group::new(&disk, &state.recent, meta);
    let EntryPayload::Normal(payload) = &entry.payload else { unreachable!("it was decoded from a payload") };
    group.note(entry, answer, &payload.0);
    if !matches!(answer, Answer::Judged(Verdict::Committed(_))) {
        group.write()?;
        return Ok((group.meta, answer));
    }
    match turn {
        Turn::End(ending) => restore::put_in_place(state, &view, ending, &group.meta)?,
        Turn::Begin(id) => {
            restore::clear(&disk, &view)?;
            group.turn_to(Some(id));
            group.write()?;
        }
        Turn::Abandon(_) => {
            restore::clear(&disk, &view)?;
            group.turn_to(None);
            group.write()?;
        }
    }
    Ok((group.meta, answer))
}

fn judge(group: &mut Group<'_>, entry: &Entry) -> Result<Answer, LedgerError> {
    let answer = group.take(entry)?;
    if answer == Answer::Refused {
        tracing::error!(index = entry.log_id.index, "refused a committed entry that no node should have proposed");
    }
    Ok(answer)
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.meta.applied, self.meta.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut gathered = Vec::new();
        let mut membership = false;
        while let Some(item) = entries.try_next().await? {
            membership |= matches!(item.0.payload, EntryPayload::Membership(_));
            gathered.push(item);
        }
        let began = Instant::now();
        let waiting = self.take_all(gathered).await.map_err(|e| self.fail(e))?;
        self.state.applying.record(began.elapsed());
        if membership {
            self.report();
        } else if let Some(id) = self.meta.applied {
            self.gate.applied(id.index);
        }
        for (responder, answer) in waiting {
            responder.send(answer);
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        let entries = self.meta.applied.map_or(0, |id| id.index).saturating_sub(self.last_snapshot);
        let state_bytes = self.state.disk().map_or(0, |disk| disk.bytes());
        let worth_it = entries * ENTRY_BYTES >= state_bytes / SNAPSHOT_GROWTH || entries >= SNAPSHOT_ENTRIES_MAX;
        if !force && !worth_it {
            return None;
        }
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.last_snapshot = self.meta.applied.map_or(0, |id| id.index);
        self.moment()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotFile) -> Result<(), io::Error> {
        let (state, snapshots) = (Arc::clone(&self.state), Arc::clone(&self.snapshots));
        let (id, membership, ours) = (meta.last_log_id, meta.last_membership.clone(), self.meta.removed.clone());
        let installing = tokio::task::spawn_blocking(move || {
            let kept = snapshots.keep(&snapshot, id)?;
            let mut contents = Contents::open(&kept)?;
            let removed = removed::merged(ours, &contents.note().removed, membership.membership());
            let installed = Meta { applied: id, membership, digest: contents.note().digest, removed };
            state.replace(id.map(|id| id.index), |disk| fill(disk, &mut contents, &installed))?;
            Ok(installed)
        });
        let installed = installing.await.map_err(io::Error::other)?;
        self.meta = installed.map_err(|e| self.fail(e))?;
        self.last_snapshot = self.meta.applied.map_or(0, |id| id.index);
        self.report();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let snapshots = Arc::clone(&self.snapshots);
        let current = tokio::task::spawn_blocking(move || snapshots.current()).await.map_err(io::Error::other)?;
        current.map_err(|e| as_io(&e))
    }
}

/// Puts a snapshot's records into a new map, and the note last.
fn fill(disk: &Disk, contents: &mut Contents<File>, meta: &Meta) -> Result<(), LedgerError> {
    while let Some(chunk) = contents.next_chunk()? {
        let mut batch = disk.batch(chunk.len());
        for (key, value) in chunk {
            batch.put(key, value);
        }
        batch.commit()?;
    }
    let mut batch = disk.batch(1);
    let (key, value) = meta_put(meta);
    batch.put(key, value);
    batch.commit()
}

/// Writes one snapshot of the state as it was when the builder was made.
pub(crate) struct Builder {
    state: Arc<State>,
    snapshots: Arc<Snapshots>,
    health: Arc<Health>,
    view: Result<DiskView, LedgerError>,
    meta: Meta,
}

impl Builder {
    /// The state as it was, and the note that belongs to it.
    pub(crate) fn into_parts(self) -> Result<(DiskView, Meta), LedgerError> {
        Ok((self.view?, self.meta))
    }
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let spent = Err(LedgerError::Stopped { cause: "this snapshot was already written".to_owned() });
        let view = std::mem::replace(&mut self.view, spent).map_err(|e| as_io(&e))?;
        let (state, snapshots, meta) = (Arc::clone(&self.state), Arc::clone(&self.snapshots), self.meta.clone());
        let building = tokio::task::spawn_blocking(move || {
            // Once the snapshot is known the log may be purged up to it, so the state
            // must not depend on the log any more.
            state.sync_upto(meta.applied.map_or(0, |id| id.index))?;
            snapshots.write(&meta, state::records_and_apart(&view))
        });
        let built = building.await.map_err(io::Error::other)?;
        built.map_err(|e| as_io(self.health.fail(e)))
    }
}

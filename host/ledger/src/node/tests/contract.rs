//! openraft's own tests of a log and a state machine, run against ours.

use std::path::PathBuf;
use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::fault::Health;
use crate::files::RealFiles;
use crate::gate::Gate;
use crate::log::LogStore;
use crate::log::writer::Setup;
use crate::machine::Machine;
use crate::machine::state::{FoundState, State};
use crate::raft::Types;
use crate::snapshot::Snapshots;

struct InNewDirectory;

impl StoreBuilder<Types, LogStore, Machine, TempDir> for InNewDirectory {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let (health, gate) = (Arc::new(Health::default()), Arc::new(Gate::default()));
        let place = |name: &str| -> PathBuf {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let setup = Setup {
            files: Arc::new(RealFiles),
            directory: place("log"),
            node: 0,
            segment_bytes: 64 * 1024,
            make_ahead: false,
            before_drop: Box::new(|_| Ok(())),
            lock: None,
        };
        let log = LogStore::open(setup, Arc::clone(&health), Arc::clone(&gate)).unwrap();
        let state = FoundState::look(place("state")).and_then(State::open).unwrap();
        let snapshots = Arc::new(Snapshots::open(place("snapshots")).unwrap());
        let machine = Machine::new(state, snapshots, (gate, Arc::default()), health, 0);
        Ok((dir, log, machine))
    }
}

#[tokio::test]
async fn log_and_state_machine_pass_openrafts_suite() {
    Suite::test_all(InNewDirectory).await.unwrap();
}

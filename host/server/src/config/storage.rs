//! `storage` (or its old name `backend`): where the node keeps its records.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::environment::Environment;
use super::error::ConfigError;
use super::keys;
use super::stanza::{Note, Stanza};

/// Where records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// In this process only.
    InMemory,
    /// On disk, in a Raft log and a state machine.
    Raft {
        /// The data directory.
        path: PathBuf,
        /// The operator's name for this node; empty: one is made.
        node_id: String,
        /// How long its log gets.
        log: LogLength,
    },
}

/// How long the Raft log gets, in entries; where nothing is said, the ledger knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogLength {
    /// After how many a snapshot takes the place of those before it. Source: `snapshot_threshold`.
    pub(crate) snapshot_every: Option<u64>,
    /// How many are kept behind a snapshot. Source: `trailing_logs`.
    pub(crate) trailing: Option<u64>,
}

/// Fewest and most entries either may be told. Why: below, a node takes snapshots instead of
/// requests; above, a start reads the log for minutes.
const LOG_ENTRIES: RangeInclusive<u64> = 100..=1_000_000;

impl Storage {
    /// Its name in configs and answers.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::InMemory => "inmem",
            Self::Raft { .. } => "raft",
        }
    }
}

/// The storage of the config, if it names one.
pub(super) fn read(
    top: &Stanza<'_>,
    environment: &Environment,
    notes: &mut Vec<Note>,
) -> Result<Option<Storage>, ConfigError> {
    let mut stanzas = top.blocks("storage")?;
    stanzas.extend(top.blocks("backend")?);
    // Whichever of the two counted, half of the operator's records might seem lost.
    if let [first, second, ..] = &stanzas[..] {
        return Err(second.error(format!("storage is given twice, here and at {}: keep one of them", first.place())));
    }
    stanzas.pop().map(|stanza| of_kind(&stanza, environment, notes)).transpose()
}

/// The error of a config that needs a storage and has none.
pub(super) fn missing() -> ConfigError {
    ConfigError::Missing(
        "no storage: add storage \"raft\" { path = \"/var/lib/bulkhead\" }, or storage \"inmem\" {} to try things out"
            .to_owned(),
    )
}

fn of_kind(stanza: &Stanza<'_>, environment: &Environment, notes: &mut Vec<Note>) -> Result<Storage, ConfigError> {
    match stanza.label() {
        Some("raft") => raft(stanza, environment, notes),
        Some("inmem" | "inmem_ha" | "inmem_transactional" | "inmem_transactional_ha") => {
            stanza.check(keys::IN_MEMORY, notes)?;
            Ok(Storage::InMemory)
        }
        Some(other) => {
            let path = stanza.string("path").ok().flatten().unwrap_or_else(|| "/var/lib/bulkhead".to_owned());
            Err(stanza.error(format!(
                "storage {other:?} is not offered: use storage \"raft\" {{ path = {path:?} }}, which needs nothing else, or storage \"inmem\" {{}} to try things out"
            )))
        }
        None => Err(stanza.error("storage needs a type, as in storage \"raft\" { path = \"/var/lib/bulkhead\" }")),
    }
}

fn raft(stanza: &Stanza<'_>, environment: &Environment, notes: &mut Vec<Note>) -> Result<Storage, ConfigError> {
    stanza.check(keys::RAFT, notes)?;
    let (path, node_id) = (stanza.string("path")?, stanza.string("node_id")?);
    let path = environment.raft_path.clone().or(path).filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| stanza.error("storage \"raft\" needs a path: the directory to keep data in"))?;
    let node_id = environment.raft_node_id.clone().or(node_id).unwrap_or_default();
    let log = LogLength {
        snapshot_every: entries(stanza, "snapshot_threshold")?,
        trailing: entries(stanza, "trailing_logs")?,
    };
    Ok(Storage::Raft { path: PathBuf::from(path), node_id, log })
}

/// A number of entries of the log; 0 is the same as none, as in Vault.
fn entries(stanza: &Stanza<'_>, key: &str) -> Result<Option<u64>, ConfigError> {
    match stanza.number(key)?.filter(|entries| *entries != 0) {
        Some(entries) if !LOG_ENTRIES.contains(&entries) => {
            Err(stanza.wrong(key, "is not between 100 and 1000000 entries"))
        }
        entries => Ok(entries),
    }
}

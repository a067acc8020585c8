//! `storage` (or its old name `backend`): where the node keeps its records.

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
    },
}

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
    Ok(Storage::Raft { path: PathBuf::from(path), node_id })
}

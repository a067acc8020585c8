//! `storage` (or its old name `backend`): where the node keeps its records.

use std::path::PathBuf;

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

pub(super) fn read(top: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<Storage, ConfigError> {
    let mut stanzas = top.blocks("storage")?;
    stanzas.extend(top.blocks("backend")?);
    let Some(stanza) = stanzas.pop() else {
        return Err(ConfigError::Missing(
            "no storage: add storage \"raft\" { path = \"/var/lib/bulkhead\" }, or storage \"inmem\" {} to try things out".to_owned(),
        ));
    };
    match stanza.label() {
        Some("raft") => raft(&stanza, notes),
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

fn raft(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<Storage, ConfigError> {
    stanza.check(keys::RAFT, notes)?;
    let path = stanza.string("path")?.filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| stanza.error("storage \"raft\" needs a path: the directory to keep data in"))?;
    Ok(Storage::Raft { path: PathBuf::from(path), node_id: stanza.string("node_id")?.unwrap_or_default() })
}

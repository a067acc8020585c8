//! What a snapshot in a file holds, told without any key.

use std::collections::BTreeMap;
use std::io::Read;

use bulkhead_model::seam::cluster::SnapshotInfo;
use bulkhead_model::seam::ledger::LedgerError;

/// What a snapshot holds.
pub struct Inspection {
    /// The whole of it.
    pub info: SnapshotInfo,
    /// Its records by what they are of, the largest first.
    pub spaces: Vec<Space>,
}

/// Records of one book of the host, or of one mount.
pub struct Space {
    /// Which: a book by its name, a mount by the number of its storage.
    pub name: String,
    /// How many there are.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Reads a snapshot to its end and says what it holds, if all of it is as it was written.
///
/// # Errors
/// A sentence for the operator: it is none, or damaged.
pub fn inspect_snapshot(archive: impl Read) -> Result<Inspection, String> {
    let mut spaces: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let info = bulkhead_ledger::inspect_snapshot(archive, |key, value_bytes| {
        let (records, bytes) = spaces.entry(bulkhead_broker::space_name(key)).or_default();
        *records += 1;
        *bytes += (key.len() + value_bytes) as u64;
    });
    let info = info.map_err(|error| match error {
        LedgerError::Damaged { what } => {
            format!("it is no whole snapshot of this program: {}", what.trim_start_matches("a snapshot: "))
        }
        other => other.to_string(),
    })?;
    let spaces = spaces.into_iter().map(|(name, (records, bytes))| Space { name, records, bytes });
    let mut spaces: Vec<Space> = spaces.collect();
    spaces.sort_by_key(|space| std::cmp::Reverse(space.bytes));
    Ok(Inspection { info, spaces })
}

//! The steps by which a snapshot's records go through the log: some records at a time,
//! which nobody sees yet, and an end that puts all of them in the place of what was there.

use bulkhead_model::limits::{CHANGE_BYTES_MAX, CHANGE_RECORDS_MAX, LEDGER_KEY_BYTES_MAX, LEDGER_VALUE_BYTES_MAX};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Raw;

/// First byte of every encoded step.
const FORMAT: u8 = 2;

/// Most keys that stay as they are. Source: ours.
const KEEP_MAX: usize = 64;

/// Names a restoring: the beginning of the snapshot's digest. The same snapshot has the
/// same records, so that steps of an attempt that was given up do no harm to the next.
pub(crate) type RestoreId = [u8; 16];

/// One step.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Step<'a> {
    /// Records to lay aside.
    Records {
        id: RestoreId,
        #[serde(borrow)]
        records: Vec<(Raw<'a>, Raw<'a>)>,
    },
    /// So many were laid aside; they are the state from now on, but for the keys to keep:
    /// what is there stays.
    End {
        id: RestoreId,
        records: u64,
        #[serde(borrow)]
        keep: Vec<Raw<'a>>,
    },
}

/// Encodes a step.
pub(crate) fn encode(step: &Step<'_>) -> Bytes {
    let bytes = postcard::to_extend(step, vec![FORMAT]).expect("a step has no value postcard can't write");
    Bytes::from(bytes)
}

/// Decodes a step; `None` if it is none, or over a limit.
pub(crate) fn decode(bytes: &[u8]) -> Option<Step<'_>> {
    let (format, rest) = bytes.split_first()?;
    if *format != FORMAT || rest.len() > CHANGE_BYTES_MAX {
        return None;
    }
    let (step, left) = postcard::take_from_bytes::<Step<'_>>(rest).ok()?;
    let fits = match &step {
        Step::Records { records, .. } => {
            records.len() <= CHANGE_RECORDS_MAX
                && records
                    .iter()
                    .all(|(key, value)| key.0.len() <= LEDGER_KEY_BYTES_MAX && value.0.len() <= LEDGER_VALUE_BYTES_MAX)
        }
        Step::End { keep, .. } => keep.len() <= KEEP_MAX && keep.iter().all(|key| key.0.len() <= LEDGER_KEY_BYTES_MAX),
    };
    (left.is_empty() && fits).then_some(step)
}

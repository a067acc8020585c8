//! The steps by which a snapshot's records go through the log: a beginning, which clears what
//! earlier ones left; some records at a time, which nobody sees yet; and an end that puts all
//! of them in the place of what was there, or a step that gives it up.

use bulkhead_model::limits::{CHANGE_BYTES_MAX, CHANGE_RECORDS_MAX, LEDGER_KEY_BYTES_MAX, LEDGER_VALUE_BYTES_MAX};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Raw;

/// First byte of every step that is encoded.
const FORMAT: u8 = 3;

/// First byte of steps from before a restoring had a beginning. Logs may hold some still.
const FORMAT_UNBEGUN: u8 = 2;

/// Most keys that stay as they are, and most that are put there besides. Source: ours.
const KEYS_MAX: usize = 64;

/// Tells an attempt from every other. Before there was a beginning: the start of the
/// snapshot's digest.
pub(crate) type RestoreId = [u8; 16];

/// Whether a step belongs to a restoring that was begun, so that it counts only while that one
/// is under way; or is from a log of before, where every step counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Unbegun,
    Begun,
}

/// One step.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step<'a> {
    /// This one is under way from now on, and none else; nothing is laid aside yet.
    Begin { id: RestoreId },
    /// Records to lay aside.
    Records {
        id: RestoreId,
        #[serde(borrow)]
        records: Vec<(Raw<'a>, Raw<'a>)>,
    },
    /// What was laid aside is the state from now on.
    #[serde(borrow)]
    End(End<'a>),
    /// Nothing of it is to stay. `None`: what was laid aside without a beginning.
    Abandon { id: Option<RestoreId> },
}

/// The last step.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End<'a> {
    pub(crate) id: RestoreId,
    /// So many were laid aside.
    pub(crate) records: u64,
    /// What is at these keys stays.
    #[serde(borrow)]
    pub(crate) keep: Vec<Raw<'a>>,
    /// This is at these keys, whatever was laid aside for them.
    #[serde(borrow)]
    pub(crate) put: Vec<(Raw<'a>, Raw<'a>)>,
    /// It counts only while the cluster has one member.
    pub(crate) alone: bool,
}

/// The steps of [`FORMAT_UNBEGUN`]. An end was followed by the keys to keep, or, in the oldest
/// ones, by nothing.
#[derive(Serialize, Deserialize)]
enum Unbegun<'a> {
    Records {
        id: RestoreId,
        #[serde(borrow)]
        records: Vec<(Raw<'a>, Raw<'a>)>,
    },
    End {
        id: RestoreId,
        records: u64,
    },
}

/// Encodes a step.
pub(crate) fn encode(step: &Step<'_>) -> Bytes {
    let bytes = postcard::to_extend(step, vec![FORMAT]).expect("a step has no value postcard can't write");
    Bytes::from(bytes)
}

/// Decodes a step; `None` if it is none, or over a limit.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Form, Step<'_>)> {
    let (format, rest) = bytes.split_first()?;
    if rest.len() > CHANGE_BYTES_MAX {
        return None;
    }
    let (form, step) = match *format {
        FORMAT => {
            let (step, left) = postcard::take_from_bytes::<Step<'_>>(rest).ok()?;
            (Form::Begun, left.is_empty().then_some(step)?)
        }
        FORMAT_UNBEGUN => (Form::Unbegun, unbegun(rest)?),
        _ => return None,
    };
    fits(&step).then_some((form, step))
}

fn unbegun(bytes: &[u8]) -> Option<Step<'_>> {
    let (step, left) = postcard::take_from_bytes::<Unbegun<'_>>(bytes).ok()?;
    match step {
        Unbegun::Records { id, records } => left.is_empty().then_some(Step::Records { id, records }),
        Unbegun::End { id, records } => {
            let (keep, left) = match left {
                [] => (Vec::new(), left),
                left => postcard::take_from_bytes::<Vec<Raw<'_>>>(left).ok()?,
            };
            let end = End { id, records, keep, put: Vec::new(), alone: false };
            left.is_empty().then_some(Step::End(end))
        }
    }
}

fn fits(step: &Step<'_>) -> bool {
    let record = |(key, value): &(Raw<'_>, Raw<'_>)| {
        key.0.len() <= LEDGER_KEY_BYTES_MAX && value.0.len() <= LEDGER_VALUE_BYTES_MAX
    };
    match step {
        Step::Begin { .. } | Step::Abandon { .. } => true,
        Step::Records { records, .. } => records.len() <= CHANGE_RECORDS_MAX && records.iter().all(record),
        Step::End(End { keep, put, .. }) => {
            keep.len() <= KEYS_MAX
                && put.len() <= KEYS_MAX
                && keep.iter().all(|key| key.0.len() <= LEDGER_KEY_BYTES_MAX)
                && put.iter().all(record)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RestoreId = *b"0123456789abcdef";

    fn end(keep: Vec<Raw<'_>>) -> Step<'_> {
        Step::End(End { id: ID, records: 300, keep, put: Vec::new(), alone: false })
    }

    #[test]
    fn steps_in_logs_from_before_a_restoring_had_a_beginning_are_read_as_they_were_meant() {
        let records = [&[2, 0][..], &ID, &[1, 3], b"key", &[5], b"value"].concat();
        let laid = Step::Records { id: ID, records: vec![(Raw(b"key"), Raw(b"value"))] };
        assert_eq!(decode(&records), Some((Form::Unbegun, laid)));
        // The oldest had no list of what stays; 300 in two bytes.
        let oldest = [&[2, 1][..], &ID, &[0xac, 0x02]].concat();
        assert_eq!(decode(&oldest), Some((Form::Unbegun, end(Vec::new()))));
        let none_stays = [&oldest[..], &[0]].concat();
        assert_eq!(decode(&none_stays), Some((Form::Unbegun, end(Vec::new()))));
        let one_stays = [&oldest[..], &[1, 4], b"here"].concat();
        assert_eq!(decode(&one_stays), Some((Form::Unbegun, end(vec![Raw(b"here")]))));
        for wrong in [[&one_stays[..], b"x"].concat(), one_stays[..one_stays.len() - 1].to_vec(), vec![2], vec![2, 2]] {
            assert_eq!(decode(&wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_encoded_is_read_back_and_nothing_else_is() {
        let put = vec![(Raw(&b"key"[..]), Raw(&b"value"[..]))];
        let steps = [
            Step::Begin { id: ID },
            Step::Records { id: ID, records: put.clone() },
            Step::End(End { id: ID, records: 1, keep: vec![Raw(b"here")], put, alone: true }),
            Step::Abandon { id: Some(ID) },
            Step::Abandon { id: None },
        ];
        for step in steps {
            let bytes = encode(&step);
            assert_eq!(decode(&[&bytes[..], b"x"].concat()), None);
            assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
            assert_eq!(decode(&bytes), Some((Form::Begun, step)));
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[1, 0]), None);
        let long = vec![0; LEDGER_KEY_BYTES_MAX + 1];
        assert_eq!(decode(&encode(&end(vec![Raw(&long)]))), None);
        assert_eq!(decode(&encode(&end(vec![Raw(b"k"); KEYS_MAX + 1]))), None);
    }
}

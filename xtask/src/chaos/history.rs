//! What clients asked and were told, as the checker takes it.

/// The time of an answer that never came: the operation may take effect at any time.
pub(crate) const NEVER: u64 = u64::MAX;

/// What was asked of one secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write {
        value: u64,
    },
    /// Written only if the secret is at this version.
    Cas {
        expected: u64,
        value: u64,
    },
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Version 0: there is none.
    Found {
        version: u64,
        value: u64,
    },
    Written {
        version: u64,
    },
    /// The secret was at another version.
    Refused,
    /// Nothing, or that nobody knows.
    Unknown,
}

/// One operation, with times in nanoseconds on a clock all clients share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) call: Call,
    pub(crate) outcome: Outcome,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

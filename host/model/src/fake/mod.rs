//! In-memory twins of the seams, for tests and for `inmem` storage.

pub mod clock;
pub mod entropy;
pub mod ledger;

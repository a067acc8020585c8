//! A trait for each thing outside the process. The real one lives in the room named;
//! its in-memory twin in [`crate::fake`].

pub mod audit;
pub mod clock;
pub mod cluster;
pub mod egress;
pub mod entropy;
pub mod ledger;
pub mod metrics;
pub mod net;
pub mod peer;
pub mod plugin;
pub mod seal;
pub mod shelf;

//! Tests of the room as a whole, as its neighbours see it: a node over a ledger in memory,
//! with plugins that do what the test says and a clock that the test moves.

mod audit;
mod batch;
mod bench;
mod census;
mod doors;
mod drivers;
mod duties;
mod identity;
mod in_flight;
mod inline;
mod intents;
pub(crate) mod kit;
mod lease_quotas;
mod leases;
mod leave;
mod lifecycle;
mod lockout;
mod mfa;
mod mfa_bounds;
mod mfa_namespaces;
mod namespaces;
mod oidc;
mod peers;
mod plugin;
mod registered;
mod regressions;
mod restores;
mod scheduler;
mod spellings;
mod trees;

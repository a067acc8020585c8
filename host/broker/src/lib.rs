//! The journey of one request: gate, route, identify, authorize, record, dispatch,
//! settle. No HTTP, no wasm, no disk: those are met as traits of the model.

mod book;
mod brought;
mod ceremony;
mod cluster;
mod components;
mod fault;
mod fence;
mod fields;
mod figures;
mod guest;
mod in_flight;
mod journey;
mod login;
mod mint;
mod node;
mod open;
mod signing;
mod step;
mod sys;
mod tally;
mod token;
mod totp;
mod underway;
mod visit;

#[cfg(test)]
mod tests;

pub use book::space_name;
pub use brought::{Brought, Outfit};
pub use bulkhead_barrier::{NamedKey, StaticKey};
pub use cluster::PeerParts;
pub use node::{
    ConfiguredAudit, Facts, InitAnswer, InitError, InitOptions, MetricsParts, MountDefaults, Node, Parts, Seals,
    UnsealFailure,
};
pub use step::record::Audited;

//! The journey of one request: gate, route, identify, authorize, record, dispatch,
//! settle. No HTTP, no wasm, no disk: those are met as traits of the model.

mod book;
mod fault;
mod fields;
mod guest;
mod journey;
mod login;
mod mint;
mod node;
mod open;
mod step;
mod sys;
mod token;
mod visit;

pub use node::{ConfiguredAudit, Facts, InitAnswer, InitError, InitOptions, Node, Parts, UnsealFailure};
pub use step::record::Audited;

#[cfg(test)]
mod tests;

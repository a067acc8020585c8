//! Guests under wasmtime: compile, limit, instantiate, call. The only room that
//! knows WebAssembly; it knows neither mounts' data nor where it is kept, which
//! reach it as a [`CallHost`](bulkhead_model::seam::plugin::CallHost) for each call.
//!
//! A call gets a fresh instance, used once and dropped: nothing one caller's request
//! leaves in a guest's memory can meet the next one. What a guest may import is
//! listed in `grants.rs`, where it gets outside in `way_out.rs`, what bounds
//! guests in `limits.rs`, and what is checked of their answers in `answer.rs`. Native
//! code comes in only through `trusted.rs`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admission;
mod answer;
mod compile;
mod container;
mod descriptor;
mod driver;
mod engine;
mod error;
mod figures;
mod grants;
mod instance;
mod keys;
mod limits;
mod meter;
mod outlets;
mod password;
mod sandbox;
mod seal;
mod shares;
mod surface;
mod ticker;
mod trusted;
mod turns;
mod v1;
mod way_out;

pub use error::SandboxError;
pub use limits::{CallLimits, ComponentLimits, OutsideCalls, PoolLimits, SandboxLimits};
pub use sandbox::Sandbox;
pub use seal::{SealLog, SealParts};
pub use way_out::Ways;

#[cfg(test)]
mod tests;

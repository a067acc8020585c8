//! Write a Bulkhead plugin: declare routes with `#[plugin]` on an `impl` block, fields
//! with `#[derive(Fields)]`, records with `#[derive(Stored)]`; answer with a [`Reply`];
//! test it natively on a [`bench::Bench`]. What wraps
//! the seal key implements [`Seal`] instead, and is tested on a [`bench::SealBench`]; what manages accounts of a database
//! implements [`driver::Driver`] and is tested on a [`bench::DriverBench`]. What lives here knows `wit/` and nothing of the host.
//!
//! On `wasm32` the host's functions are imported; on any other target they are those of
//! the bench, so the same handler code runs in both places.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

// The macros name this crate by its name, within it too.
extern crate self as bulkhead_sdk;

#[cfg(target_arch = "wasm32")]
mod allocator;
mod auth;
#[cfg(not(target_arch = "wasm32"))]
pub mod bench;
pub mod bindings;
pub mod cidr;
mod cx;
pub mod databases;
pub mod describe;
pub mod driver;
mod error;
mod export;
pub mod fields;
mod host;
pub mod http;
pub mod json;
pub mod key_pair;
pub mod names;
pub mod net;
mod plugin;
mod randomness;
mod reply;
mod seal;
mod secret;
pub mod sql;
mod storage;
pub mod template;
pub mod time;
pub mod token_fields;
mod unbegun;
pub mod url;
pub mod wire;

pub use auth::{Auth, Verdict};
pub use bindings::lifecycle::exports::bulkhead::plugin::lifecycle::{JobOutcome, Reason, UpgradeStep};
pub use bindings::mounted::bulkhead::plugin::identity::{Entity, EntityAlias, Group};
pub use bindings::mounted::bulkhead::plugin::system::{Level, Mount};
pub use bindings::mounted::bulkhead::plugin::types::{
    Alias, AuthGrant, Caller, Error, IssuedAuth, Lease, LeaseGrant, Operation, Renewal, Request, TokenType,
};
pub use bindings::sealer::exports::bulkhead::plugin::sealer::{Status, Wrapped};
pub use bulkhead_sdk_derive::{Fields, Stored, plugin};
pub use cx::{Cx, IntentId, Lock};
pub use describe::key_template;
pub use fields::{FieldValue, FromRequest, Page, Raw, Seconds};
pub use plugin::{Plugin, capture};
pub use reply::{IntoReply, Json, Keys, Leased, Reply};
pub use seal::Seal;
pub use secret::Secret;
pub use storage::{Stored, decode_json, encode_json};

/// What a handler returns: an error undoes everything the call wrote.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// All a guest usually needs.
pub mod prelude {
    pub use crate::{
        Auth, AuthGrant, Cx, Error, Fields, FromRequest, IntoReply, IssuedAuth, JobOutcome, Json, Keys, Lease, Leased,
        Operation, Page, Plugin, Raw, Reason, Renewal, Reply, Request, Result, Seconds, Secret, Stored, TokenType,
        UpgradeStep, Verdict, plugin,
    };
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};
}

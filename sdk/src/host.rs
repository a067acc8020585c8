//! The host's functions: imported on wasm32, the bench's everywhere else. Nothing else
//! in the SDK knows that there are two.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::mounted::bulkhead::plugin::{
    cache, database_drivers, digest, effects, http, identity, keys, net, storage, system,
};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::bench::host::{cache, digest, effects, identity, storage, system};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::bench::web::http;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::bench::drivers::database_drivers;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::bench::wires::{keys, net};

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::mounted::bulkhead::plugin::keys as key_pairs;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::bench::key_pairs;

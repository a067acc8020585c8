//! What Vault's plugin framework does for its plugins, done once here for every guest:
//! which declared route a path belongs to, and how a request's members become the
//! declared fields. The rules are part of the contract with guests (`wit/v1`).

mod coerce;
mod go;
mod pattern;
mod shape;
mod table;

pub use coerce::{convert, null_is_absent};
pub use go::quoted;
pub use shape::{Shaped, shape};
pub use table::{Folded, Found, RouteTable};

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test says what failed by where it stopped
mod tests;

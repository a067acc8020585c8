//! Audit lines and devices. What lives here: what is in the lines, beside the real peer's,
//! and what becomes of requests when a device takes none. What must not: secrets in the
//! lines (`canary`), files that are moved away (`failure/reload`).

mod devices;
mod filters;
mod hanging;
mod lines;

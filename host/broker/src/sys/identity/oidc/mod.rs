//! `identity/oidc`: tokens that tell others who somebody is, signed so that they need not ask.
//! What lives here: keys, roles, tokens, and what verifiers read. What must not: a provider
//! that logs people in.

pub(super) mod config;
pub(crate) mod key;
pub(super) mod role;
pub(super) mod token;
pub(super) mod well_known;

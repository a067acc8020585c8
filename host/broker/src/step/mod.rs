//! The steps of a request's journey, each a verb without state. Every step takes the
//! previous step's proof and returns its own.

pub(crate) mod again;
pub(crate) mod authorize;
pub(crate) mod backup;
pub(crate) mod census;
pub(crate) mod count;
pub(crate) mod dispatch;
pub(crate) mod duties;
pub(crate) mod expire;
pub(crate) mod gate;
pub(crate) mod identify;
pub(crate) mod inline;
pub(crate) mod intent;
pub(crate) mod job;
pub(crate) mod leave;
pub(crate) mod lockout;
pub(crate) mod mfa;
pub(crate) mod place;
mod plugin_log;
pub(crate) mod quota;
pub(crate) mod record;
pub(crate) mod remove;
pub(crate) mod role;
pub(crate) mod room;
pub(crate) mod rotate;
pub(crate) mod route;
pub(crate) mod settle;
pub(crate) mod shown;
pub(crate) mod upgrade;
pub(crate) mod upkeep;
pub(crate) mod vacate;

//! Nouns and rules of a Bulkhead node. Everything here is pure: no I/O, no async
//! runtime, no clock, no randomness. Traits for the outside world live in [`seam`],
//! their in-memory twins in [`fake`].

pub mod acl;
pub mod answer;
pub mod audit_filter;
pub mod change;
pub mod cidr;
pub mod cors;
pub mod duration;
pub mod failure;
pub mod fake;
pub mod framework;
pub mod grants;
pub mod hcl;
pub mod hidden;
pub mod json;
pub mod limits;
pub mod lockout;
pub mod metrics;
pub mod password;
pub mod path;
pub mod plugin;
pub mod policy;
pub mod proxy_header;
pub mod quota;
pub mod reply;
pub mod request;
pub mod seam;
pub mod suite;
pub mod template;

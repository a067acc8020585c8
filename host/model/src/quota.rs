//! Rate limits: which one holds for a path, and how many requests a client has left.
//! Where limits are kept, and what becomes of a request over one, is not known here.

mod bucket;
mod rules;

pub use bucket::{Buckets, Client, Limit, Taken, Verdict};
pub use rules::{LimitRule, QuotaRules};

#[cfg(test)]
mod tests;

//! What the broker counts, from the start of the process on, sealed or not. Whoever counts
//! finds the number by a pointer; names are given to them in `sys/metrics`.

mod expiry;
mod intervals;
mod mounts;

use std::sync::OnceLock;

use bulkhead_model::metrics::{Counter, Sheet, Timer};

pub(crate) use expiry::{Census, Expiry, IRREVOCABLE_FAILURES};
pub(crate) use intervals::Intervals;
pub(crate) use mounts::{Counted, MadeToken, MountFigures, Mounts, TokenKind};

/// The numbers of a node.
#[derive(Default)]
pub(crate) struct Figures {
    /// Requests and tokens, by mount.
    pub mounts: Mounts,
    pub audit: Audit,
    pub tokens: Tokens,
    pub expiry: Expiry,
    /// How long this node led each time that it came to an end.
    pub leadership_lost: Timer,
    /// Requests that a rate limit turned away.
    pub rate_limited: Counter,
    /// Requests that a quota of leases turned away.
    pub leases_refused: Counter,
    /// Requests that the leader was handed.
    pub forwarded: Counter,
    /// Sheets of the last intervals.
    pub intervals: Intervals,
    /// What the cluster is called, once the node was unsealed.
    pub cluster: OnceLock<String>,
}

/// The audit log's numbers.
#[derive(Default)]
pub(crate) struct Audit {
    pub request: Timer,
    pub response: Timer,
    /// Requests that no device took.
    pub request_failure: Counter,
    /// Answers that no device took.
    pub response_failure: Counter,
}

/// How long what concerns tokens takes.
#[derive(Default)]
pub(crate) struct Tokens {
    pub create: Timer,
    pub lookup: Timer,
}

impl Figures {
    pub(crate) fn cluster(&self) -> &str {
        self.cluster.get().map_or("", String::as_str)
    }

    /// Tells all of them.
    pub(crate) fn tell(&self, sheet: &mut Sheet) {
        self.mounts.tell(sheet, self.cluster());
        self.audit.tell(sheet);
        self.tokens.tell(sheet);
        self.expiry.tell(sheet);
        let lost = "How long this node led, each time that it ceased to, in milliseconds.";
        sheet.summary("vault.core.leadership_lost", lost, self.leadership_lost.read());
        let limited = "Requests that a rate limit turned away.";
        sheet.counter("vault.quota.rate_limit.violation", limited, &[], self.rate_limited.read() as f64);
        let refused = "Requests that a quota of leases turned away.";
        sheet.counter("vault.quota.lease_count.violation", refused, &[], self.leases_refused.read() as f64);
        let forwarded = "Requests that this node handed to the leader.";
        sheet.counter("bulkhead.core.forwarded_requests", forwarded, &[], self.forwarded.read() as f64);
    }
}

impl Audit {
    fn tell(&self, sheet: &mut Sheet) {
        sheet.summary(
            "vault.audit.log_request",
            "Writing requests to the audit devices, in milliseconds.",
            self.request.read(),
        );
        sheet.summary(
            "vault.audit.log_response",
            "Writing answers to the audit devices, in milliseconds.",
            self.response.read(),
        );
        let refused = "Requests that no audit device took, so that they were not served.";
        sheet.counter("vault.audit.log_request_failure", refused, &[], self.request_failure.read() as f64);
        let withheld = "Answers that no audit device took, so that they were withheld.";
        sheet.counter("vault.audit.log_response_failure", withheld, &[], self.response_failure.read() as f64);
    }
}

impl Tokens {
    fn tell(&self, sheet: &mut Sheet) {
        let create = "Making tokens, until they are committed with the rest of the request, in milliseconds.";
        sheet.summary("vault.token.create", create, self.create.read());
        let lookup = "Finding the tokens that requests were sent with, in milliseconds.";
        sheet.summary("vault.token.lookup", lookup, self.lookup.read());
    }
}

#[cfg(test)]
mod tests;

//! What `#[plugin]` implements: one method per export, each a match over constants.

use crate::bindings::mounted::bulkhead::plugin::types::Descriptor;
use crate::{
    AuthGrant, Cx, Error, IssuedAuth, JobOutcome, Lease, Reason, Renewal, Reply, Request, Result, UpgradeStep,
};

/// A plugin. Write `#[plugin]` on an `impl` block rather than this by hand; the macro's
/// output is nothing more than these methods.
pub trait Plugin: 'static {
    /// What it says about itself.
    fn describe() -> Descriptor;

    /// Answers a request; `request.route` counts the declared routes.
    ///
    /// # Errors
    /// What the handler returns; everything it wrote is then undone.
    fn handle(cx: &Cx, request: &Request) -> Result<Reply>;

    /// Whether what the request would write exists.
    ///
    /// # Errors
    /// What the handler returns.
    fn exists(_cx: &Cx, _request: &Request) -> Result<bool> {
        Ok(true)
    }

    /// Prolongs a lease.
    ///
    /// # Errors
    /// Refuses the renewal.
    fn renew(_cx: &Cx, _lease: &Lease, _increment: Option<u64>) -> Result<Renewal> {
        Err(Error::UnsupportedOperation)
    }

    /// Ends a lease. Must be harmless when done twice.
    ///
    /// # Errors
    /// Makes the host try again.
    fn revoke(_cx: &Cx, _lease: &Lease) -> Result<()> {
        Ok(())
    }

    /// What a token's grant is now.
    ///
    /// # Errors
    /// Refuses the renewal.
    fn renew_token(_cx: &Cx, issued: IssuedAuth, _increment: Option<u64>) -> Result<AuthGrant> {
        Ok(issued.grant)
    }

    /// Called after mounting, unsealing and the like, on the active node.
    ///
    /// # Errors
    /// Logged by the host.
    fn initialize(_cx: &Cx, _reason: Reason) -> Result<()> {
        Ok(())
    }

    /// Brings stored data up to the declared layout, a step at a time.
    ///
    /// # Errors
    /// Stops the upgrade.
    fn upgrade(_cx: &Cx, _from: u32, _cursor: Option<String>) -> Result<UpgradeStep> {
        Ok(UpgradeStep::Done)
    }

    /// Runs a scheduled job.
    ///
    /// # Errors
    /// Makes the host try again later.
    fn run_job(_cx: &Cx, job: &str, _key: &str, _payload: &[u8]) -> Result<JobOutcome> {
        Err(Error::internal(format!("no job {job}")))
    }

    /// Undoes an intent. Must be harmless when done twice.
    ///
    /// # Errors
    /// Makes the host try again later.
    fn rollback(_cx: &Cx, kind: &str, _data: &[u8]) -> Result<()> {
        Err(Error::internal(format!("no intent {kind}")))
    }
}

/// A capture of the request; empty if an optional one is missing.
#[must_use]
pub fn capture<'a>(request: &'a Request, name: &str) -> &'a str {
    request.captures.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

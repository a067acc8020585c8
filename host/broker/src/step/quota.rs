//! Turns away a client that asks too often, before anything is looked up for it. Where no
//! limit is set this costs next to nothing.

use std::sync::Arc;

use bulkhead_model::answer::Headers;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::path::ApiPath;
use bulkhead_model::quota::{Client, Limit, Taken, Verdict};
use bulkhead_model::request::Request;

use crate::book::config::Config;
use crate::fault::Fault;
use crate::node::Node;
use crate::open::Open;
use crate::step::record::{self, Audited, Trail};
use crate::step::{role, route};

/// Counts a request; gives the header lines of its answer.
///
/// # Errors
/// The answer: 429.
pub(crate) async fn admit(node: &Node, request: &Request) -> Result<Headers, Audited> {
    let Some(open) = node.open() else { return Ok(Headers::new()) };
    let Some(config) = open.known_config() else { return Ok(Headers::new()) };
    if config.quotas.rules.is_empty() {
        return Ok(Headers::new());
    }
    // Header and path together, however the two share it out.
    let full = match request.namespace.as_str() {
        "" => request.path.clone(),
        name => request.path.below(&format!("{name}/")),
    };
    let role = role::of_login(&open, &config, (&full, request)).await;
    let mut over = match judged(&open, &config, (&full, request, role.as_deref())) {
        Ok(headers) => return Ok(headers),
        Err(over) => over,
    };
    // The limit may have been changed by way of another node, which this one learns by looking.
    let fresh = open.refresh().ok().and_then(|()| open.known_config());
    if let Some(fresh) = fresh.filter(|fresh| !Arc::ptr_eq(&fresh.quotas, &config.quotas)) {
        let role = role::of_login(&open, &fresh, (&full, request)).await;
        over = match judged(&open, &fresh, (&full, request, role.as_deref())) {
            Ok(headers) => return Ok(headers),
            Err(over) => over,
        };
    }
    open.catalog.figures.rate_limited.add_one();
    Err(refuse(&open, (&config, &full), request).await.with(over))
}

/// Counts a request by the limit for its path, from the root; gives the header lines of its answer.
///
/// # Errors
/// The header lines, where it is over the limit.
fn judged(open: &Open, config: &Config, asked: (&ApiPath, &Request, Option<&str>)) -> Result<Headers, Headers> {
    let (full, request, role) = asked;
    let quotas = &config.quotas;
    let path = route::folded(&config.mounts, full.as_str()).path;
    let (namespace, _) = config.namespaces.locate(config.namespaces.root(), full.as_str());
    let of_role = role.and_then(|role| quotas.rules.find_of_role(&path, role));
    let found = of_role.or_else(|| quotas.rules.find(&path, namespace.path()));
    let Some((rule, limit)) = found else { return Ok(Headers::new()) };
    let client = Client::from(request.origin.address);
    let taken = quotas.counts.lock().take(rule, client, limit, open.parts.clock.now_ms());
    let headers = if quotas.config.response_headers { headers(limit, &taken) } else { Headers::new() };
    match taken.verdict {
        Verdict::Admitted => Ok(headers),
        Verdict::Over(_) | Verdict::Blocked(_) => Err(headers),
    }
}

/// Vault's header lines. A client that is blocked is told nothing of the interval, which
/// is not what it waits for.
fn headers(limit: &Limit, taken: &Taken) -> Headers {
    let mut headers = Headers::new();
    if let Verdict::Over(retry_ms) | Verdict::Blocked(retry_ms) = taken.verdict {
        headers.push(("retry-after", whole_secs(retry_ms)));
    }
    if !matches!(taken.verdict, Verdict::Blocked(_)) {
        headers.push(("x-ratelimit-limit", limit.requests.to_string()));
        headers.push(("x-ratelimit-remaining", taken.remaining.to_string()));
        headers.push(("x-ratelimit-reset", whole_secs(taken.reset_ms)));
    }
    headers
}

/// Rounded up: whoever waits so long does not come too early.
fn whole_secs(ms: u64) -> String {
    ms.div_ceil(1000).to_string()
}

/// The answer, recorded if the operator asked for that: a flood would else fill the disk.
async fn refuse(open: &Open, (config, full): (&Config, &ApiPath), request: &Request) -> Audited {
    let path = request.path.as_str();
    let failure = Failure::new(FailureKind::Limited, format!("request path {path:?}: rate limit quota exceeded"));
    if !config.quotas.config.audit_logging {
        return Audited::unrecorded(failure.into());
    }
    let mut trail = Trail::new(open, request);
    trail.located(&config.namespaces.locate(config.namespaces.root(), full.as_str()).0);
    trail.routed(open, &route::find(&config.mounts, full, (request.verb, request.help)));
    trail.too_often();
    match record::request(open, request, &mut trail).await {
        Ok(()) => record::response(open, request, trail, failure.into()).await,
        Err(fault) => Audited::unrecorded(Fault::into_failure(fault).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, Taken, Verdict, headers};

    fn told(verdict: Verdict, remaining: u64) -> Vec<(&'static str, String)> {
        let limit = Limit { requests: 3, interval_ms: 10_000, block_ms: 0 };
        headers(&limit, &Taken { verdict, remaining, reset_ms: 9_001 })
    }

    fn lines(told: &[(&'static str, String)]) -> Vec<String> {
        told.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn times_are_rounded_up_and_a_blocked_client_hears_of_its_block_alone() {
        assert_eq!(
            lines(&told(Verdict::Admitted, 2)),
            ["x-ratelimit-limit: 3", "x-ratelimit-remaining: 2", "x-ratelimit-reset: 10"]
        );
        assert_eq!(
            lines(&told(Verdict::Over(1), 0)),
            ["retry-after: 1", "x-ratelimit-limit: 3", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 10"]
        );
        assert_eq!(lines(&told(Verdict::Blocked(59_999), 0)), ["retry-after: 60"]);
    }
}

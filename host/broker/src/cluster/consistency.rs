//! How new the state has to be that a request is answered from, in Vault's headers and one of
//! ours. Without any of them a read shows everything that was acknowledged before it was asked;
//! with them a client may take less, never get less than it asked for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_barrier::HmacKey;
use bulkhead_model::answer::Headers;
use bulkhead_model::duration;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::request::{Request, Verb};
use tokio::time::{Instant, timeout_at};

use super::forward;
use crate::fault::Fault;
use crate::open::Open;

const INDEX: &str = "x-vault-index";
const INCONSISTENT: &str = "x-vault-inconsistent";
const FORWARD: &str = "x-vault-forward";
const MAX_STALENESS: &str = "x-bulkhead-max-staleness";

/// Longest index taken, in bytes. Source: ours. Why: one of ours has 220.
const INDEX_BYTES_MAX: usize = 512;
/// Most indexes in one request. Source: ours. Why: Vault's client keeps two at most.
const INDEXES_MAX: usize = 8;
/// Longest duration taken, in bytes. Source: ours. Why: the error repeats it.
const DURATION_BYTES_MAX: usize = 64;
/// Longest a node waits for a state it was told to await. Source: ours. Why: whoever lags by
/// more had better be asked again than hold the client's connection.
const AWAIT_MAX: Duration = Duration::from_secs(5);

/// Where a request is to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    Leader,
    /// Nowhere: this node lags behind, and the client wants to be told.
    Behind,
}

/// What a client wants where this node lags behind its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lagging {
    #[default]
    Fail,
    Forward,
    /// To wait; and if that was in vain, to forward it or not.
    Await {
        then_forward: bool,
    },
}

/// What a request says of the state it is to be answered from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Consistency {
    /// The entry that must have been applied.
    index: Option<u64>,
    lagging: Lagging,
    /// How old it may be; zero: not at all.
    staleness: Duration,
    /// It is to be served by the leader, whatever it is.
    forward: bool,
}

impl Consistency {
    /// Reads a request's headers. Nobody gets anything older than the operator lets them.
    ///
    /// # Errors
    /// What the client is told of a header that is none.
    pub(crate) fn of(request: &Request, open: &Open) -> Result<Self, Failure> {
        let stale_max = open.parts.peers.as_ref().map_or(Duration::ZERO, |peers| peers.stale_reads_max);
        Self::read(request, (&open.peering.indexes, &open.cluster_id), stale_max)
    }

    fn read(request: &Request, (key, cluster): (&HmacKey, &str), stale_max: Duration) -> Result<Self, Failure> {
        Ok(Self {
            index: index(request, key, cluster)?,
            lagging: lagging(request)?,
            staleness: staleness(request)?.min(stale_max),
            forward: forwarded(request)?,
        })
    }

    /// Where a request with these is to be served, after what has to be waited for.
    pub(crate) async fn place(&self, open: &Open, deadline: Instant) -> Place {
        if (!self.forward && self.index.is_none()) || !forward::is_standby(open) {
            return Place::Here;
        }
        if self.forward {
            return Place::Leader;
        }
        let Some(index) = self.index else { return Place::Here };
        if self.staleness.is_zero() && open.ledger().standing().applied_index < index {
            // What was acknowledged is here then. Where nobody leads, serving it tells so.
            drop(timeout_at(deadline, self.fresh(open)).await);
        }
        let ledger = open.ledger();
        let is_here = ledger.standing().applied_index >= index;
        match self.lagging {
            _ if is_here => Place::Here,
            Lagging::Fail => Place::Behind,
            Lagging::Forward => Place::Leader,
            Lagging::Await { then_forward } => {
                let left = deadline.saturating_duration_since(Instant::now()).min(AWAIT_MAX);
                match ledger.reached(index, left).await {
                    Ok(()) => Place::Here,
                    Err(_) if then_forward => Place::Leader,
                    Err(_) => Place::Behind,
                }
            }
        }
    }

    /// Waits until what is read here is as new as it has to be.
    ///
    /// # Errors
    /// [`Fault`] from the ledger.
    pub(crate) async fn fresh(&self, open: &Open) -> Result<(), Fault> {
        // An old state is never older than an index that came with the request: not on a node that
        // led and does not know yet that it does not, nor on one that has just come to lead.
        let is_behind = self.index.is_some_and(|index| open.ledger().standing().applied_index < index);
        if self.staleness.is_zero() || is_behind {
            return Ok(open.ledger().linearizable().await?);
        }
        Ok(open.ledger().fresh_within(self.staleness).await?)
    }
}

/// What a client is told whose node lags behind, in Vault's words.
pub(crate) fn behind() -> Failure {
    Failure::new(FailureKind::Precondition, "required index state not present")
}

/// Whether a request changes something by what it is.
pub(crate) fn writes(request: &Request) -> bool {
    matches!(request.verb, Verb::Write | Verb::Patch | Verb::Delete)
}

/// The header line that tells how far this node is, for the answer to what has written.
pub(crate) fn index_line(open: &Open) -> Headers {
    let index = open.ledger().standing().applied_index;
    vec![(INDEX, told(&open.peering.indexes, &open.cluster_id, index))]
}

/// An index in the form that Vault's clients compare: version, cluster, index of the cluster,
/// index of what is replicated to others (there is nothing), HMAC.
fn told(key: &HmacKey, cluster: &str, index: u64) -> String {
    let state = format!("v1:{cluster}:{index}:0");
    let tag = hex::encode(key.sign(state.as_bytes()));
    STANDARD.encode(format!("{state}:{tag}"))
}

fn values<'a>(request: &'a Request, name: &'a str) -> impl Iterator<Item = &'a str> {
    request.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// The newest of a request's indexes. Those of other clusters say nothing here.
fn index(request: &Request, key: &HmacKey, cluster: &str) -> Result<Option<u64>, Failure> {
    let mut newest = None;
    for (place, text) in values(request, INDEX).filter(|text| !text.is_empty()).enumerate() {
        if place == INDEXES_MAX {
            return Err(Failure::invalid(format!("expected at most {INDEXES_MAX} values for \"X-Vault-Index\"")));
        }
        let unclear = || Failure::invalid("failed to decode \"X-Vault-Index\"");
        let (of, index) = known(text, key, cluster).ok_or_else(unclear)?;
        newest = newest.max(Some(index).filter(|_| of == cluster));
    }
    Ok(newest)
}

/// The cluster and the index of a text; `None` if it is no index, or not of whom it says.
fn known(text: &str, key: &HmacKey, cluster: &str) -> Option<(String, u64)> {
    let bytes = Some(text).filter(|text| text.len() <= INDEX_BYTES_MAX).and_then(|text| STANDARD.decode(text).ok())?;
    let text = String::from_utf8(bytes).ok()?;
    let (state, tag) = text.rsplit_once(':')?;
    let tag = hex::decode(tag).ok()?;
    let mut parts = state.split(':');
    let ("v1", of, index, replicated) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?) else {
        return None;
    };
    replicated.parse::<u64>().ok()?;
    let index = index.parse().ok()?;
    if parts.next().is_some() || of.is_empty() || (of == cluster && !key.verify(state.as_bytes(), &tag)) {
        return None;
    }
    Some((of.to_owned(), index))
}

fn lagging(request: &Request) -> Result<Lagging, Failure> {
    let mut given = values(request, INCONSISTENT);
    let (first, second) = (given.next(), given.next());
    if given.next().is_some() {
        return Err(Failure::invalid("expected at most two values for \"X-Vault-Inconsistent\""));
    }
    match (first, second) {
        (None | Some("fail"), None) => Ok(Lagging::Fail),
        (Some("forward-active-node"), None) => Ok(Lagging::Forward),
        (Some("await-state"), None | Some("fail")) => Ok(Lagging::Await { then_forward: false }),
        (Some("await-state"), Some("forward-active-node")) => Ok(Lagging::Await { then_forward: true }),
        (Some("await-state"), Some(_)) => Err(Failure::invalid(
            "unknown second value for \"X-Vault-Inconsistent\": must either be \"fail\" or \"forward-active-node\"",
        )),
        (Some(first @ ("fail" | "forward-active-node")), Some(_)) => {
            Err(Failure::invalid(format!("X-Vault-Inconsistent={first} cannot be used with more than one value")))
        }
        _ => Err(Failure::invalid("unknown value for \"X-Vault-Inconsistent\" header")),
    }
}

fn forwarded(request: &Request) -> Result<bool, Failure> {
    match request.header(FORWARD) {
        None | Some("") => Ok(false),
        Some("active-node") => Ok(true),
        Some(_) => Err(Failure::invalid("unknown value for \"X-Vault-Forward\" header: it is \"active-node\" or none")),
    }
}

fn staleness(request: &Request) -> Result<Duration, Failure> {
    let Some(text) = request.header(MAX_STALENESS) else { return Ok(Duration::ZERO) };
    let wrong =
        |why: &dyn std::fmt::Display| Failure::invalid(format!("error parsing X-Bulkhead-Max-Staleness header: {why}"));
    if text.len() > DURATION_BYTES_MAX {
        return Err(wrong(&format_args!("it is longer than {DURATION_BYTES_MAX} bytes")));
    }
    duration::parse(text).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests;

//! What is left of leases: those that cannot be revoked, how many there are, and the wait for the end of
//! those below a path.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bulkhead_barrier::Transaction;
use bulkhead_model::failure::{Failure, FailureKind};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::beginning;
use crate::book::leases::{self, Refusal};
use crate::fault::{Fault, wrapped};
use crate::fields::rfc3339;
use crate::figures::IRREVOCABLE_FAILURES;
use crate::sys::table::Answer;
use crate::visit::{Ask, Visit, data};

/// Leases read at once where all are looked through. Source: ours.
const LEASES_A_LOOK: usize = 1_000;
/// Shortest time between two looks at what is left. Source: ours.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much longer is waited than a look took. Source: ours. Why: looking must not be what keeps the node
/// from ending leases.
const WAIT_FACTOR: u32 = 5;

/// Leases that were met.
#[derive(Default)]
struct Met {
    count: usize,
    first: Option<String>,
}

/// Counts the leases below a prefix that are meant, in pages: there may be more than one transaction can
/// read. `None`: the request's time is up before.
///
/// # Errors
/// [`Fault`] from the store.
async fn below(
    visit: &Visit,
    prefix: &str,
    is_meant: impl Fn(&mut Transaction, &str) -> Result<bool, Fault> + Send,
) -> Result<Option<Met>, Fault> {
    let mut met = Met::default();
    let mut after = None;
    loop {
        let mut tx = visit.open.begin()?;
        let (ids, next) = leases::page(&mut tx, prefix, after.as_deref(), LEASES_A_LOOK)?;
        for id in ids {
            if is_meant(&mut tx, &id)? {
                met.count += 1;
                met.first.get_or_insert(id);
            }
        }
        after = next;
        if after.is_none() {
            return Ok(Some(met));
        }
        if is_late(visit) {
            return Ok(None);
        }
        tokio::task::yield_now().await;
    }
}

fn is_late(visit: &Visit) -> bool {
    visit.ends.is_some_and(|ends| Instant::now() >= ends)
}

fn goes_on() -> Fault {
    Failure::new(FailureKind::Timeout, "the revocation of so many leases takes longer, and goes on").into()
}

/// Commits what the visit did so far, by which the leases below a prefix are due, and waits until they are
/// gone.
///
/// # Errors
/// 400: the rest of them was tried and could not be revoked. 504: the time is up, and it goes on without
/// the request.
pub(super) async fn wait_for_none(visit: &mut Visit, prefix: &str) -> Result<(), Fault> {
    visit.commit_so_far().await?;
    visit.open.due.notify_one();
    // Not when the request came: leases that fell due in later changes than the first are meant as well.
    let begun_ms = visit.open.parts.clock.now_ms().max(visit.now_ms);
    loop {
        let looked = Instant::now();
        let refused = AtomicUsize::new(0);
        let is_meant = |tx: &mut Transaction, id: &str| {
            let Some(lease) = leases::get(tx, id)? else { return Ok(false) };
            // What was made meanwhile is not meant, and what was put off has been tried.
            let is_refused = lease.failures > 0 && lease.due_ms > begun_ms;
            refused.fetch_add(usize::from(is_refused), Ordering::Relaxed);
            Ok(is_refused || lease.due_ms <= begun_ms)
        };
        let Some(met) = below(visit, prefix, is_meant).await? else { return Err(goes_on()) };
        let Some(first) = met.first else { break };
        if met.count == refused.load(Ordering::Relaxed) {
            let first = visit.namespace.shown_lease(&first);
            return Err(Fault::invalid(format!(
                "{} leases could not be revoked, of which {first:?} is one; they are tried again later and later",
                met.count
            )));
        }
        let wait = (looked.elapsed() * WAIT_FACTOR).max(LOOK_EVERY);
        let left = visit.ends.map_or(wait, |ends| ends.saturating_duration_since(Instant::now()));
        tokio::time::sleep(wait.min(left)).await;
        if is_late(visit) {
            return Err(goes_on());
        }
    }
    // What the visit has read may be among what is gone.
    visit.tx = visit.begin()?;
    Ok(())
}

/// Whether an id that begins with the path of the visit's namespace is of none below it.
fn is_of(visit: &Visit, id: &str) -> bool {
    let within = id.strip_prefix(visit.namespace.path()).unwrap_or(id);
    visit.config.namespaces.locate(&visit.namespace, within).0.path() == visit.namespace.path()
}

/// A lease that failed too often.
struct Irrevocable {
    id: String,
    failures: u32,
    /// Why, the last time.
    refusal: Option<Refusal>,
}

impl Irrevocable {
    fn shown(self) -> Value {
        let Self { id, failures, refusal } = self;
        let error = match refusal {
            Some(Refusal { at_ms, text }) => format!("failed {failures} times, at {} last: {text}", rfc3339(at_ms)),
            None => format!("failed {failures} times"),
        };
        json!({ "lease_id": id, "error": error })
    }
}

/// The leases that failed too often, with those of namespaces below or without. Looked for in pages: there
/// may be more leases than one transaction can read.
async fn failed(visit: &Visit, with_below: bool) -> Result<Vec<Irrevocable>, Fault> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let mut tx = visit.open.begin()?;
        let (ids, next) = leases::page(&mut tx, visit.namespace.path(), after.as_deref(), LEASES_A_LOOK)?;
        for id in ids.into_iter().filter(|id| with_below || is_of(visit, id)) {
            let lease = leases::get(&mut tx, &id)?.filter(|lease| lease.failures >= IRREVOCABLE_FAILURES);
            let Some(lease) = lease else { continue };
            let (id, refusal) = (visit.namespace.shown_lease(&id), leases::refusal(&mut tx, &lease)?);
            found.push(Irrevocable { id, failures: lease.failures, refusal });
        }
        after = next;
        if after.is_none() {
            return Ok(found);
        }
        tokio::task::yield_now().await;
    }
}

fn only_irrevocable(ask: &Ask<'_>) -> Result<(), Fault> {
    match ask.fields.text_or_empty("type")?.as_str() {
        "irrevocable" => Ok(()),
        _ => Err(Failure { kind: FailureKind::NotFound, errors: Vec::new() }.into()),
    }
}

fn with_below(ask: &Ask<'_>) -> Result<bool, Fault> {
    Ok(ask.fields.flag("include_child_namespaces")?.unwrap_or(false))
}

/// How many are to be shown at most, in the words of Go where it is no number.
fn limit(ask: &Ask<'_>) -> Result<usize, Fault> {
    let refused = |text: &str| Fault::from(Failure::new(FailureKind::Internal, wrapped(text)));
    let text = ask.fields.text_or_empty("limit")?;
    if matches!(text.as_str(), "" | "none") {
        return Ok(usize::MAX);
    }
    let limit: i64 = text
        .parse()
        .map_err(|_| refused(&format!("invalid 'limit' provided: strconv.Atoi: parsing {text:?}: invalid syntax")))?;
    match usize::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(refused("limit must be 'none' or a positive integer")),
    }
}

pub(super) fn count<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let prefix = ask.fields.text_or_empty("prefix")?;
        if prefix.is_empty() {
            let with_below = with_below(ask)?;
            only_irrevocable(ask)?;
            return Ok(data(&json!({ "counts": {}, "lease_count": failed(visit, with_below).await?.len() })));
        }
        // As who lists them must.
        if !visit.has_sudo(ask.request)? {
            return Err(Failure::denied().into());
        }
        let full = beginning(visit, &format!("{}/", prefix.trim_end_matches('/')));
        let met = match full {
            Some(full) => below(visit, &full, |_, _| Ok(true)).await?,
            None => Some(Met::default()),
        };
        let late = || Failure::new(FailureKind::Timeout, "there are too many leases to count them in time");
        let count = met.ok_or_else(late)?.count;
        Ok(data(&json!({ "counts": {}, "lease_count": count })))
    })
}

pub(super) fn irrevocable<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let with_below = with_below(ask)?;
        only_irrevocable(ask)?;
        let limit = limit(ask)?;
        let shown: Vec<_> = failed(visit, with_below).await?.into_iter().take(limit).map(Irrevocable::shown).collect();
        Ok(data(&json!({ "lease_count": shown.len(), "leases": shown })))
    })
}

//! `sys/leases`: looking up, renewing, revoking.

mod left;

use std::sync::Arc;

use bulkhead_barrier::{SpaceId, StoreError, Transaction};
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::plugin::GuestError;
use bulkhead_model::reply::{Envelope, LeaseInfo, Reply};
use bulkhead_model::request::Verb;
use bulkhead_model::seam::plugin::{Call, Returned};
use serde_json::{Value, json};

use super::table::{Answer, Handler, HostRoute};
use crate::book::kept::Kept;
use crate::book::leases::{self, LeaseRecord};
use crate::book::mfa::waiting::{self, WaitingId};
use crate::book::mounts::{Mount, MountTable};
use crate::book::namespaces::Namespace;
use crate::book::removals::{LeaseEnd, Slice};
use crate::book::tokens::{self, FIRST_PATH, TokenHash, TokenRecord, tree};
use crate::components;
use crate::fault::Fault;
use crate::fields::{rfc3339, secs_until};
use crate::mint;
use crate::open::Open;
use crate::step::dispatch::{self, mismatched};
use crate::step::{again, expire, remove, route};
use crate::visit::{After, Ask, Visit, data, enveloped, listed, nothing_to_tidy};

const W: &[Verb] = &[Verb::Write];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("leases/lookup", W, Handler::Now(lookup), "Look a lease up.").fields(&["lease_id"]),
    HostRoute::new("leases/lookup", &[Verb::List], Handler::Now(list), "List leases.").sudo(),
    HostRoute::new("leases/lookup/{prefix...}", &[Verb::List], Handler::Now(list), "List leases.").sudo(),
    HostRoute::new("leases/renew", W, Handler::Later(renew), "Renew a lease.").fields(&["lease_id", "increment"]),
    HostRoute::new("leases/renew/{url_lease_id...}", W, Handler::Later(renew), "Renew a lease.")
        .fields(&["lease_id", "increment"]),
    HostRoute::new("leases/revoke", W, Handler::Later(revoke), "Revoke a lease.").fields(&["lease_id", "sync"]),
    HostRoute::new("leases/revoke/{url_lease_id...}", W, Handler::Later(revoke), "Revoke a lease.")
        .fields(&["lease_id", "sync"]),
    HostRoute::new(
        "leases/revoke-prefix/{prefix...}",
        W,
        Handler::Later(revoke_prefix),
        "Revoke all leases and tokens made below a path.",
    )
    .sudo()
    .fields(&["prefix", "sync"]),
    HostRoute::new(
        "leases/revoke-force/{prefix...}",
        W,
        Handler::Later(revoke_force),
        "Forget all leases below a path; tokens end.",
    )
    .sudo()
    .fields(&["prefix"]),
    HostRoute::new("leases/tidy", W, Handler::Now(tidy), "Look for remains of ended leases."),
    HostRoute::new("leases/count", &[Verb::Read], Handler::Later(left::count), "Count leases.").fields(&[
        "prefix",
        "type",
        "include_child_namespaces",
    ]),
    HostRoute::new("leases", &[Verb::Read], Handler::Later(left::irrevocable), "List irrevocable leases.")
        .sudo()
        .fields(&["type", "limit", "include_child_namespaces"]),
];

/// Tokens looked at for one change that ends those of a path. Source: ours, as of leases.
const TOKENS_A_CHANGE: u32 = 500;

/// The id that is asked for, from the root; none if no lease of this namespace has such a one.
fn asked_id(visit: &Visit, ask: &Ask<'_>) -> Result<Option<String>, Fault> {
    let id = match ask.capture("url_lease_id") {
        "" => ask.fields.text_or_empty("lease_id")?,
        path => path.to_owned(),
    };
    if id.is_empty() {
        return Err(Fault::invalid("lease_id must be specified"));
    }
    Ok(visit.config.namespaces.lease_id(&visit.namespace, &id))
}

/// The lease of this id, if it is one of this namespace.
fn of_id(visit: &mut Visit, id: &str) -> Result<Option<LeaseRecord>, Fault> {
    let record = leases::get(&mut visit.tx, id)?;
    // One whose mount was here before the namespace was is the mount's.
    let mount = |record: &LeaseRecord| visit.config.mounts.with_space(SpaceId(record.mount)).cloned();
    Ok(record.filter(|record| mount(record).is_none_or(|mount| visit.is_here(&mount))))
}

/// A beginning of ids from the root, of one that is asked for; `None`: what begins so is of other
/// namespaces. One that is being deleted cannot be asked itself any more, and is asked from above.
fn beginning(visit: &Visit, path: &str) -> Option<String> {
    let (at, _) = visit.config.namespaces.locate(&visit.namespace, path);
    (at.path() == visit.namespace.path() || at.record.leaving).then(|| visit.namespace.full(path))
}

fn lookup(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let invalid = || Fault::invalid("invalid lease");
    let id = asked_id(visit, ask)?.ok_or_else(invalid)?;
    let record = of_id(visit, &id)?.ok_or_else(invalid)?;
    let path = record.path.strip_prefix(visit.namespace.path()).unwrap_or(&record.path);
    let renewed = if record.renewed_ms == 0 { Value::Null } else { rfc3339(record.renewed_ms).into() };
    let mut told = json!({
        "expire_time": rfc3339(record.expires_ms),
        "id": visit.namespace.shown_lease(&record.id),
        "issue_time": rfc3339(record.issued_ms),
        "last_renewal": renewed,
        "path": path,
        "renewable": record.renewable,
        "ttl": secs_until(record.expires_ms, visit.now_ms),
    });
    if record.failures > 0 {
        told["failed_revocations"] = record.failures.into();
        told["next_revocation"] = rfc3339(record.due_ms).into();
    }
    // Words of a plugin about the outside are not for everybody who has a lease.
    if visit.has_sudo(ask.request)?
        && let Some(refusal) = leases::refusal(&mut visit.tx, &record)?
    {
        told["last_error"] = refusal.text.into();
        told["last_error_time"] = rfc3339(refusal.at_ms).into();
    }
    Ok(data(&told))
}

fn list(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let prefix = match ask.capture("prefix").trim_end_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let Some(full) = beginning(visit, &prefix) else { return listed(Vec::new()) };
    let mut names = leases::list(&mut visit.tx, &full)?;
    // Those of namespaces below are their own.
    names.retain(|name| !name.ends_with('/') || beginning(visit, &[&prefix, name.as_str()].concat()).is_some());
    let shown = |name: String| if name.ends_with('/') { name } else { visit.namespace.marked(name) };
    listed(names.into_iter().map(shown).collect())
}

fn renew<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let increment = ask.fields.seconds_of_field("increment")?;
        let not_found = || Fault::invalid("lease not found");
        let id = asked_id(visit, ask)?.ok_or_else(not_found)?;
        expire::turn_at(visit, &leases::digest(&id)).await?;
        let record = of_id(visit, &id)?.ok_or_else(not_found)?;
        if record.expires_ms <= visit.now_ms {
            return Err(Fault::invalid("lease expired"));
        }
        if !record.renewable {
            return Err(Fault::invalid("lease is not renewable"));
        }
        renew_lease(visit, record, increment).await
    })
}

async fn renew_lease(visit: &mut Visit, record: LeaseRecord, increment: Option<u64>) -> Result<Reply, Fault> {
    let mount = visit.config.mounts.with_space(SpaceId(record.mount)).cloned();
    let plugin = match &mount {
        Some(mount) => components::serving(&visit.open, mount).await?,
        None => None,
    };
    let (Some(mount), Some(plugin)) = (mount, plugin) else {
        return Err(Fault::invalid("the mount of this lease has no plugin on this server"));
    };
    let call = Call::RenewLease { lease: expire::guest_lease(&record, &mount), increment };
    let renewal = match dispatch::call(visit, &mount, &plugin, call, &record.id).await? {
        Ok(Returned::Renewed(renewal)) => renewal,
        Ok(_) => return Err(mismatched()),
        Err(error) => return Err(not_renewed(&mount, &error)),
    };
    let (default_ttl, max_ttl) = mount.ttls();
    let now_ms = visit.now_ms;
    let longest = renewal.max_ttl.filter(|t| *t > 0).map_or(max_ttl, |t| t.min(max_ttl));
    let ends_ms = record.issued_ms.saturating_add(longest.saturating_mul(1000)).min(record.max_expires_ms);
    let wanted = renewal.ttl.filter(|t| *t > 0).or(increment.filter(|t| *t > 0)).unwrap_or(default_ttl);
    // By the second that each of them is in, as Vault counts.
    let left_secs = (ends_ms / 1000).saturating_sub(now_ms / 1000);
    if left_secs == 0 {
        return Err(Fault::invalid("past the max TTL, cannot renew"));
    }
    let mut warnings = renewal.warnings;
    warnings.extend(mint::capped("TTL", wanted, left_secs));
    let ttl_secs = wanted.min(left_secs);
    // What is left of a second is not told, and not given beyond the end either.
    let expires_ms = now_ms.saturating_add(ttl_secs.saturating_mul(1000)).min(ends_ms);
    let internal = renewal.internal.map_or_else(|| record.internal.clone(), Kept::from);
    let renewed =
        LeaseRecord { expires_ms, due_ms: expires_ms, ttl_secs, renewed_ms: now_ms, internal, ..record.clone() };
    leases::save(&mut visit.tx, Some(&record), &renewed)?;
    Ok(enveloped(Envelope {
        lease: Some(LeaseInfo {
            id: visit.namespace.shown_lease(&renewed.id),
            renewable: renewed.renewable,
            duration_secs: ttl_secs,
        }),
        data: renewal.data,
        warnings,
        ..Envelope::default()
    }))
}

/// What the caller is told of a guest's refusal. What it says of its insides is logged.
fn not_renewed(mount: &Mount, error: &GuestError) -> Fault {
    let text = again::words(error).unwrap_or_else(|| {
        tracing::error!(mount = %mount.entry.accessor, "plugin could not renew a lease: {}", error.kind());
        "the plugin failed; see the server's log"
    });
    again::told(error, format!("failed to renew entry: {text}"))
}

fn revoke<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let id = asked_id(visit, ask)?;
        let sync = ask.fields.flag("sync")?.unwrap_or(true);
        let answer = if sync { Reply::Empty } else { begun() };
        let Some(id) = id else { return Ok(answer) };
        let Some(record) = of_id(visit, &id)? else { return Ok(answer) };
        let now_ms = visit.now_ms;
        leases::fall_due(&mut visit.tx, &record, now_ms)?;
        if sync {
            end_now(visit, &id).await?;
        } else {
            visit.after.push(After::LookForDue);
        }
        Ok(answer)
    })
}

/// Ends a lease that the visit has let fall due. That is committed first: whatever happens from then on, the lease
/// ends, and nobody can renew what is being taken away.
async fn end_now(visit: &mut Visit, id: &str) -> Result<(), Fault> {
    visit.commit_so_far().await?;
    expire::turn_at(visit, &leases::digest(id)).await?;
    // Else it has ended by itself meanwhile.
    if let Some(record) = of_id(visit, id)? {
        expire::revoke(visit, &record).await?;
        leases::remove(&mut visit.tx, &record)?;
    }
    Ok(())
}

/// The answer of what goes on without the request.
fn begun() -> Reply {
    Reply::raw(202, "application/json", Vec::new())
}

/// Ends all leases whose id is, or begins with, the path asked for, and the tokens made there.
async fn end_all(visit: &mut Visit, ask: &Ask<'_>, end: LeaseEnd) -> Result<Reply, Fault> {
    let asked = ask.capture("prefix").trim_end_matches('/');
    let sync = ask.fields.flag("sync")?;
    let Some(full) = beginning(visit, &format!("{asked}/")) else { return Ok(Reply::Empty) };
    let path = route::folded(&visit.config.mounts, full.trim_end_matches('/')).path;
    let path = path.as_str();
    if asked == "auth" || asked.starts_with("auth/") {
        end_tokens(visit, path).await?;
    }
    if let Some(lease) = leases::get(&mut visit.tx, path)? {
        match end {
            LeaseEnd::FallDue => leases::fall_due(&mut visit.tx, &lease, visit.now_ms)?,
            LeaseEnd::Forgotten => leases::remove(&mut visit.tx, &lease)?,
        }
    }
    visit.after.push(After::LookForDue);
    if let Some(rest) = remove::begin_leases(visit, &format!("{path}/"), None, end)? {
        remove::finish(visit, rest, "the end of so many leases takes longer").await?;
    }
    if end == LeaseEnd::FallDue {
        match sync {
            Some(true) => left::wait_for_none(visit, &format!("{path}/")).await?,
            Some(false) => return Ok(begun()),
            None => {}
        }
    }
    Ok(Reply::Empty)
}

/// Ends the tokens that were made below a path, which are leases in Vault. Looked for in
/// pages, each of which is a change: there may be a million of them.
async fn end_tokens(visit: &mut Visit, path: &str) -> Result<(), Fault> {
    let (open, config, own) = (visit.open.clone(), visit.config.clone(), visit.who()?.hash);
    let namespace = visit.namespace.clone();
    let sweep = Sweep { open: &open, mounts: &config.mounts, namespace: &namespace, path, now_ms: visit.now_ms };
    // First: one that goes on with its second factor until then has its token, which ends here.
    sweep.waiting().await?;
    let mut after = None;
    loop {
        let page = tokens::page(&mut open.begin()?, after.as_ref(), TOKENS_A_CHANGE)?;
        after = page.last().copied();
        if after.is_none() {
            break;
        }
        let page = page.into_iter().filter(|hash| *hash != own).collect::<Vec<_>>();
        match sweep.page(&page).await {
            Err(Fault::Conflict) => sweep.each(&page).await?,
            done => done?,
        }
        open.due.notify_one();
        tokio::task::yield_now().await;
    }
    // Last, and with the answer: the caller's own has to be good for as long as this takes.
    sweep.falls_due(&mut visit.tx, &own)?;
    Ok(())
}

/// The end of all tokens made below a path.
struct Sweep<'a> {
    open: &'a Arc<Open>,
    mounts: &'a MountTable,
    namespace: &'a Namespace,
    /// From the root, in the form that stands for all its spellings.
    path: &'a str,
    now_ms: u64,
}

impl Sweep<'_> {
    /// Lets no login wait any more that began below the path.
    async fn waiting(&self) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let page = waiting::page(&mut self.open.begin()?, after.as_ref(), TOKENS_A_CHANGE)?;
            after = page.last().copied();
            if after.is_none() {
                return Ok(());
            }
            let mut attempts = 0;
            while let Err(fault) = self.forget_waiting(&page).await {
                attempts += 1;
                if !matches!(fault, Fault::Conflict) || attempts == CONFLICT_RETRIES_MAX {
                    return Err(fault);
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn forget_waiting(&self, page: &[WaitingId]) -> Result<(), Fault> {
        let mut tx = self.open.begin()?;
        for id in page {
            if waiting::get(&mut tx, id)?.is_some_and(|login| self.is_below(&login.token)) {
                waiting::remove(&mut tx, id)?;
            }
        }
        self.open.commit(tx).await
    }

    /// Ends those of a page, in one change.
    async fn page(&self, page: &[TokenHash]) -> Result<(), Fault> {
        let mut tx = self.open.begin()?;
        let mut any = false;
        for hash in page {
            any |= self.falls_due(&mut tx, hash)?;
        }
        if any { self.open.commit(tx).await } else { Ok(()) }
    }

    /// Ends those of a page of which one was used or renewed meanwhile: each by a change that
    /// nothing can conflict with, or its holder could keep it by renewing it without a pause.
    async fn each(&self, page: &[TokenHash]) -> Result<(), Fault> {
        for hash in page {
            let mut tx = self.open.begin()?;
            if tokens::get_untracked(&mut tx, hash)?.is_some_and(|record| self.is_meant(&record)) {
                let _ = tree::end(&mut tx, &self.open.salt, hash, self.now_ms, Slice::at_once(true))?;
                self.open.commit(tx).await?;
            }
        }
        Ok(())
    }

    /// Ends a token now if it is meant. The scheduler takes what is below it.
    fn falls_due(&self, tx: &mut Transaction, hash: &TokenHash) -> Result<bool, StoreError> {
        // Most are not meant: what was read of those is no reason to begin anew.
        if !tokens::get_untracked(tx, hash)?.is_some_and(|record| self.is_meant(&record)) {
            return Ok(false);
        }
        let Some(mut record) = tokens::get(tx, hash)?.filter(|record| self.is_meant(record)) else {
            return Ok(false);
        };
        tokens::set_expiry(tx, hash, &mut record, self.now_ms)?;
        Ok(true)
    }

    /// Whether a token was made below the path, and has not ended yet. It keeps the spelling of
    /// its login. What has no TTL ends as well, but for root tokens that no request to `auth/token`
    /// made: in Vault they are no leases.
    fn is_meant(&self, record: &TokenRecord) -> bool {
        let is_lease = record.expires_ms != 0 || record.path != FIRST_PATH;
        is_lease && self.is_below(record) && !record.is_expired(self.now_ms)
    }

    fn is_below(&self, record: &TokenRecord) -> bool {
        if record.namespace != self.namespace.record.id {
            return false;
        }
        let made = route::folded(self.mounts, &self.namespace.full(&record.path)).path;
        made.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn revoke_prefix<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(end_all(visit, ask, LeaseEnd::FallDue))
}

/// Everything about a lease goes in one change, so there are never remains.
fn tidy(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(nothing_to_tidy())
}

/// Forgets leases without asking their guests: for a mount whose outside is gone.
fn revoke_force<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(end_all(visit, ask, LeaseEnd::Forgotten))
}

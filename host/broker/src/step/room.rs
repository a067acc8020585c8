//! Room for leases: whoever is about to be given one has a seat first. That is before a plugin
//! is called, which may touch the outside; what the host makes by itself takes its seat when it
//! makes it, and nothing has happened then. Where there is no quota this costs nothing.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::plugin::{Operation, PluginKind};
use bulkhead_model::request::Request;
use bulkhead_model::seam::ledger::LedgerError;

use crate::book::config::Config;
use crate::book::tokens::TokenRecord;
use crate::fault::Fault;
use crate::open::Open;
use crate::step::route::{self, GuestTarget};
use crate::tally::{Basis, Seat, Taken};
use crate::visit::Visit;

/// Takes as many seats as a call of a plugin may come to need: one for what it gives a lease, one
/// for the token its answer is wrapped with. `role`: that of a login; empty: none that a quota is for.
///
/// # Errors
/// 429: there are as many leases as there may be.
pub(crate) fn reserve(
    visit: &mut Visit,
    request: &Request,
    guest: &GuestTarget,
    operation: Operation,
    role: &str,
) -> Result<(), Fault> {
    if visit.config.lease_quotas.records.is_empty() {
        return Ok(());
    }
    let gives = matches!(operation, Operation::Create | Operation::Read | Operation::Update);
    let grants = match guest.plugin.kind() {
        PluginKind::Secrets => !guest.plugin.descriptor().lease_kinds.is_empty(),
        PluginKind::Auth => guest.route().unauthenticated,
        // No route leads to one.
        PluginKind::Database => false,
    };
    let is_wrapped = request.wrap_ttl_secs.is_some_and(|secs| secs > 0);
    let full = visit.namespace.full(request.path.as_str());
    // The token that an answer is wrapped with is none of the role's.
    for (is_needed, role) in [(gives && grants, role), (is_wrapped, "")] {
        if is_needed {
            let seat = taken((&visit.open, &visit.config), (&full, role), request.path.as_str())?;
            visit.seats.extend(seat);
        }
    }
    Ok(())
}

/// The seat for a lease below this path from the root: one that the visit has, or another.
///
/// # Errors
/// 429, which says that it was asked for `shown`.
pub(crate) fn seat(visit: &mut Visit, full: &str, shown: &str) -> Result<Option<usize>, Fault> {
    seat_with(visit, (full, ""), shown)
}

fn seat_with(visit: &mut Visit, (full, role): (&str, &str), shown: &str) -> Result<Option<usize>, Fault> {
    let Some((place, _)) = nearest(&visit.config, full, role) else { return Ok(None) };
    if let Some(at) = visit.seats.iter().position(|seat| seat.place() == place && seat.is_free()) {
        return Ok(Some(at));
    }
    let Some(seat) = taken((&visit.open, &visit.config), (full, role), shown)? else { return Ok(None) };
    visit.seats.push(seat);
    Ok(Some(visit.seats.len() - 1))
}

/// The seat for a token of this record, if it is one that is counted; a batch token needs that
/// there is one, and leaves it free.
///
/// # Errors
/// As of [`seat`].
pub(crate) fn seat_of_token(visit: &mut Visit, record: &TokenRecord) -> Result<Option<usize>, Fault> {
    if visit.config.lease_quotas.records.is_empty() || record.ttl_secs == 0 || record.policies == ["root"] {
        return Ok(None);
    }
    let home = visit.config.namespaces.with_id(&record.namespace).unwrap_or(&visit.namespace);
    let full = home.full(&record.path);
    seat_with(visit, (&full, record.login_role()), &record.path)
}

/// Gives a seat of the visit to what was made.
pub(crate) fn give(visit: &Visit, seat: Option<usize>, id: &[u8; 32]) {
    if let Some(seat) = seat {
        visit.seats[seat].give_to(id);
    }
}

/// A seat for a lease below this path from the root, and of a login with this role; none, where no quota is for it.
///
/// # Errors
/// 429, or [`Fault::Uncounted`].
pub(crate) fn taken(
    (open, config): (&Open, &Config),
    (full, role): (&str, &str),
    shown: &str,
) -> Result<Option<Seat>, Fault> {
    let Some(found) = nearest(config, full, role) else { return Ok(None) };
    let basis = basis(open, config)?;
    match open.tally.take(&basis, found) {
        Taken::Seat(seat) => Ok(Some(seat)),
        Taken::Uncounted => Err(Fault::Uncounted),
        Taken::Full => {
            open.catalog.figures.leases_refused.add_one();
            let text = format!("request path {shown:?}: lease count quota exceeded");
            Err(Failure::new(FailureKind::Limited, text).into())
        }
    }
}

/// Leases of a quota.
///
/// # Errors
/// [`Fault::Uncounted`].
pub(crate) fn count(open: &Open, config: &Config, name: &str) -> Result<u64, Fault> {
    let place = config.lease_quotas.records.iter().position(|record| record.name == name).ok_or(Fault::Conflict)?;
    open.tally.count(&basis(open, config)?, place).ok_or(Fault::Uncounted)
}

/// What counts are of now.
///
/// # Errors
/// [`Fault`]: this node does not lead, and another counts.
pub(crate) fn basis(open: &Open, config: &Config) -> Result<Basis, Fault> {
    let standing = open.ledger().standing();
    if !standing.leader {
        return Err(LedgerError::NotLeader { leader: None }.into());
    }
    Ok(Basis { term: standing.term, moment: open.fence.moment(), quotas: config.lease_quotas.clone() })
}

/// The quota for a path from the root, and for logins with this role: its place, and how many there may be.
pub(crate) fn nearest(config: &Config, full: &str, role: &str) -> Option<(usize, u64)> {
    if config.lease_quotas.records.is_empty() {
        return None;
    }
    let path = route::folded(&config.mounts, full).path;
    let (namespace, _) = config.namespaces.locate(config.namespaces.root(), full);
    let rules = &config.lease_quotas.rules;
    let of_role = if role.is_empty() { None } else { rules.find_of_role(&path, role) };
    of_role.or_else(|| rules.find(&path, namespace.path())).map(|(place, max)| (place, *max))
}

/// What becomes of seats whose leases were, or were not, committed.
pub(crate) fn settle(seats: Vec<Seat>, committed: &Result<(), Fault>) {
    for seat in seats {
        match committed {
            Ok(()) => seat.keep(),
            Err(fault) if fault.is_undecided() => drop(seat),
            Err(_) => seat.give_back(),
        }
    }
}

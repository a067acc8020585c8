//! `sys/quotas/lease-count`: how many leases there may be.

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::json;

use super::quotas::{has_roles, no_role, path};
use super::table::{Handler, HostRoute};
use crate::book::lease_quotas::{self, LeaseQuotaRecord};
use crate::fault::Fault;
use crate::step::room;
use crate::visit::{After, Ask, Visit, data, listed};

const FIELDS: &[&str] = &["name", "type", "path", "role", "max_leases", "inheritable"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("quotas/lease-count", &[Verb::List], Handler::Now(list), "List the quotas of leases."),
    HostRoute::new("quotas/lease-count/{name}", &[Verb::Read], Handler::Now(read), "Read a quota of leases."),
    HostRoute::new("quotas/lease-count/{name}", &[Verb::Write], Handler::Now(write), "Set a quota of leases.")
        .fields(FIELDS),
    HostRoute::new("quotas/lease-count/{name}", &[Verb::Delete], Handler::Now(delete), "Remove a quota of leases."),
];

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(lease_quotas::names(&mut visit.tx)?)
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = ask.capture("name");
    let found = visit.config.lease_quotas.records.iter().find(|record| record.name == name);
    let record = found.ok_or_else(|| Fault::from(Failure::absent()))?;
    Ok(data(&json!({
        "counter": room::count(&visit.open, &visit.config, name)?,
        "inheritable": record.inheritable,
        "max_leases": record.max_leases,
        "name": record.name,
        "path": record.path,
        "role": record.role,
        "type": "lease-count",
    })))
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let fields = &ask.fields;
    let max_leases = fields.integer("max_leases")?.and_then(|max| u64::try_from(max).ok()).filter(|max| *max > 0);
    let max_leases = max_leases.ok_or_else(|| Fault::invalid("'max_leases' is invalid"))?;
    let path = path(visit, &fields.text_or_empty("path")?)?;
    let role = fields.text_or_empty("role")?.to_lowercase();
    if !role.is_empty() && !has_roles(visit, &path) {
        return Err(no_role(&path));
    }
    let inheritable = fields.flag("inheritable")?.unwrap_or(path.is_empty());
    if inheritable && !path.is_empty() && visit.config.namespaces.at(&path).is_none() {
        return Err(Fault::invalid(format!("'inheritable' is for quotas of a namespace, and {path:?} is none")));
    }
    let name = ask.capture("name").to_owned();
    let record = LeaseQuotaRecord { name, path, max_leases, inheritable, role };
    let others = &visit.config.lease_quotas.records;
    let is_same = |other: &&LeaseQuotaRecord| (&other.path, &other.role) == (&record.path, &record.role);
    if let Some(other) = others.iter().filter(is_same).find(|other| other.name != record.name) {
        let text = format!("quota rule with similar properties exists under the name {:?}", other.name);
        return Err(Fault::invalid(text));
    }
    lease_quotas::save(&mut visit.tx, &record)?;
    visit.after.push(After::Refresh);
    Ok(Reply::Empty)
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    lease_quotas::remove(&mut visit.tx, ask.capture("name"))?;
    visit.after.push(After::Refresh);
    Ok(Reply::Empty)
}

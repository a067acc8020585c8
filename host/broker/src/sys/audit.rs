//! `sys/audit` and `sys/audit-hash`.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::entropy::random;
use serde_json::{Map, Value, json};

use super::table::{Handler, HostRoute};
use crate::book::audits::{self, AuditEntry, Device};
use crate::fault::Fault;
use crate::visit::{After, Ask, Visit, flat};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("audit", &[Verb::Read], Handler::Now(list), "List the audit devices.").sudo(),
    HostRoute::new("audit/{name...}", &[Verb::Write], Handler::Now(enable), "Enable an audit device.")
        .sudo()
        .fields(&["path", "type", "description", "options", "local"]),
    HostRoute::new("audit/{name...}", &[Verb::Delete], Handler::Now(disable), "Disable an audit device.").sudo(),
    HostRoute::new("audit-hash/{name...}", &[Verb::Write], Handler::Now(hash), "Hash a text as a device does.")
        .fields(&["path", "input"]),
];

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut shown = Map::new();
    for entry in audits::all(&mut visit.tx)? {
        let device = json!({
            "description": entry.description,
            "local": entry.local,
            "options": entry.options,
            "path": entry.path,
            "type": entry.kind,
        });
        shown.insert(entry.path.clone(), device);
    }
    Ok(flat(&Value::Object(shown)))
}

fn path(ask: &Ask<'_>) -> String {
    format!("{}/", ask.capture("name").trim_matches('/'))
}

fn enable(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    // CVE-2025-6000: whoever may call this chooses a file the server writes to.
    if !visit.open.parts.facts.unsafe_allow_api_audit_creation {
        return Err(Fault::invalid(
            "cannot enable audit device via API; use declarative, config-based audit device management instead",
        ));
    }
    let path = path(ask);
    if audits::read(&mut visit.tx, &path)?.is_some() {
        return Err(Fault::invalid(format!("path already in use at {path:?}")));
    }
    let kind = ask.fields.text_or_empty("type")?;
    let options = ask.fields.texts("options")?.unwrap_or_default().into_iter().collect();
    let sink = visit.open.parts.audit_sinks.make(&kind, &options).map_err(Fault::invalid)?;
    let entry = AuditEntry {
        path,
        kind,
        description: ask.fields.text_or_empty("description")?,
        options,
        local: ask.fields.flag("local")?.unwrap_or(false),
        from_config: false,
        salt: hex::encode(random::<32>(&*visit.open.parts.entropy)),
    };
    audits::save(&mut visit.tx, &entry)?;
    let mut devices = remaining(visit, "");
    devices.push(Device::new(entry, sink, &visit.open.barrier));
    visit.after.push(After::AuditDevices(devices));
    Ok(Reply::Empty)
}

/// The devices in use but the one at this path.
fn remaining(visit: &Visit, path: &str) -> Vec<Device> {
    let devices = visit.open.devices.read().clone();
    let kept = devices.iter().filter(|d| d.entry.path != path);
    kept.map(|d| Device::new(d.entry.clone(), d.sink.clone(), &visit.open.barrier)).collect()
}

fn disable(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let path = path(ask);
    match audits::read(&mut visit.tx, &path)? {
        None => return Ok(Reply::Empty),
        Some(entry) if entry.from_config => {
            return Err(Fault::invalid("cannot disable configuration-managed audit device"));
        }
        Some(_) => {}
    }
    audits::remove(&mut visit.tx, &path)?;
    let devices = remaining(visit, &path);
    visit.after.push(After::AuditDevices(devices));
    Ok(Reply::Empty)
}

fn hash(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (path, input) = (path(ask), ask.fields.text_or_empty("input")?);
    if input.is_empty() {
        return Err(Fault::invalid("the \"input\" parameter is empty"));
    }
    let devices = visit.open.devices.read().clone();
    match devices.iter().find(|d| d.entry.path == path) {
        Some(device) => Ok(flat(&json!({ "hash": device.hash(&input) }))),
        None => Err(Failure::new(FailureKind::Invalid, format!("unknown audit backend {path:?}")).into()),
    }
}

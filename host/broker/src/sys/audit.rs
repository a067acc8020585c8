//! `sys/audit` and `sys/audit-hash`.

use std::pin::Pin;
use std::sync::Arc;

use bulkhead_model::audit_filter::Scope;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::entropy::random;
use serde_json::{Map, Value, json};

use super::table::{Handler, HostRoute};
use crate::book::audits::{self, AuditEntry, Device};
use crate::book::space;
use crate::cluster::forward::is_standby;
use crate::fault::Fault;
use crate::open::Open;
use crate::step::record;
use crate::visit::{After, Ask, Visit, flat};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("audit", &[Verb::Read], Handler::Now(list), "List the audit devices.").sudo(),
    HostRoute::new("audit/{path...}", &[Verb::Write], Handler::Later(enable), "Enable an audit device.")
        .sudo()
        .fields(&["path", "type", "description", "options", "local"]),
    HostRoute::new("audit/{path...}", &[Verb::Delete], Handler::Now(disable), "Disable an audit device.").sudo(),
    HostRoute::new("audit-hash/{path...}", &[Verb::Write], Handler::Now(hash), "Hash a text as a device does.")
        .fields(&["path", "input"]),
];

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send + 'a>>;

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
    format!("{}/", ask.capture("path").trim_matches('/'))
}

fn enable<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
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
        let entry = AuditEntry {
            path,
            kind: ask.fields.text_or_empty("type")?,
            description: ask.fields.text_or_empty("description")?,
            options: ask.fields.texts("options")?.unwrap_or_default().into_iter().collect(),
            local: ask.fields.flag("local")?.unwrap_or(false),
            from_config: false,
            salt: hex::encode(random::<32>(&*visit.open.parts.entropy)),
        };
        refuse_second_fallback(visit, &entry)?;
        audits::save(&mut visit.tx, &entry)?;
        let open = visit.open.clone();
        let device = open.parts.audit_device(entry, &open.barrier).await.map_err(Fault::invalid)?;
        if !device.style.skips_test {
            let tested = record::test_line(&device, &open.parts).await;
            tested.map_err(|text| Fault::invalid(format!("audit backend failed test message: {text}")))?;
        }
        visit.after.push(After::AuditDevices(Some(device)));
        Ok(Reply::Empty)
    })
}

/// One at most takes what no other device took.
fn refuse_second_fallback(visit: &mut Visit, entry: &AuditEntry) -> Result<(), Fault> {
    let is_fallback = |entry: &AuditEntry| Scope::of(&entry.options).map(|scope| scope.is_fallback());
    if !is_fallback(entry).map_err(Fault::invalid)? {
        return Ok(());
    }
    let others = audits::all(&mut visit.tx)?;
    match others.iter().any(|other| is_fallback(other) == Ok(true)) {
        true => Err(Fault::invalid("there can be only one fallback audit device")),
        false => Ok(()),
    }
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
    visit.after.push(After::AuditDevices(None));
    Ok(Reply::Empty)
}

/// Makes the devices in use those of the book. Whoever commits a change to the book
/// calls this; the last one to do so has seen all changes, whatever order they came in.
pub(crate) async fn follow_book(open: &Open, opened: Option<Arc<Device>>) {
    // One after the other: of two that read the book at once, the older reading could win.
    // A lock of its own: requests look at the devices, and opening one may take its time.
    let turn = open.lock(space::AUDITS, "devices");
    let _turn = turn.lock().await;
    let used = open.devices.read().clone();
    match in_book(open, &used, opened).await {
        Ok(present) => {
            audits::note_gaps(&present);
            *open.devices.write() = Arc::new(present);
        }
        Err(fault) => tracing::error!(cause = ?fault, "the audit devices could not be read; those in use stay"),
    }
}

/// Opens the devices that could not be opened so far, of the book and of this node's own config.
pub(crate) async fn open_absent(open: &Open) {
    let turn = open.lock(space::AUDITS, "devices");
    let _turn = turn.lock().await;
    let mut devices = open.devices.read().to_vec();
    for device in devices.iter_mut().filter(|device| device.is_absent()) {
        match open.parts.audit_device(device.entry.clone(), &open.barrier).await {
            Ok(opened) => *device = opened,
            Err(text) => {
                tracing::error!(device = %device.entry.path, error = %text, "audit device could not be opened")
            }
        }
    }
    *open.devices.write() = Arc::new(devices);
}

/// The devices of the book: those in use, the one just opened, and any others. A standby's
/// own config goes before what the leader's has put into the book.
async fn in_book(open: &Open, used: &[Arc<Device>], opened: Option<Arc<Device>>) -> Result<Vec<Arc<Device>>, Fault> {
    let standby = is_standby(open);
    let mut present: Vec<_> = used.iter().filter(|device| standby && device.entry.from_config).cloned().collect();
    for entry in audits::all(&mut open.begin()?)? {
        if standby && (entry.from_config || present.iter().any(|device| device.entry.path == entry.path)) {
            continue;
        }
        if let Some(known) = used.iter().chain(&opened).find(|device| device.is_of(&entry)) {
            present.push(known.clone());
            continue;
        }
        let path = entry.path.clone();
        let device = open.parts.audit_device(entry.clone(), &open.barrier).await;
        present.push(device.unwrap_or_else(|text| {
            tracing::error!(device = %path, error = %text, "audit device could not be opened");
            Device::absent(entry, &open.barrier, text)
        }));
    }
    Ok(present)
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

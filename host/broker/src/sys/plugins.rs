//! `sys/plugins`: which plugins there are, those that the server brings and those that operators
//! register, and what an operator has them do: forget what they keep in memory, bring their data
//! to a new layout.

mod grants;
mod intents;
mod register;

use std::collections::BTreeSet;
use std::sync::Arc;

use bulkhead_model::failure::Failure;
use bulkhead_model::plugin::{PluginKind, Reason};
use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use super::table::{Answer, Handler, HostRoute};
use crate::book::mounts::{Engine, Mount, Table};
use crate::book::registry::{Kind, Registered};
use crate::fault::{Fault, wrapped_all};
use crate::step::{duties, upgrade};
use crate::visit::{Ask, Visit, data, enveloped, listed};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("plugins/catalog", &[Verb::Read], Handler::Now(all), "List the plugins."),
    HostRoute::new("plugins/catalog/{type}", &[Verb::List], Handler::Now(list), "List plugins of a type.").sudo(),
    HostRoute::new(
        "plugins/catalog/{name}",
        &[Verb::Write],
        Handler::Later(register::register),
        "Register a plugin of the type that its component has.",
    )
    .sudo()
    .fields(register::FIELDS),
    HostRoute::new("plugins/catalog/{type}/{name}", &[Verb::Read], Handler::Now(read), "Read a plugin.")
        .sudo()
        .fields(register::VERSION),
    HostRoute::new(
        "plugins/catalog/{type}/{name}",
        &[Verb::Write],
        Handler::Later(register::register),
        "Register a plugin.",
    )
    .sudo()
    .fields(register::FIELDS),
    HostRoute::new(
        "plugins/catalog/{type}/{name}",
        &[Verb::Delete],
        Handler::Now(register::forget),
        "Forget a plugin.",
    )
    .sudo()
    .fields(register::VERSION),
    HostRoute::new("plugins/grants/{path...}", &[Verb::Read], Handler::Now(grants::read), "List a mount's grants.")
        .sudo(),
    HostRoute::new("plugins/grants/{path...}", &[Verb::Write], Handler::Now(grants::write), "Give or take grants.")
        .sudo()
        .fields(grants::FIELDS),
    HostRoute::new(
        "plugins/grants/{path...}",
        &[Verb::Delete],
        Handler::Now(grants::reset),
        "Leave a mount with the grants it has from the start.",
    )
    .sudo(),
    HostRoute::new("plugins/intents", &[Verb::Read], Handler::Now(intents::list), "List what is still to be undone.")
        .sudo(),
    HostRoute::new("plugins/intents/{id}", &[Verb::Delete], Handler::Now(intents::forget), FORGET_INTENT).sudo(),
    HostRoute::new("plugins/reload/backend", &[Verb::Write], Handler::Later(reload), "Have plugins start afresh.")
        .fields(&["plugin", "mounts", "scope"]),
    HostRoute::new("plugins/finalize/{type}/{name}", &[Verb::Read], Handler::Now(layouts), "Tell of data layouts.")
        .sudo(),
    HostRoute::new("plugins/finalize/{type}/{name}", &[Verb::Write], Handler::Now(finalise), FINALISE).sudo(),
];

/// Engines that cannot start afresh. Source: OpenBao.
const SINGLETONS: &[&str] =
    &["system", "token", "cubbyhole", "identity", "ns_system", "ns_token", "ns_cubbyhole", "ns_identity"];

const FORGET_INTENT: &str = "Let an intent go without undoing it: what it has begun outside stays there.";

const FINALISE: &str =
    "Bring a plugin's data to the layout that it writes now; its older versions cannot read it then.";

/// The table where plugins of a type are mounted, if they are mounted.
fn table(kind: &str) -> Option<Table> {
    match Kind::named(kind)? {
        Kind::Auth => Some(Table::Auth),
        Kind::Secret => Some(Table::Secret),
        Kind::Database => None,
    }
}

fn names(visit: &Visit, kind: impl Into<Kind>) -> Vec<String> {
    let kind = kind.into();
    let is_meant = |(of, _): &&(PluginKind, String)| *of == kind.plugin();
    let brought = visit.open.catalog.plugins.keys().filter(is_meant).map(|(_, name)| name);
    let registered = visit.config.registry.all().iter().filter(|one| one.kind == kind).map(|one| &one.name);
    let names: BTreeSet<&String> = brought.chain(registered).collect();
    names.into_iter().cloned().collect()
}

/// The one that this server brings.
fn brought(visit: &Visit, kind: Kind, name: &str) -> Option<Value> {
    let (plugin, _) = visit.open.catalog.plugins.get(&(kind.plugin(), name.to_owned()))?;
    Some(json!({
        "builtin": true,
        "deprecation_status": "supported",
        "name": name,
        "sha256": plugin.sha256(),
        "type": kind.name(),
        "version": format!("v{}", plugin.descriptor().version),
        "imports": plugin.imports(),
    }))
}

fn registered(one: &Registered) -> Value {
    json!({
        "builtin": false,
        "name": one.name,
        "sha256": one.sha256,
        "type": one.kind.name(),
        "version": one.shown_version(),
        "imports": one.imports,
    })
}

fn all(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let visit = &*visit;
    let of = |kind: Kind| {
        let each = move |name: String| {
            let more = visit.config.registry.of(kind, &name).iter().map(registered);
            brought(visit, kind, &name).into_iter().chain(more).collect::<Vec<_>>()
        };
        names(visit, kind).into_iter().flat_map(each)
    };
    let detailed: Vec<Value> = Kind::ALL.into_iter().flat_map(of).collect();
    let [auth, database, secret] = Kind::ALL.map(|kind| names(visit, kind));
    Ok(data(&json!({ "auth": auth, "database": database, "detailed": detailed, "secret": secret })))
}

fn list(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let asked = ask.capture("type");
    match Kind::named(asked) {
        Some(kind) => listed(names(visit, kind)),
        None => Err(Fault::invalid(format!("{asked:?} is not a supported plugin type"))),
    }
}

/// One version: the one that is asked for, else the one that the server brings, else the newest.
fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (name, asked) = (ask.capture("name"), ask.fields.text_or_empty("version")?);
    let found = Kind::named(ask.capture("type")).and_then(|kind| match asked.as_str() {
        "" => brought(visit, kind, name).or_else(|| visit.config.registry.of(kind, name).last().map(registered)),
        asked => visit.config.registry.find(kind, name, asked).map(registered),
    });
    let mut found = found.ok_or_else(|| Fault::from(Failure::absent()))?;
    for (name, value) in
        [("args", Value::Null), ("command", "".into()), ("declarative", false.into()), ("oci", false.into())]
    {
        found[name] = value;
    }
    Ok(data(&found))
}

/// What a reload is about: mounts to start afresh, and what is wrong with others.
#[derive(Default)]
struct Reload {
    mounts: Vec<Arc<Mount>>,
    refused: Vec<String>,
}

impl Reload {
    fn add(&mut self, mount: &Arc<Mount>) {
        let why = match &mount.engine {
            Engine::Plugin(..) | Engine::Loading(_) => {
                if !self.mounts.iter().any(|known| known.space == mount.space) {
                    self.mounts.push(mount.clone());
                }
                return;
            }
            Engine::Missing(why) => why.clone(),
            _ => singleton(&mount.entry.kind),
        };
        self.refuse(mount, &why);
    }

    fn refuse(&mut self, mount: &Mount, why: &str) {
        self.refused.push(format!("cannot reload plugin on {:?}: {why}", mount.full_path));
    }
}

fn singleton(name: &str) -> String {
    format!("singleton plugin cannot be reloaded: {name:?}")
}

/// Whether a mount may have this driver work. Which one it does is its own to know.
fn has_work(visit: &Visit, mount: &Mount, driver: &str) -> bool {
    let Engine::Plugin(plugin, _) = &mount.engine else { return false };
    let brought = visit.open.catalog.plugins.contains_key(&(PluginKind::Database, driver.to_owned()));
    plugin.imports().iter().any(|import| import == "database-drivers") && mount.grants.admits_driver(driver, brought)
}

fn to_reload(visit: &Visit, ask: &Ask<'_>) -> Result<Reload, Fault> {
    let plugin = ask.fields.text_or_empty("plugin")?;
    let paths = ask.fields.strings("mounts", true)?.unwrap_or_default();
    match (plugin.is_empty(), paths.is_empty()) {
        (true, true) => return Err(Fault::invalid("plugin or mounts must be provided")),
        (false, false) => return Err(Fault::invalid("plugin and mounts cannot be set at the same time")),
        _ => {}
    }
    if !matches!(ask.fields.text_or_empty("scope")?.as_str(), "" | "global") {
        return Err(Fault::invalid("scope must be unset or \"global\""));
    }
    let mut found = Reload::default();
    if !plugin.is_empty() {
        if SINGLETONS.contains(&plugin.as_str()) {
            return Err(Fault::invalid(singleton(&plugin)));
        }
        let is_driver = names(visit, Kind::Database).contains(&plugin);
        if !is_driver && !Table::BOTH.iter().any(|table| names(visit, *table).contains(&plugin)) {
            return Err(Fault::invalid(format!("plugin not found in the catalog: {plugin:?}")));
        }
        let is_meant =
            |mount: &&Arc<Mount>| mount.entry.brought() == plugin || is_driver && has_work(visit, mount, &plugin);
        visit.config.mounts.all().filter(is_meant).for_each(|mount| found.add(mount));
    }
    for path in paths {
        let path = if path.ends_with('/') { path } else { format!("{path}/") };
        // As there, a path below a mount stands for the mount.
        match visit.config.mounts.route(&path) {
            Some((mount, _)) => found.add(mount),
            None => found.refused.push(format!("cannot fetch mount entry on {path:?}")),
        }
    }
    Ok(found)
}

/// A call has an instance of its own anyway: what is left to start afresh is what a plugin
/// keeps in the node's memory. Each mount does so in a change of its own, and one that cannot
/// does not keep the others.
fn reload<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let mut found = to_reload(visit, ask)?;
        let spaces = found.mounts.iter().map(|mount| mount.space).collect();
        let told = duties::tell_each(&visit.open, spaces, Reason::Reloaded).await;
        for (mount, (_, told)) in std::mem::take(&mut found.mounts).iter().zip(told) {
            match told {
                Ok(()) => {}
                Err(fault) if fault.is_of_ledger() => return Err(fault),
                Err(fault) => found.refuse(mount, &fault.into_failure().errors.join("; ")),
            }
        }
        if !found.refused.is_empty() {
            return Err(Fault::invalid(wrapped_all(&found.refused)));
        }
        Ok(data(&json!({ "reload_id": ask.request.id })))
    })
}

/// The mounts of the plugin that a path names.
fn mounts_of(visit: &Visit, ask: &Ask<'_>) -> Result<Vec<Arc<Mount>>, Fault> {
    let name = ask.capture("name");
    let table = table(ask.capture("type")).ok_or_else(|| Fault::from(Failure::absent()))?;
    if !names(visit, table).iter().any(|known| known == name) {
        return Err(Fault::invalid(format!("plugin not found in the catalog: {name:?}")));
    }
    let is_meant = |mount: &&Arc<Mount>| mount.entry.table == table && mount.entry.brought() == name;
    let mut mounts: Vec<_> = visit.config.mounts.all().filter(is_meant).cloned().collect();
    mounts.sort_by(|one, other| one.full_path.cmp(&other.full_path));
    Ok(mounts)
}

/// The layout of data that a mount's plugin writes now.
fn layout(visit: &Visit, mount: &Mount) -> Option<u32> {
    match &mount.engine {
        Engine::Loading(sha256) => visit.config.registry.with_digest(sha256).map(|one| one.data_version),
        Engine::Plugin(plugin, _) => Some(plugin.descriptor().data_version),
        _ => None,
    }
}

fn layouts(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut shown = Map::new();
    for mount in mounts_of(visit, ask)? {
        let running = upgrade::of(&mut visit.tx, mount.space)?;
        let writes = layout(visit, &mount).unwrap_or(mount.entry.data_version);
        let about = json!({
            "data_version": mount.entry.data_version,
            "writes": writes,
            "upgrading": running.is_some(),
            "failures": running.map_or(0, |record| record.failures),
        });
        shown.insert(mount.full_path.clone(), about);
    }
    let newest = newest_layout(visit, ask);
    Ok(data(&json!({ "data_version": newest, "mounts": shown })))
}

/// The newest layout that a version of the plugin which a path names writes.
fn newest_layout(visit: &Visit, ask: &Ask<'_>) -> Option<u32> {
    let (table, name) = (table(ask.capture("type"))?, ask.capture("name"));
    let brought = visit.open.catalog.plugins.get(&(table.kind(), name.to_owned()));
    let brought = brought.map(|(plugin, _)| plugin.descriptor().data_version);
    let registered = visit.config.registry.of(table, name).iter().map(|one| one.data_version);
    brought.into_iter().chain(registered).max()
}

fn finalise(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut behind = mounts_of(visit, ask)?;
    behind.retain(|mount| layout(visit, mount).is_some_and(|writes| mount.entry.data_version < writes));
    let mut upgrading = Vec::new();
    for mount in behind {
        upgrade::begin(visit, &mount)?;
        upgrading.push(mount.full_path.clone());
    }
    let data = Some(hidden_json(&json!({ "upgrading": upgrading })));
    let status = (!upgrading.is_empty()).then_some(202);
    Ok(enveloped(Envelope { data, status, ..Envelope::default() }))
}

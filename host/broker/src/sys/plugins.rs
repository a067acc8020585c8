//! `sys/plugins`: which plugins this node has, and what an operator has them do: forget
//! what they keep in memory, bring their data to a new layout.

use std::sync::Arc;

use bulkhead_model::failure::Failure;
use bulkhead_model::plugin::{PluginKind, Reason};
use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use bulkhead_model::request::Verb;
use bulkhead_model::seam::plugin::Plugin;
use serde_json::{Map, Value, json};

use super::table::{Answer, Handler, HostRoute};
use crate::book::mounts::{Engine, Mount, Table};
use crate::fault::{Fault, wrapped_all};
use crate::step::{duties, upgrade};
use crate::visit::{Ask, Visit, data, enveloped, listed};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("plugins/catalog", &[Verb::Read], Handler::Now(all), "List the plugins."),
    HostRoute::new("plugins/catalog/{type}", &[Verb::List], Handler::Now(list), "List plugins of a type.").sudo(),
    HostRoute::new("plugins/catalog/{type}/{name}", &[Verb::Read], Handler::Now(read), "Read a plugin.").sudo(),
    HostRoute::new("plugins/reload/backend", &[Verb::Write], Handler::Later(reload), "Have plugins start afresh.")
        .fields(&["plugin", "mounts", "scope"]),
    HostRoute::new("plugins/finalize/{type}/{name}", &[Verb::Read], Handler::Now(layouts), "Tell of data layouts.")
        .sudo(),
    HostRoute::new("plugins/finalize/{type}/{name}", &[Verb::Write], Handler::Now(finalise), FINALISE).sudo(),
];

/// Engines that cannot start afresh. Source: OpenBao.
const SINGLETONS: &[&str] =
    &["system", "token", "cubbyhole", "identity", "ns_system", "ns_token", "ns_cubbyhole", "ns_identity"];

const FINALISE: &str =
    "Bring a plugin's data to the layout that it writes now; its older versions cannot read it then.";

fn names(visit: &Visit, kind: PluginKind) -> Vec<String> {
    let mut names: Vec<_> =
        visit.open.catalog.plugins.keys().filter(|(k, _)| *k == kind).map(|(_, name)| name.clone()).collect();
    names.sort();
    names
}

fn about(visit: &Visit, kind: PluginKind, name: &str) -> Option<Value> {
    let (plugin, _) = visit.open.catalog.plugins.get(&(kind, name.to_owned()))?;
    let kind = if kind == PluginKind::Auth { "auth" } else { "secret" };
    Some(json!({
        "builtin": true,
        "deprecation_status": "supported",
        "name": name,
        "sha256": plugin.sha256(),
        "type": kind,
        "version": format!("v{}", plugin.descriptor().version),
        "imports": plugin.imports(),
    }))
}

fn all(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (auth, secret) = (names(visit, PluginKind::Auth), names(visit, PluginKind::Secrets));
    let of = |kind, names: &[String]| names.iter().filter_map(|n| about(visit, kind, n)).collect::<Vec<_>>();
    let detailed = [of(PluginKind::Auth, &auth), of(PluginKind::Secrets, &secret)].concat();
    Ok(data(&json!({ "auth": auth, "database": [], "detailed": detailed, "secret": secret })))
}

fn kind(name: &str) -> Option<PluginKind> {
    match name {
        "auth" => Some(PluginKind::Auth),
        "secret" => Some(PluginKind::Secrets),
        _ => None,
    }
}

fn list(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    match ask.capture("type") {
        "database" => listed(Vec::new()),
        other => match kind(other) {
            Some(kind) => listed(names(visit, kind)),
            None => Err(Fault::invalid(format!("{other:?} is not a supported plugin type"))),
        },
    }
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let found = kind(ask.capture("type")).and_then(|kind| about(visit, kind, ask.capture("name")));
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
            Engine::Plugin(..) => {
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
        if !visit.open.catalog.plugins.keys().any(|(_, name)| *name == plugin) {
            return Err(Fault::invalid(format!("plugin not found in the catalog: {plugin:?}")));
        }
        let tables = [Table::Secret, Table::Auth].map(|table| visit.config.mounts.of(table));
        tables.iter().flatten().filter(|mount| mount.entry.kind == plugin).for_each(|mount| found.add(mount));
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

/// A plugin and its mounts.
struct Mounted {
    plugin: Arc<dyn Plugin>,
    mounts: Vec<Arc<Mount>>,
}

/// What a path names.
fn asked(visit: &Visit, ask: &Ask<'_>) -> Result<Mounted, Fault> {
    let name = ask.capture("name");
    let kind = kind(ask.capture("type")).ok_or_else(|| Fault::from(Failure::absent()))?;
    let found = visit.open.catalog.plugins.get(&(kind, name.to_owned()));
    let (plugin, _) = found.ok_or_else(|| Fault::invalid(format!("plugin not found in the catalog: {name:?}")))?;
    let table = if kind == PluginKind::Auth { Table::Auth } else { Table::Secret };
    let mounts = visit.config.mounts.of(table).into_iter().filter(|m| m.entry.kind == name).cloned();
    Ok(Mounted { plugin: plugin.clone(), mounts: mounts.collect() })
}

fn layouts(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let Mounted { plugin, mounts } = asked(visit, ask)?;
    let mut shown = Map::new();
    for mount in mounts {
        let running = upgrade::of(&mut visit.tx, mount.space)?;
        let about = json!({
            "data_version": mount.entry.data_version,
            "upgrading": running.is_some(),
            "failures": running.map_or(0, |record| record.failures),
        });
        shown.insert(mount.full_path.clone(), about);
    }
    Ok(data(&json!({ "data_version": plugin.descriptor().data_version, "mounts": shown })))
}

fn finalise(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let Mounted { plugin, mounts } = asked(visit, ask)?;
    let behind = |m: &Arc<Mount>| m.entry.data_version < plugin.descriptor().data_version;
    let mut upgrading = Vec::new();
    for mount in mounts.into_iter().filter(behind) {
        upgrade::begin(visit, &mount)?;
        upgrading.push(mount.full_path.clone());
    }
    let data = Some(hidden_json(&json!({ "upgrading": upgrading })));
    let status = (!upgrading.is_empty()).then_some(202);
    Ok(enveloped(Envelope { data, status, ..Envelope::default() }))
}

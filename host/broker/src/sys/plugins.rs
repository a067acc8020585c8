//! `sys/plugins/catalog`: which plugins this node has.

use bulkhead_model::failure::Failure;
use bulkhead_model::plugin::PluginKind;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::table::{Handler, HostRoute};
use crate::book::mounts::Table;
use crate::fault::Fault;
use crate::visit::{Ask, Visit, data, listed};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("plugins/catalog", &[Verb::Read], Handler::Now(all), "List the plugins.").sudo(),
    HostRoute::new("plugins/catalog/{type}", &[Verb::List], Handler::Now(list), "List plugins of a type.").sudo(),
    HostRoute::new("plugins/catalog/{type}/{name}", &[Verb::Read], Handler::Now(read), "Read a plugin.").sudo(),
    HostRoute::new("plugins/reload/backend", &[Verb::Write], Handler::Now(reload), "Reload a plugin.")
        .fields(&["plugin", "mounts", "scope"]),
];

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

/// Every call has a fresh instance, so there is nothing to reload but what the host keeps
/// for a plugin between calls.
fn reload(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let plugin = ask.fields.text_or_empty("plugin")?;
    let paths = ask.fields.strings("mounts", true)?.unwrap_or_default();
    if plugin.is_empty() && paths.is_empty() {
        return Err(Fault::invalid("plugin or mounts must be provided"));
    }
    if !plugin.is_empty() && !paths.is_empty() {
        return Err(Fault::invalid("plugin and mounts cannot be set at the same time"));
    }
    if !plugin.is_empty() && !visit.open.catalog.plugins.keys().any(|(_, name)| *name == plugin) {
        return Err(Fault::invalid(format!("plugin not found in the catalog: {plugin:?}")));
    }
    let mounts = &visit.config.mounts;
    let mut spaces = Vec::new();
    for path in paths {
        let folder = format!("{}/", path.trim_matches('/'));
        let mount = mounts.at(&folder);
        let text = format!("cannot fetch mount entry on {path:?}");
        spaces.push(mount.ok_or_else(|| Fault::invalid_wrapped(&text))?.space);
    }
    let of_plugin = [Table::Secret, Table::Auth].into_iter().flat_map(|table| mounts.of(table));
    spaces.extend(of_plugin.filter(|m| m.entry.kind == plugin).map(|m| m.space));
    spaces.into_iter().for_each(|space| visit.open.cache.drop_mount(space));
    Ok(data(&json!({ "reload_id": ask.request.id })))
}

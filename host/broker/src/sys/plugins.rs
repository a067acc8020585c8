//! `sys/plugins/catalog`: which plugins this node has.

use bulkhead_model::failure::Failure;
use bulkhead_model::plugin::PluginKind;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::table::{Handler, HostRoute};
use crate::fault::Fault;
use crate::visit::{Ask, Visit, data, listed};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("plugins/catalog", &[Verb::Read], Handler::Now(all), "List the plugins.").sudo(),
    HostRoute::new("plugins/catalog/{type}", &[Verb::List], Handler::Now(list), "List plugins of a type.").sudo(),
    HostRoute::new("plugins/catalog/{type}/{name}", &[Verb::Read], Handler::Now(read), "Read a plugin.").sudo(),
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

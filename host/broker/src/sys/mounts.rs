//! `sys/mounts` and `sys/auth`: enabling, disabling, reading.

mod shown;
mod tune;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use bulkhead_barrier::SpaceId;
use bulkhead_model::path::ApiPath;
use bulkhead_model::plugin::Reason;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::entropy::random;
use serde_json::{Map, Value};

pub(super) use shown::mount_json;

use super::table::{Answer, Handler, HostRoute};
use crate::book::mounts::{self, Flags, MountEntry, Table};
use crate::fault::Fault;
use crate::step::leave;
use crate::visit::{After, Ask, Visit, flat};

const ENABLE_FIELDS: &[&str] = &[
    "path",
    "type",
    "description",
    "config",
    "options",
    "local",
    "seal_wrap",
    "external_entropy_access",
    "plugin_name",
    "plugin_version",
];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("mounts", &[Verb::Read], Handler::Now(list), "List the mounted secrets engines."),
    HostRoute::new("mounts/{path...}", &[Verb::Read], Handler::Now(read), "Read a mount."),
    HostRoute::new("mounts/{path...}", &[Verb::Write], Handler::Later(enable), "Enable a secrets engine.")
        .fields(ENABLE_FIELDS),
    HostRoute::new("mounts/{path...}", &[Verb::Delete], Handler::Later(disable), "Disable a secrets engine."),
    HostRoute::new("mounts/{path...}/tune", &[Verb::Read], Handler::Now(tune::read), "Read a mount's tuning."),
    HostRoute::new("mounts/{path...}/tune", &[Verb::Write], Handler::Later(tune::write), "Tune a mount.")
        .fields(tune::FIELDS),
    HostRoute::new("auth", &[Verb::Read], Handler::Now(list_auth), "List the enabled auth methods."),
    HostRoute::new("auth/{path...}", &[Verb::Read], Handler::Now(read_auth), "Read an auth method's mount.").sudo(),
    HostRoute::new("auth/{path...}", &[Verb::Write], Handler::Later(enable_auth), "Enable an auth method.")
        .sudo()
        .fields(ENABLE_FIELDS),
    HostRoute::new("auth/{path...}", &[Verb::Delete], Handler::Later(disable_auth), "Disable an auth method.").sudo(),
    HostRoute::new("auth/{path...}/tune", &[Verb::Read], Handler::Now(tune::read_auth), "Read a mount's tuning.")
        .sudo(),
    HostRoute::new("auth/{path...}/tune", &[Verb::Write], Handler::Later(tune::write_auth), "Tune an auth method.")
        .sudo()
        .fields(tune::FIELDS),
];

/// A mount's path in its table, with a slash at the end.
fn mount_path(raw: &str) -> String {
    format!("{}/", raw.trim_matches('/'))
}

/// The path in requests of a mount in this table.
pub(super) fn full_path(table: Table, path: &str) -> String {
    match table {
        Table::Secret => path.to_owned(),
        Table::Auth => format!("auth/{path}"),
    }
}

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(flat(&shown::table_json(visit, Table::Secret)))
}

fn list_auth(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(flat(&shown::table_json(visit, Table::Auth)))
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let path = mount_path(ask.capture("path"));
    // As in Vault, an auth method is found here too, below `auth/`.
    match visit.mount_at(&path) {
        Some(mount) => Ok(flat(&mount_json(visit, mount))),
        None => Err(Fault::invalid(format!("No secret engine mount at {path}"))),
    }
}

fn read_auth(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let path = mount_path(ask.capture("path"));
    match visit.mount_at(&full_path(Table::Auth, &path)) {
        Some(mount) => Ok(flat(&mount_json(visit, mount))),
        None => Err(Fault::invalid(format!("No auth engine at {path}"))),
    }
}

fn enable<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(mount(visit, ask, Table::Secret))
}

fn enable_auth<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(mount(visit, ask, Table::Auth))
}

fn disable<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(unmount(visit, ask, Table::Secret))
}

fn disable_auth<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(unmount(visit, ask, Table::Auth))
}

/// What a type's name stands for: the plugin, and options it implies.
fn plugin_of(kind: &str) -> (&str, Option<(&'static str, &'static str)>) {
    match kind {
        "kv-v2" => ("kv", Some(("version", "2"))),
        "kv-v1" => ("kv", Some(("version", "1"))),
        // Vault's first name for kv.
        "generic" => ("kv", None),
        other => (other, None),
    }
}

/// The plugin of a mount of type `plugin`: beside the type, or in `config`, as it once was.
fn plugin_name(ask: &Ask<'_>) -> Result<String, Fault> {
    let beside = ask.fields.text_or_empty("plugin_name")?;
    let within = ask.fields.object("config")?.and_then(|config| config.get("plugin_name")).and_then(Value::as_str);
    Ok(if beside.is_empty() { within.unwrap_or_default().to_owned() } else { beside })
}

async fn mount(visit: &mut Visit, ask: &Ask<'_>, table: Table) -> Result<Reply, Fault> {
    let entry = new_entry(visit, ask, table)?;
    mounts::save(&mut visit.tx, &entry)?;
    // The guest prepares its storage within the same transaction, as part of the mount.
    let mounted = Arc::new(visit.config.bind(entry, &visit.open.catalog));
    version::begin(visit, &mounted, Reason::Mounted).await?;
    visit.after.push(After::LookForDue);
    Ok(Reply::Empty)
}

fn new_entry(visit: &Visit, ask: &Ask<'_>, table: Table) -> Result<MountEntry, Fault> {
    let path = mount_path(ask.capture("path"));
    let flag = |name: &str| Ok::<_, Fault>(ask.fields.flag(name)?.unwrap_or(false));
    let flags = Flags {
        local: flag("local")?,
        seal_wrap: flag("seal_wrap")?,
        external_entropy_access: flag("external_entropy_access")?,
    };
    // Only that it is a text is asked of it here: what counts is the one in `config`.
    ask.fields.text("plugin_version")?;
    let description = ask.fields.text_or_empty("description")?;
    let asked = ask.fields.text_or_empty("type")?;
    let asked = if asked == "plugin" { plugin_name(ask)? } else { asked };
    if asked.is_empty() {
        return Err(Fault::invalid("backend type must be specified as a string"));
    }
    if table == Table::Auth && asked == "token" {
        return Err(Fault::invalid("token credential backend cannot be instantiated"));
    }
    check_path(visit, table, &path)?;
    if table == Table::Secret && matches!(asked.as_str(), "system" | "cubbyhole" | "identity" | "token") {
        return Err(Fault::invalid(format!("mount type of {asked:?} is not mountable")));
    }
    let (plugin, implied) = plugin_of(&asked);
    let mut options: BTreeMap<String, String> = ask.fields.texts("options")?.unwrap_or_default().into_iter().collect();
    if let Some((name, value)) = implied {
        options.insert(name.to_owned(), value.to_owned());
    }
    if asked == "generic" && options.contains_key("version") {
        return Err(Fault::invalid("secrets engine \"generic\" does not allow setting a version"));
    }
    if plugin == "kv" && options.get("version").is_some_and(|v| v != "1" && v != "2") {
        return Err(Fault::invalid("nil backend of type \"kv\" returned from factory"));
    }
    let config = ask.fields.object("config")?;
    let version = config.and_then(|c| c.get("plugin_version")).and_then(Value::as_str).unwrap_or_default();
    let version::Chosen { plugin_version, data_version } = version::of_new(visit, plugin, table, version)?;
    // One that was registered under the name of kv is no `generic`.
    let kind = if asked == "generic" && plugin_version.is_empty() { "generic" } else { plugin };
    let max_secs = visit.open.catalog.ttls.max_secs();
    let tuning = tune::from_config(config.unwrap_or(&Map::new()), table, max_secs)?;
    check_bounds(&description, &options)?;
    let entropy = &*visit.open.parts.entropy;
    let prefix = if table == Table::Auth { "auth_" } else { "" };
    Ok(MountEntry {
        uuid: visit.uuid(),
        namespace: visit.namespace.record.id.clone(),
        space: hex::encode(SpaceId::random(entropy).0),
        table,
        path,
        kind: kind.to_owned(),
        description,
        accessor: std::iter::repeat_with(|| format!("{prefix}{kind}_{}", hex::encode(random::<4>(entropy))))
            .find(|accessor| visit.config.mounts.with_accessor(accessor).is_none())
            .expect("there are far more accessors than mounts"),
        options,
        tuning,
        flags,
        plugin_version,
        data_version,
        leaving: false,
        placeless: false,
        former_paths: Vec::new(),
    })
}

/// Bytes of a mount's description, and of its options, at most. Source: ours. Why: every node keeps
/// both in memory.
const TEXT_BYTES_MAX: usize = 4096;
const OPTIONS_BYTES_MAX: usize = 16 * 1024;

/// Refuses a description or options that are too long.
fn check_bounds(description: &str, options: &BTreeMap<String, String>) -> Result<(), Fault> {
    let bytes: usize = options.iter().map(|(name, value)| name.len() + value.len()).sum();
    if description.len() > TEXT_BYTES_MAX || bytes > OPTIONS_BYTES_MAX {
        return Err(Fault::invalid(format!(
            "a mount's description may have {TEXT_BYTES_MAX} bytes, and its options {OPTIONS_BYTES_MAX} together"
        )));
    }
    Ok(())
}

/// Refuses paths that are ours, or in use above or below.
fn check_path(visit: &Visit, table: Table, path: &str) -> Result<(), Fault> {
    let canonical = ApiPath::checked(path.to_owned()).map_err(|e| Fault::invalid(e.to_string()))?;
    let first = canonical.as_str().split('/').next().unwrap_or_default();
    if table == Table::Secret && matches!(first, "sys" | "auth" | "audit" | "identity" | "cubbyhole") {
        return Err(Fault::invalid(format!("cannot mount {path:?}")));
    }
    match visit.taken_at(&full_path(table, path)) {
        Some(taken) => {
            let taken = taken.strip_prefix("auth/").filter(|_| table == Table::Auth).unwrap_or(&taken);
            Err(Fault::invalid(format!("path is already in use at {taken}")))
        }
        None => Ok(()),
    }
}

async fn unmount(visit: &mut Visit, ask: &Ask<'_>, table: Table) -> Result<Reply, Fault> {
    let path = mount_path(ask.capture("path"));
    let within = full_path(table, &path);
    let full = visit.namespace.full(&within);
    let ours = matches!(path.as_str(), "sys/" | "cubbyhole/" | "identity/") || path.starts_with("auth/");
    if table == Table::Secret && ours {
        return Err(Fault::invalid(format!("cannot unmount {path:?}")));
    }
    if within == "auth/token/" {
        return Err(Fault::invalid("token credential backend cannot be disabled"));
    }
    // One that leaves already, but could not yet, is tried again.
    let found = visit
        .mount_at(&within)
        .or_else(|| visit.config.mounts.leaving(&full))
        .filter(|mount| visit.is_here(mount))
        .cloned();
    let Some(mount) = found else { return Ok(Reply::Empty) };
    leave::mount(visit, &mount).await?;
    Ok(Reply::Empty)
}

/// A JSON array of strings, or `null` members left out.
fn insert_strings(map: &mut Map<String, Value>, name: &str, values: &[String]) {
    if !values.is_empty() {
        map.insert(name.into(), values.into());
    }
}

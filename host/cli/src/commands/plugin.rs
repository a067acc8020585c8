//! `plugin`: the catalog of plugins, and having them start afresh.

pub(super) mod grants;
pub(super) mod intents;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::limits::BODY_BYTES_MAX;
use serde_json::{Map, Value, json};

use super::{Command, Group, Prints};
use crate::client::Call;
use crate::fault::{Fault, plain_io};
use crate::flags::Flag;
use crate::output::table;
use crate::session::Session;

pub(super) const GROUP: Group = Group {
    words: "plugin",
    about: "Interact with plugins and the catalog of them",
    help: "The catalog has the plugins that the server brings, and those that operators registered:\ncomponents of WebAssembly, of type auth, database or secret.\n\nRegister one, and mount it:\n\n    $ bulkhead plugin register codes codes.wasm\n    $ bulkhead secrets enable codes",
};

pub(super) const REGISTER: Command = Command {
    words: "plugin register",
    about: "Register a new plugin in the catalog",
    usage: "[options] [TYPE] NAME FILE",
    help: "Puts the component in FILE into the catalog, on every node of the cluster. NAME and version\nare what the component says of itself, and so is the type: if TYPE is given, another one is\nrefused. Mounts that run another version stay with it until they are tuned.\n\nRegister a plugin:\n\n    $ bulkhead plugin register codes codes.wasm\n\nRegister a version that must be these bytes, and let a mount run it:\n\n    $ bulkhead plugin register -sha256=d3f0a8b... secret codes codes.wasm\n    $ bulkhead secrets tune -plugin-version=v1.1.0 codes/",
    prints: Prints::Lines,
    is_client: true,
    flags: &[
        Flag::text("sha256", "SHA-256 that the component must have."),
        Flag::text("version", "Version that the component must have."),
    ],
    run: register,
};

pub(super) const DEREGISTER: Command = Command {
    words: "plugin deregister",
    about: "Deregister a plugin in the catalog",
    usage: "[options] TYPE NAME",
    help: "Takes a registered plugin out of the catalog, on every node. One that mounts run is refused.\n\nTake out one of several versions:\n\n    $ bulkhead plugin deregister -version=v1.0.0 secret codes",
    prints: Prints::Lines,
    is_client: true,
    flags: &[Flag::text("version", "Version to take out; needed only where there are several.")],
    run: deregister,
};

pub(super) const LIST: Command = Command {
    words: "plugin list",
    about: "List available plugins",
    usage: "[options] [TYPE]",
    help: "Lists the plugins there are, of one type or of all, each version by itself.\n\nList the secrets engines:\n\n    $ bulkhead plugin list secret",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[Flag::switch("detailed", "Show all columns.")],
    run: list,
};

pub(super) const INFO: Command = Command {
    words: "plugin info",
    about: "Read information about a plugin in the catalog",
    usage: "[options] TYPE NAME",
    help: "Shows what the catalog has about a plugin: the version that is named, else the server's\nown, else the newest.\n\nShow a version:\n\n    $ bulkhead plugin info -version=v1.0.0 secret codes",
    prints: Prints::Fields,
    is_client: true,
    flags: &[Flag::text("version", "Version to show.")],
    run: info,
};

pub(super) const RELOAD: Command = Command {
    words: "plugin reload",
    about: "Reload mounted plugins",
    usage: "[options]",
    help: "Has mounts forget what their plugins keep in memory: all mounts of a plugin, or some.\n\nReload every mount of a plugin:\n\n    $ bulkhead plugin reload -plugin=codes",
    prints: Prints::Lines,
    is_client: true,
    flags: &[
        Flag::list("mounts", "Path of a mount; several may be given, separated by commas."),
        Flag::text("plugin", "Name of the plugin, as it is in the catalog."),
        Flag::text("scope", "\"global\" for all nodes of a cluster. A Bulkhead server has no other."),
    ],
    run: reload,
};

/// What plugins can be.
const TYPES: [&str; 3] = ["auth", "database", "secret"];

fn known_type(kind: &str) -> Result<&str, String> {
    let kind = kind.trim();
    if TYPES.contains(&kind) { Ok(kind) } else { Err(format!("{kind:?} is not a supported plugin type")) }
}

/// The path of a plugin in the API.
fn path_of(kind: &str, name: &str) -> Result<String, Fault> {
    let kind = known_type(kind).map_err(Fault::Refused)?;
    Ok(format!("sys/plugins/catalog/{kind}/{}", name.trim()))
}

/// Type and name, which are the arguments, as a path of the API.
fn named(session: &Session) -> Result<(String, &str), Fault> {
    let arguments = session.exactly(2)?;
    Ok((path_of(&arguments[0], &arguments[1])?, arguments[1].trim()))
}

fn register(session: &Session) -> Result<u8, Fault> {
    let (path, name, file) = match session.arguments() {
        [name, file] => (format!("sys/plugins/catalog/{}", name.trim()), name.trim(), file),
        [kind, name, file] => (path_of(kind, name)?, name.trim(), file),
        others => {
            let how = if others.len() < 2 { "Not enough" } else { "Too many" };
            return Err(Fault::Usage(format!("{how} arguments (expected 2 or 3, got {})", others.len())));
        }
    };
    let component = component(file.trim())?;
    let mut body = json!({ "component": STANDARD.encode(component) });
    for flag in ["sha256", "version"] {
        if let Some(text) = session.flags.text(flag) {
            body[flag] = json!(text);
        }
    }
    let client = session.client()?;
    client
        .send(&Call::new("PUT", &path).body(&body))
        .map_err(|error| Fault::request(format!("Error registering plugin {name}"), error))?;
    session.terminal.out(&format!("Success! Registered plugin: {name}"));
    Ok(0)
}

/// The bytes of a component, if a request can hold them.
fn component(path: &str) -> Result<Vec<u8>, Fault> {
    let failed =
        |error: std::io::Error| Fault::Local(format!("Error opening component: open {path}: {}", plain_io(&error)));
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > BODY_BYTES_MAX as u64 {
        return Err(Fault::Local(format!("{path} is too large for a component: it has {bytes} bytes")));
    }
    std::fs::read(path).map_err(failed)
}

fn deregister(session: &Session) -> Result<u8, Fault> {
    let (path, name) = named(session)?;
    let client = session.client()?;
    client
        .send(&Call::new("DELETE", &path).query(&version(session)))
        .map_err(|error| Fault::request(format!("Error deregistering plugin named {name}"), error))?;
    session.terminal.out(&format!("Success! Deregistered plugin (if it was registered): {name}"));
    Ok(0)
}

fn version(session: &Session) -> Vec<(String, String)> {
    session.flags.text("version").map(|version| ("version".to_owned(), version.to_owned())).into_iter().collect()
}

fn list(session: &Session) -> Result<u8, Fault> {
    let kind = session.at_most(1)?.first();
    let parsed = kind.map(|kind| known_type(kind)).transpose();
    let kind = parsed.map_err(|why| Fault::Refused(format!("Error parsing type: {why}")))?;
    let client = session.client()?;
    let secret = client
        .secret(&Call::new("GET", "sys/plugins/catalog"))
        .map_err(|error| Fault::request("Error listing available plugins", error))?;
    let detailed = secret.as_ref().and_then(|secret| secret.get("detailed")).and_then(Value::as_array);
    let fits = |plugin: &&Value| kind.is_none_or(|kind| plugin.get("type").and_then(Value::as_str) == Some(kind));
    let plugins: Vec<&Value> = detailed.into_iter().flatten().filter(fits).collect();
    if !session.is_table() {
        return session.show_value(&by_type(&plugins));
    }
    let columns: &[(&str, &str)] = match (session.is_detailed, kind) {
        (true, _) => {
            &[("Name", "name"), ("Type", "type"), ("Version", "version"), ("Deprecation Status", "deprecation_status")]
        }
        (false, None) => &[("Name", "name"), ("Type", "type"), ("Version", "version")],
        (false, Some(_)) => &[("Name", "name"), ("Version", "version")],
    };
    let cell = |plugin: &Value, key: &str| plugin.get(key).map_or_else(String::new, table::plain);
    let rows: Vec<Vec<String>> =
        plugins.into_iter().map(|plugin| columns.iter().map(|(_, key)| cell(plugin, key)).collect()).collect();
    let header: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    session.terminal.out(&table::with_header(&header, &rows));
    Ok(0)
}

/// The names of each type that there are plugins of, and all that is known of each, as the peers list them.
fn by_type(plugins: &[&Value]) -> Value {
    let text = |plugin: &Value, key: &str| plugin.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for plugin in plugins {
        names.entry(text(plugin, "type")).or_default().insert(text(plugin, "name"));
    }
    let mut listed: BTreeMap<String, Value> = names.into_iter().map(|(kind, names)| (kind, json!(names))).collect();
    listed.insert("details".to_owned(), plugins.iter().map(|plugin| entry(plugin)).collect());
    Value::Object(listed.into_iter().collect())
}

/// A plugin as the peers list it.
fn entry(plugin: &Value) -> Value {
    let keys = ["type", "name", "version", "builtin", "deprecation_status"];
    let known = keys.iter().filter_map(|key| Some(((*key).to_owned(), plugin.get(*key)?.clone())));
    Value::Object(known.collect())
}

fn info(session: &Session) -> Result<u8, Fault> {
    let (path, name) = named(session)?;
    let client = session.client()?;
    let secret = client
        .secret(&Call::new("GET", &path).query(&version(session)))
        .map_err(|error| Fault::request(format!("Error reading plugin named {name}"), error))?;
    let answer = secret.and_then(|secret| secret.data).unwrap_or_default();
    let keys = ["args", "builtin", "command", "deprecation_status", "imports", "name", "sha256", "version"];
    let about: Map<String, Value> =
        keys.iter().filter_map(|key| Some(((*key).to_owned(), answer.get(*key)?.clone()))).collect();
    match session.flags.text("field") {
        Some(field) => session.show_map_field(&about, field, "secret"),
        None => session.show_value(&Value::Object(about)),
    }
}

fn reload(session: &Session) -> Result<u8, Fault> {
    let plugin = session.flags.text("plugin");
    let mounts: Vec<String> =
        session.flags.list("mounts").iter().flat_map(|some| some.split(',')).map(str::to_owned).collect();
    let what = match (plugin, mounts.as_slice()) {
        (None, []) => return Err(Fault::Usage("Not enough arguments (expected 1, got 0)".to_owned())),
        (Some(_), [_, ..]) => return Err(Fault::Usage("Too many arguments (expected 1, got 2)".to_owned())),
        (Some(plugin), []) => format!("plugin: {plugin}"),
        (None, mounts) => format!("mounts: [{}]", mounts.join(" ")),
    };
    let scope = session.flags.text("scope");
    let mut body = Map::new();
    let given = [("plugin", plugin.map(|name| json!(name))), ("scope", scope.map(|scope| json!(scope)))];
    body.extend(given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    if !mounts.is_empty() {
        body.insert("mounts".to_owned(), json!(mounts));
    }
    let client = session.client()?;
    let answer = client
        .secret(&Call::new("PUT", "sys/plugins/reload/backend").body(&Value::Object(body)))
        .map_err(|error| Fault::request("Error reloading plugin/mounts", error))?;
    let id = answer.as_ref().and_then(|answer| answer.get("reload_id")).and_then(Value::as_str);
    session.terminal.out(&match (scope, id) {
        (Some("global"), Some(id)) => format!("Success! Reloading {what}, reload_id: {id}"),
        _ => format!("Success! Reloaded {what}"),
    });
    Ok(0)
}

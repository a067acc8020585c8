//! Registering a plugin, and forgetting one. Its component comes as bytes: what was registered is
//! on every node, and in every snapshot.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::plugin::PluginKind;
use bulkhead_model::reply::Reply;
use bulkhead_model::seam::plugin::Plugin;

use super::{SINGLETONS, table};
use crate::book::registry::{self, COMPONENT_BYTES_MAX, Kind, REGISTERED_MAX, Registered, parse_version};
use crate::fault::Fault;
use crate::fields::Fields;
use crate::sys::table::Answer;
use crate::visit::{Ask, Visit};

pub(super) const VERSION: &[&str] = &["version"];

pub(super) const FIELDS: &[&str] = &["component", "sha256", "version", "command", "args", "env"];

pub(super) fn register<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        // Without a type in the path it is the component's own.
        let kind = if ask.capture("type").is_empty() { None } else { Some(named(ask)?.0) };
        let name = ask.capture("name");
        let (component, sha256) = component(&ask.fields)?;
        let registry = &visit.config.registry;
        if registry.all().len() >= REGISTERED_MAX && registry.with_digest(&sha256).is_none() {
            return Err(Fault::invalid(format!("{REGISTERED_MAX} plugins are registered already: forget some first")));
        }
        let components = visit.open.catalog.components.clone();
        let compiled = components.compile(&sha256, component.clone()).await;
        let plugin = compiled.map_err(|why| Fault::invalid(format!("the component is refused: {why}")))?;
        let about = fitting(&*plugin, (kind, name), &ask.fields.text_or_empty("version")?)?;
        let registered = Registered { sha256, bytes: component.len(), ..about };
        if is_new(visit, &registered)? {
            registry::save(&mut visit.tx, &registered, &component)?;
        }
        Ok(Reply::Empty)
    })
}

fn named<'a>(ask: &'a Ask<'_>) -> Result<(Kind, &'a str), Fault> {
    let asked = ask.capture("type");
    let kind = Kind::named(asked).ok_or_else(|| Fault::invalid(format!("{asked:?} is not a supported plugin type")))?;
    Ok((kind, ask.capture("name")))
}

/// The bytes that were sent, and their digest.
fn component(fields: &Fields) -> Result<(Vec<u8>, String), Fault> {
    let Some(text) = fields.text("component")?.filter(|text| !text.is_empty()) else {
        let text = if fields.has("command") {
            "plugins are WebAssembly components here, not programs: send the bytes of one as \"component\", in base64"
        } else {
            "component is required: the bytes of the plugin, in base64"
        };
        return Err(Fault::invalid(text));
    };
    if text.len() / 4 * 3 > COMPONENT_BYTES_MAX + 3 {
        return Err(Fault::invalid(format!("the component is larger than {COMPONENT_BYTES_MAX} bytes")));
    }
    let bytes = STANDARD.decode(text).map_err(|error| Fault::invalid(format!("component is no base64: {error}")))?;
    let sha256 = hex::encode(digest(&SHA256, &bytes).as_ref());
    match fields.text("sha256")?.filter(|asked| !asked.is_empty()) {
        Some(asked) if !asked.eq_ignore_ascii_case(&sha256) => {
            Err(Fault::invalid(format!("the component's SHA-256 is {sha256}, not {asked}")))
        }
        _ => Ok((bytes, sha256)),
    }
}

/// What is known of a plugin that is registered under this name, and as this type if one was asked for,
/// without what its bytes tell.
fn fitting(plugin: &dyn Plugin, (asked_kind, name): (Option<Kind>, &str), asked: &str) -> Result<Registered, Fault> {
    let about = plugin.descriptor();
    let kind = Kind::from(plugin.kind());
    if asked_kind.is_some_and(|asked| asked != kind) {
        let what = match plugin.kind() {
            PluginKind::Secrets => "a secrets engine: register it as type secret",
            PluginKind::Auth => "an auth method: register it as type auth",
            PluginKind::Database => "a driver of databases: register it as type database",
        };
        return Err(Fault::invalid(format!("the component is {what}")));
    }
    if SINGLETONS.contains(&name) {
        return Err(Fault::invalid(format!(
            "{name:?} is a part of the server itself: give the component another name"
        )));
    }
    if about.name != name {
        return Err(Fault::invalid(format!("the component says that it is {:?}: register it as that", about.name)));
    }
    let Some(version) = parse_version(&about.version) else {
        return Err(Fault::invalid(format!("the component's version, {:?}, is no semantic version", about.version)));
    };
    if !asked.is_empty() && parse_version(asked).as_ref() != Some(&version) {
        return Err(Fault::invalid(format!("the component says that it is version {version}, not {asked}")));
    }
    Ok(Registered {
        kind,
        name: name.to_owned(),
        version,
        sha256: String::new(),
        bytes: 0,
        imports: plugin.imports().to_vec(),
        data_version: about.data_version,
    })
}

/// Whether it is not registered yet.
///
/// # Errors
/// [`Fault`]: its version is something else's.
fn is_new(visit: &Visit, registered: &Registered) -> Result<bool, Fault> {
    let (kind, name, version) = (registered.kind, &registered.name, registered.shown_version());
    let brought = visit.open.catalog.plugins.get(&(kind.plugin(), name.clone()));
    if brought
        .is_some_and(|(plugin, _)| parse_version(&plugin.descriptor().version).as_ref() == Some(&registered.version))
    {
        let text = format!(
            "{version} of the plugin {name:?} is the one that this server brings: give the component another version"
        );
        return Err(Fault::invalid(text));
    }
    match visit.config.registry.find(kind, name, &version) {
        None => Ok(true),
        Some(known) if known.sha256 == registered.sha256 => Ok(false),
        Some(_) => Err(Fault::invalid(format!(
            "{version} of the plugin {name:?} is registered with other bytes: give the component another version, or \
             deregister that one"
        ))),
    }
}

/// Forgets one version, if it is registered; without one, the only one there is.
pub(super) fn forget(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (kind, name) = named(ask)?;
    let asked = ask.fields.text_or_empty("version")?;
    let registry = &visit.config.registry;
    let found = match asked.as_str() {
        "" => match registry.of(kind, name) {
            [_, _, ..] => {
                return Err(Fault::invalid(format!("several versions of {name:?} are registered: say which")));
            }
            one_or_none => one_or_none.first(),
        },
        asked => registry.find(kind, name, asked),
    };
    let Some(registered) = found.cloned() else { return Ok(Reply::Empty) };
    let version = registered.shown_version();
    // Which connections of engines name a driver is the engines' own: they say so when they call it.
    let mounts = table(kind.name()).map_or_else(Vec::new, |table| visit.config.mounts.having(table, name, &version));
    if !mounts.is_empty() {
        return Err(Fault::invalid(format!(
            "{version} of the {} plugin {name:?} serves {}: give them another version, or disable them, first",
            kind.name(),
            mounts.join(", ")
        )));
    }
    registry::remove(&mut visit.tx, &registered)?;
    Ok(Reply::Empty)
}

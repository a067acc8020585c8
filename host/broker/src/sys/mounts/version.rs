//! Which version of a plugin serves a mount.

use std::sync::Arc;

use bulkhead_model::plugin::Reason;

use crate::book::mounts::{Engine, Mount, MountEntry, Table};
use crate::book::registry::{Registered, parse_version};
use crate::components;
use crate::fault::Fault;
use crate::step::{duties, upgrade};
use crate::visit::{After, Visit};

/// A version that a mount can have.
pub(super) struct Chosen {
    /// As mount entries have it; empty: the one that this server brings.
    pub plugin_version: String,
    /// The layout of data that it writes.
    pub data_version: u32,
}

/// The version that is asked for; if none is, the one that this server brings, else the newest
/// that is registered.
///
/// # Errors
/// [`Fault`]: there is none such.
pub(super) fn chosen(visit: &Visit, name: &str, table: Table, asked: &str) -> Result<Chosen, Fault> {
    let (registry, catalog) = (&visit.config.registry, &visit.open.catalog);
    let brought = catalog.plugins.get(&(table.kind(), name.to_owned())).map(|(plugin, _)| plugin.descriptor());
    let registered = match asked {
        "" if brought.is_some() => None,
        "" => registry.of(table, name).last(),
        version => registry.find(table, name, version),
    };
    if let Some(registered) = registered {
        return Ok(Chosen { plugin_version: registered.shown_version(), data_version: registered.data_version });
    }
    let is_asked = |has: &str| parse_version(asked).is_some_and(|version| Some(version) == parse_version(has));
    match brought {
        Some(about) if asked.is_empty() || is_asked(&about.version) => {
            Ok(Chosen { plugin_version: String::new(), data_version: about.data_version })
        }
        _ => Err(Fault::invalid(absent(visit, name, table, asked))),
    }
}

fn absent(visit: &Visit, name: &str, table: Table, asked: &str) -> String {
    if asked.is_empty() {
        return format!("plugin not found in the catalog: {name}");
    }
    let known: Vec<String> = visit.config.registry.of(table, name).iter().map(Registered::shown_version).collect();
    match known.as_slice() {
        // Vault's text where it knows no other version.
        [] => format!("cannot select non-builtin version of secrets plugin {name}"),
        known => {
            format!("version {asked} of the plugin {name:?} is not in the catalog, which has {}", known.join(", "))
        }
    }
}

/// Lets another version serve a mount, within this change: it must be able to read the mount's
/// data, and is told.
///
/// # Errors
/// [`Fault`]: it can't, or does not want to.
pub(super) async fn change(visit: &mut Visit, entry: MountEntry) -> Result<(), Fault> {
    let mount = Arc::new(visit.config.bind(entry, &visit.open.catalog));
    if upgrade::of(&mut visit.tx, mount.space)?.is_some() {
        // Half of the data is in the layout of the version that began it.
        return Err(Fault::invalid(format!(
            "the data of {} is being brought to another layout (sys/plugins/finalize): the version stays until that is done",
            mount.full_path
        )));
    }
    begin(visit, &mount, Reason::Upgraded).await?;
    visit.after.push(After::DropCache(mount.space));
    visit.after.push(After::LookForDue);
    Ok(())
}

/// Lets a plugin take up a mount that it did not serve before, within this change.
///
/// # Errors
/// [`Fault`]: it is not there, or does not want to.
pub(super) async fn begin(visit: &mut Visit, mount: &Arc<Mount>, reason: Reason) -> Result<(), Fault> {
    match (components::serving(&visit.open, mount).await?, &mount.engine) {
        (Some(plugin), _) => duties::take_up(visit, mount, &plugin, reason).await,
        (None, Engine::Missing(why)) => Err(Fault::invalid(why.clone())),
        (None, _) => Ok(()),
    }
}

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

/// As [`chosen`], of a mount that is made.
///
/// # Errors
/// [`Fault`]: there is none such.
pub(super) fn of_new(visit: &Visit, name: &str, table: Table, asked: &str) -> Result<Chosen, Fault> {
    let is_brought = visit.open.catalog.plugins.contains_key(&(table.kind(), name.to_owned()));
    let has_others = !visit.config.registry.of(table, name).is_empty();
    chosen(visit, name, table, asked).map_err(|fault| {
        if table == Table::Secret && is_brought && !has_others && parse_version(&in_full(asked)).is_some() {
            // OpenBao has a text of its own for this alone.
            return Fault::invalid(format!("cannot select non-builtin version of secrets plugin {name}"));
        }
        fault
    })
}

fn absent(visit: &Visit, name: &str, table: Table, asked: &str) -> String {
    if asked.is_empty() {
        return format!("plugin not found in the catalog: {name}");
    }
    let version = in_full(asked);
    if parse_version(&version).is_none() {
        return format!("version {asked:?} is not a valid semantic version: malformed version: {asked}");
    }
    let known: Vec<String> = visit.config.registry.of(table, name).iter().map(Registered::shown_version).collect();
    match known.as_slice() {
        [] => format!("plugin not found in the catalog: {name}, version={version}"),
        known => {
            format!("version {asked} of the plugin {name:?} is not in the catalog, which has {}", known.join(", "))
        }
    }
}

/// A version as the peers name it: with its `v`, and all three numbers.
fn in_full(asked: &str) -> String {
    let bare = asked.strip_prefix('v').unwrap_or(asked);
    let (numbers, rest) = bare.find(['-', '+']).map_or((bare, ""), |at| bare.split_at(at));
    let missing = 2usize.saturating_sub(numbers.matches('.').count());
    format!("v{numbers}{}{rest}", ".0".repeat(missing))
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

#[cfg(test)]
mod tests {
    use super::in_full;

    #[test]
    fn a_version_is_named_with_all_of_its_numbers() {
        let full = ["v9", "9", "1.2", "v1.2.3", "1-rc.1", "v1.0+built"].map(in_full);
        assert_eq!(full, ["v9.0.0", "v9.0.0", "v1.2.0", "v1.2.3", "v1.0.0-rc.1", "v1.0.0+built"]);
    }
}

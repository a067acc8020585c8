//! `sys/plugins/grants`: what a mount's plugin may do beyond its own records. The root namespace's
//! alone, for mounts of every namespace by their path from the root: what leads outside is the
//! operator's to give.

use std::sync::Arc;

use bulkhead_model::grants::Grants;
use bulkhead_model::reply::Reply;
use serde_json::json;

use crate::book::mounts::{self, Engine, Mount, MountEntry, Tuning};
use crate::fault::Fault;
use crate::visit::{Ask, Visit, data};

pub(super) const FIELDS: &[&str] = &["grants", "add", "remove"];

fn mount(visit: &Visit, ask: &Ask<'_>) -> Result<Arc<Mount>, Fault> {
    let path = ask.capture("path");
    let path = if path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
    let found = visit.config.mounts.at(&path).cloned();
    found.ok_or_else(|| Fault::invalid(format!("there is no mount at {path:?}")))
}

pub(super) fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mount = mount(visit, ask)?;
    let imports = match &mount.engine {
        Engine::Plugin(plugin, _) => plugin.imports(),
        _ => &[],
    };
    Ok(data(&json!({
        "grants": mount.grants.texts(),
        "from_the_start": mount.entry.tuning.grants.is_none(),
        "imports": imports,
        "path": mount.full_path,
        "type": mount.entry.kind,
    })))
}

/// Gives these and no others, or some more, or takes some.
pub(super) fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mount = mount(visit, ask)?;
    let list = |name: &str| ask.fields.strings(name, false);
    let (all, add, remove) = (list("grants")?, list("add")?, list("remove")?);
    if all.is_none() && add.is_none() && remove.is_none() {
        return Err(Fault::invalid("give \"grants\" to replace them all, or \"add\" or \"remove\""));
    }
    let texts = |texts: &[String]| Grants::parse(texts).map(|grants| grants.texts()).map_err(Fault::invalid);
    let mut grants = match all {
        Some(all) => texts(&all)?,
        None => mount.grants.texts(),
    };
    grants.extend(texts(&add.unwrap_or_default())?);
    let taken = texts(&remove.unwrap_or_default())?;
    grants.retain(|grant| !taken.contains(grant));
    let grants = texts(&grants)?;
    leave_with(visit, &mount, Some(grants))
}

/// Leaves it with what it has from the start.
pub(super) fn reset(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mount = mount(visit, ask)?;
    leave_with(visit, &mount, None)
}

fn leave_with(visit: &mut Visit, mount: &Mount, grants: Option<Vec<String>>) -> Result<Reply, Fault> {
    let tuning = Tuning { grants, ..mount.entry.tuning.clone() };
    mounts::save(&mut visit.tx, &MountEntry { tuning, ..mount.entry.clone() })?;
    Ok(Reply::Empty)
}

//! `identity/entity/merge`: makes one entity out of several.

use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use crate::book::identity::entities::{self, ENTITIES, EntityRecord};
use crate::book::identity::{Alias, id_text};
use crate::book::mfa::enforcements::{self, Target};
use crate::book::mfa::secrets;
use crate::fault::{Fault, wrapped_all};
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit, enveloped};

const FIELDS: &[&str] = &["from_entity_ids", "to_entity_id", "force", "conflicting_alias_ids_to_keep"];

pub(super) const ROUTES: &[HostRoute] =
    &[HostRoute::new("entity/merge", &[Verb::Write], Handler::Now(merge), "Merge entities.").fields(FIELDS)];

fn merge(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let to = ask.fields.text_or_empty("to_entity_id")?;
    if to.is_empty() {
        return Err(Fault::invalid("missing entity id to merge to"));
    }
    let from = ask.fields.strings("from_entity_ids", true)?.unwrap_or_default();
    if from.is_empty() {
        return Err(Fault::invalid("missing entity ids to merge from"));
    }
    let keep = ask.fields.strings("conflicting_alias_ids_to_keep", true)?.unwrap_or_default();
    let force = ask.fields.flag("force")?.unwrap_or(false);
    let before =
        ENTITIES.by_id(&mut visit.tx, &to)?.ok_or_else(|| Fault::invalid("entity id to merge to is invalid"))?;
    if from.len() > 1 && keep.len() > 1 {
        return Err(Fault::invalid(
            "aliases conflicts cannot be resolved with multiple from entity ids - merge one entity at a time",
        ));
    }
    let sources = sources(visit, &before, from, keep.is_empty())?;
    let clashes = if keep.is_empty() { clashes(&before, &sources) } else { Vec::new() };
    if !clashes.is_empty() {
        return Ok(clashing(visit, &before, &clashes));
    }
    let mut target = before.clone();
    for source in &sources {
        take_aliases((&before, &mut target), source, &keep)?;
        target.groups.extend(source.groups.iter().filter(|group| !before.groups.contains(group)));
        target.merged.push(source.id);
        target.merged.extend(&source.merged);
    }
    target.groups.sort_unstable();
    target.groups.dedup();
    // Policies and metadata of those merged away go with them, as in Vault.
    for source in &sources {
        take_secrets(visit, &target, source, force)?;
        take_enforcements(visit, &target, source)?;
        entities::remove(&mut visit.tx, &visit.open.names, source)?;
    }
    entities::save(&mut visit.tx, &visit.open.names, Some(&before), &target)?;
    Ok(Reply::Empty)
}

/// Gives the target the MFA secrets of a source. Where both have one, the target's stays if the
/// caller says so.
fn take_secrets(visit: &mut Visit, target: &EntityRecord, source: &EntityRecord, force: bool) -> Result<(), Fault> {
    for method in secrets::of_entity(&mut visit.tx, &source.id)? {
        let theirs = secrets::get(&mut visit.tx, &method, &source.id)?;
        match (theirs, secrets::get(&mut visit.tx, &method, &target.id)?) {
            (Some(theirs), None) => secrets::save(&mut visit.tx, (&method, &target.id), &theirs)?,
            (Some(_), Some(_)) if !force => {
                let (method, source) = (id_text(&method), id_text(&source.id));
                return Err(Fault::invalid(format!("conflicting MFA config ID {method:?} in entity ID {source:?}")));
            }
            _ => {}
        }
        secrets::remove(&mut visit.tx, &method, &source.id)?;
    }
    Ok(())
}

/// Has what is demanded of a source's logins demanded of the target's.
fn take_enforcements(visit: &mut Visit, target: &EntityRecord, source: &EntityRecord) -> Result<(), Fault> {
    let names = &visit.open.names;
    for mut enforcement in enforcements::about(&mut visit.tx, names, &[Target::Entity(&source.id)])? {
        enforcement.entities.retain(|id| *id != source.id && *id != target.id);
        enforcement.entities.push(target.id);
        enforcements::save(&mut visit.tx, names, &enforcement)?;
    }
    Ok(())
}

/// The entities that are merged away, each once and in the order of their ids. `apart`: no two of them may
/// have aliases at one mount.
fn sources(
    visit: &mut Visit,
    target: &EntityRecord,
    mut ids: Vec<String>,
    apart: bool,
) -> Result<Vec<EntityRecord>, Fault> {
    ids.sort_unstable();
    ids.dedup();
    let mut sources: Vec<EntityRecord> = Vec::with_capacity(ids.len());
    for id in ids {
        if id == id_text(&target.id) {
            return Err(Fault::invalid("to_entity_id should not be present in from_entity_ids"));
        }
        let source = ENTITIES.by_id(&mut visit.tx, &id)?;
        let source = source.ok_or_else(|| Fault::invalid("entity id to merge from is invalid"))?;
        let shared = |alias: &&Alias| sources.iter().any(|other| at_mount(other, &alias.mount_accessor).is_some());
        if let Some(alias) = source.aliases.iter().filter(|_| apart).find(shared) {
            return Err(in_several(alias));
        }
        sources.push(source);
    }
    Ok(sources)
}

fn at_mount<'e>(entity: &'e EntityRecord, mount_accessor: &str) -> Option<&'e Alias> {
    entity.aliases.iter().find(|alias| alias.mount_accessor == mount_accessor)
}

fn in_several(alias: &Alias) -> Fault {
    Fault::invalid(format!(
        "mount accessor {} found in multiple fromEntities, merge should be done with one fromEntity at a time",
        alias.mount_accessor
    ))
}

/// Two aliases at one mount: the target's, a source, and the source's.
type Clash<'e> = (&'e Alias, &'e EntityRecord, &'e Alias);

fn clashes<'e>(target: &'e EntityRecord, sources: &'e [EntityRecord]) -> Vec<Clash<'e>> {
    let of = |source: &'e EntityRecord| {
        let theirs = move |ours: &'e Alias| Some((ours, source, at_mount(source, &ours.mount_accessor)?));
        target.aliases.iter().filter_map(theirs)
    };
    sources.iter().flat_map(of).collect()
}

/// Gives the target the aliases of a source. Of two at one mount, that stays which the caller names.
fn take_aliases(
    (before, target): (&EntityRecord, &mut EntityRecord),
    source: &EntityRecord,
    keep: &[String],
) -> Result<(), Fault> {
    for alias in &source.aliases {
        let theirs = id_text(&alias.id);
        match at_mount(before, &alias.mount_accessor).map(|ours| id_text(&ours.id)) {
            // What another source brought there is not replaced by chance.
            None if at_mount(target, &alias.mount_accessor).is_some() => return Err(in_several(alias)),
            None => {}
            Some(ours) if keep.contains(&ours) => continue,
            Some(_) if keep.contains(&theirs) => {
                target.aliases.retain(|have| have.mount_accessor != alias.mount_accessor);
            }
            Some(ours) => {
                return Err(Fault::invalid(format!(
                    "conflicting mount accessors in following alias IDs and neither were present in \
                     conflicting_alias_ids_to_keep: {theirs}, {ours}"
                )));
            }
        }
        target.aliases.push(Alias { merged_from: [&alias.merged_from[..], &[source.id]].concat(), ..alias.clone() });
    }
    Ok(())
}

/// The answer that asks which aliases are to stay.
fn clashing(visit: &Visit, target: &EntityRecord, clashes: &[Clash<'_>]) -> Reply {
    let told = |entity: &EntityRecord, alias: &Alias| -> Value {
        let mount = visit.mount_with(&alias.mount_accessor);
        json!({
            "alias": alias.name,
            "entity": entity.name,
            "entity_id": id_text(&entity.id),
            "mount": mount.map_or("", |mount| mount.entry.kind.as_str()),
            "mount_path": mount.map_or("", |mount| mount.request_path()),
        })
    };
    let (mut data, mut lines) = (Vec::new(), vec![CLASHES.to_owned()]);
    for (ours, source, theirs) in clashes {
        data.extend([told(target, ours), told(source, theirs)]);
        lines.push(format!(
            "mountAccessor: {}, toEntity ID: {}, fromEntity ID: {}, conflicting toEntity alias ID: {}, conflicting \
             fromEntity alias ID: {}",
            ours.mount_accessor,
            id_text(&target.id),
            id_text(&source.id),
            id_text(&ours.id),
            id_text(&theirs.id),
        ));
    }
    enveloped(Envelope {
        status: Some(400),
        data: Some(hidden_json(&Value::Array(data))),
        errors: vec![wrapped_all(&lines)],
        ..Envelope::default()
    })
}

/// What all lines about clashes come behind. It ends in a space, as there.
const CLASHES: &str = "toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the \
                       merge request specifying exactly one fromEntity, clashes: ";

//! `identity/entity/merge`: makes one entity out of several.

use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use crate::book::identity::entities::{self, ENTITIES, EntityRecord};
use crate::book::identity::{Alias, id_text};
use crate::book::mfa::enforcements::{self, Target};
use crate::book::mfa::secrets;
use crate::fault::Fault;
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
    if from.contains(&to) {
        return Err(Fault::invalid("to_entity_id should not be present in from_entity_ids"));
    }
    let mut sources: Vec<EntityRecord> = Vec::with_capacity(from.len());
    for id in &from {
        let source =
            ENTITIES.by_id(&mut visit.tx, id)?.ok_or_else(|| Fault::invalid("entity id to merge from is invalid"))?;
        if !sources.iter().any(|have| have.id == source.id) {
            sources.push(source);
        }
    }
    let mut target = before.clone();
    for source in &sources {
        if let Some(refusal) = take_aliases(visit, &mut target, source, &keep, sources.len() > 1)? {
            return Ok(refusal);
        }
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

/// Gives the target the aliases of a source. Of two at one mount, the caller has to say
/// which is to stay; the answer that asks for it is returned.
fn take_aliases(
    visit: &Visit,
    target: &mut EntityRecord,
    source: &EntityRecord,
    keep: &[String],
    many: bool,
) -> Result<Option<Reply>, Fault> {
    for alias in &source.aliases {
        let moved = Alias { merged_from: [&alias.merged_from[..], &[source.id]].concat(), ..alias.clone() };
        let clash = target.aliases.iter().position(|have| have.mount_accessor == alias.mount_accessor);
        let Some(at) = clash else {
            target.aliases.push(moved);
            continue;
        };
        let (ours, theirs) = (id_text(&target.aliases[at].id), id_text(&alias.id));
        if keep.is_empty() || many {
            return Ok(Some(clashing(visit, target, &target.aliases[at], source, alias)));
        }
        match (keep.contains(&ours), keep.contains(&theirs)) {
            (false, true) => target.aliases[at] = moved,
            (true, false) => {}
            (true, true) => {
                return Err(Fault::invalid(format!(
                    "conflicting mount accessors in following alias IDs and both were present in \
                     conflicting_alias_ids_to_keep: {theirs}, {ours}"
                )));
            }
            (false, false) => {
                return Err(Fault::invalid(format!(
                    "conflicting mount accessors in following alias IDs and neither were present in \
                     conflicting_alias_ids_to_keep: {theirs}, {ours}"
                )));
            }
        }
    }
    Ok(None)
}

fn clashing(visit: &Visit, target: &EntityRecord, ours: &Alias, source: &EntityRecord, theirs: &Alias) -> Reply {
    let mount = visit.mount_with(&ours.mount_accessor);
    let told = |entity: &EntityRecord, alias: &Alias| -> Value {
        json!({
            "alias": alias.name,
            "entity": entity.name,
            "entity_id": id_text(&entity.id),
            "mount": mount.map_or("", |mount| mount.entry.kind.as_str()),
            "mount_path": mount.map_or("", |mount| mount.request_path()),
        })
    };
    let text = format!(
        "2 errors occurred:\n\t* toEntity and at least one fromEntity have aliases with the same mount accessor, repeat \
         the merge request specifying exactly one fromEntity, clashes: \n\t* mountAccessor: {}, toEntity ID: {}, \
         fromEntity ID: {}, conflicting toEntity alias ID: {}, conflicting fromEntity alias ID: {}\n\n",
        ours.mount_accessor,
        id_text(&target.id),
        id_text(&source.id),
        id_text(&ours.id),
        id_text(&theirs.id),
    );
    enveloped(Envelope {
        status: Some(400),
        data: Some(hidden_json(&json!([told(target, ours), told(source, theirs)]))),
        errors: vec![text],
        ..Envelope::default()
    })
}

//! Who logs in: finds the entity behind a name in an auth method, makes it at the first
//! login, and brings its external groups in line with what the method says.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::plugin;

use crate::book::identity::entities::{self, ENTITIES, EntityRecord};
use crate::book::identity::groups::GROUPS;
use crate::book::identity::{Alias, Id, parse_id};
use crate::fault::Fault;
use crate::visit::Visit;

/// The entity of this alias, with what the auth method says of it now. Written only where
/// something is new, so that most logins meet nobody.
///
/// # Errors
/// 403 if the entity is disabled.
pub(crate) fn entity_of(
    visit: &mut Visit,
    mount_accessor: &str,
    name: &str,
    metadata: Option<&[(String, String)]>,
) -> Result<EntityRecord, Fault> {
    let now_ms = visit.now_ms;
    let names = &visit.open.names;
    let Some(before) = ENTITIES.by_alias(&mut visit.tx, names, mount_accessor, name)? else {
        return first_login(visit, mount_accessor, name, metadata.unwrap_or_default());
    };
    if before.disabled {
        return Err(Failure::new(FailureKind::Denied, "permission denied").into());
    }
    let mut record = before.clone();
    if let (Some(metadata), Some(alias)) = (metadata, record.alias_at(mount_accessor, name))
        && alias.metadata != metadata
    {
        alias.metadata = metadata.to_vec();
        alias.updated_ms = now_ms;
        entities::save(&mut visit.tx, &visit.open.names, Some(&before), &record)?;
    }
    Ok(record)
}

fn first_login(
    visit: &mut Visit,
    mount_accessor: &str,
    name: &str,
    metadata: &[(String, String)],
) -> Result<EntityRecord, Fault> {
    let alias = Alias {
        mount_accessor: mount_accessor.to_owned(),
        name: name.to_owned(),
        metadata: metadata.to_vec(),
        ..new_alias(visit)
    };
    let record = EntityRecord { aliases: vec![alias], ..new_entity(visit) };
    entities::save(&mut visit.tx, &visit.open.names, None, &record)?;
    Ok(record)
}

/// An entity that has nothing but an id and a name made up for it.
pub(crate) fn new_entity(visit: &Visit) -> EntityRecord {
    let name = made_up_name(visit, "entity");
    EntityRecord { id: new_id(visit), name, created_ms: visit.now_ms, updated_ms: visit.now_ms, ..Default::default() }
}

/// An alias that has nothing but an id.
pub(crate) fn new_alias(visit: &Visit) -> Alias {
    Alias { id: new_id(visit), created_ms: visit.now_ms, updated_ms: visit.now_ms, ..Alias::default() }
}

/// A fresh id.
pub(crate) fn new_id(visit: &Visit) -> Id {
    parse_id(&visit.uuid()).expect("a UUID is an id")
}

/// The name of a thing that nobody named, as Vault makes them up.
pub(crate) fn made_up_name(visit: &Visit, kind: &str) -> String {
    let id: [u8; 4] = bulkhead_model::seam::entropy::random(&*visit.open.parts.entropy);
    format!("{kind}_{}.{}", hex::encode(id), visit.namespace.shown_id())
}

/// Has the entity in just those external groups of a mount that its auth method names.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn refresh_groups(
    visit: &mut Visit,
    entity: &mut EntityRecord,
    mount_accessor: &str,
    named: &[plugin::Alias],
) -> Result<(), Fault> {
    let mut wanted = Vec::new();
    for alias in named {
        let group = GROUPS.by_alias(&mut visit.tx, &visit.open.names, mount_accessor, &alias.name)?;
        wanted.extend(group.map(|group| group.id));
    }
    let mut stays = Vec::with_capacity(entity.groups.len());
    for id in &entity.groups {
        let group = GROUPS.get(&mut visit.tx, id)?.filter(|group| group.external);
        let here = group.and_then(|group| group.alias).is_some_and(|alias| alias.mount_accessor == mount_accessor);
        if !here || wanted.contains(id) {
            stays.push(*id);
        }
    }
    let joins = wanted.into_iter().filter(|id| !entity.groups.contains(id)).collect::<Vec<_>>();
    for id in joins {
        if !stays.contains(&id) {
            stays.push(id);
        }
    }
    if stays != entity.groups {
        let before = entity.clone();
        entity.groups = stays;
        entities::save(&mut visit.tx, &visit.open.names, Some(&before), entity)?;
    }
    Ok(())
}

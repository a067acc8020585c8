//! Entities, groups and aliases as answers show them.

use bulkhead_model::template::Pairs;
use serde_json::{Value, json};

use crate::book::identity::groups::GroupRecord;
use crate::book::identity::persona::Persona;
use crate::book::identity::{Alias, Id, id_text};
use crate::fields::rfc3339;
use crate::visit::Visit;

/// Ids as texts.
pub(super) fn ids<'i>(ids: impl IntoIterator<Item = &'i Id>) -> Vec<String> {
    ids.into_iter().map(id_text).collect()
}

/// Go shows an empty list or map that was never set as null.
pub(super) fn or_null(list: Vec<String>) -> Value {
    if list.is_empty() { Value::Null } else { list.into() }
}

fn pairs(pairs: &Pairs) -> Value {
    if pairs.is_empty() {
        return Value::Null;
    }
    pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}

/// Whether the mount of this accessor is one that would not be replicated to other clusters.
pub(super) fn is_local(visit: &Visit, accessor: &str) -> bool {
    visit.mount_with(accessor).is_some_and(|mount| mount.entry.flags.local)
}

/// Where an alias's mount is, unless it is gone.
fn add_mount(visit: &Visit, alias: &Alias, told: &mut Value) {
    told["mount_accessor"] = alias.mount_accessor.as_str().into();
    if let Some(mount) = visit.mount_with(&alias.mount_accessor) {
        told["mount_path"] = mount.request_path().into();
        told["mount_type"] = mount.entry.kind.as_str().into();
    }
}

/// An alias within its entity or group.
fn of_group(visit: &Visit, alias: &Alias, owner: &Id) -> Value {
    let mut told = json!({
        "canonical_id": id_text(owner),
        "creation_time": rfc3339(alias.created_ms),
        "id": id_text(&alias.id),
        "last_update_time": rfc3339(alias.updated_ms),
        "merged_from_canonical_ids": or_null(ids(&alias.merged_from)),
        "metadata": pairs(&alias.metadata),
        "name": alias.name,
    });
    add_mount(visit, alias, &mut told);
    told
}

fn of_entity(visit: &Visit, alias: &Alias, owner: &Id) -> Value {
    let mut told = of_group(visit, alias, owner);
    told["custom_metadata"] = pairs(&alias.custom_metadata);
    told["local"] = is_local(visit, &alias.mount_accessor).into();
    told
}

/// An alias by itself.
pub(super) fn alias(visit: &Visit, alias: &Alias, owner: &Id) -> Value {
    let mut told = of_entity(visit, alias, owner);
    told["namespace_id"] = visit.namespace.shown_id().into();
    told
}

/// What a list of aliases tells of each.
pub(super) fn alias_in_list(visit: &Visit, alias: &Alias, owner: &Id) -> Value {
    let mut told = json!({
        "canonical_id": id_text(owner),
        "custom_metadata": pairs(&alias.custom_metadata),
        "local": is_local(visit, &alias.mount_accessor),
        "metadata": pairs(&alias.metadata),
        "name": alias.name,
    });
    add_mount(visit, alias, &mut told);
    told
}

/// What a list of entities or groups tells of an alias.
pub(super) fn alias_brief(visit: &Visit, alias: &Alias) -> Value {
    let mut told = json!({ "id": id_text(&alias.id), "name": alias.name });
    add_mount(visit, alias, &mut told);
    told
}

/// An entity with the groups it is in.
pub(super) fn entity(visit: &Visit, persona: &Persona) -> Value {
    let entity = &persona.entity;
    let aliases: Vec<Value> = entity.aliases.iter().map(|alias| of_entity(visit, alias, &entity.id)).collect();
    let groups = ids(persona.groups.iter().map(|group| &group.id));
    let (direct, inherited) = groups.split_at(persona.direct);
    json!({
        "aliases": aliases,
        "creation_time": rfc3339(entity.created_ms),
        "direct_group_ids": direct,
        "disabled": entity.disabled,
        "group_ids": groups,
        "id": id_text(&entity.id),
        "inherited_group_ids": inherited,
        "last_update_time": rfc3339(entity.updated_ms),
        "merged_entity_ids": or_null(ids(&entity.merged)),
        "metadata": pairs(&entity.metadata),
        "name": entity.name,
        "namespace_id": visit.namespace.shown_id(),
        "policies": entity.policies,
    })
}

/// A group with those in it.
pub(super) fn group(visit: &Visit, group: &GroupRecord, members: &[Id]) -> Value {
    let alias = group.alias.as_ref().map_or_else(|| json!({}), |alias| of_group(visit, alias, &group.id));
    json!({
        "alias": alias,
        "creation_time": rfc3339(group.created_ms),
        "id": id_text(&group.id),
        "last_update_time": rfc3339(group.updated_ms),
        "member_entity_ids": or_null(ids(members)),
        "member_group_ids": or_null(ids(&group.children)),
        "metadata": pairs(&group.metadata),
        "modify_index": group.modify_index,
        "name": group.name,
        "namespace_id": visit.namespace.shown_id(),
        "parent_group_ids": or_null(ids(&group.parents)),
        "policies": or_null(group.policies.clone()),
        "type": if group.external { "external" } else { "internal" },
    })
}

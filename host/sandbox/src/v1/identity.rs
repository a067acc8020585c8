//! `identity`: entities and groups the broker knows, in the shape of the interface.

use bulkhead_model::template::{SubjectAlias, SubjectGroup};

use super::wit::identity::{Entity, EntityAlias, Group, Host};
use crate::instance::CallData;

impl Host for CallData {
    fn lookup(&mut self, entity_id: String) -> wasmtime::Result<Option<Entity>> {
        self.budget.host_call()?;
        Ok(self.host.entity(&entity_id).map(|entity| Entity {
            id: entity.subject.id,
            name: entity.subject.name,
            disabled: entity.disabled,
            metadata: entity.subject.metadata,
            aliases: entity.subject.aliases.into_iter().map(lower_alias).collect(),
        }))
    }

    fn groups(&mut self, entity_id: String) -> wasmtime::Result<Vec<Group>> {
        self.budget.host_call()?;
        let entity = self.host.entity(&entity_id).unwrap_or_default();
        Ok(entity.subject.groups.into_iter().map(lower_group).collect())
    }

    fn expand(&mut self, template: String, entity_id: String) -> wasmtime::Result<Result<String, String>> {
        self.budget.host_call()?;
        Ok(self.host.expand(&template, &entity_id))
    }
}

fn lower_alias(alias: SubjectAlias) -> EntityAlias {
    EntityAlias { mount_accessor: alias.mount_accessor, name: alias.name, metadata: alias.metadata }
}

fn lower_group(group: SubjectGroup) -> Group {
    Group { id: group.id, name: group.name, metadata: group.metadata }
}

//! `identity`: entities the broker knows. Groups and templates come with the identity
//! store; until then there are no groups, and templates are refused.

use serde_json::Value;

use super::wit::identity::{Entity, EntityAlias, Group, Host};
use crate::instance::CallData;

impl Host for CallData {
    fn lookup(&mut self, entity_id: String) -> wasmtime::Result<Option<Entity>> {
        self.budget.host_call()?;
        Ok(self.host.entity(&entity_id).map(|entity| read_entity(&entity)))
    }

    fn groups(&mut self, _entity_id: String) -> wasmtime::Result<Vec<Group>> {
        self.budget.host_call()?;
        Ok(Vec::new())
    }

    fn expand(&mut self, _template: String, _entity_id: String) -> wasmtime::Result<Result<String, String>> {
        self.budget.host_call()?;
        Ok(Err("identity templates are not available in this version".to_owned()))
    }
}

fn read_entity(entity: &Value) -> Entity {
    let aliases = entity["aliases"].as_array().map(Vec::as_slice).unwrap_or_default();
    Entity {
        id: text(&entity["id"]),
        name: text(&entity["name"]),
        disabled: entity["disabled"].as_bool().unwrap_or(false),
        metadata: pairs(&entity["metadata"]),
        aliases: aliases.iter().map(read_alias).collect(),
    }
}

fn read_alias(alias: &Value) -> EntityAlias {
    EntityAlias {
        mount_accessor: text(&alias["mount-accessor"]),
        name: text(&alias["name"]),
        metadata: pairs(&alias["metadata"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Pairs as an object, or as an array of two-element arrays, the WIT's own shape.
fn pairs(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        Value::Array(pairs) => pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        _ => Vec::new(),
    }
}

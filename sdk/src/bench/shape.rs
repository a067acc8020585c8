//! Checks and defaults of declared fields: the host's rules in short. The host is the
//! authority (and knows Vault's texts for every mismatch); here they only have to give
//! handlers the same values, which the tests compare.

use serde_json::{Map, Value};

use super::coerce::{coerce, null_is_absent};
use crate::bindings::mounted::bulkhead::plugin::types::{Existence, Field, Operation, Route};

/// A request's data after the host is done with it.
pub(super) struct Shaped {
    pub(super) data: String,
    pub(super) supplied: Vec<String>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn shape(
    route: &Route,
    operation: Operation,
    captures: &[(String, String)],
    body: &str,
) -> Result<Shaped, String> {
    let writes = matches!(operation, Operation::Create | Operation::Update);
    let takes_all = route.accepts_unknown_fields && (writes || operation == Operation::Patch);
    let captured = |name: &str| captures.iter().any(|(capture, _)| capture == name);
    let mut shaped = Shaped { data: String::new(), supplied: Vec::new(), warnings: Vec::new() };
    if takes_all && route.fields.iter().all(|field| captured(&field.name)) {
        body.clone_into(&mut shaped.data);
        return Ok(shaped);
    }
    let mut out = Vec::new();
    let (mut ignored, mut replaced) = (Vec::new(), Vec::new());
    for (name, text) in split(body)? {
        match route.fields.iter().find(|field| field.name == name) {
            _ if captured(&name) && !takes_all => replaced.push(name),
            Some(field) if text == "null" && null_is_absent(field.kind) && !takes_all => {}
            Some(field) => {
                let value = checked(field, &text).map_err(|cause| mismatch(route, operation, &name, &cause))?;
                shaped.supplied.push(name.clone());
                out.push((name, value));
            }
            None if takes_all => out.push((name, text)),
            None => ignored.push(name),
        }
    }
    for field in &route.fields {
        let missing = !shaped.supplied.contains(&field.name) && !captured(&field.name);
        match &field.default {
            Some(json) if missing => {
                out.push((field.name.clone(), coerce(field.kind, &String::from_utf8_lossy(json))?));
            }
            None if missing && field.required && writes => {
                return Err(format!("missing required field {:?}", field.name));
            }
            _ => {}
        }
    }
    shaped.data = write(&out);
    shaped.warnings = warnings(&ignored, &replaced);
    Ok(shaped)
}

fn split(body: &str) -> Result<Vec<(String, String)>, String> {
    if !body.is_empty() {
        serde_json::from_str::<Map<String, Value>>(body).map_err(|_| "error parsing JSON".to_owned())?;
    }
    let members = crate::json::members(body.as_bytes()).map_err(|_| "error parsing JSON".to_owned())?;
    Ok(members.flatten().map(|(name, text)| (name.into_owned(), text.to_owned())).collect())
}

fn checked(field: &Field, text: &str) -> Result<String, String> {
    let value = coerce(field.kind, text)?;
    let read = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
    let is_allowed = field.allowed.is_empty() || field.allowed.iter().any(|json| read(json) == read(value.as_bytes()));
    if is_allowed { Ok(value) } else { Err("not one of the allowed values".to_owned()) }
}

fn write(members: &[(String, String)]) -> String {
    members.iter().fold(crate::json::Object::new(), |object, (name, value)| object.json(name, value)).end()
}

fn warnings(ignored: &[String], replaced: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    if !ignored.is_empty() {
        warnings.push(format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" ")));
    }
    if !replaced.is_empty() {
        let names = replaced.join(" ");
        warnings.push(format!("Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{names}]"));
    }
    warnings
}

/// Vault validates twice: before the existence check without the prefix, else with it.
fn mismatch(route: &Route, operation: Operation, name: &str, cause: &str) -> String {
    let writes = matches!(operation, Operation::Create | Operation::Update);
    let asked_before = writes && !matches!(route.existence, Existence::None);
    let prefix = if asked_before { "" } else { "Field validation failed: " };
    format!("{prefix}error converting input for field {name:?}: {cause}")
}

#[cfg(test)]
mod tests;

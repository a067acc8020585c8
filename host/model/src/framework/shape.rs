//! From a request's members to a route's declared fields.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::coerce::{coerce, null_is_absent};
use crate::plugin::{Existence, Field, Operation, Route};

/// A request's data as the guest gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct Shaped {
    /// JSON object: the declared members, coerced, and defaults.
    pub data: Vec<u8>,
    /// Names of declared members that were sent.
    pub supplied: Vec<String>,
    /// Names without a field. Vault warns of them, unless the answer is empty.
    pub ignored: Vec<String>,
    /// Names that the path captured, whose members were dropped. As for `ignored`.
    pub replaced: Vec<String>,
}

/// Coerces, checks and completes a request's data; `json` is one JSON object or empty,
/// and was checked against the limits before.
///
/// # Errors
/// Vault's text, for a 400.
pub fn shape(
    route: &Route,
    operation: Operation,
    captures: &[(String, String)],
    json: &[u8],
) -> Result<Shaped, String> {
    let writes = matches!(operation, Operation::Create | Operation::Update);
    let takes_all = route.accepts_unknown_fields && (writes || operation == Operation::Patch);
    let mut shaped = Shaped { data: Vec::new(), supplied: Vec::new(), ignored: Vec::new(), replaced: Vec::new() };
    let declares = route.fields.iter().any(|field| !captured(captures, &field.name));
    if takes_all && !declares {
        // kv version 1: what was sent is the secret, letter by letter.
        shaped.data = if json.is_empty() { b"{}".to_vec() } else { json.to_vec() };
        return Ok(shaped);
    }
    let members = if json.is_empty() { Members(Vec::new()) } else { parse(json)? };
    let mut out = Vec::with_capacity(members.0.len() + 2);
    for (name, raw) in members.0 {
        let field = route.fields.iter().find(|field| field.name == name);
        match field {
            _ if captured(captures, &name) && !takes_all => shaped.replaced.push(name.into_owned()),
            // Where any member is taken, the guest keeps what it was sent.
            Some(field) if raw.get() == "null" && null_is_absent(field.kind) && !takes_all => {}
            Some(field) => {
                let value = checked(field, raw.get()).map_err(|cause| fault(route, operation, &name, &cause))?;
                shaped.supplied.push(field.name.clone());
                out.push((name, value));
            }
            None if takes_all => out.push((name, Cow::Borrowed(raw.get()))),
            None => shaped.ignored.push(name.into_owned()),
        }
    }
    add_missing(route, writes, captures, &shaped.supplied, &mut out)?;
    shaped.data = write(&out);
    Ok(shaped)
}

fn captured(captures: &[(String, String)], name: &str) -> bool {
    captures.iter().any(|(capture, _)| capture == name)
}

fn parse(json: &[u8]) -> Result<Members<'_>, String> {
    serde_json::from_slice(json).map_err(|error| format!("failed to parse JSON input: {error}"))
}

fn checked<'a>(field: &Field, json: &'a str) -> Result<Cow<'a, str>, String> {
    let value = coerce(field.kind, json)?;
    if !field.allowed.is_empty() {
        let parsed = serde_json::from_str(&value).map_err(|error| error.to_string())?;
        if !field.allowed.contains(&parsed) {
            let allowed: Vec<_> = field.allowed.iter().map(ToString::to_string).collect();
            return Err(format!("must be one of [{}]", allowed.join(" ")));
        }
    }
    Ok(value)
}

/// Vault validates twice. Where an existence check comes first, the fault surfaces there,
/// without the prefix.
fn fault(route: &Route, operation: Operation, name: &str, cause: &str) -> String {
    let writes = matches!(operation, Operation::Create | Operation::Update);
    let prefix = if writes && route.existence != Existence::None { "" } else { "Field validation failed: " };
    format!("{prefix}error converting input for field {name:?}: {cause}")
}

/// Fills in defaults; a write must bring what is required.
fn add_missing<'a>(
    route: &'a Route,
    writes: bool,
    captures: &[(String, String)],
    supplied: &[String],
    out: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>,
) -> Result<(), String> {
    for field in &route.fields {
        if supplied.contains(&field.name) || captured(captures, &field.name) {
            continue;
        }
        match &field.default {
            Some(default) => {
                let value = coerce(field.kind, &default.to_string()).map(|value| value.into_owned())?;
                out.push((Cow::Borrowed(&field.name), Cow::Owned(value)));
            }
            None if field.required && writes => return Err(format!("missing required field {:?}", field.name)),
            None => {}
        }
    }
    Ok(())
}

fn write(members: &[(Cow<'_, str>, Cow<'_, str>)]) -> Vec<u8> {
    let room: usize = members.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let mut out = Vec::with_capacity(room + 2);
    out.push(b'{');
    for (name, value) in members {
        if out.len() > 1 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, name).expect("a text always serialises into memory");
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
    out
}

/// An object's members in the order sent, their values unparsed.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A member's name, borrowed unless it has escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Names)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

//! A document with its objects taken apart and every other value left as the text the
//! caller sent, so that numbers survive digit for digit and nothing is parsed that the
//! engine does not look into.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bulkhead_sdk::json;
use bulkhead_sdk::prelude::*;

/// A value of a document.
#[derive(Debug)]
pub(crate) enum Tree<'a> {
    /// An object, its members in the order they were written.
    Object(Members<'a>),
    /// Anything else, as JSON text.
    Leaf(&'a str),
}

/// The members of an object; none once removed.
type Members<'a> = Vec<Option<(Cow<'a, str>, Tree<'a>)>>;

impl<'a> Tree<'a> {
    /// Takes JSON text apart. The host has bounded its depth.
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        if !text.trim_start().starts_with('{') {
            return Ok(Self::Leaf(text));
        }
        let members = json::members(text.as_bytes())?.map(|member| {
            let (name, value) = member?;
            Ok(Some((name, Self::parse(value)?)))
        });
        Ok(Self::Object(members.collect::<Result<_>>()?))
    }

    /// Changes it by a JSON merge patch (RFC 7386): null removes, objects go deeper, the
    /// rest replaces.
    pub(crate) fn merge(&mut self, patch: Self) {
        let Self::Object(changes) = patch else {
            *self = patch;
            return;
        };
        if matches!(self, Self::Leaf(_)) {
            *self = Self::Object(Vec::new());
        }
        if let Self::Object(members) = self {
            merge_members(members, changes);
        }
    }

    /// Makes every leaf null, and every object `depth` levels down where that is not zero;
    /// an empty object below the top is a leaf, as in Vault.
    pub(crate) fn strip(&mut self, depth: u64) {
        let Self::Object(members) = self else {
            *self = Self::Leaf("null");
            return;
        };
        for (_, member) in members.iter_mut().flatten() {
            match member {
                Self::Object(inside) if !inside.is_empty() && depth != 1 => member.strip(depth.saturating_sub(1)),
                member => *member = Self::Leaf("null"),
            }
        }
    }

    /// As JSON text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.push(&mut out);
        out
    }

    fn push(&self, out: &mut String) {
        let members = match self {
            Self::Leaf(text) => return out.push_str(text),
            Self::Object(members) => members.iter().flatten(),
        };
        out.push('{');
        for (at, (name, value)) in members.enumerate() {
            if at > 0 {
                out.push(',');
            }
            json::push_string(out, name);
            out.push(':');
            value.push(out);
        }
        out.push('}');
    }
}

fn merge_members<'a>(members: &mut Members<'a>, changes: Members<'a>) {
    // By name, or a patch of many members would look through all for each.
    let mut places: BTreeMap<String, usize> =
        members.iter().enumerate().filter_map(|(at, m)| m.as_ref().map(|(name, _)| (name.to_string(), at))).collect();
    for (name, change) in changes.into_iter().flatten() {
        let place = places.get(&*name).copied();
        match (change, place) {
            (Tree::Leaf("null"), Some(at)) => {
                members[at] = None;
                places.remove(&*name);
            }
            (Tree::Leaf("null"), None) => {}
            (change, place) => {
                let at = place.unwrap_or_else(|| {
                    places.insert(name.to_string(), members.len());
                    members.push(Some((name, Tree::Leaf("null"))));
                    members.len() - 1
                });
                if let Some((_, member)) = &mut members[at] {
                    member.merge(change);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    /// The examples of RFC 7386, appendix A, whose documents are objects.
    #[test]
    fn the_rfcs_examples_hold() {
        let table = [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"a":"b"}"#, r#"{"a":{"c":1.10}}"#, r#"{"a":{"c":1.10}}"#),
            (r#"{ "a" : {"x" : 1e400} }"#, r#"{"b\n":true}"#, r#"{"a":{"x":1e400},"b\n":true}"#),
        ];
        for (target, patch, wanted) in table {
            let mut target = Tree::parse(target).unwrap();
            target.merge(Tree::parse(patch).unwrap());
            assert_eq!(target.text(), wanted);
        }
    }

    #[test]
    fn stripping_leaves_names_down_to_the_depth() {
        let stripped = |depth| {
            let mut tree = Tree::parse(r#"{"a":1,"b":{"c":{"d":[1]},"e":{}},"f":{}}"#).unwrap();
            tree.strip(depth);
            tree.text()
        };
        assert_eq!(stripped(0), r#"{"a":null,"b":{"c":{"d":null},"e":null},"f":null}"#);
        assert_eq!(stripped(1), r#"{"a":null,"b":null,"f":null}"#);
        assert_eq!(stripped(2), r#"{"a":null,"b":{"c":null,"e":null},"f":null}"#);
        assert_eq!(stripped(9), stripped(0));
    }
}

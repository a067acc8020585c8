//! From words to checked values. Error texts are Go's, since scripts match on them.

use std::collections::BTreeMap;

use super::{Flag, Takes};
use crate::env::Environment;
use crate::span::Span;

/// A flag's value, of the kind it takes.
enum Value {
    Switch(bool),
    Text(String),
    Int(i64),
    Span(Span),
    Pair(String, String),
}

/// A command's flags and arguments.
pub(crate) struct Parsed {
    values: BTreeMap<&'static str, Vec<Value>>,
    /// What follows the flags.
    pub(crate) arguments: Vec<String>,
}

/// Reads `words` by the flags in `known`; settings in the environment stand in for
/// flags that are not given.
///
/// # Errors
/// The first word that is not understood, in Go's wording.
pub(crate) fn parse(known: &[Flag], words: &[String], env: &Environment) -> Result<Parsed, String> {
    let mut parsed = Parsed { values: BTreeMap::new(), arguments: Vec::new() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(body) = flag_body(word) else {
            // "--" ends the flags without being an argument itself.
            parsed.arguments.extend((word != "--").then(|| word.clone()));
            break;
        };
        if body.is_empty() || body.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {word}"));
        }
        let (name, attached) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        let flag = find(known, name).ok_or_else(|| format!("flag provided but not defined: -{name}"))?;
        let text = match (attached, flag.takes) {
            (Some(value), _) => value,
            (None, Takes::Switch) => "true",
            (None, _) => words.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
        };
        parsed.add(flag, name, text)?;
    }
    parsed.arguments.extend(words.cloned());
    parsed.fill_from(known, env);
    Ok(parsed)
}

/// The part behind the dashes, if the word is a flag: "-" alone stands for stdin.
fn flag_body(word: &str) -> Option<&str> {
    if word == "--" || word == "-" {
        return None;
    }
    word.strip_prefix("--").or_else(|| word.strip_prefix('-'))
}

fn find<'k>(known: &'k [Flag], name: &str) -> Option<&'k Flag> {
    known.iter().find(|flag| flag.name == name || flag.alias == Some(name))
}

/// A switch's value as Go's `ParseBool` takes it.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn parse_value(takes: Takes, text: &str) -> Result<Value, String> {
    match takes {
        Takes::Switch => parse_bool(text)
            .map(Value::Switch)
            .ok_or_else(|| format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
        Takes::Text | Takes::List => Ok(Value::Text(text.to_owned())),
        Takes::Int => {
            text.parse().map(Value::Int).map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        }
        // "system" is how older scripts ask for the server's default.
        Takes::Span if text == "system" => Ok(Value::Span(Span::of_secs(-1))),
        Takes::Span => Span::parse(text).map(Value::Span),
        Takes::Pairs => match text.split_once('=') {
            Some((key, value)) => Ok(Value::Pair(key.to_owned(), value.to_owned())),
            None => Err(format!("missing = in KV pair: {text:?}")),
        },
    }
}

impl Parsed {
    fn add(&mut self, flag: &Flag, name: &str, text: &str) -> Result<(), String> {
        let value = parse_value(flag.takes, text).map_err(|why| match flag.takes {
            Takes::Switch => format!("invalid boolean value {text:?} for -{name}: {why}"),
            _ => format!("invalid value {text:?} for flag -{name}: {why}"),
        })?;
        self.values.entry(flag.name).or_default().push(value);
        Ok(())
    }

    /// A setting that does not parse is left out here: the command line was right, and
    /// where the setting matters (the client's) it is read again and reported.
    fn fill_from(&mut self, known: &[Flag], env: &Environment) {
        for flag in known.iter().filter(|flag| !self.values.contains_key(flag.name)).collect::<Vec<_>>() {
            let Some(text) = flag.env.and_then(|setting| env.setting(setting)) else { continue };
            if let Ok(value) = parse_value(flag.takes, text) {
                self.values.insert(flag.name, vec![value]);
            }
        }
    }

    fn last(&self, name: &str) -> Option<&Value> {
        self.values.get(name).and_then(|values| values.last())
    }

    /// Whether the flag was given, or set by the environment.
    pub(crate) fn given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether a switch is on.
    pub(crate) fn switch(&self, name: &str) -> bool {
        matches!(self.last(name), Some(Value::Switch(true)))
    }

    /// A switch that may also not have been given at all.
    pub(crate) fn tristate(&self, name: &str) -> Option<bool> {
        match self.last(name) {
            Some(Value::Switch(on)) => Some(*on),
            _ => None,
        }
    }

    /// A flag's text; an empty one counts as not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.last(name) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A flag's number.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        match self.last(name) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// A flag's duration.
    pub(crate) fn span(&self, name: &str) -> Option<Span> {
        match self.last(name) {
            Some(Value::Span(span)) => Some(*span),
            _ => None,
        }
    }

    /// Every text given for a flag, in order.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.values.get(name).into_iter().flatten();
        values.filter_map(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None }).collect()
    }

    /// Every pair given for a flag, sorted by key; a key's last value counts.
    pub(crate) fn pairs(&self, name: &str) -> BTreeMap<String, String> {
        let values = self.values.get(name).into_iter().flatten();
        values
            .filter_map(
                |value| if let Value::Pair(key, value) = value { Some((key.clone(), value.clone())) } else { None },
            )
            .collect()
    }
}

//! A block of the config, read by key. Knows where each key stands, for errors, but
//! not what any of them means.

use std::path::Path;
use std::time::Duration;

use bulkhead_model::cidr::Network;
use bulkhead_model::duration;
use bulkhead_model::hcl::{Item, Value};

use super::error::ConfigError;
use super::files::Placed;
use super::keys::{Fate, Key, nearest, places};

/// A key that was given and does nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The key, with its stanza.
    pub(crate) key: String,
    /// Why it does nothing.
    pub(crate) reason: &'static str,
}

/// The items of a block, and where it stands.
pub(super) struct Stanza<'a> {
    /// As it reads in the file: `listener "tcp"`; empty for the file itself.
    name: String,
    label: Option<&'a str>,
    start: Option<Placed<'a>>,
    items: Vec<Placed<'a>>,
}

impl<'a> Stanza<'a> {
    /// The files themselves.
    pub(super) fn top(items: Vec<Placed<'a>>) -> Self {
        Self { name: String::new(), label: None, start: None, items }
    }

    fn block(placed: Placed<'a>) -> Result<Self, ConfigError> {
        let Placed { path, item } = placed;
        let name = std::iter::once(item.key.clone()).chain(item.labels.iter().map(|l| format!("{l:?}")));
        let name = name.collect::<Vec<_>>().join(" ");
        let Value::Body(items) = &item.value else {
            return Err(at(path, item, format!("{name} must be a block, and is {}", item.value.kind())));
        };
        let items = items.iter().map(|item| Placed { path, item }).collect();
        Ok(Self { name, label: item.labels.first().map(String::as_str), start: Some(placed), items })
    }

    /// The first label: the type of a listener or storage.
    pub(super) fn label(&self) -> Option<&'a str> {
        self.label
    }

    /// All labels.
    pub(super) fn labels(&self) -> &'a [String] {
        self.start.map_or(&[], |start| &start.item.labels)
    }

    /// The items, as written.
    pub(super) fn items(&self) -> impl Iterator<Item = &'a Item> + '_ {
        self.items.iter().map(|placed| placed.item)
    }

    /// An error about the block as a whole.
    pub(super) fn error(&self, message: impl Into<String>) -> ConfigError {
        match self.start {
            Some(Placed { path, item }) => at(path, item, message.into()),
            None => ConfigError::Missing(message.into()),
        }
    }

    /// An error about a key's value, where the key stands.
    pub(super) fn wrong(&self, key: &str, what: &str) -> ConfigError {
        let message = format!("{key} {what}");
        self.find(key)
            .map_or_else(|| self.error(message.clone()), |placed| at(placed.path, placed.item, message.clone()))
    }

    /// File and line of the block, for errors about another one.
    pub(super) fn place(&self) -> String {
        self.start.map_or_else(String::new, |start| format!("{}:{}", start.path.display(), start.item.line))
    }

    /// What is told about a key that does nothing here.
    pub(super) fn note(&self, key: &str, reason: &'static str) -> Note {
        Note { key: format!("{key}{}", self.within()), reason }
    }

    fn within(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) }
    }

    /// Refuses keys that are not in the table, or that it refuses; notes those that do nothing.
    pub(super) fn check(&self, table: &[Key], notes: &mut Vec<Note>) -> Result<(), ConfigError> {
        for placed in &self.items {
            let key = placed.item.key.as_str();
            let within = self.within();
            match table.iter().find(|known| known.name == key).map(|known| known.fate) {
                Some(Fate::Read) => {}
                // Said to be off, what there is not is as it should be.
                Some(Fate::Ignored(_))
                    if matches!(key, "ui" | "enable_ui") && placed.item.value.scalar() == Some("false") => {}
                Some(Fate::Ignored(reason)) => notes.push(self.note(key, reason)),
                // Said to be off, it is as it should be.
                Some(Fate::Refused(_)) if matches!(placed.item.value.scalar(), Some("false" | "")) => {}
                Some(Fate::Refused(reason)) => {
                    return Err(at(placed.path, placed.item, format!("{key}{within} is not offered: {reason}")));
                }
                None => {
                    let places = places(key);
                    let hint = match (places.is_empty(), nearest(key, table)) {
                        (false, _) => format!("; it belongs {}", places.join(" or ")),
                        (true, Some(near)) => format!("; did you mean {near}?"),
                        (true, None) => String::new(),
                    };
                    return Err(at(placed.path, placed.item, format!("unknown key {key}{within}{hint}")));
                }
            }
        }
        Ok(())
    }

    /// Every block of this name.
    pub(super) fn blocks(&self, name: &str) -> Result<Vec<Stanza<'a>>, ConfigError> {
        self.items.iter().filter(|placed| placed.item.key == name).map(|placed| Stanza::block(*placed)).collect()
    }

    /// The last item of this name: it overrides those before.
    fn find(&self, key: &str) -> Option<Placed<'a>> {
        self.items.iter().rev().find(|placed| placed.item.key == key).copied()
    }

    /// A text. Numbers and bools count, as they do in HCL 1.
    pub(super) fn string(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(placed) = self.find(key) else { return Ok(None) };
        let text = placed.item.value.scalar();
        let text =
            text.ok_or_else(|| self.wrong(key, &format!("must be a string, and is {}", placed.item.value.kind())))?;
        Ok(Some(text.to_owned()))
    }

    /// Several texts; absent: none.
    pub(super) fn strings(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let Some(placed) = self.find(key) else { return Ok(Vec::new()) };
        let wrong = || self.wrong(key, &format!("must be a list of strings, and is {}", placed.item.value.kind()));
        let Value::List(values) = &placed.item.value else { return Err(wrong()) };
        values.iter().map(|value| value.scalar().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    /// Networks and single addresses, in a list or a text with commas between them; absent: none.
    pub(super) fn networks(&self, key: &str) -> Result<Vec<Network>, ConfigError> {
        let texts = match self.find(key).and_then(|placed| placed.item.value.scalar()) {
            Some(text) => text.split(',').map(str::to_owned).collect(),
            None => self.strings(key)?,
        };
        let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        let network = |text: &str| {
            let none = || {
                self.wrong(key, &format!("has {text:?}, which is neither an address nor a network such as 10.0.0.0/8"))
            };
            Network::parse(text).ok_or_else(none)
        };
        texts.map(network).collect()
    }

    /// True or false, also as a string, in the spellings Go takes; absent: false.
    pub(super) fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        let text = self.string(key)?.filter(|text| !text.is_empty());
        let flag = text.map(|text| go_bool(&text).ok_or_else(|| self.wrong(key, "is neither true nor false")));
        Ok(flag.transpose()?.unwrap_or(false))
    }

    /// A whole number.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.wrong(key, "is not a whole number"))
    }

    /// A duration in seconds.
    pub(super) fn secs(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        Ok(self.duration(key)?.map(|duration| duration.as_secs()))
    }

    /// A duration.
    pub(super) fn duration(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        duration::parse(&text).map(Some).map_err(|_| self.wrong(key, "is not a duration such as 90s, 1h30m or 5d"))
    }
}

/// True or false in the spellings Go takes.
pub(super) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        _ => None,
    }
}

fn at(path: &Path, item: &Item, message: String) -> ConfigError {
    ConfigError::At { path: path.to_owned(), line: item.line, message }
}

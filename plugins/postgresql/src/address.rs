//! `connection_url`, as a URL or as words with values, read into settings by name.

use bulkhead_sdk::url::percent_decoded;
use bulkhead_sdk::{Error, Result};

/// Names and values, later ones above earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Words(Vec<(String, String)>);

impl Words {
    /// Reads either form.
    ///
    /// # Errors
    /// It is neither. What is wrong is told by its place: there may be a password in it.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let url = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let words = match url {
            Some(rest) => from_url(rest).ok_or("failed to parse as URL (invalid URL)"),
            None => from_words(text).ok_or("failed to parse as keyword/value (invalid keyword/value)"),
        };
        words.map_err(|told| Error::invalid(format!("cannot parse connection_url: {told}")))
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts a text in place of another in all values.
    pub(crate) fn fill(&mut self, place: &str, text: &str) {
        for (_, value) in &mut self.0 {
            *value = value.replace(place, text);
        }
    }

    fn set(&mut self, name: &str, value: String) {
        let name = if name == "dbname" { "database" } else { name };
        self.0.push((name.to_owned(), value));
    }
}

fn from_url(rest: &str) -> Option<Words> {
    let mut words = Words::default();
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before.split_once('/').unwrap_or((before, ""));
    let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
    if let Some(user) = user {
        let (name, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
        words.set("user", percent_decoded(name, false)?);
        if let Some(password) = password {
            words.set("password", percent_decoded(password, false)?);
        }
    }
    push_hosts(&mut words, hosts)?;
    let database = percent_decoded(path, false)?;
    if !database.is_empty() {
        words.set("database", database);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        words.set(&percent_decoded(name, true)?, percent_decoded(value, true)?);
    }
    Some(words)
}

/// `a:1,[::1]:2,c`, as the two lists that the other form has.
fn push_hosts(words: &mut Words, hosts: &str) -> Option<()> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        let (name, port) = match host.strip_prefix('[') {
            Some(inner) => {
                let (name, after) = inner.split_once(']')?;
                (name, if after.is_empty() { "" } else { after.strip_prefix(':')? })
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(percent_decoded(name, false)?);
        ports.push(port.to_owned());
    }
    if !names.is_empty() {
        words.set("host", names.join(","));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        words.set("port", ports.join(","));
    }
    Some(())
}

/// `host=a user='it\'s me'`
fn from_words(text: &str) -> Option<Words> {
    let mut words = Words::default();
    let mut rest = text.trim_start();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return None;
        }
        let (value, after) = word_value(after.trim_start())?;
        words.set(name, value);
        rest = after.trim_start();
    }
    Some(words)
}

fn word_value(text: &str) -> Option<(String, &str)> {
    let (is_quoted, inner) = text.strip_prefix('\'').map_or((false, text), |inner| (true, inner));
    let mut value = String::new();
    let mut signs = inner.char_indices();
    while let Some((at, c)) = signs.next() {
        match c {
            '\\' => value.push(signs.next()?.1),
            '\'' if is_quoted => return Some((value, &inner[at + 1..])),
            c if !is_quoted && c.is_whitespace() => return Some((value, &inner[at..])),
            c => value.push(c),
        }
    }
    if is_quoted { None } else { Some((value, "")) }
}

//! `connection_url`, which is a data source name of Go's driver:
//! `user:password@tcp(host:port)/database?name=value`.

use bulkhead_sdk::{Error, Result};

/// A data source name that was read.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) network: String,
    pub(crate) address: String,
    pub(crate) database: String,
    parameters: Vec<(String, String)>,
}

impl Source {
    /// Reads a data source name. User and password stand in it as they are.
    ///
    /// # Errors
    /// It is none. What is wrong is told without what stands in it: there may be a password.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let invalid = |told: &str| Error::invalid(format!("unable to parse connectionURL: invalid DSN: {told}"));
        let (before, after) =
            text.rsplit_once('/').ok_or_else(|| invalid("missing the slash separating the database name"))?;
        let (credentials, place) = before.rsplit_once('@').unwrap_or(("", before));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (network, address) = match place.split_once('(') {
            None => (place, ""),
            Some((network, rest)) => (
                network,
                rest.strip_suffix(')')
                    .ok_or_else(|| invalid("network address not terminated (missing closing brace)"))?,
            ),
        };
        let (database, query) = after.split_once('?').unwrap_or((after, ""));
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| invalid("a parameter has no value"))?;
            let value = decoded(value).ok_or_else(|| invalid("a parameter is not escaped as in a URL"))?;
            parameters.push((name.to_owned(), value));
        }
        let database = decoded(database).ok_or_else(|| invalid("the database is not escaped as in a URL"))?;
        let [user, password, address] = [user, password, address].map(str::to_owned);
        let network = if network.is_empty() { "tcp" } else { network }.to_owned();
        Ok(Self { user, password, network, address, database, parameters })
    }

    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All parameters.
    pub(crate) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// Puts a text in place of another, in everything.
    pub(crate) fn fill(&mut self, place: &str, text: &str) {
        for part in [&mut self.user, &mut self.password, &mut self.address, &mut self.database] {
            *part = part.replace(place, text);
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

//! Every storage key of this plugin, and the records behind them.
//!
//! | key | record |
//! |---|---|
//! | `config/<name>` | how a database is reached ([`Connection`]) |
//! | `role/<name>` | what users on demand are like ([`Role`]) |
//! | `static-role/<name>` | a user that stays, and its password ([`StaticRole`]) |
//! | `user/<connection>/<hash of a name>` | that a user on demand has this name ([`Reserved`]), or its certificate still, if a template made it |
//!
//! `creds/:name` reads one role and one connection; no record grows with their number.

use bulkhead_sdk::describe::FieldDoc;
use bulkhead_sdk::names::{NAME_BYTES_MAX, is_name};
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::wire::{Reader, Writer};
use bulkhead_sdk::{Stored, capture};

use crate::automation::Automation;
use crate::credential::Credential;
use crate::details::Details;
use crate::rhythm::Rhythm;

/// The name in a path: nothing else leads to a storage key. Letters count with their case.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl<'a> FromRequest<'a> for Name {
    const FIELDS: &'static [FieldDoc] = &[];

    fn from_request(request: &'a Request) -> Result<Self> {
        let name = capture(request, "name");
        if name.len() > NAME_BYTES_MAX {
            return Err(Error::invalid(format!("name is longer than maximum of {NAME_BYTES_MAX} bytes")));
        }
        if is_name(name) { Ok(Self(name.to_owned())) } else { Err(Error::NotFound) }
    }
}

/// How a database is reached.
#[derive(Default)]
pub(crate) struct Connection {
    pub(crate) plugin_name: String,
    pub(crate) plugin_version: String,
    pub(crate) details: Details,
    pub(crate) allowed_roles: Vec<String>,
    pub(crate) root_rotation_statements: Vec<String>,
    pub(crate) password_policy: String,
    pub(crate) automation: Automation,
}

impl Stored for Connection {
    const FOLDER: &'static str = "config/";

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.bytes(1, self.plugin_name.as_bytes());
        writer.bytes(2, self.plugin_version.as_bytes());
        writer.bytes(3, self.details.expose().as_bytes());
        put_all(&mut writer, 4, &self.allowed_roles);
        put_all(&mut writer, 5, &self.root_rotation_statements);
        writer.bytes(6, self.password_policy.as_bytes());
        writer.bytes(7, &self.automation.encode());
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                1 => value.text()?.clone_into(&mut found.plugin_name),
                2 => value.text()?.clone_into(&mut found.plugin_version),
                3 => found.details = Details::new(value.text()?.to_owned()),
                4 => found.allowed_roles.push(value.text()?.to_owned()),
                5 => found.root_rotation_statements.push(value.text()?.to_owned()),
                6 => value.text()?.clone_into(&mut found.password_policy),
                7 => found.automation = Automation::decode(value.bytes())?,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// What users on demand are like.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) db_name: String,
    pub(crate) creation_statements: Vec<String>,
    pub(crate) revocation_statements: Vec<String>,
    pub(crate) rollback_statements: Vec<String>,
    pub(crate) renew_statements: Vec<String>,
    pub(crate) default_ttl: Seconds,
    pub(crate) max_ttl: Seconds,
    pub(crate) credential: Credential,
}

impl Stored for Role {
    const FOLDER: &'static str = "role/";

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.bytes(1, self.db_name.as_bytes());
        put_all(&mut writer, 2, &self.creation_statements);
        put_all(&mut writer, 3, &self.revocation_statements);
        put_all(&mut writer, 4, &self.rollback_statements);
        put_all(&mut writer, 5, &self.renew_statements);
        writer.number(6, self.default_ttl.0);
        writer.number(7, self.max_ttl.0);
        writer.bytes(8, &self.credential.encode());
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                1 => value.text()?.clone_into(&mut found.db_name),
                2 => found.creation_statements.push(value.text()?.to_owned()),
                3 => found.revocation_statements.push(value.text()?.to_owned()),
                4 => found.rollback_statements.push(value.text()?.to_owned()),
                5 => found.renew_statements.push(value.text()?.to_owned()),
                6 => found.default_ttl = Seconds(value.number()),
                7 => found.max_ttl = Seconds(value.number()),
                8 => found.credential = Credential::decode(value.bytes())?,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// A user that stays, and its password.
#[derive(Debug, Default)]
pub(crate) struct StaticRole {
    pub(crate) db_name: String,
    pub(crate) username: String,
    pub(crate) rotation_statements: Vec<String>,
    pub(crate) credential: Credential,
    pub(crate) rhythm: Rhythm,
    pub(crate) last_ms: u64,
    pub(crate) next_ms: u64,
    /// The password, or the private key in PEM.
    pub(crate) secret: Secret<String>,
    /// Changes that failed since the last one that did not. Above zero it is not known whether the
    /// database has this password.
    pub(crate) failures: u64,
}

impl Stored for StaticRole {
    const FOLDER: &'static str = "static-role/";

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.bytes(1, self.db_name.as_bytes());
        writer.bytes(2, self.username.as_bytes());
        put_all(&mut writer, 3, &self.rotation_statements);
        writer.bytes(4, &self.credential.encode());
        self.rhythm.encode(&mut writer, 5);
        writer.number(8, self.last_ms);
        writer.number(9, self.next_ms);
        writer.bytes(10, self.secret.expose().as_bytes());
        writer.number(11, self.failures);
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        let mut reader = Reader::new(bytes)?;
        let (mut period, mut schedule, mut window_secs) = (0, None, 0);
        while let Some((field, value)) = reader.field()? {
            match field {
                1 => value.text()?.clone_into(&mut found.db_name),
                2 => value.text()?.clone_into(&mut found.username),
                3 => found.rotation_statements.push(value.text()?.to_owned()),
                4 => found.credential = Credential::decode(value.bytes())?,
                5 => period = value.number(),
                6 => schedule = Some(value.text()?.to_owned()),
                7 => window_secs = value.number(),
                8 => found.last_ms = value.number(),
                9 => found.next_ms = value.number(),
                10 => found.secret = Secret::new(value.text()?.to_owned()),
                11 => found.failures = value.number(),
                _ => {}
            }
        }
        found.rhythm = Rhythm::decoded(period, schedule, window_secs);
        Ok(found)
    }
}

/// That a user has a name, and until when at the most, in milliseconds since 1970.
pub(crate) struct Reserved {
    pub(crate) ends_ms: u64,
}

impl Stored for Reserved {
    const FOLDER: &'static str = "user/";

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.number(1, self.ends_ms);
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut found = Self { ends_ms: 0 };
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            if field == 1 {
                found.ends_ms = value.number();
            }
        }
        Ok(found)
    }
}

fn put_all(writer: &mut Writer, field: u32, texts: &[String]) {
    for text in texts {
        writer.bytes(field, text.as_bytes());
    }
}

/// The lock of a connection's record, for those that change the password in it.
pub(crate) fn connection_lock(name: &str) -> String {
    format!("connection/{name}")
}

/// The lock of a static role: one rotation at a time.
pub(crate) fn static_role_lock(name: &str) -> String {
    format!("static-role/{name}")
}

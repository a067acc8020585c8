//! `kv get`: a secret, or one version of it.

use serde_json::{Map, Value};

use super::place::{Place, read_version};
use super::{MOUNT, show};
use crate::client::Secret;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "kv get",
    about: "Retrieve data from the KV store",
    usage: "[options] KEY",
    help: "Reads a secret, in its newest version if none is named.\n\nRead version 1 of foo:\n\n    $ bulkhead kv get -mount=secret -version=1 foo\n\nRead one value for a script:\n\n    $ bulkhead kv get -mount=secret -field=password foo",
    prints: Prints::Fields,
    is_client: true,
    flags: &[MOUNT, Flag::int("version", "The version to read.")],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let path = session.one()?;
    let client = session.client()?;
    let place = Place::find(session, &client, path)?;
    let full = place.full("data");
    let version = session.flags.int("version").filter(|version| place.is_v2 && *version > 0);
    let secret = read_version(&client, &full, version)
        .map_err(|error| Fault::request(format!("Error reading {full}"), error))?;
    let secret = secret.ok_or_else(|| Fault::Refused(format!("No value found at {full}")))?;
    if let Some(field) = session.flags.text("field") {
        return show_field(session, &place, &secret, field, &full);
    }
    if secret.wrap_info.is_some() || !session.is_table() {
        return session.show_secret(&secret);
    }
    show_table(session, &place, &secret, &full)
}

/// In a store with versions the secret's own data is one level deeper. The name "data"
/// means all of it, unless the secret has such a key.
fn show_field(session: &Session, place: &Place, secret: &Secret, field: &str, full: &str) -> Result<u8, Fault> {
    if !place.is_v2 {
        return session.show_secret_field(secret, field);
    }
    match secret.get("data") {
        Some(Value::Object(data)) if field != "data" || data.contains_key("data") => {
            session.show_map_field(data, field, "map")
        }
        Some(Value::Object(_)) => session.show_secret_field(secret, field),
        _ => Err(Fault::Refused(format!("No data found at {full}"))),
    }
}

fn show_table(session: &Session, place: &Place, secret: &Secret, full: &str) -> Result<u8, Fault> {
    session.show_warnings(secret);
    if place.is_v2 {
        show::path(session, "Secret Path", full);
    }
    if let Some(Value::Object(metadata)) = secret.get("metadata") {
        show_part(session, "Metadata", metadata)?;
        session.terminal.out("");
    }
    let data = if place.is_v2 { secret.get("data").and_then(Value::as_object) } else { secret.data.as_ref() };
    match data {
        Some(data) => show_part(session, "Data", data),
        None => Ok(0),
    }
}

fn show_part(session: &Session, title: &str, map: &Map<String, Value>) -> Result<u8, Fault> {
    session.terminal.out(&show::heading_for(title, map));
    session.show_value(&Value::Object(map.clone()))
}

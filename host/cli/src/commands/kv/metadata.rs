//! `kv metadata`: what a store keeps about a secret besides its values.

use serde_json::{Map, Value, json};

use super::place::Place;
use super::{MOUNT, show};
use crate::client::{Call, Client, Secret};
use crate::commands::{Command, Group, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::session::Session;

pub(in crate::commands) const GROUP: Group = Group {
    words: "kv metadata",
    about: "Interact with the metadata of secrets",
    help: "Reads and writes what a store with versions keeps about a secret: its versions, how\nmany to keep, and notes.\n\nKeep five versions of foo:\n\n    $ bulkhead kv metadata put -mount=secret -max-versions=5 foo",
};

const CAS_REQUIRED: Flag = Flag::switch("cas-required", "Whether every write must name the current version with -cas.");
const CUSTOM: Flag = Flag::pairs("custom-metadata", "Note about the secret, as key=value; may be given many times.");
const DELETE_AFTER: Flag = Flag::span("delete-version-after", "How long a version lives before it is deleted.");
const MAX_VERSIONS: Flag = Flag::int("max-versions", "How many versions to keep; 0 is the store's setting.");

pub(in crate::commands) const GET: Command = Command {
    words: "kv metadata get",
    about: "Retrieve key metadata from the KV store",
    usage: "[options] KEY",
    help: "Shows the metadata of a secret and every version of it.\n\nShow that of foo:\n\n    $ bulkhead kv metadata get -mount=secret foo",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[MOUNT],
    run: get,
};

pub(in crate::commands) const PUT: Command = Command {
    words: "kv metadata put",
    about: "Set or update key settings in the KV store",
    usage: "[options] KEY",
    help: "Writes the metadata of a secret whole: notes that are not given are gone. A secret that\nis not there yet is made, without a version.\n\nKeep five versions of foo, each for a day:\n\n    $ bulkhead kv metadata put -mount=secret -max-versions=5 -delete-version-after=24h foo",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[CAS_REQUIRED, CUSTOM, DELETE_AFTER, MAX_VERSIONS, MOUNT],
    run: put,
};

pub(in crate::commands) const PATCH: Command = Command {
    words: "kv metadata patch",
    about: "Patch key settings in the KV store",
    usage: "[options] KEY",
    help: "Changes the given metadata of a secret and leaves the rest.\n\nChange one note and drop another:\n\n    $ bulkhead kv metadata patch -mount=secret -custom-metadata=a=1 -remove-custom-metadata=b foo",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[
        CAS_REQUIRED,
        CUSTOM,
        DELETE_AFTER,
        MAX_VERSIONS,
        MOUNT,
        Flag::list("remove-custom-metadata", "Note to drop; may be given many times."),
    ],
    run: patch,
};

pub(in crate::commands) const DELETE: Command = Command {
    words: "kv metadata delete",
    about: "Delete all versions and metadata for a key in the KV store",
    usage: "[options] PATH",
    help: "Removes a secret with all versions and metadata, for good.\n\nRemove foo:\n\n    $ bulkhead kv metadata delete -mount=secret foo",
    prints: Prints::Lines,
    is_client: true,
    flags: &[MOUNT],
    run: delete,
};

/// The path of the metadata that the one argument names.
fn find(session: &Session) -> Result<(Client, String), Fault> {
    let path = session.one()?;
    let client = session.client()?;
    let place = Place::find(session, &client, path)?;
    if !place.is_v2 {
        return Err(Fault::Local("Metadata not supported on KV Version 1".to_owned()));
    }
    Ok((client, place.versioned("metadata")))
}

fn get(session: &Session) -> Result<u8, Fault> {
    let (client, full) = find(session)?;
    let secret = client.read(&full, &[]).map_err(|error| Fault::request(format!("Error reading {full}"), error))?;
    let mut secret = secret.ok_or_else(|| Fault::Refused(format!("No value found at {full}")))?;
    if secret.wrap_info.is_some() || !session.is_table() {
        return session.show_secret(&secret);
    }
    let Some(Value::Object(versions)) = secret.data.as_mut().and_then(|data| data.shift_remove("versions")) else {
        return Err(Fault::Refused(format!("No value found at {full}")));
    };
    show::path(session, "Metadata Path", &full);
    show_summary(session, &secret)?;
    show_versions(session, &versions)
}

fn show_summary(session: &Session, secret: &Secret) -> Result<(), Fault> {
    let empty = Map::new();
    session.terminal.out(&show::heading_for("Metadata", secret.data.as_ref().unwrap_or(&empty)));
    session.show_secret(secret).map(|_| ())
}

fn show_versions(session: &Session, versions: &Map<String, Value>) -> Result<u8, Fault> {
    let mut numbered = Vec::with_capacity(versions.len());
    for (key, version) in versions {
        let number: u64 = key.parse().map_err(|_| Fault::Refused(format!("Error parsing version {key}")))?;
        numbered.push((number, version));
    }
    numbered.sort_by_key(|(number, _)| *number);
    for (number, version) in numbered {
        let heading =
            version.as_object().map(|map| show::heading_for(&format!("Version {number}"), map)).unwrap_or_default();
        session.terminal.out(&format!("\n{heading}"));
        session.show_value(version)?;
    }
    Ok(0)
}

/// What the flags say, as the API takes it.
fn settings(session: &Session) -> Map<String, Value> {
    let flags = &session.flags;
    let mut settings = Map::new();
    if let Some(max) = flags.int("max-versions").filter(|max| *max >= 0) {
        settings.insert("max_versions".to_owned(), json!(max));
    }
    if let Some(after) = flags.span("delete-version-after").filter(|after| !after.is_negative()) {
        settings.insert("delete_version_after".to_owned(), json!(after.to_string()));
    }
    if let Some(required) = flags.tristate("cas-required") {
        settings.insert("cas_required".to_owned(), json!(required));
    }
    settings
}

fn put(session: &Session) -> Result<u8, Fault> {
    let mut body = settings(session);
    let custom = session.flags.pairs("custom-metadata");
    if !custom.is_empty() {
        body.insert("custom_metadata".to_owned(), json!(custom));
    }
    send(session, "PUT", body)
}

fn patch(session: &Session) -> Result<u8, Fault> {
    let mut body = settings(session);
    let mut custom: Map<String, Value> =
        session.flags.pairs("custom-metadata").into_iter().map(|(key, value)| (key, json!(value))).collect();
    custom.extend(session.flags.list("remove-custom-metadata").into_iter().map(|key| (key, Value::Null)));
    body.insert("custom_metadata".to_owned(), Value::Object(custom));
    send(session, "PATCH", body)
}

fn send(session: &Session, method: &str, body: Map<String, Value>) -> Result<u8, Fault> {
    let (client, full) = find(session)?;
    let body = Value::Object(body);
    let answer = client
        .secret(&Call::new(method, &full).body(&body))
        .map_err(|error| Fault::request(format!("Error writing data to {full}"), error))?;
    session.show_answer(answer, &format!("Success! Data written to: {full}"))
}

fn delete(session: &Session) -> Result<u8, Fault> {
    let (client, full) = find(session)?;
    client
        .send(&Call::new("DELETE", &full))
        .map_err(|error| Fault::request(format!("Error deleting {full}"), error))?;
    session.terminal.out(&format!("Success! Data deleted (if it existed) at: {full}"));
    Ok(0)
}

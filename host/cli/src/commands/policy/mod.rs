//! `policy`: the ACL policies that tokens are made with.

pub(super) mod explain;
pub(super) mod fmt;
pub(super) mod test;

use serde_json::{Value, json};

use super::{Command, Group, Prints};
use crate::client::Call;
use crate::fault::{Fault, plain_io};
use crate::session::Session;

pub(super) const GROUP: Group = Group {
    words: "policy",
    about: "Interact with policies",
    help: "Policies say what tokens may do.\n\nUpload one from a file:\n\n    $ bulkhead policy write ops ./ops.hcl",
};

pub(super) const READ: Command = Command {
    words: "policy read",
    about: "Print the contents of a policy",
    usage: "[options] NAME",
    help: "Prints the text of a policy.\n\nPrint the policy every token has:\n\n    $ bulkhead policy read default",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: read,
};

pub(super) const WRITE: Command = Command {
    words: "policy write",
    about: "Upload a named policy from a file",
    usage: "[options] NAME PATH",
    help: "Uploads a policy from a file, or from stdin if the path is \"-\". Tokens that have it are\nruled by the new text at once.\n\nUpload ops.hcl as \"ops\":\n\n    $ bulkhead policy write ops ./ops.hcl",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: write,
};

pub(super) const LIST: Command = Command {
    words: "policy list",
    about: "List the installed policies",
    usage: "[options]",
    help: "Lists the names of all policies.\n\nList them:\n\n    $ bulkhead policy list",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: list,
};

pub(super) const DELETE: Command = Command {
    words: "policy delete",
    about: "Delete a policy by name",
    usage: "[options] NAME",
    help: "Deletes a policy; tokens that have it lose what it grants at once. The policies\n\"default\" and \"root\" cannot be deleted.\n\nDelete \"ops\":\n\n    $ bulkhead policy delete ops",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: delete,
};

/// Policy names know no upper case.
fn canonical(name: &str) -> String {
    name.trim().to_lowercase()
}

fn read(session: &Session) -> Result<u8, Fault> {
    let name = canonical(session.one()?);
    let client = session.client()?;
    let secret = client
        .read(&format!("sys/policies/acl/{name}"), &[])
        .map_err(|error| Fault::request(format!("Error reading policy named {name}"), error))?;
    let text = secret.as_ref().and_then(|secret| secret.get("policy")).and_then(Value::as_str).unwrap_or_default();
    if text.is_empty() {
        return Err(Fault::Refused(format!("No policy named: {name}")));
    }
    if session.is_table() {
        session.terminal.out(text.trim());
        return Ok(0);
    }
    session.show_value(&json!({ "policy": text }))
}

fn write(session: &Session) -> Result<u8, Fault> {
    let arguments = session.exactly(2)?;
    let (given, name) = (&arguments[0], canonical(&arguments[0]));
    let client = session.client()?;
    let path = arguments[1].trim();
    let text = if path == "-" {
        std::io::read_to_string(session.terminal.stdin(false))
            .map_err(|error| Fault::Refused(format!("Error reading policy: {error}")))?
    } else {
        std::fs::read_to_string(path)
            .map_err(|error| Fault::Refused(format!("Error opening policy file: open {path}: {}", plain_io(&error))))?
    };
    let body = json!({ "policy": text });
    client
        .send(&Call::new("PUT", &format!("sys/policies/acl/{name}")).body(&body))
        .map_err(|error| Fault::request("Error uploading policy", error))?;
    if *given != name {
        session.terminal.warn(&format!("Policy name was converted from \"{given}\" to \"{name}\""));
    }
    session.terminal.out(&format!("Success! Uploaded policy: {name}"));
    Ok(0)
}

fn list(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    // There always are some: a 404 says that there is no such namespace.
    let query = [("list".to_owned(), "true".to_owned())];
    let secret = client
        .secret(&Call::new("GET", "sys/policies/acl").query(&query))
        .map_err(|error| Fault::request("Error listing policies", error))?;
    let keys = secret.as_ref().and_then(|secret| secret.keys()).cloned().unwrap_or_default();
    if !session.is_table() {
        return session.show_value(&Value::Array(keys));
    }
    for name in keys.iter().filter_map(Value::as_str) {
        session.terminal.out(name);
    }
    Ok(0)
}

fn delete(session: &Session) -> Result<u8, Fault> {
    let name = canonical(session.one()?);
    let client = session.client()?;
    client
        .send(&Call::new("DELETE", &format!("sys/policies/acl/{name}")))
        .map_err(|error| Fault::request(format!("Error deleting {name}"), error))?;
    session.terminal.out(&format!("Success! Deleted policy: {name}"));
    Ok(0)
}

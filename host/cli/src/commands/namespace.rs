//! `namespace`: servers within the server, each with mounts, policies and tokens of its own.

use serde_json::{Map, Value, json};

use super::{Command, Group, Prints};
use crate::client::{Call, Client, ClientError, Secret};
use crate::fault::{EXIT_REMOTE, Fault};
use crate::flags::Flag;
use crate::output::sorted;
use crate::paths::sanitized;
use crate::session::Session;

pub(super) const GROUP: Group = Group {
    words: "namespace",
    about: "Interact with namespaces",
    help: "A namespace has its own mounts, policies, tokens and identities, and namespaces below it.\nA token of one reaches what is below, and nothing above or beside.\n\nMake the namespace team/, and in it app/:\n\n    $ bulkhead namespace create team\n    $ bulkhead namespace create -ns=team app",
};

const CUSTOM: Flag = Flag::pairs("custom-metadata", "Note about the namespace, as key=value; may be given many times.");

pub(super) const LIST: Command = Command {
    words: "namespace list",
    about: "List child namespaces",
    usage: "[options]",
    help: "Lists the namespaces directly below the one that is worked in. Without any, the exit code\nis 2.\n\nList those of the root:\n\n    $ bulkhead namespace list\n\nWith ids and notes:\n\n    $ bulkhead namespace list -detailed",
    prints: Prints::Details,
    is_client: true,
    flags: &[],
    run: |session| {
        session.at_most(0)?;
        show_names(session, "Error listing namespaces", session.client()?.list(PATH, &[]))
    },
};

pub(super) const SCAN: Command = Command {
    words: "namespace scan",
    about: "List all namespaces below, at any depth",
    usage: "[options]",
    help: "Lists every namespace below the one that is worked in, at any depth.\n\nList all there are:\n\n    $ bulkhead namespace scan\n\nThose below team/:\n\n    $ bulkhead namespace scan -ns=team",
    prints: Prints::Details,
    is_client: true,
    flags: &[],
    run: |session| {
        session.at_most(0)?;
        show_names(session, "Error scanning namespaces", session.client()?.scan(PATH, &[]))
    },
};

pub(super) const LOOKUP: Command = Command {
    words: "namespace lookup",
    about: "Show what there is to know about a namespace",
    usage: "[options] NAME",
    help: "Shows id, path and notes of a child namespace, whether it is locked, and whether it is\nbeing deleted.\n\nShow that of team/app/:\n\n    $ bulkhead namespace lookup -ns=team app",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: |session| one(session, "Error looking up namespace", |client, path| client.read(path, &[])),
};

pub(super) const CREATE: Command = Command {
    words: "namespace create",
    about: "Create a child namespace",
    usage: "[options] NAME",
    help: "Makes a namespace below the one that is worked in. One that is there already gets the\nnotes that are given here, in place of those it had.\n\nMake team/app/ with a note:\n\n    $ bulkhead namespace create -ns=team -custom-metadata=owner=ann app",
    prints: Prints::Fields,
    is_client: true,
    flags: &[CUSTOM],
    run: create,
};

pub(super) const PATCH: Command = Command {
    words: "namespace patch",
    about: "Change the notes of a namespace",
    usage: "[options] NAME",
    help: "Changes the given notes of a child namespace and leaves the rest.\n\nChange one and drop another:\n\n    $ bulkhead namespace patch -custom-metadata=owner=bob -remove-custom-metadata=floor team",
    prints: Prints::Fields,
    is_client: true,
    flags: &[CUSTOM, Flag::list("remove-custom-metadata", "Note to drop; may be given many times.")],
    run: patch,
};

pub(super) const DELETE: Command = Command {
    words: "namespace delete",
    about: "Delete a child namespace",
    usage: "[options] NAME",
    help: "Deletes a child namespace with everything in it, for good: tokens and leases are revoked,\nmounts and policies go. A namespace with namespaces below it is refused.\n\nDelete team/app/:\n\n    $ bulkhead namespace delete -ns=team app",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: delete,
};

pub(super) const LOCK: Command = Command {
    words: "namespace lock",
    about: "Have a namespace answer nothing until it is unlocked",
    usage: "[options] [PATH]",
    help: "Locks a namespace and all below it: requests there are refused until it is unlocked. The\nkey that is printed does that, and so does sudo on the path. Without a path the namespace\nthat is worked in is meant; the root cannot be locked.\n\nLock team/app/:\n\n    $ bulkhead namespace lock team/app",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: lock,
};

pub(super) const UNLOCK: Command = Command {
    words: "namespace unlock",
    about: "Have a locked namespace answer again",
    usage: "[options] [PATH]",
    help: "Unlocks a namespace with the key that locking it has printed, or without one where the\ntoken has sudo on the path. Without a path the namespace that is worked in is meant.\n\nUnlock team/app/ with the key in key.txt:\n\n    $ bulkhead namespace unlock -unlock-key=\"$(cat key.txt)\" team/app",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: unlock,
};

const PATH: &str = "sys/namespaces";

/// Shows the names, or with `-detailed` what belongs to them. Scripts get an empty object
/// where there are none, and the exit code says so.
fn show_names(session: &Session, tried: &str, answer: Result<Option<Secret>, ClientError>) -> Result<u8, Fault> {
    let secret = answer.map_err(|error| Fault::request(tried, error))?;
    if let Some(wrapped) = secret.as_ref().filter(|secret| secret.wrap_info.is_some()) {
        return session.show_secret(wrapped);
    }
    let found = secret.as_ref().and_then(|secret| Some((secret, secret.keys()?)));
    let Some((secret, keys)) = found else {
        if session.is_table() {
            return Err(Fault::Refused("No namespaces found".to_owned()));
        }
        session.show_value(&json!({}))?;
        return Ok(EXIT_REMOTE);
    };
    match secret.get("key_info") {
        Some(details) if session.is_detailed && !session.is_table() => session.show_value(&sorted(details)),
        _ => session.show_list(secret, keys),
    }
}

/// Asks for something about the one namespace that is named, and shows it.
fn one(
    session: &Session,
    tried: &str,
    ask: impl FnOnce(&Client, &str) -> Result<Option<Secret>, ClientError>,
) -> Result<u8, Fault> {
    let path = path_of(tried, session.one()?)?;
    let secret = ask(&session.client()?, &path).map_err(|error| Fault::request(tried, error))?;
    let secret = secret.ok_or_else(|| Fault::Refused("Namespace not found".to_owned()))?;
    if secret.wrap_info.is_some() {
        return session.show(&secret);
    }
    let data = secret.data.unwrap_or_default();
    match session.flags.text("field") {
        Some(field) => session.show_map_field(&data, field, "map"),
        None => session.show_value(&sorted(&Value::Object(data))),
    }
}

fn path_of(tried: &str, name: &str) -> Result<String, Fault> {
    match sanitized(name).as_str() {
        "" => Err(Fault::Refused(format!("{tried}: name must not be empty"))),
        name => Ok(format!("{PATH}/{name}")),
    }
}

fn create(session: &Session) -> Result<u8, Fault> {
    let body = json!({ "custom_metadata": session.flags.pairs("custom-metadata") });
    one(session, "Error creating namespace", |client, path| client.secret(&Call::new("POST", path).body(&body)))
}

fn patch(session: &Session) -> Result<u8, Fault> {
    session.one()?;
    let given = session.flags.pairs("custom-metadata").into_iter().map(|(key, value)| (key, json!(value)));
    let mut custom: Map<String, Value> = given.collect();
    custom.extend(session.flags.list("remove-custom-metadata").into_iter().map(|key| (key, Value::Null)));
    if custom.is_empty() {
        let why = "Must supply at least one of -custom-metadata or -remove-custom-metadata";
        return Err(Fault::Usage(why.to_owned()));
    }
    let body = json!({ "custom_metadata": custom });
    one(session, "Error patching namespace", |client, path| client.secret(&Call::new("PATCH", path).body(&body)))
}

fn delete(session: &Session) -> Result<u8, Fault> {
    let tried = "Error deleting namespace";
    let name = session.one()?;
    let path = path_of(tried, name)?;
    let answer = session.client()?.secret(&Call::new("DELETE", &path)).map_err(|error| Fault::request(tried, error))?;
    match answer {
        Some(secret) if secret.wrap_info.is_some() => return session.show_secret(&secret),
        Some(secret) if secret.data.is_some() => {
            session.terminal.out(&format!("Success! Namespace deletion scheduled: {}/", sanitized(name)));
        }
        // Gone is what was wanted: no fault, as with other things that are deleted.
        _ => session.terminal.warn("Requested namespace does not exist"),
    }
    Ok(0)
}

/// Asks to lock or unlock the namespace that is named, or the one that is worked in.
fn on_lock(session: &Session, doing: &str, tried: &str, body: &Value) -> Result<Option<Secret>, Fault> {
    let too_many = |count| Fault::Usage(format!("Too many arguments (expected 0 or 1, got {count})"));
    let path = match session.arguments() {
        [] => format!("{PATH}/api-lock/{doing}"),
        [name] => format!("{PATH}/api-lock/{doing}/{}", sanitized(name)).trim_end_matches('/').to_owned(),
        more => return Err(too_many(more.len())),
    };
    session.client()?.secret(&Call::new("PUT", &path).body(body)).map_err(|error| Fault::request(tried, error))
}

fn lock(session: &Session) -> Result<u8, Fault> {
    let secret = on_lock(session, "lock", "Error locking namespace", &Value::Null)?.unwrap_or_default();
    if secret.wrap_info.is_some() {
        return session.show_secret(&secret);
    }
    let data = secret.data.unwrap_or_default();
    if !session.is_table() {
        return session.show_value(&sorted(&Value::Object(data)));
    }
    let key = data.get("unlock_key").and_then(Value::as_str);
    let key = key.ok_or_else(|| Fault::Refused("The server has told no unlock key".to_owned()))?;
    session.terminal.out(&format!(
        "Unlock Key: {key}\n\nNamespace is now locked. Please securely store the unlock key printed above.\nYou must supply the unlock key to re-enable access to the namespace.\nIf the unlock key is lost, sudo capability is required to unlock the namespace without it."
    ));
    Ok(0)
}

fn unlock(session: &Session) -> Result<u8, Fault> {
    let body = json!({ "unlock_key": session.flags.text("unlock-key").unwrap_or_default() });
    let secret = on_lock(session, "unlock", "Error unlocking namespace", &body)?.unwrap_or_default();
    if secret.wrap_info.is_some() {
        return session.show_secret(&secret);
    }
    if secret.warnings.is_empty() {
        session.terminal.out("Namespace unlocked successfully!");
    }
    for warning in &secret.warnings {
        session.terminal.warn(warning);
    }
    Ok(0)
}

//! `auth`: the mounts of auth methods.

pub(super) mod help;

use serde_json::{Map, Value, json};

use super::mounts::{self, enable_flags, tune_flags};
use super::{Command, Group, Prints, remount};
use crate::client::Call;
use crate::fault::Fault;
use crate::flags::Flag;
use crate::output::table;
use crate::paths::{sanitized, with_slash};
use crate::session::Session;

pub(super) const GROUP: Group = Group {
    words: "auth",
    about: "Interact with auth methods",
    help: "Auth methods turn what people and machines can show into tokens. To log in with one,\nuse \"bulkhead login\".\n\nLet people log in by name and password:\n\n    $ bulkhead auth enable userpass",
};

pub(super) const ENABLE: Command = Command {
    words: "auth enable",
    about: "Enable an auth method",
    usage: "[options] TYPE",
    help: "Mounts an auth method under auth/.\n\nMount approle at auth/ci/:\n\n    $ bulkhead auth enable -path=ci approle",
    prints: Prints::Lines,
    is_client: true,
    flags: enable_flags![Flag::text("token-type", "Kind of the tokens it makes, such as batch.")],
    run: enable,
};

pub(super) const DISABLE: Command = Command {
    words: "auth disable",
    about: "Disable an auth method",
    usage: "[options] PATH",
    help: "Takes an auth method away; tokens it made are revoked.\n\nTake away the method at auth/ci/:\n\n    $ bulkhead auth disable ci/",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: disable,
};

pub(super) const LIST: Command = Command {
    words: "auth list",
    about: "List enabled auth methods",
    usage: "[options]",
    help: "Lists which auth methods are mounted where. A TTL of \"system\" is the server's default.\n\nList with all columns:\n\n    $ bulkhead auth list -detailed",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[Flag::switch("detailed", "Show all columns: TTLs, options, versions and more.")],
    run: list,
};

pub(super) const TUNE: Command = Command {
    words: "auth tune",
    about: "Tune an auth method configuration",
    usage: "[options] PATH",
    help: "Changes settings of a mounted auth method; what is not given stays. A Bulkhead\nserver locks no users out, and refuses what is about that.\n\nLet its tokens live three days by default:\n\n    $ bulkhead auth tune -default-lease-ttl=72h ci/",
    prints: Prints::Lines,
    is_client: true,
    flags: tune_flags![
        Flag::text("token-type", "Kind of the tokens it makes, such as batch."),
        Flag::span("user-lockout-counter-reset-duration", "How long failed logins are remembered."),
        Flag::switch("user-lockout-disable", "Never lock users out."),
        Flag::span("user-lockout-duration", "How long a user stays locked out."),
        Flag::int("user-lockout-threshold", "How many failed logins lock a user out."),
    ],
    run: tune,
};

pub(super) const MOVE: Command = Command {
    words: "auth move",
    about: "Move an auth method to a new path",
    usage: "[options] SOURCE DESTINATION",
    help: "Moves a mounted auth method with its configuration. Tokens that it made are revoked. Both paths\nare below auth/, which can be left out.\n\nMove auth/ci/ to auth/build/:\n\n    $ bulkhead auth move ci/ build/",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run: |session| remount::run(session, &remount::METHOD),
};

fn enable(session: &Session) -> Result<u8, Fault> {
    let (kind, path) = mounts::kind_and_path(session, session.one()?)?;
    let mut config = mounts::enable_config(session);
    if let Some(config) = config.as_object_mut() {
        config.remove("force_no_cache");
    }
    let body = json!({
        "type": kind,
        "description": session.flags.text("description").unwrap_or_default(),
        "config": config,
        "local": session.flags.switch("local"),
        "seal_wrap": session.flags.switch("seal-wrap"),
        "external_entropy_access": session.flags.switch("external-entropy-access"),
        "options": mounts::options(session),
    });
    let client = session.client()?;
    client
        .send(&Call::new("POST", &format!("sys/auth/{path}")).body(&body))
        .map_err(|error| Fault::request(format!("Error enabling {kind} auth"), error))?;
    session.terminal.out(&format!("Success! Enabled {kind} auth method{} at: {path}", mounts::version_suffix(session)));
    Ok(0)
}

fn disable(session: &Session) -> Result<u8, Fault> {
    let path = with_slash(&sanitized(session.one()?));
    let client = session.client()?;
    client
        .send(&Call::new("DELETE", &format!("sys/auth/{path}")))
        .map_err(|error| Fault::request(format!("Error disabling auth method at {path}"), error))?;
    session.terminal.out(&format!("Success! Disabled the auth method (if it existed) at: {path}"));
    Ok(0)
}

fn list(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    let secret = client
        .secret(&Call::new("GET", "sys/auth"))
        .map_err(|error| Fault::request("Error listing enabled authentications", error))?;
    let answer = secret.and_then(|secret| secret.data).unwrap_or_default();
    let all = mounts::by_path(&answer);
    if !session.is_table() {
        let object: Map<String, Value> =
            all.into_iter().map(|(path, mount)| (path.clone(), mounts::entry(mount))).collect();
        return session.show_value(&Value::Object(object));
    }
    let text = if session.is_detailed {
        let rows: Vec<_> = all.into_iter().map(|(path, mount)| mounts::detailed(path, mount, "token_type")).collect();
        table::with_header(&mounts::detailed_header("Token Type"), &rows)
    } else {
        let text = |mount: &Value, key: &str| mount.get(key).map_or_else(String::new, table::plain);
        let row = |(path, mount): (&String, &Value)| {
            vec![
                path.clone(),
                text(mount, "type"),
                text(mount, "accessor"),
                text(mount, "description"),
                text(mount, "plugin_version"),
            ]
        };
        let rows: Vec<_> = all.into_iter().map(row).collect();
        table::with_header(&["Path", "Type", "Accessor", "Description", "Version"], &rows)
    };
    session.terminal.out(&text);
    Ok(0)
}

fn tune(session: &Session) -> Result<u8, Fault> {
    let path = with_slash(&sanitized(session.one()?));
    let mut body = mounts::tune_body(session);
    if let Some(lockout) = lockout(session) {
        body.insert("user_lockout_config".to_owned(), lockout);
    }
    let client = session.client()?;
    client
        .send(&Call::new("POST", &format!("sys/mounts/auth/{path}tune")).body(&Value::Object(body)))
        .map_err(|error| Fault::request(format!("Error tuning auth method {path}"), error))?;
    session.terminal.out(&format!("Success! Tuned the auth method at: {path}"));
    Ok(0)
}

/// What was said about locking users out, if anything.
fn lockout(session: &Session) -> Option<Value> {
    let flags = &session.flags;
    let mut lockout = Map::new();
    if let Some(threshold) = flags.int("user-lockout-threshold") {
        lockout.insert("lockout_threshold".to_owned(), json!(threshold.to_string()));
    }
    for (flag, key) in [
        ("user-lockout-duration", "lockout_duration"),
        ("user-lockout-counter-reset-duration", "lockout_counter_reset_duration"),
    ] {
        if flags.given(flag) {
            lockout.insert(key.to_owned(), json!(session.ttl(flag)));
        }
    }
    if let Some(disable) = flags.tristate("user-lockout-disable") {
        lockout.insert("lockout_disable".to_owned(), json!(disable));
    }
    (!lockout.is_empty()).then_some(Value::Object(lockout))
}

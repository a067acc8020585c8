//! `operator init`: makes the keys of a new server.

use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::commands::{Command, Prints};
use crate::fault::{EXIT_REMOTE, Fault};
use crate::flags::Flag;
use crate::session::Session;
use crate::wrap::wrap_padded;

const SHARES: i64 = 5;
const THRESHOLD: i64 = 3;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "operator init",
    about: "Initialize a server",
    usage: "[options]",
    help: "Makes the root key of a new server and splits it into key shares, of which some must\ncome together to unseal it. They are shown once, together with the first root token.\n\nThree shares, any two of which unseal:\n\n    $ bulkhead operator init -key-shares=3 -key-threshold=2",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[
        Flag::int("key-shares", "How many key shares to make. The default is 5.").alias("n"),
        Flag::int("key-threshold", "How many of them unseal. The default is 3.").alias("t"),
        Flag::list(
            "pgp-keys",
            "Files with PGP keys to encrypt the shares to, separated by commas. A Bulkhead server refuses them for now.",
        ),
        Flag::text(
            "root-token-pgp-key",
            "File with the PGP key to encrypt the root token to. A Bulkhead server refuses it for now.",
        ),
        Flag::switch("status", "Only tell whether the server is initialized: exit code 0 if it is, 2 if not."),
        Flag::list("recovery-pgp-keys", "Like -pgp-keys, for recovery shares (auto unseal only)."),
        Flag::int("recovery-shares", "How many recovery shares to make (auto unseal only). The default is 5."),
        Flag::int("recovery-threshold", "How many of them count (auto unseal only). The default is 3."),
    ],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let client = session.client()?;
    if session.flags.switch("status") {
        return status(session, &client);
    }
    let seal = client.plainly(|client| client.json(&Call::new("GET", "sys/seal-status")))?;
    let request = request(session, seal.get("recovery_seal") == Some(&json!(true)))?;
    let keys = client
        .json(&Call::new("PUT", "sys/init").body(&request))
        .map_err(|error| Fault::request("Error initializing", error))?;
    if session.is_table() {
        show_keys(session, &keys, &request);
        return Ok(0);
    }
    session.show_value(&machine_readable(&keys, &request))
}

fn status(session: &Session, client: &Client) -> Result<u8, Fault> {
    let answer = client
        .json(&Call::new("GET", "sys/init"))
        .map_err(|error| Fault::Check { tried: "Error checking init status".to_owned(), source: Box::new(error) })?;
    let is_initialized = answer.get("initialized") == Some(&json!(true));
    if session.is_table() {
        session.terminal.out(if is_initialized { "Vault is initialized" } else { "Vault is not initialized" });
    } else {
        // The peers' structure has no name for JSON, so its Go name is printed.
        session.show_value(&json!({ "Initialized": is_initialized }))?;
    }
    Ok(if is_initialized { 0 } else { EXIT_REMOTE })
}

fn request(session: &Session, is_recovery: bool) -> Result<Value, Fault> {
    let flags = &session.flags;
    let number = |flag: &str, default: i64| flags.int(flag).unwrap_or(default);
    let (shares, threshold) = if is_recovery { (0, 0) } else { (SHARES, THRESHOLD) };
    let recovery = |flag: &str, default: i64| if is_recovery { number(flag, default) } else { 0 };
    Ok(json!({
        "secret_shares": number("key-shares", shares),
        "secret_threshold": number("key-threshold", threshold),
        "pgp_keys": pgp_keys(&flags.list("pgp-keys"))?,
        "recovery_shares": recovery("recovery-shares", SHARES),
        "recovery_threshold": recovery("recovery-threshold", THRESHOLD),
        "recovery_pgp_keys": pgp_keys(&flags.list("recovery-pgp-keys"))?,
        "root_token_pgp_key": match flags.text("root-token-pgp-key") {
            Some(path) => pgp_key(path)?,
            None => String::new(),
        },
    }))
}

pub(super) fn pgp_keys(lists: &[String]) -> Result<Option<Vec<String>>, Fault> {
    let paths = lists.iter().flat_map(|list| list.split(',')).filter(|path| !path.is_empty());
    let keys: Vec<String> = paths.map(pgp_key).collect::<Result<_, _>>()?;
    Ok((!keys.is_empty()).then_some(keys))
}

/// A key as the server takes it: base64, which a binary file is turned into.
pub(super) fn pgp_key(path: &str) -> Result<String, Fault> {
    use base64::Engine;
    if path.starts_with("keybase:") {
        return Err(Fault::Local(format!(
            "{path} cannot be used: keys are not fetched from the net; save the key to a file and name that"
        )));
    }
    let path = path.strip_prefix('@').unwrap_or(path);
    let bytes = std::fs::read(path).map_err(|error| Fault::Local(format!("PGP key {path} cannot be read: {error}")))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text.trim().to_owned(),
        Err(error) => base64::engine::general_purpose::STANDARD.encode(error.as_bytes()),
    })
}

pub(super) fn texts<'v>(keys: &'v Value, name: &str) -> Vec<&'v str> {
    keys.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn show_keys(session: &Session, keys: &Value, request: &Value) {
    let out = |text: &str| session.terminal.out(text);
    for (title, base64, hex) in
        [("Unseal", "keys_base64", "keys"), ("Recovery", "recovery_keys_base64", "recovery_keys")]
    {
        let shown = if texts(keys, base64).is_empty() { texts(keys, hex) } else { texts(keys, base64) };
        for (position, key) in shown.iter().enumerate() {
            out(&format!("{title} Key {}: {key}", position + 1));
        }
    }
    out("");
    out(&format!("Initial Root Token: {}", keys.get("root_token").and_then(Value::as_str).unwrap_or_default()));
    out("");
    let (shares, threshold) = (&request["secret_shares"], &request["secret_threshold"]);
    if texts(keys, "keys").is_empty() {
        out("Success! Vault is initialized");
    } else {
        let advice = [
            format!(
                "Vault initialized with {shares} key shares and a key threshold of {threshold}. Please securely distribute the key shares \
                 printed above. When the Vault is re-sealed, restarted, or stopped, you must supply at least {threshold} of these keys to \
                 unseal it before it can start servicing requests."
            ),
            format!(
                "Vault does not store the generated root key. Without at least {threshold} keys to reconstruct the root key, Vault will \
                 remain permanently sealed!"
            ),
        ];
        out(&advice.map(|text| wrap_padded(&text, 0)).join("\n\n"));
    }
    if !texts(keys, "recovery_keys").is_empty() {
        let (shares, threshold) = (&request["recovery_shares"], &request["recovery_threshold"]);
        let text = format!(
            "Recovery key initialized with {shares} key shares and a key threshold of {threshold}. Please securely distribute the key shares printed above."
        );
        out(&format!("\n{}", wrap_padded(&text, 0)));
    }
}

fn machine_readable(keys: &Value, request: &Value) -> Value {
    let is_auto = texts(keys, "keys").is_empty();
    let number = |name: &str| if is_auto { json!(1) } else { request[name].clone() };
    // No keys at all are null with the peers, not an empty list.
    let list = |name: &str| Some(texts(keys, name)).filter(|texts| !texts.is_empty());
    json!({
        "unseal_keys_b64": list("keys_base64"),
        "unseal_keys_hex": list("keys"),
        "unseal_shares": number("secret_shares"),
        "unseal_threshold": number("secret_threshold"),
        "recovery_keys_b64": list("recovery_keys_base64"),
        "recovery_keys_hex": list("recovery_keys"),
        "recovery_keys_shares": request["recovery_shares"],
        "recovery_keys_threshold": request["recovery_threshold"],
        "root_token": keys.get("root_token").cloned().unwrap_or_default(),
    })
}

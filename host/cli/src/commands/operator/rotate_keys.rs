//! `operator rotate-keys` and `operator rekey`: holders of key shares have the key made anew and split in another
//! way. They differ by the paths they ask, of which those of `rekey` take no token.

use serde_json::{Value, json};

use super::ceremony::{brought, held, in_form, text};
use super::init::{pgp_keys, texts};
use crate::client::{Call, Client};
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::output::table;
use crate::session::Session;
use crate::wrap::wrap_padded;

const SHARES: i64 = 5;
const THRESHOLD: i64 = 3;

const FLAGS: &[Flag] = &[
    Flag::switch("init", "Begin. Only one can be under way."),
    Flag::switch("cancel", "Give up what is under way, and forget the shares brought so far."),
    Flag::switch("status", "Only tell how far it is."),
    Flag::switch(
        "verify",
        "With -init: the new shares count once enough were brought back. Else: -status, -cancel, or the share is about that.",
    ),
    Flag::int("key-shares", "How many shares to make. The default is 5.").alias("n"),
    Flag::int("key-threshold", "How many of them are needed. The default is 3.").alias("t"),
    Flag::text("nonce", "What -init showed; to be given with a share that is not typed."),
    Flag::text("target", "\"barrier\" for unseal keys, the default, or \"recovery\" for recovery keys."),
    Flag::list(
        "pgp-keys",
        "Files with PGP keys to encrypt the new shares to, separated by commas. A Bulkhead server refuses them for now.",
    ),
    Flag::switch("backup", "Let the server keep the encrypted shares. A Bulkhead server keeps none."),
    Flag::switch("backup-retrieve", "Print shares that the server keeps."),
    Flag::switch("backup-delete", "Delete shares that the server keeps."),
];

pub(in crate::commands) const ROTATE_KEYS: Command = Command {
    words: "operator rotate-keys",
    about: "Make unseal or recovery keys anew, and split them another way",
    usage: "[options] [KEY]",
    help: "Makes the unseal key anew, where enough holders of its shares agree, and splits it in as many\nshares as are wanted. Each runs this command with a share, given as argument, on standard\ninput (`-`), or asked for. The new shares are shown once, to whoever brought the last one;\nthe old ones are worthless then. With -verify they stay good until enough new ones were\nbrought back.\n\nBegin, and bring a share:\n\n    $ bulkhead operator rotate-keys -init -key-shares=3 -key-threshold=2 -verify\n    $ bulkhead operator rotate-keys\n\nBring a new share back:\n\n    $ bulkhead operator rotate-keys -verify",
    prints: Prints::Formatted,
    is_client: true,
    flags: FLAGS,
    run: |session| run(session, &ROTATION),
};

pub(in crate::commands) const REKEY: Command = Command {
    words: "operator rekey",
    about: "The same as operator rotate-keys, over paths that take no token",
    usage: "[options] [KEY]",
    help: "Does what \"bulkhead operator rotate-keys\" does, over paths that take no token. A listener opens\nthem with disable_unauthed_rekey_endpoints = false; without that, use rotate-keys.\n\nBegin, and bring a share:\n\n    $ bulkhead operator rekey -init -key-shares=3 -key-threshold=2\n    $ bulkhead operator rekey",
    prints: Prints::Formatted,
    is_client: true,
    flags: FLAGS,
    run: |session| run(session, &REKEYING),
};

/// By which paths it is asked for, and what it is called.
struct Way {
    /// Where the barrier's key is made anew, and where the recovery key.
    paths: [&'static str; 2],
    backups: [&'static str; 2],
    begins_with: &'static str,
    command: &'static str,
    noun: &'static str,
    short: &'static str,
    cancelled: &'static str,
}

const ROTATION: Way = Way {
    paths: ["sys/rotate/root", "sys/rotate/recovery"],
    backups: ["sys/rotate/root/backup", "sys/rotate/recovery/backup"],
    begins_with: "POST",
    command: "rotate-keys",
    noun: "rotation",
    short: "rotate",
    cancelled: "rotation",
};

const REKEYING: Way = Way {
    paths: ["sys/rekey", "sys/rekey-recovery-key"],
    backups: ["sys/rekey/backup", "sys/rekey/recovery-key-backup"],
    begins_with: "PUT",
    command: "rekey",
    noun: "rekey",
    short: "rekey",
    cancelled: "rekeying",
};

/// What is made anew, and the path that it is asked for by.
struct Asked<'a> {
    way: &'a Way,
    base: &'static str,
    backup: &'static str,
    /// `unseal` or `recovery`.
    of: &'static str,
    verifies: bool,
}

fn run(session: &Session, way: &Way) -> Result<u8, Fault> {
    session.at_most(1)?;
    let flags = &session.flags;
    let (at, of) = match flags.text("target").unwrap_or("barrier").trim().to_lowercase().as_str() {
        "barrier" | "" => (0, "unseal"),
        "recovery" | "hsm" => (1, "recovery"),
        _ => return Err(Fault::Local(format!("Unknown target: {}", flags.text("target").unwrap_or_default()))),
    };
    let asked = Asked { way, base: way.paths[at], backup: way.backups[at], of, verifies: flags.switch("verify") };
    let client = session.client()?;
    if flags.switch("backup-delete") {
        let deleted = client.send(&Call::new("DELETE", asked.backup));
        deleted.map_err(|error| Fault::request(format!("Error deleting {} backed up keys", way.noun), error))?;
        session.terminal.out("Success! Deleted backed up keys (if they existed)");
        return Ok(0);
    }
    if flags.switch("backup-retrieve") {
        return retrieve(session, &client, &asked);
    }
    if flags.switch("cancel") {
        return cancel(session, &client, &asked);
    }
    if flags.switch("init") {
        return begin(session, &client, &asked);
    }
    if flags.switch("status") {
        let tried = format!("Error reading {} status", way.short);
        let told = status(&client, &asked).map_err(|error| Fault::request(tried, error))?;
        return show(session, &told, asked.verifies);
    }
    bring(session, &client, &asked)
}

impl Asked<'_> {
    /// The path of what is under way: the new split, or its verification.
    fn path(&self) -> String {
        format!("{}/{}", self.base, if self.verifies { "verify" } else { "init" })
    }
}

fn status(client: &Client, asked: &Asked<'_>) -> Result<Value, crate::client::ClientError> {
    client.json(&Call::new("GET", &asked.path()))
}

fn cancel(session: &Session, client: &Client, asked: &Asked<'_>) -> Result<u8, Fault> {
    let tried = format!("Error canceling {}", asked.way.noun);
    client.send(&Call::new("DELETE", &asked.path())).map_err(|error| Fault::request(tried, error))?;
    session.terminal.out(&format!("Success! Canceled {} (if it was started)", asked.way.cancelled));
    Ok(0)
}

fn retrieve(session: &Session, client: &Client, asked: &Asked<'_>) -> Result<u8, Fault> {
    let tried = format!("Error retrieving {} backed up keys", asked.way.noun);
    let kept = client.secret(&Call::new("GET", asked.backup)).map_err(|error| Fault::request(tried, error))?;
    session.show_answer(kept, "")
}

fn begin(session: &Session, client: &Client, asked: &Asked<'_>) -> Result<u8, Fault> {
    let flags = &session.flags;
    let keys = pgp_keys(&flags.list("pgp-keys"))?;
    let body = json!({
        "secret_shares": flags.int("key-shares").unwrap_or(SHARES),
        "secret_threshold": flags.int("key-threshold").unwrap_or(THRESHOLD),
        "pgp_keys": keys,
        "backup": flags.switch("backup"),
        "require_verification": asked.verifies,
    });
    let path = format!("{}/init", asked.base);
    let told = client
        .json(&Call::new(asked.way.begins_with, &path).body(&body))
        .map_err(|error| Fault::request(format!("Error initializing {}", asked.way.noun), error))?;
    // The first recovery keys are handed out at once.
    if held(&told)["complete"] == true {
        return show_shares(session, client, asked, &told);
    }
    if session.is_table() && keys.is_none() {
        let text = "WARNING! If you lose the keys after they are returned, there is no recovery. With -verify the keys that you \
                    have stay good until enough of the new ones were brought back.";
        session.terminal.warn(&wrap_padded(text, 0));
        session.terminal.out("");
    }
    show(session, &told, false)
}

/// Brings a share, of the key that is or of the new one.
fn bring(session: &Session, client: &Client, asked: &Asked<'_>) -> Result<u8, Fault> {
    let Way { noun, command, .. } = asked.way;
    let told = status(client, asked).map_err(|error| Fault::request(format!("Error getting {noun} status"), error))?;
    if held(&told)["started"] != true {
        let text = format!(
            "No {noun} is in progress. Start a {noun} process by running \"bulkhead operator {command} -init\"."
        );
        return Err(Fault::Local(wrap_padded(&text, 0)));
    }
    let brought = brought(session, noun, text(held(&told), "nonce"))?;
    let body = json!({ "key": brought.share.expose(), "nonce": brought.nonce });
    let path = format!("{}/{}", asked.base, if asked.verifies { "verify" } else { "update" });
    let told = client
        .json(&Call::new("PUT", &path).body(&body))
        .map_err(|error| Fault::request("Error posting unseal key", error))?;
    if held(&told)["complete"] != true {
        return show(session, &told, asked.verifies);
    }
    if asked.verifies {
        let (title, rest) = noun.split_at(1);
        let text = format!(
            "{}{rest} verification successful. The {noun} is complete and the new keys are now active.",
            title.to_uppercase()
        );
        session.terminal.out(&wrap_padded(&text, 0));
        return Ok(0);
    }
    show_shares(session, client, asked, &told)
}

/// How far it is.
fn show(session: &Session, told: &Value, verifies: bool) -> Result<u8, Fault> {
    let verification =
        [("nonce", json!("")), ("started", json!(false)), ("t", json!(0)), ("n", json!(0)), ("progress", json!(0))];
    let whole = [
        ("required", json!(0)),
        ("pgp_fingerprints", json!(null)),
        ("backup", json!(false)),
        ("verification_required", json!(false)),
        ("verification_nonce", json!("")),
    ];
    let form = if verifies { verification.to_vec() } else { [&verification[..], &whole[..]].concat() };
    let told = in_form(told, &form);
    if !session.is_table() {
        return session.show_value(&told);
    }
    let nonce = |name: &str| Some(text(&told, name)).filter(|nonce| !nonce.is_empty()).map(str::to_owned);
    let or_none = |nonce: Option<String>| nonce.unwrap_or_else(|| "n/a".to_owned());
    let number = |name: &str| told[name].to_string();
    let started = ("Started", number("started"));
    let split = [("New Shares", number("n")), ("New Threshold", number("t"))];
    let mut rows = Vec::new();
    if verifies {
        rows.push(started);
        rows.extend(split);
        rows.push(("Verification Nonce", or_none(nonce("nonce"))));
        rows.push(("Verification Progress", format!("{}/{}", told["progress"], told["t"])));
    } else {
        rows.extend([("Nonce", or_none(nonce("nonce"))), started]);
        if told["started"] == true {
            rows.push(("Progress", format!("{}/{}", told["progress"], told["required"])));
            rows.extend(split);
            rows.push(("Verification Required", number("verification_required")));
            rows.extend(nonce("verification_nonce").map(|nonce| ("Verification Nonce", nonce)));
        }
    }
    show_rows(session, &rows);
    Ok(0)
}

fn show_rows(session: &Session, rows: &[(&str, String)]) {
    let rows: Vec<_> = rows.iter().map(|(title, value)| ((*title).to_owned(), value.clone())).collect();
    if let Some(text) = table::key_value(&rows) {
        session.terminal.out(&text);
    }
}

/// The new shares.
fn show_shares(session: &Session, client: &Client, asked: &Asked<'_>, told: &Value) -> Result<u8, Fault> {
    let needs = held(told)["verification_required"] == true;
    if !session.is_table() {
        let mut form = vec![
            ("nonce", json!("")),
            ("complete", json!(true)),
            ("keys", json!([])),
            ("keys_base64", json!([])),
            ("pgp_fingerprints", json!(null)),
            ("backup", json!(false)),
            ("verification_required", json!(false)),
        ];
        if needs {
            form.push(("verification_nonce", json!("")));
        }
        return session.show_value(&in_form(told, &form));
    }
    let out = |text: &str| session.terminal.out(text);
    let shares = texts(held(told), "keys_base64");
    out("");
    for (at, share) in shares.iter().enumerate() {
        out(&format!("Key {}: {share}", at + 1));
    }
    out(&format!("\nOperation nonce: {}\n", text(held(told), "nonce")));
    let (count, of) = (shares.len(), asked.of);
    if !needs {
        let text = format!(
            "The {of} key was made anew and split into {count} key shares. Please securely distribute the key shares printed above: \
             the old ones are worthless. There is no other copy."
        );
        out(&wrap_padded(&text, 0));
        return Ok(0);
    }
    let text = format!(
        "A new {of} key was made and split into {count} key shares. They will not be active until after verification is complete. \
         Please securely distribute the key shares printed above, and have enough of them brought back with -verify."
    );
    out(&format!("{}\n\n\n", wrap_padded(&text, 0)));
    let text = "Again, these key shares are _not_ valid until verification is performed. Do not lose or discard your current key \
                shares until then. If it is canceled or the node sealed before that, the new shares are discarded and the current \
                ones remain valid. The current verification status, including its nonce, is shown below.";
    session.terminal.warn(&wrap_padded(text, 0));
    let proving = Asked { verifies: true, ..*asked };
    let tried = format!("Error getting {} verification status", asked.way.noun);
    let told = status(client, &proving).map_err(|error| Fault::request(tried, error))?;
    show(session, &told, true)
}

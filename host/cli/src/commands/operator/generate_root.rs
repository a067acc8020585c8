//! `operator generate-root`: holders of key shares make a root token together.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::base62;
use bulkhead_server::SystemEntropy;
use serde_json::{Value, json};

use super::ceremony::{brought, held, in_form, read, text};
use super::init::pgp_key;
use crate::client::{Call, Client};
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::output::table;
use crate::session::Session;
use crate::wrap::wrap_padded;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "operator generate-root",
    about: "Generate a new root token with key shares",
    usage: "[options] [KEY]",
    help: "Makes a root token, where enough holders of key shares agree. Each runs this command with a\nshare, given as argument, on standard input (`-`), or asked for. The token comes out covered\nby a one-time password, which -init shows to whoever began; -decode takes it off.\n\nBegin, bring a share, and take the cover off:\n\n    $ bulkhead operator generate-root -init\n    $ bulkhead operator generate-root\n    $ bulkhead operator generate-root -decode=... -otp=...",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[
        Flag::switch("init", "Begin. Only one can be under way."),
        Flag::switch("cancel", "Give up what is under way, and forget the shares brought so far."),
        Flag::switch("status", "Only tell how far it is."),
        Flag::text("decode", "Take the cover off this token, or off the one on standard input (\"-\")."),
        Flag::switch("generate-otp", "Make up a one-time password for -init, and print it."),
        Flag::text("otp", "One-time password, for -init and -decode. Without it -init makes one up."),
        Flag::text("nonce", "What -init showed; to be given with a share that is not typed."),
        Flag::text("pgp-key", "File with the PGP key to encrypt the token to. A Bulkhead server refuses it for now."),
        Flag::switch("recovery-token", "Of a server in recovery mode, which a Bulkhead server has not."),
    ],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(1)?;
    let flags = &session.flags;
    let base = if flags.switch("recovery-token") { "sys/generate-recovery-token" } else { "sys/generate-root-token" };
    let client = session.client()?;
    let attempt = &format!("{base}/attempt");
    if flags.switch("generate-otp") {
        return generate_otp(session, &status(&client, attempt)?);
    }
    if let Some(covered) = flags.text("decode").filter(|covered| !covered.is_empty()) {
        return decode(session, &client, (attempt, covered));
    }
    if flags.switch("cancel") {
        let cancelled = client.send(&Call::new("DELETE", attempt));
        cancelled.map_err(|error| Fault::request("Error canceling root token generation", error))?;
        session.terminal.out("Success! Root token generation canceled (if it was started)");
        return Ok(0);
    }
    if flags.switch("init") {
        return begin(session, &client, attempt);
    }
    let told = status(&client, attempt)?;
    if flags.switch("status") {
        return show(session, &told);
    }
    if held(&told)["started"] != true {
        return Err(not_begun(&told));
    }
    let brought = brought(session, "Operation", text(held(&told), "nonce"))?;
    let body = json!({ "key": brought.share.expose(), "nonce": brought.nonce });
    let told = client
        .json(&Call::new("PUT", &format!("{base}/update")).body(&body))
        .map_err(|error| Fault::request("Error posting unseal key", error))?;
    show(session, &told)
}

fn status(client: &Client, attempt: &str) -> Result<Value, Fault> {
    client
        .json(&Call::new("GET", attempt))
        .map_err(|error| Fault::request("Error getting root generation status", error))
}

fn not_begun(told: &Value) -> Fault {
    let begin = "No root generation is in progress. Start a root generation by running \"bulkhead operator generate-root -init\".";
    let length = &held(told)["otp_length"];
    let otp = format!("A one-time password of your own is to be of {length} characters.");
    Fault::Local(format!("{}\n{}", wrap_padded(begin, 0), wrap_padded(&otp, 0)))
}

fn begin(session: &Session, client: &Client, attempt: &str) -> Result<u8, Fault> {
    let flags = &session.flags;
    let pgp = match flags.text("pgp-key").filter(|path| !path.is_empty()) {
        Some(path) => pgp_key(path)?,
        None => String::new(),
    };
    let body = json!({ "otp": flags.text("otp").unwrap_or_default(), "pgp_key": pgp });
    let told = client
        .json(&Call::new("PUT", attempt).body(&body))
        .map_err(|error| Fault::request("Error initializing root generation", error))?;
    if session.is_table() && !text(held(&told), "otp").is_empty() {
        let advice = "A One-Time-Password has been generated for you and is shown in the OTP field. You will need this value to \
                      decode the resulting root token, so keep it safe.";
        session.terminal.warn(&wrap_padded(advice, 0));
    }
    show(session, &told)
}

fn generate_otp(session: &Session, told: &Value) -> Result<u8, Fault> {
    let length = held(told)["otp_length"].as_u64().and_then(|length| usize::try_from(length).ok());
    // What is longer than a token is no length of one.
    let length = length.filter(|length| (1..=256).contains(length)).ok_or_else(|| {
        Fault::Refused("Error getting root generation status: the server names no length of a password".to_owned())
    })?;
    let otp = Hidden::new(base62(&SystemEntropy::new(), length));
    if session.is_table() {
        session.terminal.out_bare(otp.expose());
        return Ok(0);
    }
    session.show_value(&json!({ "otp": otp.expose(), "otp_length": length }))
}

fn decode(session: &Session, client: &Client, (attempt, covered): (&str, &str)) -> Result<u8, Fault> {
    let Some(otp) = session.flags.text("otp").filter(|otp| !otp.is_empty()) else {
        return Err(Fault::Local("Missing otp: use -otp to supply it".to_owned()));
    };
    let covered = if covered == "-" { read(session)? } else { Hidden::new(covered.to_owned()) };
    // As there: it is asked for although nothing of it is needed.
    status(client, attempt)?;
    let token = bare(covered.expose(), otp).map_err(|why| Fault::Local(format!("Error decoding root token: {why}")))?;
    if session.is_table() {
        session.terminal.out_bare(token.expose());
        return Ok(0);
    }
    session.show_value(&json!({ "token": token.expose() }))
}

/// A token without the one-time password that covers it.
fn bare(covered: &str, otp: &str) -> Result<Hidden<String>, String> {
    let bytes = STANDARD_NO_PAD.decode(covered.trim_end_matches('='));
    let bytes = Hidden::new(bytes.map_err(|error| format!("error decoding base64'd token: {error}"))?);
    if bytes.expose().len() != otp.len() {
        return Err(format!(
            "error xoring token: length of byte slices is not equivalent: {} != {}",
            bytes.expose().len(),
            otp.len()
        ));
    }
    let token: Vec<u8> = bytes.expose().iter().zip(otp.bytes()).map(|(covered, otp)| covered ^ otp).collect();
    String::from_utf8(token).map(Hidden::new).map_err(|_| "the password is not the one it was covered with".to_owned())
}

fn show(session: &Session, told: &Value) -> Result<u8, Fault> {
    let form = [
        ("nonce", json!("")),
        ("started", json!(false)),
        ("progress", json!(0)),
        ("required", json!(0)),
        ("complete", json!(false)),
        ("encoded_token", json!("")),
        ("encoded_root_token", json!("")),
        ("pgp_fingerprint", json!("")),
        ("otp", json!("")),
        ("otp_length", json!(0)),
    ];
    let told = in_form(told, &form);
    if !session.is_table() {
        return session.show_value(&told);
    }
    let nonce = Some(text(&told, "nonce")).filter(|nonce| !nonce.is_empty()).unwrap_or("n/a");
    let mut rows = vec![
        ("Nonce", nonce.to_owned()),
        ("Started", told["started"].to_string()),
        ("Progress", format!("{}/{}", told["progress"], told["required"])),
        ("Complete", told["complete"].to_string()),
    ];
    let named = [("PGP Fingerprint", "pgp_fingerprint"), ("Encoded Token", "encoded_token"), ("OTP", "otp")];
    let texts = named.iter().map(|(title, name)| (*title, text(&told, name).to_owned()));
    rows.extend(texts.filter(|(_, text)| !text.is_empty()));
    if told["otp_length"] != 0 {
        rows.push(("OTP Length", told["otp_length"].to_string()));
    }
    let rows: Vec<_> = rows.into_iter().map(|(title, value)| vec![title.to_owned(), value]).collect();
    session.terminal.out(&table::columns(&rows));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn a_cover_comes_off_with_the_password_it_was_put_on_with_alone() {
        let (covered, otp) = ("Qhx3WH5iZ05sXVp6QmBwTEBfa0F1U2dZUGI", "12345678901234567890123456");
        assert_eq!(bare(covered, otp).expect("its own").expose(), "s.DlKTPvUmkHqTEzwgRqDaTmeT");
        let refused = |covered: &str, otp: &str| bare(covered, otp).err().expect("is refused");
        assert_eq!(refused(covered, "1234"), "error xoring token: length of byte slices is not equivalent: 26 != 4");
        assert!(refused("!", otp).starts_with("error decoding base64'd token: "));
    }
}

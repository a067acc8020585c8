//! `login`: gets a token from an auth method, or takes one, and keeps it.

mod second_factor;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Command, Prints};
use crate::client::{Auth, Call, Client, Secret};
use crate::fault::{EXIT_REMOTE, Fault};
use crate::flags::Flag;
use crate::session::Session;
use crate::token_file::TokenFile;
use crate::token_helper::Helper;
use crate::wrap::wrap_padded;
use crate::{pairs, paths};

pub(super) const COMMAND: Command = Command {
    words: "login",
    about: "Authenticate locally",
    usage: "[options] [TOKEN | K=V...]",
    help: "Gets a token and keeps it for later commands in ~/.vault-token. Without arguments it\nasks for a token; \"-\" reads the data from stdin as JSON.\n\nIf ~/.bao, or else ~/.vault, says token_helper = \"/path/of/a/program\", that keeps it instead: it\nis run with \"store\" and the token on stdin, later with \"get\". BAO_CONFIG_PATH and\nVAULT_CONFIG_PATH name another file than these two.\n\nWith -method, the K=V pairs go to that auth method's login path: username=NAME becomes\npart of the path, and a password that is not given is asked for.\n\nTake a token:\n\n    $ bulkhead login\n\nLog in by user name and password:\n\n    $ bulkhead login -method=userpass username=alice",
    prints: Prints::Fields,
    is_client: true,
    flags: &[
        Flag::text("method", "Type of the auth method, such as userpass or approle. The default is token."),
        Flag::switch("no-print", "Keep the token, but do not show it."),
        Flag::switch("no-store", "Show the token, but do not keep it."),
        Flag::text("path", "Where the auth method is mounted; by default at its type."),
        Flag::switch("token-only", "Print the bare token and do not keep it: short for -field=token -no-store."),
    ],
    run,
};

const BEHIND_NAME: [&str; 5] = ["userpass", "ldap", "okta", "radius", "kerberos"];

fn run(session: &Session) -> Result<u8, Fault> {
    let token_only = session.flags.switch("token-only");
    let no_store = session.flags.switch("no-store") || token_only;
    if no_store && session.flags.switch("no-print") {
        return Err(Fault::Usage("-no-store and -no-print cannot be used together".to_owned()));
    }
    if !no_store {
        // Before there is a token that nobody would keep.
        helper(session)?;
    }
    let method = session.flags.text("method").map_or_else(|| "token".to_owned(), paths::sanitized);
    let config = config(session, &method)?;
    let client = session.client_without_token()?;
    let failed = |error| Fault::request("Error authenticating", error);
    let (secret, client) = if method == "token" {
        // What a token is comes as it is: only logins are wrapped.
        let client = client.never_wrapping();
        (Some(take_token(session, &client, config)?), client)
    } else {
        (ask_method(session, &client, &method, config)?, client.never_wrapping())
    };
    if client.is_dry() {
        // Nothing was asked that could be printed, and nothing is kept.
        return Ok(0);
    }
    let secret = match secret {
        Some(secret) if secret.auth.is_none() && secret.wrap_info.is_some() && !no_store => {
            let token = secret.wrap_info.as_ref().map(|wrap| wrap.token.clone()).unwrap_or_default();
            client.set_token(&token);
            client.unwrap("").map_err(failed)?
        }
        other => other,
    };
    let secret = secret.ok_or_else(|| Fault::Refused("Vault returned an empty secret".to_owned()))?;
    let secret = second_factor::asked_for(session, &client, secret)?;
    finish(session, &secret, Kept { no_store, token_only })
}

/// How one logs in by a method of this type, where it is mounted elsewhere than at its type.
pub(super) fn at_path(text: &str, kind: &str, path: &str) -> String {
    let path = path.trim_end_matches('/');
    let given = format!("-method={kind}");
    if path == kind { text.to_owned() } else { text.replace(&given, &format!("{given} -path={path}")) }
}

/// What becomes of the token.
struct Kept {
    no_store: bool,
    token_only: bool,
}

fn config(session: &Session, method: &str) -> Result<BTreeMap<String, String>, Fault> {
    let mut words = session.arguments().to_vec();
    if let Some(first) = words.first_mut().filter(|first| method == "token" && !first.contains('=')) {
        *first = format!("token={first}");
    }
    let mut stdin = session.terminal.stdin(session.flags.switch("non-interactive"));
    pairs::parse_texts(&words, &mut stdin)
        .map_err(|error| Fault::Local(format!("Error parsing configuration: {error}")))
}

/// The token method: the server tells what the given token is.
fn take_token(session: &Session, client: &Client, config: BTreeMap<String, String>) -> Result<Secret, Fault> {
    let refused = |why: &str| Fault::Refused(format!("Error authenticating: {why}"));
    let token = match config.get("token") {
        Some(token) => token.trim().to_owned(),
        None => ask(session, "Token (will be hidden): ", "'token' not supplied and refusing to pull from stdin")?,
    };
    if token.is_empty() {
        return Err(refused("a token must be passed to auth, please view the help for more information"));
    }
    if config.get("lookup").is_some_and(|text| matches!(text.as_str(), "0" | "f" | "false" | "False" | "FALSE")) {
        return Ok(Secret::of_auth(Auth { client_token: token, ..Auth::default() }));
    }
    client.set_token(&token);
    let looked_up = client
        .secret(&Call::new("GET", "auth/token/lookup-self"))
        .map_err(|error| Fault::request("Error authenticating: error looking up token", error))?;
    let looked_up = looked_up.ok_or_else(|| refused("empty response from lookup-self"))?;
    Ok(Secret::of_auth(auth_of(&looked_up, token)))
}

/// What a lookup says, in the form a login would have said it.
fn auth_of(looked_up: &Secret, token: String) -> Auth {
    let text = |key: &str| looked_up.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| {
        looked_up
            .get(key)
            .and_then(Value::as_array)
            .map(|items| items.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<String>>())
    };
    let token_policies = list("policies");
    let identity_policies = list("identity_policies");
    let mut policies: Vec<String> = token_policies.iter().chain(&identity_policies).flatten().cloned().collect();
    policies.sort();
    policies.dedup();
    Auth {
        client_token: token,
        accessor: text("accessor"),
        policies: Some(policies),
        token_policies,
        identity_policies,
        metadata: looked_up.get("meta").and_then(Value::as_object).cloned(),
        lease_duration: looked_up.get("ttl").and_then(Value::as_i64).unwrap_or_default(),
        renewable: looked_up.get("renewable").and_then(Value::as_bool).unwrap_or_default(),
        ..Auth::default()
    }
}

/// Any other method: its login path takes what the user gave.
fn ask_method(
    session: &Session,
    client: &Client,
    method: &str,
    mut config: BTreeMap<String, String>,
) -> Result<Option<Secret>, Fault> {
    let mount = config
        .remove("mount")
        .or_else(|| session.flags.text("path").map(str::to_owned))
        .unwrap_or_else(|| method.to_owned());
    let mut path = format!("auth/{}/login", paths::sanitized(&mount));
    if BEHIND_NAME.contains(&method) {
        let name = config
            .remove("username")
            .ok_or_else(|| Fault::Refused("Error authenticating: 'username' must be specified".to_owned()))?;
        path = format!("{path}/{name}");
        if !config.contains_key("password") {
            let password = ask(
                session,
                "Password (will be hidden): ",
                "'password' must be specified and refusing to pull from stdin",
            )?;
            config.insert("password".to_owned(), password);
        }
    }
    let body = Value::Object(config.into_iter().map(|(key, value)| (key, json!(value))).collect::<Map<_, _>>());
    client.secret(&Call::new("PUT", &path).body(&body)).map_err(|error| Fault::request("Error authenticating", error))
}

fn ask(session: &Session, question: &str, refusal: &str) -> Result<String, Fault> {
    if session.flags.switch("non-interactive") {
        return Err(Fault::Refused(format!("Error authenticating: {refusal}")));
    }
    let answer = session.terminal.ask_secret(question).map_err(|error| {
        Fault::Refused(wrap_padded(
            &format!(
                "Error authenticating: An error occurred attempting to ask for a secret. Usually this is because it was piped into the \
                 command or there is no terminal (tty). To pipe it, pass it as JSON and \"-\" as the argument. The raw error was: {error}"
            ),
            0,
        ))
    })?;
    Ok(answer.expose().clone())
}

fn finish(session: &Session, secret: &Secret, kept: Kept) -> Result<u8, Fault> {
    let Some(auth) = &secret.auth else {
        if secret.wrap_info.is_some() {
            return if kept.token_only {
                session.show_secret_field(secret, "wrapping_token")
            } else {
                session.show_secret(secret)
            };
        }
        return Err(Fault::Refused(wrap_padded(
            "Vault returned a secret, but the secret has no authentication information attached. This should never happen and is likely a bug.",
            0,
        )));
    };
    if auth.mfa_requirement.is_some() {
        let text = "A login request was issued that is subject to MFA validation. Please make sure to validate the login by sending another request to sys/mfa/validate endpoint.";
        session.terminal.warn(&format!("{}\n", wrap_padded(text, 0)));
        return session.show_secret(secret);
    }
    if !kept.no_store {
        if let Some(code) = store(session, secret, &auth.client_token)? {
            return Ok(code);
        }
    } else if !kept.token_only {
        let text = "The token was not stored. Set the BULKHEAD_TOKEN environment variable to the token below, or pass it with each request.";
        session.terminal.warn(&format!("{}\n", wrap_padded(text, 0)));
    }
    if session.flags.switch("no-print") {
        return Ok(0);
    }
    if kept.token_only {
        return session.show_secret_field(secret, "token");
    }
    if session.flags.text("field").is_none() {
        let text = "Success! You are now authenticated. The token information displayed below is already stored in the token helper. \
                    You do NOT need to run \"bulkhead login\" again. Future Bulkhead requests will automatically use this token.";
        session.tell(&format!("{}\n", wrap_padded(text, 0)));
    }
    session.show(secret)
}

fn helper(session: &Session) -> Result<Option<Helper>, Fault> {
    Helper::of(&session.env).map_err(|error| {
        let text = "Error initializing token helper. Please verify that the token helper is available and properly configured for your system. The error was:";
        Fault::Local(format!("{}\n{error}", wrap_padded(text, 0)))
    })
}

/// Keeps the token; the exit code if that failed after a successful login.
fn store(session: &Session, secret: &Secret, token: &str) -> Result<Option<u8>, Fault> {
    let stored = match helper(session)? {
        Some(helper) => helper.store(token),
        None => TokenFile::of(&session.env).and_then(|file| file.store(token)),
    };
    if let Err(error) = stored {
        session.terminal.error(&format!("Error storing token: {error}"));
        let text = "Authentication was successful, but the token was not persisted. The resulting token is shown below for your records.";
        session.terminal.error(&format!("{}\n", wrap_padded(text, 0)));
        session.show_secret(secret)?;
        return Ok(Some(EXIT_REMOTE));
    }
    if session.env.setting("TOKEN").is_some() {
        let text = "WARNING! A token is set in the environment (BULKHEAD_TOKEN, BAO_TOKEN or VAULT_TOKEN). It takes precedence over the stored one; unset it if that is not wanted.";
        session.terminal.warn(&format!("{}\n", wrap_padded(text, 0)));
    }
    Ok(None)
}

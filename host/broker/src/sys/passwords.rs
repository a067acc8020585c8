//! `sys/policies/password`: how generated passwords are made up, and one to try.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::password::PasswordPolicy;
use bulkhead_model::reply::{Reply, hidden_json, wipe};
use bulkhead_model::request::Verb;
use serde_json::json;

use super::table::{Handler, HostRoute};
use crate::book::passwords;
use crate::fault::{Fault, wrapped};
use crate::visit::{Ask, Visit, data, enveloped, listed};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("policies/password", &[Verb::List], Handler::Now(list), "List the password policies."),
    HostRoute::new("policies/password/{name...}", &[Verb::Read], Handler::Now(read), "Read a password policy."),
    HostRoute::new("policies/password/{name...}", &[Verb::Write], Handler::Now(write), "Write a password policy.")
        .fields(&["name", "policy", "entropy_source"]),
    HostRoute::new("policies/password/{name...}", &[Verb::Delete], Handler::Now(delete), "Delete a password policy."),
    HostRoute::new(
        "policies/password/{name...}/generate",
        &[Verb::Read],
        Handler::Now(generate),
        "Generate a password.",
    ),
];

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(passwords::names(&mut visit.tx)?)
}

fn unknown() -> Fault {
    Failure::new(FailureKind::NotFound, wrapped("policy does not exist")).into()
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let text = passwords::text(&mut visit.tx, ask.capture("name"))?.ok_or_else(unknown)?;
    Ok(data(&json!({ "policy": text })))
}

/// The name of a policy to be changed: what ends in `generate` is the generator's.
fn name<'a>(ask: &'a Ask<'_>) -> Result<&'a str, Fault> {
    let name = ask.capture("name");
    if name.ends_with("/generate") {
        return Err(Failure::new(FailureKind::Unsupported, wrapped("unsupported operation")).into());
    }
    Ok(name)
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (name, sent) = (name(ask)?, ask.fields.text_or_empty("policy")?);
    if sent.is_empty() {
        return Err(Fault::invalid_wrapped("missing policy"));
    }
    // Vault takes base64 here too, and tells the two apart by trying.
    let text = STANDARD.decode(&sent).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(sent);
    PasswordPolicy::parse(&text).map_err(|error| Fault::invalid_wrapped(&error.to_string()))?;
    passwords::save(&mut visit.tx, name, &text)?;
    Ok(Reply::Empty)
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    passwords::remove(&mut visit.tx, name(ask)?)?;
    Ok(Reply::Empty)
}

fn generate(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let policy = passwords::policy(&mut visit.tx, ask.capture("name"))?.ok_or_else(unknown)?;
    let password = policy.generate(&*visit.open.parts.entropy);
    let mut shown = json!({ "password": password.expose() });
    let json = hidden_json(&shown);
    wipe(&mut shown);
    Ok(enveloped(bulkhead_model::reply::Envelope { data: Some(json), ..Default::default() }))
}

//! `sys/generate-root/*`, `sys/rekey/*` and `sys/rekey-recovery-key/*`: what holders of key shares do together,
//! for callers without a token. Shut, unless the listener that a request comes by says otherwise: anybody
//! who reaches it may then occupy the one slot of each (CVE-2025-52894). A root token is made by the same ceremony as
//! behind the paths for callers with a token; new splits are ceremonies of their own, as there. What else differs is
//! the form of the answers, and some words.

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::{Reply, hidden_json, wipe};
use bulkhead_model::request::{OpenCeremonies, Request, Verb};
use serde_json::{Value, json};

use super::table::{Answer, Handler, HostRoute};
use super::{generate_root, resplit};
use crate::fault::Fault;
use crate::visit::{Ask, Visit};

const R: &[Verb] = &[Verb::Read];
const W: &[Verb] = &[Verb::Write];
const D: &[Verb] = &[Verb::Delete];

pub(super) const ROUTES: &[HostRoute] = &[
    for_all("generate-root/attempt", R, Handler::Now(root_status), INSTEAD_OF_ROOT),
    for_all("generate-root/attempt", W, Handler::Now(root_start), "Begin to make a root token.")
        .fields(&["otp", "pgp_key"]),
    for_all("generate-root/attempt", D, Handler::Now(root_cancel), "Give an attempt up."),
    for_all("generate-root/update", W, Handler::Now(root_update), INSTEAD_OF_ROOT).fields(resplit::SHARE),
    for_all("rekey/init", R, Handler::Now(split_status), INSTEAD_OF_REKEY),
    for_all("rekey/init", W, Handler::Later(split_start), "Begin to split the unseal key anew.").fields(resplit::ASKED),
    for_all("rekey/init", D, Handler::Now(resplit::root_cancel), "Give a new split up."),
    for_all("rekey/update", W, Handler::Later(split_update), INSTEAD_OF_REKEY).fields(resplit::SHARE),
    for_all("rekey/verify", R, Handler::Now(split_verified), INSTEAD_OF_REKEY),
    for_all("rekey/verify", W, Handler::Later(split_verify), "Bring a new key share back.").fields(resplit::SHARE),
    for_all("rekey/verify", D, Handler::Now(split_verify_anew), "Begin a verification anew."),
    for_all("rekey-recovery-key/init", R, Handler::Now(recovery_status), INSTEAD_OF_REKEY),
    for_all("rekey-recovery-key/init", W, Handler::Later(recovery_start), "Begin to split the recovery key anew.")
        .fields(resplit::ASKED),
    for_all("rekey-recovery-key/init", D, Handler::Now(resplit::recovery_cancel), "Give a new split up."),
    for_all("rekey-recovery-key/update", W, Handler::Later(recovery_update), INSTEAD_OF_REKEY).fields(resplit::SHARE),
    for_all("rekey-recovery-key/verify", R, Handler::Now(recovery_verified), INSTEAD_OF_REKEY),
    for_all("rekey-recovery-key/verify", W, Handler::Later(recovery_verify), "Bring a new key share back.")
        .fields(resplit::SHARE),
    for_all("rekey-recovery-key/verify", D, Handler::Now(recovery_verify_anew), "Begin a verification anew."),
];

pub(super) const INSTEAD_OF_ROOT: &str = "Refused to all, unless the listener has \
    disable_unauthed_generate_root_endpoints = false: generate-root-token does the same for callers with a token.";
const INSTEAD_OF_REKEY: &str = "Refused to all, unless the listener has \
    disable_unauthed_rekey_endpoints = false: rotate/root does the same for callers with a token.";

const fn for_all(pattern: &'static str, verbs: &'static [Verb], handler: Handler, summary: &'static str) -> HostRoute {
    HostRoute::new(pattern, verbs, handler, summary).unauthenticated()
}

/// Whether a request is for one of these.
pub(super) fn is_asked(request: &Request) -> bool {
    request.path.as_str().strip_prefix("sys/").is_some_and(is_one)
}

/// Whether a path below `sys/` is one of these.
pub(crate) fn is_one(rest: &str) -> bool {
    ROUTES.iter().any(|route| route.pattern == rest)
}

/// Whether a path below `sys/` is one of these, and shut for who comes this way.
pub(crate) fn is_shut(rest: &str, open: OpenCeremonies) -> bool {
    let is_open = if rest.starts_with("generate-root/") { open.generate_root } else { open.rekey };
    !is_open && is_one(rest)
}

fn root_status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    told_of_root(generate_root::status(visit, ask), "")
}

fn root_start(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    somebody_can_prove(visit)?;
    told_of_root(generate_root::start(visit, ask), "")
}

fn root_cancel(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    generate_root::cancel(visit, ask)
}

fn root_update(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    has_key(ask)?;
    told_of_root(generate_root::update(visit, ask), "otp_length")
}

/// What is told to who brings a share has a length of 0, as there.
fn told_of_root(told: Result<Reply, Fault>, kept: &str) -> Result<Reply, Fault> {
    let form = json!({
        "nonce": "", "started": false, "progress": 0, "required": 0, "complete": false, "encoded_token": "",
        "encoded_root_token": "", "pgp_fingerprint": "", "otp": "", "otp_length": 0,
    });
    told.map(|reply| in_form(reply, form, kept)).map_err(reworded)
}

fn split_status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    told_of_split(resplit::root_status(visit, ask))
}

fn recovery_status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    told_of_split(resplit::recovery_status(visit, ask))
}

fn split_start<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        somebody_can_prove(visit)?;
        told_of_split(resplit::root_start(visit, ask))
    })
}

fn recovery_start<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        // Where there are none yet, the first are for whoever has a token that may ask for them.
        somebody_can_prove(visit)?;
        told_of_split(resplit::recovery_start(visit, ask).await)
    })
}

fn split_update<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        has_key(ask)?;
        told_of_shares(resplit::root_update(visit, ask).await, "barrier")
    })
}

fn recovery_update<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        has_key(ask)?;
        told_of_shares(resplit::recovery_update(visit, ask).await, "recovery")
    })
}

/// The progress, or new shares.
fn told_of_shares(told: Result<Reply, Fault>, of: &str) -> Result<Reply, Fault> {
    match told {
        Err(Fault::Answer(failure)) if failure.errors == ["no rotation in progress"] => {
            Err(Fault::invalid(format!("no {of} rekey in progress")))
        }
        told => told_of_split(told),
    }
}

fn told_of_split(told: Result<Reply, Fault>) -> Result<Reply, Fault> {
    let progress = json!({
        "nonce": "", "started": false, "t": 0, "n": 0, "progress": 0, "required": 0, "pgp_fingerprints": null,
        "backup": false, "verification_required": false,
    });
    let complete = json!({
        "nonce": "", "complete": true, "keys": [], "keys_base64": [], "pgp_fingerprints": null, "backup": false,
        "verification_required": false,
    });
    told.map(|reply| if is_complete(&reply) { in_form(reply, complete, "") } else { in_form(reply, progress, "") })
        .map_err(reworded)
}

fn split_verified(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    told_of_verification(resplit::verify::root_status(visit, ask))
}

fn recovery_verified(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    told_of_verification(resplit::verify::recovery_status(visit, ask))
}

fn split_verify_anew(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    told_of_verification(resplit::verify::root_anew(visit, ask))
}

fn recovery_verify_anew(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    told_of_verification(resplit::verify::recovery_anew(visit, ask))
}

fn split_verify<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        has_key(ask)?;
        told_of_verification(resplit::verify::root_bring(visit, ask).await)
    })
}

fn recovery_verify<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        has_key(ask)?;
        told_of_verification(resplit::verify::recovery_bring(visit, ask).await)
    })
}

fn told_of_verification(told: Result<Reply, Fault>) -> Result<Reply, Fault> {
    let progress = json!({ "nonce": "", "started": false, "t": 0, "n": 0, "progress": 0 });
    let complete = json!({ "nonce": "", "complete": true });
    told.map(|reply| if is_complete(&reply) { in_form(reply, complete, "") } else { in_form(reply, progress, "") })
        .map_err(reworded)
}

/// Whoever has no token proves what he may by shares.
fn somebody_can_prove(visit: &Visit) -> Result<(), Fault> {
    match visit.open.seal_config()?.shares() {
        0 => Err(Fault::invalid("there are no recovery keys: nobody could prove that this is wanted")),
        _ => Ok(()),
    }
}

fn has_key(ask: &Ask<'_>) -> Result<(), Fault> {
    if ask.fields.text_or_empty("key")?.is_empty() {
        return Err(Fault::invalid("'key' must be specified in request body as JSON"));
    }
    Ok(())
}

/// What a reply holds; wiped by whoever is done with it.
fn held(reply: &Reply) -> Value {
    let Reply::Envelope(envelope) = reply else { return Value::Null };
    let data = envelope.data.as_ref().and_then(|data| serde_json::from_slice(data.expose()).ok());
    data.unwrap_or_default()
}

fn is_complete(reply: &Reply) -> bool {
    let mut data = held(reply);
    let is_complete = data["complete"] == true;
    wipe(&mut data);
    is_complete
}

/// The same without an envelope: every member of the form, of which one keeps its value, and
/// the nonce of a verification where there is one.
fn in_form(reply: Reply, mut form: Value, kept: &str) -> Reply {
    let mut data = held(&reply);
    let taken = |data: &mut Value, name: &str| data.get_mut(name).map(Value::take).filter(|value| !value.is_null());
    let members = form.as_object_mut().expect("a form is an object");
    for (name, value) in members.iter_mut().filter(|(name, _)| *name != kept) {
        *value = taken(&mut data, name).unwrap_or_else(|| value.take());
    }
    // One member has two names.
    if members.contains_key("encoded_root_token") {
        let covered = members["encoded_token"].clone();
        members.insert("encoded_root_token".to_owned(), covered);
    }
    let nonce = taken(&mut data, "verification_nonce").filter(|nonce| nonce != "");
    if let Some(nonce) = nonce.filter(|_| members.contains_key("verification_required")) {
        members.insert("verification_nonce".to_owned(), nonce);
    }
    wipe(&mut data);
    let json = hidden_json(&form);
    wipe(&mut form);
    Reply::Bare { status: 200, json }
}

/// The same failure, in the words of these paths.
fn reworded(fault: Fault) -> Fault {
    let Fault::Answer(failure) = fault else { return fault };
    let errors = failure.errors.iter().map(|error| words(error)).collect();
    Fault::Answer(Failure { errors, ..failure })
}

fn words(error: &str) -> String {
    let bare = error.strip_prefix("1 error occurred:\n\t* ").and_then(|rest| rest.strip_suffix("\n\n"));
    let error = bare.unwrap_or(error);
    if matches!(error, "unable to look up config: recovery not supported" | "recovery keys not supported") {
        return "recovery rekeying not supported".to_owned();
    }
    error
        .replace("invalid rotate seal configuration", "invalid rekey seal configuration")
        .replace("rotation already finished", "rekey operation already finished")
        .replace("nonce for rotation is", "nonce for this rekey operation is")
        .replace("rotation", "rekey")
}

#[cfg(test)]
mod tests {
    use bulkhead_model::request::OpenCeremonies;

    use super::{is_one, is_shut, words};

    #[test]
    fn each_is_shut_unless_the_listener_opens_it() {
        let (none, all) = (OpenCeremonies::default(), OpenCeremonies { generate_root: true, rekey: true });
        let (root, rekey) = ("generate-root/attempt", "rekey-recovery-key/verify");
        assert!(is_shut(root, none) && is_shut(rekey, none));
        assert!(!is_shut(root, all) && !is_shut(rekey, all));
        assert!(is_shut(root, OpenCeremonies { generate_root: false, ..all }));
        assert!(is_shut(rekey, OpenCeremonies { rekey: false, ..all }));
        // What takes a token is neither.
        for with_token in ["rekey/backup", "rekey/recovery-key-backup", "generate-root-token/attempt", "generate-root"]
        {
            assert!(!is_one(with_token) && !is_shut(with_token, none), "{with_token}");
        }
    }

    #[test]
    fn failures_are_told_in_the_words_of_the_path() {
        for (rotate, rekey) in [
            ("rotation already in progress", "rekey already in progress"),
            ("1 error occurred:\n\t* no root generation in progress\n\n", "no root generation in progress"),
            ("recovery keys not supported", "recovery rekeying not supported"),
            ("no rotation verification in progress", "no rekey verification in progress"),
        ] {
            assert_eq!(words(rotate), rekey);
        }
    }
}

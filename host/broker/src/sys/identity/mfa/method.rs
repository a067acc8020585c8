//! `identity/mfa/method`: ways to prove a second time who one is.

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use super::id_in_path;
use crate::book::identity::{Id, id_text};
use crate::book::mfa::enforcements::{self, Target};
use crate::book::mfa::methods::{self, METHODS_MAX, MethodRecord};
use crate::book::mfa::secrets;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::login;
use crate::step::dispatch::unsupported_operation;
use crate::step::mfa::TOTP;
use crate::sys::table::{Handler, HostRoute};
use crate::totp::{Algorithm, Digits, Scheme, qr};
use crate::visit::{Ask, Visit, data};

const FIELDS: &[&str] = &[
    "method_id",
    "method_name",
    "issuer",
    "period",
    "key_size",
    "qr_size",
    "algorithm",
    "digits",
    "skew",
    "max_validation_attempts",
];

const L: &[Verb] = &[Verb::List];

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    HostRoute::new("mfa/method", L, Handler::Now(list), "List the methods of MFA."),
    HostRoute::new("mfa/method", &[Verb::Read], Handler::Now(unnamed), "Read a method of MFA."),
    HostRoute::new("mfa/method/{method_id}", &[Verb::Read], Handler::Now(read), "Read a method of MFA."),
    HostRoute::new("mfa/method/totp", L, Handler::Now(list), "List the methods of MFA by TOTP."),
    HostRoute::new(
        "mfa/method/totp",
        &[Verb::Read, Verb::Delete],
        Handler::Now(unnamed),
        "Tell that a method is read and deleted by its id.",
    ),
    HostRoute::new("mfa/method/totp", &[Verb::Write], Handler::Now(create), "Make a method of MFA.").fields(FIELDS),
    HostRoute::new("mfa/method/totp/{method_id}", &[Verb::Read], Handler::Now(read), "Read a method of MFA."),
    HostRoute::new("mfa/method/totp/{method_id}", &[Verb::Write], Handler::Now(update), "Change a method of MFA.")
        .fields(FIELDS),
    HostRoute::new("mfa/method/totp/{method_id}", &[Verb::Delete], Handler::Now(delete), "Delete a method of MFA."),
];

/// Longest issuer, and longest name, in bytes. Source: ours. Why: a picture has to hold the one, and
/// every login that waits is told the other.
const TEXT_BYTES_MAX: usize = 256;
/// Longest secret, in bytes. Source: ours. Why: a picture has to hold it.
const KEY_BYTES_MAX: i64 = 256;

/// Longest period, in seconds. Source: ours. Why: what holds for longer than a day is a password.
const PERIOD_SECS_MAX: u32 = 86_400;

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (mut keys, mut about) = (Vec::new(), Map::new());
    for method in methods::all(&mut visit.tx)? {
        let id = id_text(&method.id);
        about.insert(id.clone(), shown(visit, &method));
        keys.push(id);
    }
    if keys.is_empty() { Err(Failure::absent().into()) } else { Ok(data(&json!({ "key_info": about, "keys": keys }))) }
}

pub(super) fn unnamed(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Err(Fault::invalid("missing method ID"))
}

pub(super) fn found(visit: &mut Visit, ask: &Ask<'_>) -> Result<(Id, Option<MethodRecord>), Fault> {
    // These are paths of their own, for writing alone.
    if matches!(ask.capture("method_id"), "generate" | "admin-generate" | "admin-destroy") {
        return Err(unsupported_operation());
    }
    let id = id_in_path(ask.capture("method_id"))?;
    Ok((id, methods::get(&mut visit.tx, &id)?))
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (_, method) = found(visit, ask)?;
    Ok(data(&shown(visit, &method.ok_or_else(Failure::absent)?)))
}

fn shown(visit: &Visit, method: &MethodRecord) -> Value {
    json!({
        "algorithm": method.scheme.algorithm.name(),
        "digits": method.scheme.digits.count(),
        "id": id_text(&method.id),
        "issuer": method.issuer,
        "key_size": method.key_bytes,
        "max_validation_attempts": method.attempts_max,
        "name": method.name,
        "namespace_id": visit.namespace.shown_id(),
        "namespace_path": visit.namespace.path(),
        "period": method.scheme.period_secs,
        "qr_size": method.qr_pixels,
        "skew": method.scheme.skew,
        "type": TOTP,
    })
}

fn create(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = name(&ask.fields)?;
    let same = if name.is_empty() { None } else { methods::named(&mut visit.tx, &name)? };
    let id = match same {
        // As in Vault, who makes one of a name that is there changes that one.
        Some(method) => method.id,
        None if methods::all(&mut visit.tx)?.len() >= METHODS_MAX => {
            return Err(Fault::invalid(format!("there are {METHODS_MAX} methods already")));
        }
        None => login::new_id(visit),
    };
    let record = taken(&ask.fields, (id, name))?;
    methods::save(&mut visit.tx, &record)?;
    Ok(data(&json!({ "method_id": id_text(&id) })))
}

fn update(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (id, method) = found(visit, ask)?;
    // As in Vault, which answers so where nothing was changed.
    let Some(method) = method else { return Ok(Reply::Empty) };
    let name = name(&ask.fields)?;
    if !name.is_empty() && methods::named(&mut visit.tx, &name)?.is_some_and(|other| other.id != id) {
        let text = format!("a login MFA method configuration with the method name {name} already exists");
        return Err(Fault::invalid_wrapped(&text));
    }
    let name = if name.is_empty() { method.name } else { name };
    let record = taken(&ask.fields, (id, name))?;
    methods::save(&mut visit.tx, &record)?;
    Ok(Reply::Empty)
}

fn name(fields: &Fields) -> Result<String, Fault> {
    let name = fields.text_or_empty("method_name")?;
    if name.len() > TEXT_BYTES_MAX {
        return Err(Fault::invalid(format!("method_name must not be longer than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(name)
}

/// A method as the caller wants it. What is not said is as in Vault, also where it was said before.
fn taken(fields: &Fields, (id, name): (Id, String)) -> Result<MethodRecord, Fault> {
    let algorithm = fields.text("algorithm")?.unwrap_or_else(|| "SHA1".to_owned());
    let algorithm = Algorithm::named(&algorithm).ok_or_else(|| Fault::invalid("unrecognized algorithm"))?;
    let digits = Digits::of(fields.integer("digits")?.unwrap_or(6));
    let digits = digits.ok_or_else(|| Fault::invalid("digits can only be 6 or 8"))?;
    let period_secs = match fields.seconds_of_field("period")?.map(u32::try_from) {
        None => 30,
        Some(Ok(0)) => return Err(Fault::invalid("period must be greater than zero")),
        Some(Ok(secs @ ..=PERIOD_SECS_MAX)) => secs,
        Some(_) => return Err(Fault::invalid(format!("period must not be longer than {PERIOD_SECS_MAX} seconds"))),
    };
    let skew = match fields.integer("skew")? {
        Some(0) => 0,
        None | Some(1) => 1,
        Some(_) => return Err(Fault::invalid("skew must be 0 or 1")),
    };
    let key_bytes = match fields.integer("key_size")?.unwrap_or(20) {
        ..=0 => return Err(Fault::invalid("key_size must be greater than zero")),
        bytes @ ..=KEY_BYTES_MAX => bytes as u32,
        _ => return Err(Fault::invalid(format!("key_size must not be greater than {KEY_BYTES_MAX}"))),
    };
    let issuer = match fields.text_or_empty("issuer")? {
        issuer if issuer.is_empty() => return Err(Fault::invalid("issuer must be set")),
        issuer if issuer.len() > TEXT_BYTES_MAX => {
            return Err(Fault::invalid(format!("issuer must not be longer than {TEXT_BYTES_MAX} bytes")));
        }
        issuer => issuer,
    };
    let attempts_max = match fields.integer("max_validation_attempts")?.unwrap_or(0) {
        ..=-1 => return Err(Fault::invalid("max_validation_attempts must be greater than zero")),
        0 => ATTEMPTS_MAX_DEFAULT,
        attempts => u32::try_from(attempts).unwrap_or(u32::MAX),
    };
    let qr_pixels =
        u32::try_from(fields.integer("qr_size")?.unwrap_or(200)).ok().filter(|side| *side <= qr::PIXELS_MAX);
    let qr_pixels =
        qr_pixels.ok_or_else(|| Fault::invalid(format!("qr_size must be between 0 and {}", qr::PIXELS_MAX)))?;
    let scheme = Scheme { algorithm, digits, period_secs, skew };
    Ok(MethodRecord { id, name, issuer, scheme, key_bytes, qr_pixels, attempts_max })
}

/// Passcodes that an entity may try in one period where nothing is said. Source: Vault.
const ATTEMPTS_MAX_DEFAULT: u32 = 5;

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (id, method) = found(visit, ask)?;
    let using = enforcements::about(&mut visit.tx, &visit.open.names, &[Target::Method(&id)])?;
    if let Some(enforcement) = using.first() {
        let text =
            format!("methodID is still used by an enforcement configuration with ID: {}", id_text(&enforcement.id));
        return Err(Fault::invalid_wrapped(&text));
    }
    if method.is_some() {
        methods::remove(&mut visit.tx, &id)?;
        secrets::schedule_removal(&mut visit.tx, &id, visit.now_ms)?;
        visit.after.push(crate::visit::After::LookForDue);
    }
    Ok(Reply::Empty)
}

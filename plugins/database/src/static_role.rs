//! `static-roles/:name` and `static-creds/:name`: users that a database has already.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::time::rfc3339;

use crate::connection::{LOCK_MS, texts};
use crate::credential::SetCredential;
use crate::records::{Connection, Name, Role, StaticRole, static_role_lock};
use crate::rhythm::Rhythm;
use crate::role::NOT_UNIQUE;
use crate::rotation;

/// Shortest window, in seconds. Source: Vault.
const WINDOW_SECS_MIN: u64 = 3600;

/// What is sent; what is not stays as it was.
#[derive(Debug, Fields)]
pub(crate) struct PutStaticRole {
    /// Name of the database this role acts on.
    db_name: Option<String>,
    /// Name of the user of the database. It cannot be changed.
    username: Option<String>,
    /// Specifies the database statements to be executed to rotate the accounts credentials.
    #[field(kind = "string-list")]
    rotation_statements: Option<Vec<String>>,
    /// Time between two rotations.
    rotation_period: Option<Seconds>,
    /// Times of rotations in cron's form, five fields in UTC; instead of rotation_period.
    rotation_schedule: Option<String>,
    /// How long after a time of rotation_schedule the rotation may begin. What is missed waits for the next time.
    rotation_window: Option<Seconds>,
    /// Not supported: the password is changed when the role is made.
    skip_import_rotation: Option<bool>,
    /// Not supported: the root of the connection changes the password.
    self_managed_password: Option<Secret<String>>,
    /// Not supported: the password is made here.
    password: Option<Secret<String>>,
}

/// Whether nothing is asked for that is not served: left unread, it would change the password of a user who was to keep
/// it.
fn check_served(sent: &PutStaticRole) -> Result<()> {
    let is_set = |text: &Option<Secret<String>>| text.as_ref().is_some_and(|text| !text.expose().is_empty());
    for (name, is_asked) in [
        ("skip_import_rotation", sent.skip_import_rotation == Some(true)),
        ("self_managed_password", is_set(&sent.self_managed_password)),
        ("password", is_set(&sent.password)),
    ] {
        if is_asked {
            return Err(Error::invalid(format!(
                "{name} is not supported: the password is changed when the role is made"
            )));
        }
    }
    Ok(())
}

pub(crate) fn put(cx: &Cx, name: &Name, sent: PutStaticRole, credential: SetCredential) -> Result<()> {
    check_served(&sent)?;
    let _lock = cx.acquire(&static_role_lock(&name.0), LOCK_MS)?;
    if cx.get::<Role>(&name.0)?.is_some() {
        return Err(Error::invalid(NOT_UNIQUE));
    }
    let known: Option<StaticRole> = cx.get(&name.0)?;
    let is_new = known.is_none();
    let mut role = known.unwrap_or_default();
    let rhythm = role.rhythm.clone();
    update(&mut role, sent, is_new)?;
    role.credential = role.credential.clone().updated(credential)?;
    role.credential.check_lasting()?;
    if is_new {
        // Of a change that fails here nobody has a record, and nothing could be put back: the password
        // from before is not known.
        let prepared = rotation::prepare(cx, &name.0, &role)?;
        rotation::change(cx, &mut role, prepared)?;
    } else if rhythm != role.rhythm {
        role.next_ms = role.rhythm.next(role.last_ms, cx.now_ms())?;
    }
    rotation::keep(cx, &name.0, &role)
}

fn update(role: &mut StaticRole, sent: PutStaticRole, is_new: bool) -> Result<()> {
    role.db_name = sent.db_name.unwrap_or_else(|| std::mem::take(&mut role.db_name));
    if role.db_name.is_empty() {
        return Err(Error::invalid("database name is a required field"));
    }
    let username = sent.username.unwrap_or_default();
    if is_new && username.is_empty() {
        return Err(Error::invalid("username is a required field to create a static account"));
    }
    if !is_new && username != role.username {
        return Err(Error::invalid("cannot update static account username"));
    }
    role.username = username;
    role.rhythm = rhythm(&role.rhythm, sent.rotation_period, sent.rotation_schedule, sent.rotation_window)?;
    if role.rhythm == Rhythm::default() {
        return Err(Error::invalid("rotation_period is required to create static accounts"));
    }
    if let Some(statements) = sent.rotation_statements {
        role.rotation_statements = statements;
    }
    Ok(())
}

fn rhythm(
    known: &Rhythm,
    period: Option<Seconds>,
    schedule: Option<String>,
    window: Option<Seconds>,
) -> Result<Rhythm> {
    let schedule = schedule.filter(|cron| !cron.is_empty());
    match (period, schedule) {
        (Some(_), Some(_)) => Err(Error::invalid(
            "mutually exclusive fields rotation_period and rotation_schedule were both specified; only one of them can be provided",
        )),
        (Some(_), None) if window.is_some() => Err(no_window()),
        (Some(period), None) => Rhythm::after_each(period),
        (None, Some(cron)) if !Rhythm::is_cron(&cron) => Err(Error::invalid(
            "could not parse rotation_schedule: five fields of cron are expected, each within its bounds, in UTC",
        )),
        (None, Some(cron)) => Ok(Rhythm::Schedule { cron, window_secs: checked(window)?.unwrap_or(0) }),
        (None, None) => match (known, window) {
            (_, None) => Ok(known.clone()),
            (Rhythm::Period(_), Some(_)) => Err(no_window()),
            (Rhythm::Schedule { cron, .. }, window) => {
                Ok(Rhythm::Schedule { cron: cron.clone(), window_secs: checked(window)?.unwrap_or(0) })
            }
        },
    }
}

fn no_window() -> Error {
    Error::invalid("rotation_window is invalid with use of rotation_period")
}

fn checked(window: Option<Seconds>) -> Result<Option<u64>> {
    match window {
        Some(window) if window.0 < WINDOW_SECS_MIN => {
            Err(Error::invalid(format!("rotation_window must be {WINDOW_SECS_MIN} seconds or more")))
        }
        window => Ok(window.map(|window| window.0)),
    }
}

pub(crate) fn get(cx: &Cx, name: &Name) -> Result<Reply> {
    let role: StaticRole = cx.require(&name.0)?;
    let answer = role.credential.show(Object::with_room(512)).text("db_name", &role.db_name);
    let answer = answer.text("last_vault_rotation", &rfc3339(role.last_ms));
    let answer = role
        .rhythm
        .show(answer)
        .json("rotation_statements", &texts(&role.rotation_statements))
        .text("username", &role.username);
    Ok(Reply::text(answer.end()))
}

pub(crate) fn creds(cx: &Cx, name: &Name) -> Result<Reply> {
    let role: StaticRole = cx.get(&name.0)?.ok_or_else(|| Error::invalid(format!("unknown role: {}", name.0)))?;
    Connection::required(cx, &role.db_name)?.allow(&name.0)?;
    let answer = Object::new()
        .text("last_vault_rotation", &rfc3339(role.last_ms))
        .text(role.credential.kind(), role.credential.told(&role.secret));
    let answer = role
        .rhythm
        .show(answer)
        .number("ttl", role.next_ms.saturating_sub(cx.now_ms()).saturating_add(500) / 1000)
        .text("username", &role.username);
    Ok(Reply::text(answer.end()))
}

pub(crate) fn delete(cx: &Cx, name: &Name) -> Result<()> {
    let _lock = cx.acquire(&static_role_lock(&name.0), LOCK_MS)?;
    rotation::cancel(cx, &name.0);
    cx.delete::<StaticRole>(&name.0)
}

//! `creds/:name`: users on demand, and what becomes of them.
//!
//! A user is known before it is made: its name is proposed, written down as an intent, and only then
//! used. What does not commit with a lease is removed again.

use bulkhead_sdk::Caller;
use bulkhead_sdk::databases::{Credential, Driver, Failed, UserChange, UserRemoval, UserSpec};
use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::prelude::*;

use crate::records::{Connection, Name, Role};
use crate::reserved;
use crate::rotation::{JOB, USERS};
use crate::seat;

/// How much longer a user may log in than its lease says, in milliseconds. Source: Vault. Why: the host
/// counts the lease from a little later on.
const GRACE_MS: u64 = 5_000;

/// How much later a user that was undone is removed once more, in milliseconds. Source: ours. Why: what a driver's
/// session was told may reach the database long after the call; a path that holds it for longer has given it up.
const ONCE_MORE_MS: u64 = 600_000;

/// A user that was made, or may have been: what it takes to remove it when role and connection are not
/// what they were. The intent and the lease; there is no secret in it.
#[derive(Debug, Default, Serialize)]
struct User {
    username: String,
    role: String,
    /// What is due at one connection does not wait for another's.
    #[serde(rename = "lane")]
    db_name: String,
    revocation_statements: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rollback_statements: Vec<String>,
    /// Whether the name is reserved in storage.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reserved: bool,
    /// What operators read of an intent. A lease has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    about: String,
    /// When its certificate ends, in milliseconds since 1970, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_ends_ms: Option<u64>,
}

impl User {
    fn read(data: &[u8]) -> Result<Self> {
        let mut user = Self::default();
        for member in json::members(data)? {
            let (name, value) = member?;
            let text = || json::unquote(value).unwrap_or_default().into_owned();
            match &*name {
                "username" => user.username = text(),
                "role" => user.role = text(),
                // The second is how it was kept before there were lanes.
                "lane" | "db_name" => user.db_name = text(),
                "revocation_statements" => user.revocation_statements = bulkhead_sdk::fields::read(&name, value)?,
                "rollback_statements" => user.rollback_statements = bulkhead_sdk::fields::read(&name, value)?,
                "reserved" => user.reserved = value == "true",
                "certificate_ends_ms" => user.certificate_ends_ms = value.parse().ok(),
                _ => {}
            }
        }
        Ok(user)
    }

    /// Removes it from the database by these statements; none: in the driver's own way.
    fn remove(&self, driver: Driver<'_>, statements: &[String]) -> Result<()> {
        driver.delete_user(&UserRemoval { username: self.username.clone(), statements: statements.to_vec() })
    }
}

pub(crate) fn generate(cx: &Cx, name: &Name, caller: &Caller) -> Result<Reply> {
    let role: Role = cx.get(&name.0)?.ok_or_else(|| Error::invalid(format!("unknown role: {}", name.0)))?;
    let connection = Connection::required(cx, &role.db_name)?;
    connection.allow(&name.0)?;
    let driver_name = connection.driver();
    let driver = Driver::new(&driver_name, connection.details.expose());
    role.credential.check(driver)?;
    let ends_ms = cx.now_ms().saturating_add(lifetime_ms(cx, &role, None)).saturating_add(GRACE_MS);
    let template = match role.credential.name_template() {
        Some(template) => template.to_owned(),
        None => connection.details.text("username_template")?,
    };
    let mut spec = UserSpec {
        username: None,
        display_name: caller.display_name.clone(),
        role_name: name.0.clone(),
        username_template: Some(template).filter(|text| !text.is_empty()),
        statements: role.creation_statements.clone(),
        rollback_statements: role.rollback_statements.clone(),
        // A name is made without it, and it may be made of the name.
        credential: Credential::Password(String::new()),
        expires_at: Some(ends_ms),
    };
    let username = driver.propose_username(&spec)?;
    let reserved = spec.username_template.is_some();
    if reserved {
        let longest_ms = longest_secs(&role, cx.mount().max_ttl).saturating_mul(1000);
        let last_ms = cx.now_ms().saturating_add(longest_ms).saturating_add(GRACE_MS);
        reserved::take(cx, &role.db_name, &username, last_ms)?;
    }
    let made = role.credential.make_for(cx, &connection, &username, ends_ms)?;
    spec.credential = made.given;
    let mut user = User {
        certificate_ends_ms: made.ends_ms,
        username: username.clone(),
        role: name.0.clone(),
        db_name: role.db_name,
        revocation_statements: role.revocation_statements,
        rollback_statements: role.rollback_statements,
        reserved,
        about: String::new(),
    };
    user.about = format!("user {username:?} of role {:?} at connection {:?}", user.role, user.db_name);
    let _seat = seat::take(cx, &user.db_name, &connection)?;
    cx.intend("user", &user)?;
    spec.username = Some(username);
    match driver.create_user(&spec) {
        Ok(made) if made == user.username => {}
        Ok(made) => return Err(strayed(driver, made)),
        Err(failed) => return not_made(cx, driver, &user, failed),
    }
    user.rollback_statements.clear();
    user.about.clear();
    let told = |answer: Object, (name, secret): (&str, Secret<String>)| answer.text(name, secret.expose());
    let answer = made.told.into_iter().fold(Object::new(), told).text("username", &user.username);
    let reply = Reply::text(answer.end()).leased("creds", role.default_ttl, &user)?;
    Ok(if role.max_ttl.0 > 0 { reply.max_ttl(role.max_ttl) } else { reply })
}

/// What is told where no user was made. Unless something may have been begun, the intent goes, because a reply, unlike
/// an error, commits.
fn not_made(cx: &Cx, driver: Driver<'_>, user: &User, failed: Failed) -> Result<Reply> {
    let reply = match failed {
        // Somebody else's user: to undo the intent would remove that.
        Failed { error: Error::PreconditionFailed(text), .. } => Reply::failed(400, text),
        Failed { error, is_begun: false } => Reply::refused(error)?,
        // The database has answered, so nothing of the call is at work any more: it is undone here and now, or a role that
        // always fails would leave so many intents that they shut out the others. The name is this call's alone.
        Failed { error: error @ Error::Upstream(_), .. } if remove_wholly(cx, driver, user).is_ok() => {
            Reply::refused(error)?
        }
        Failed { error, .. } => return Err(error),
    };
    if user.reserved {
        reserved::free(cx, &user.db_name, &user.username, None)?;
    }
    Ok(reply)
}

/// The driver made a user of another name than it said. Nobody would ever remove that one.
fn strayed(driver: Driver<'_>, username: String) -> Error {
    let stray = User { username, ..User::default() };
    match stray.remove(driver, &[]) {
        Ok(()) => Error::internal("the driver made a user of another name than it proposed"),
        Err(_) => Error::internal(format!("the driver made a user that it did not propose: {:?}", stray.username)),
    }
}

/// How long a user of this role lives from now on, in milliseconds: what is asked for, else what the role
/// or the mount say, within their bounds.
fn lifetime_ms(cx: &Cx, role: &Role, asked_secs: Option<u64>) -> u64 {
    let mount = cx.mount();
    let wanted = [asked_secs.unwrap_or(0), role.default_ttl.0, mount.default_ttl];
    let wanted = wanted.into_iter().find(|secs| *secs > 0).unwrap_or(0);
    wanted.min(longest_secs(role, mount.max_ttl)).saturating_mul(1000)
}

fn longest_secs(role: &Role, mount_max_secs: u64) -> u64 {
    if role.max_ttl.0 > 0 { role.max_ttl.0.min(mount_max_secs) } else { mount_max_secs }
}

/// Removes a user of a call that did not commit, and has it removed once more later. A driver sees to it that nothing
/// of the call takes effect afterwards; not every driver can, nor in every database.
pub(crate) fn undo(cx: &Cx, data: &[u8]) -> Result<()> {
    let user = User::read(data)?;
    undo_user(cx, &user)?;
    let key = [USERS, &reserved::place(cx, &user.db_name, &user.username)?].concat();
    cx.schedule(JOB, &key, data, cx.now_ms().saturating_add(ONCE_MORE_MS))
}

/// The job: removes it once more.
pub(crate) fn undo_again(cx: &Cx, data: &[u8]) -> Result<JobOutcome> {
    let user = User::read(data)?;
    // It was undone before; without its connection there is nobody to be asked any more.
    if cx.get::<Connection>(&user.db_name)?.is_some() {
        undo_user(cx, &user)?;
    }
    Ok(JobOutcome::Done)
}

/// Nobody was ever told the user's password, so there is nothing of its own to spare: where the role's statements fail,
/// which they may since it is not there, the driver's own way has the last word.
fn undo_user(cx: &Cx, user: &User) -> Result<()> {
    let _alone = if user.reserved { Some(reserved::alone(cx, &user.db_name, &user.username)?) } else { None };
    if user.reserved && reserved::is_taken(cx, &user.db_name, &user.username)? {
        // By another call, which did commit: what this one did is past undoing.
        return Ok(());
    }
    let connection = Connection::required(cx, &user.db_name)?;
    let _seat = seat::take(cx, &user.db_name, &connection)?;
    let driver_name = connection.driver();
    remove_wholly(cx, Driver::new(&driver_name, connection.details.expose()), user)
}

/// Removes a user that no lease is about, by the role's statements if these do, else in the driver's own way.
fn remove_wholly(cx: &Cx, driver: Driver<'_>, user: &User) -> Result<()> {
    let role = present_role(cx, user)?;
    let statements = role.as_ref().map_or(&user.rollback_statements, |role| &role.rollback_statements);
    if !statements.is_empty() && user.remove(driver, statements).is_err() {
        cx.log_info("rollback statements failed", &[("role", &user.role), ("username", &user.username)]);
    }
    let statements = role.as_ref().map_or(&user.revocation_statements, |role| &role.revocation_statements);
    match user.remove(driver, statements) {
        Err(_) if !statements.is_empty() => user.remove(driver, &[]),
        done => done,
    }
}

/// The role as it is now, if it is of the user's database still: an operator who corrects a statement wants users from
/// before to go by it.
fn present_role(cx: &Cx, user: &User) -> Result<Option<Role>> {
    let role: Option<Role> = cx.get(&user.role)?;
    Ok(role.filter(|role| role.db_name == user.db_name))
}

/// Prolongs a user. It is that of the connection it was made by, wherever the role points now.
pub(crate) fn renew(cx: &Cx, lease: &Lease, increment: Option<u64>) -> Result<Renewal> {
    let user = User::read(&lease.internal)?;
    let gone = || Error::invalid(format!("error during renew: could not find role with name {:?}", user.role));
    let role: Role = cx.get(&user.role)?.ok_or_else(gone)?;
    let connection = Connection::required(cx, &user.db_name)?;
    let _seat = seat::take(cx, &user.db_name, &connection)?;
    let driver_name = connection.driver();
    let asked = increment.filter(|secs| *secs > 0);
    let last_ms = lease.issued_at.saturating_add(longest_secs(&role, cx.mount().max_ttl).saturating_mul(1000));
    let ends_ms = cx.now_ms().saturating_add(lifetime_ms(cx, &role, asked)).min(last_ms);
    Driver::new(&driver_name, connection.details.expose()).change_user(&UserChange {
        username: user.username,
        credential: None,
        expires_at: Some(ends_ms.saturating_add(GRACE_MS)),
        statements: role.renew_statements,
    })?;
    let set = |ttl: Seconds| Some(ttl.0).filter(|secs| *secs > 0);
    let ttl = asked.or_else(|| set(role.default_ttl));
    Ok(Renewal { ttl, max_ttl: set(role.max_ttl), internal: None, data: None, warnings: Vec::new() })
}

/// Removes a user whose lease ends. While its connection is gone this fails, and the lease stays: a user
/// that nobody can remove is not forgotten.
pub(crate) fn revoke(cx: &Cx, lease: &Lease) -> Result<()> {
    let user = User::read(&lease.internal)?;
    let role = present_role(cx, &user)?;
    let connection = Connection::required(cx, &user.db_name)?;
    let _seat = seat::take(cx, &user.db_name, &connection)?;
    let driver_name = connection.driver();
    let statements = role.as_ref().map_or(&user.revocation_statements, |role| &role.revocation_statements);
    user.remove(Driver::new(&driver_name, connection.details.expose()), statements)?;
    if !user.reserved {
        return Ok(());
    }
    // Who holds a certificate still is the next user of its name to the database.
    reserved::free(cx, &user.db_name, &user.username, user.certificate_ends_ms)
}

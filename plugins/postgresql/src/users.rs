//! Users: made, changed and removed by the operator's statements, or by those that do without.

use bulkhead_sdk::driver::{Credential, UserChange, UserRemoval, UserSpec, common_name, password};
use bulkhead_sdk::sql::{self, Dialect, Values};
use bulkhead_sdk::{Cx, Error, Level, Result};
use postgres_protocol::password::scram_sha_256;

use crate::config::{Config, check_name};
use crate::fault::{Fault, UNDEFINED_OBJECT};
use crate::revoke;
use crate::session::Session;

const SQL: Dialect = Dialect::Postgres;

const PASSWORD_PLACE: &str = "{{password}}";

/// How a password is changed, and how an end, where the operator does not say.
const CHANGE_PASSWORD: &str = r#"ALTER ROLE "{{username}}" WITH PASSWORD '{{password}}'"#;
const CHANGE_END: &str = r#"ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}'"#;

/// Begins a transaction that the server ends by itself where nobody is there any more who could: a
/// lock that it holds would else keep all others for hours. What waits is over before its caller is.
pub(crate) const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '20s'; \
                                SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// Within a transaction, one at a time from here on: two that grant on the same table would undo each
/// other ("tuple concurrently updated").
pub(crate) const ALONE: &str = "SELECT pg_catalog.pg_advisory_xact_lock(1114991467, 1)";

/// Makes a user.
///
/// # Errors
/// There are no statements, or they fail; then nothing is left of it.
pub(crate) fn create(cx: &Cx, mut config: Config, spec: &UserSpec) -> Result<String> {
    if sql::is_blank(&spec.statements) {
        return Err(Error::invalid("empty creation statements"));
    }
    let name = match spec.username.as_deref() {
        Some(name) => name.to_owned(),
        None => config.username(cx, spec)?,
    };
    check_name(&name)?;
    let password = match &spec.credential {
        subject @ Credential::Subject(_) if common_name(subject)? == name => None,
        Credential::Subject(_) => return Err(Error::invalid("the certificate is for somebody of another name")),
        credential => Some(password(credential)?),
    };
    let values = values(&mut config, &name, password, Some(end(spec.expires_at)))?;
    let statements = values.fill(&spec.statements, SQL)?;
    if password.is_none() && statements.iter().any(|statement| statement.contains(PASSWORD_PLACE)) {
        // It would be the password, letter by letter.
        return Err(Error::invalid("creation statements have {{password}}, and who has a certificate has none"));
    }
    let statements = [&[revoke::alone_with(&name)], &statements[..]].concat();
    let made = config.pool.with_session(cx, &config, |session| transact(session, &statements));
    made.map_err(|error| {
        roll_back(cx, &config, &values, &spec.rollback_statements);
        config.hush.error(during(error))
    })?;
    Ok(name)
}

/// The operator's own undoing. What the statements did is undone by then, but for what they did
/// outside of the transaction.
fn roll_back(cx: &Cx, config: &Config, values: &Values, statements: &[String]) {
    if sql::is_blank(statements) {
        return;
    }
    let filled = values.fill(statements, SQL);
    let done = filled.and_then(|filled| config.pool.with_session(cx, config, |session| transact(session, &filled)));
    if let Err(error) = done {
        let told = config.hush.error(error).to_string();
        cx.log(Level::Warn, "rollback statements failed", &[("error", &told)]);
    }
}

/// Changes password or end of a user.
///
/// # Errors
/// There is nothing to change, or the statements fail.
pub(crate) fn change(cx: &Cx, mut config: Config, change: &UserChange) -> Result<()> {
    if change.username.is_empty() {
        return Err(Error::invalid("missing username"));
    }
    let password = change.credential.as_ref().map(password).transpose()?;
    if password.is_none() && change.expires_at.is_none() {
        return Err(Error::invalid("no changes requested"));
    }
    if password == Some("") {
        return Err(Error::invalid("missing password"));
    }
    let ending = change.expires_at.map(|at| end(Some(at)));
    let mut written = change.statements.clone();
    if sql::is_blank(&written) {
        written.extend(password.map(|_| CHANGE_PASSWORD.to_owned()));
        written.extend(ending.as_ref().map(|_| CHANGE_END.to_owned()));
    }
    let values = values(&mut config, &change.username, password, ending)?;
    let statements = values.fill(&written, SQL)?;
    let done = config.pool.with_session(cx, &config, |session| transact(session, &statements));
    done.map_err(|error| config.hush.error(during(error)))
}

/// Removes a user, who may be gone already.
///
/// # Errors
/// The statements fail.
pub(crate) fn delete(cx: &Cx, config: &Config, removal: &UserRemoval) -> Result<()> {
    if removal.username.is_empty() {
        return Err(Error::invalid("missing username"));
    }
    if sql::is_blank(&removal.statements) {
        return config.pool.with_session(cx, config, |session: &mut Session| {
            revoke::until_made(session, &removal.username)?;
            revoke::remove(session, &removal.username)
        });
    }
    let statements = Values::new(&removal.username).fill(&removal.statements, SQL)?;
    let act = |session: &mut Session| {
        revoke::until_made(session, &removal.username)?;
        transact(session, &statements)
    };
    config.pool.with_session(cx, config, |session| match act(session) {
        Err(fault) if fault.is(UNDEFINED_OBJECT) => {
            session.query("ROLLBACK")?;
            if revoke::exists(session, &removal.username)? { Err(fault) } else { Ok(()) }
        }
        other => other,
    })
}

/// Runs statements all or none.
fn transact(session: &mut Session, statements: &[String]) -> Result<(), Fault> {
    session.query(BEGIN)?;
    // To make a role costs the server the hash of its password, and touches nothing of others.
    let alone = statements.iter().position(|statement| !makes_a_role(statement)).unwrap_or(statements.len());
    for (at, statement) in statements.iter().enumerate() {
        if at == alone {
            session.query(ALONE)?;
        }
        session.query(statement)?;
    }
    session.query("COMMIT").map(|_| ())
}

/// Whether a statement only makes a role.
fn makes_a_role(statement: &str) -> bool {
    let mut words = statement.split_ascii_whitespace();
    let mut is_next =
        |wanted: &[&str]| words.next().is_some_and(|w| wanted.iter().any(|it| w.eq_ignore_ascii_case(it)));
    let makes = is_next(&["CREATE"]) && is_next(&["ROLE", "USER"]);
    (makes || statement.starts_with(revoke::ALONE_WITH)) && !statement.contains(';')
}

/// What a client is told of statements that failed, as opposed to a server that is away.
fn during(error: Error) -> Error {
    match error {
        Error::Upstream(text) if text.starts_with("failed to connect") => {
            Error::Upstream(text).within("unable to get connection")
        }
        Error::Upstream(_) | Error::PreconditionFailed(_) => error.within("failed to execute query"),
        Error::Unavailable(_) => error.within("unable to get connection"),
        other => other,
    }
}

/// What is put into statements. Neither the password nor its hash is told from here on.
fn values(config: &mut Config, name: &str, password: Option<&str>, ending: Option<String>) -> Result<Values> {
    if password.is_some_and(|password| password.contains('\0')) {
        return Err(Error::invalid("a password has no byte 0"));
    }
    config.hush.add(password.unwrap_or_default());
    let sent = password
        .map(|password| if config.hashes_passwords { scram_sha_256(password.as_bytes()) } else { password.to_owned() });
    config.hush.add(sent.as_deref().unwrap_or_default());
    Ok(Values::new(name).password(sent.as_deref()).expiration(ending))
}

/// A time as the server reads it; without one, no end.
fn end(at_ms: Option<u64>) -> String {
    at_ms.map_or_else(|| "infinity".to_owned(), sql::timestamp)
}

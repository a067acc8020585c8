//! Users: made, changed and removed by the operator's statements, or by those that do without.

use bulkhead_sdk::driver::{Begun, Credential, UserChange, UserRemoval, UserSpec, common_name, password};
use bulkhead_sdk::sql::{self, Dialect, Values};
use bulkhead_sdk::{Cx, Error, Level, Result};
use postgres_protocol::password::scram_sha_256;

use crate::config::{Config, check_name};
use crate::fault::{DUPLICATE_OBJECT, Fault, UNDEFINED_OBJECT};
use crate::revoke;
use crate::session::Session;
use crate::transaction::{self, BEGIN, may_end};

const SQL: Dialect = Dialect::Postgres;

const PASSWORD_PLACE: &str = "{{password}}";

/// How a password is changed, and how an end, where the operator does not say.
const CHANGE_PASSWORD: &str = r#"ALTER ROLE "{{username}}" WITH PASSWORD '{{password}}'"#;
const CHANGE_END: &str = r#"ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}'"#;

/// Makes a user.
///
/// # Errors
/// There are no statements, or they fail; then nothing is left of it.
pub(crate) fn create(cx: &Cx, mut config: Config, spec: &UserSpec, begun: &Begun) -> Result<String> {
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
    let has_password = password.is_some();
    let made = config.pool.with_session(cx, &config, |session| {
        transaction::anew(session, &statements, |session| make(session, &name, &statements, (has_password, begun)))
    });
    made.map_err(|error| {
        // Whose role it is, is not to lose it to an undoing.
        if begun.is() && !matches!(error, Error::PreconditionFailed(_)) {
            roll_back(cx, &config, &name, values.fill(&spec.rollback_statements, SQL));
        }
        config.hush.error(during(error))
    })?;
    Ok(name)
}

/// Makes a role by these statements, all or none. That there is one is said only where nothing was made here: what is
/// somebody else's is not undone.
fn make(
    session: &mut Session,
    name: &str,
    statements: &[String],
    (has_password, begun): (bool, &Begun),
) -> Result<(), Fault> {
    session.query(BEGIN)?;
    session.query(&revoke::alone_with(name))?;
    // Whoever has a certificate to a name is let in as its role, also where the statements only grant it something.
    if !has_password && revoke::exists(session, name)? {
        return Err(Fault::Taken(format!("there is a role {name} already")));
    }
    begun.now();
    run(session, statements).map_err(|(at, fault)| match fault {
        Fault::Server { severity, code, message }
            if code == DUPLICATE_OBJECT && is_refused_whole(statements, at, name) =>
        {
            Fault::Taken(format!("{severity}: {message} (SQLSTATE {code})"))
        }
        other => other,
    })
}

/// Whether the statement at this place makes the role itself, and nothing was committed before it.
fn is_refused_whole(statements: &[String], at: usize, name: &str) -> bool {
    let Some((statement, before)) = statements.get(..=at).and_then(<[_]>::split_last) else { return false };
    let named = without_word(without_word(statement));
    let is_end = |rest: &str| !rest.starts_with(|sign: char| sign.is_alphanumeric() || "_$\"".contains(sign));
    let after = |name: &str| named.strip_prefix(name).is_some_and(is_end);
    makes_a_role(statement)
        && (after(&sql::identifier(name, SQL)) || after(name))
        && !before.iter().any(|statement| may_end(statement))
}

/// What follows the first word of a text.
fn without_word(text: &str) -> &str {
    text.trim_start().split_once(|sign: char| sign.is_ascii_whitespace()).map_or("", |(_, rest)| rest.trim_start())
}

/// The operator's own undoing. What the statements did is undone by then, but for what they did
/// outside of the transaction.
fn roll_back(cx: &Cx, config: &Config, name: &str, statements: Result<Vec<String>>) {
    let done = statements.and_then(|statements| {
        if statements.is_empty() {
            return Ok(());
        }
        config.pool.with_session(cx, config, |session| transact(session, name, &statements))
    });
    if let Err(error) = done {
        let told = config.hush.error(error).to_string();
        cx.log(Level::Warn, "rollback statements failed", &[("error", &told)]);
    }
}

/// Changes password or end of a user.
///
/// # Errors
/// There is nothing to change, or the statements fail.
pub(crate) fn change(cx: &Cx, mut config: Config, change: &UserChange, begun: &Begun) -> Result<()> {
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
    let done = config.pool.with_session(cx, &config, |session: &mut Session| {
        begun.now();
        transact(session, &change.username, &statements)
    });
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
    config.pool.with_session(cx, config, |session| match transact(session, &removal.username, &statements) {
        Err(fault) if fault.is(UNDEFINED_OBJECT) => {
            session.query("ROLLBACK")?;
            if revoke::exists(session, &removal.username)? { Err(fault) } else { Ok(()) }
        }
        other => other,
    })
}

/// Runs statements all or none, and when nobody else makes, changes or removes the role of this name any more.
fn transact(session: &mut Session, name: &str, statements: &[String]) -> Result<(), Fault> {
    transaction::anew(session, statements, |session| {
        session.query(BEGIN)?;
        session.query(&revoke::alone_with(name))?;
        run(session, statements).map_err(|(_, fault)| fault)
    })
}

/// Runs statements within a transaction, and ends it. With a fault comes how many were done before it.
fn run(session: &mut Session, statements: &[String]) -> Result<(), (usize, Fault)> {
    // To make a role costs the server the hash of its password, and touches nothing of others.
    let alone = statements.iter().position(|statement| !makes_a_role(statement)).unwrap_or(statements.len());
    for (at, statement) in statements.iter().enumerate() {
        if at == alone {
            transaction::alone(session).map_err(|fault| (at, fault))?;
        }
        session.query(statement).map_err(|fault| (at, fault))?;
    }
    session.query("COMMIT").map(|_| ()).map_err(|fault| (statements.len(), fault))
}

/// Whether a statement only makes a role.
fn makes_a_role(statement: &str) -> bool {
    let mut words = statement.split_ascii_whitespace();
    let mut is_next =
        |wanted: &[&str]| words.next().is_some_and(|w| wanted.iter().any(|it| w.eq_ignore_ascii_case(it)));
    is_next(&["CREATE"]) && is_next(&["ROLE", "USER"]) && !statement.contains(';')
}

/// What a client is told of statements that failed, as opposed to a server that is away.
fn during(error: Error) -> Error {
    match error {
        Error::Upstream(text) if text.starts_with("failed to connect") => {
            Error::Upstream(text).within("unable to get connection")
        }
        // The database is there, and somebody else at work in it.
        Error::Unavailable(text) if text.ends_with("(SQLSTATE 55P03)") => {
            Error::Unavailable(text).within("failed to execute query")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(statements: &[&str], name: &str) -> bool {
        let statements: Vec<String> = statements.iter().map(|&statement| statement.to_owned()).collect();
        is_refused_whole(&statements, statements.len() - 1, name)
    }

    #[test]
    fn a_name_is_taken_by_the_statement_that_makes_its_role_before_anything_is_committed() {
        let make = "CREATE ROLE \"v a\"\"b\" LOGIN";
        assert!(is_taken(&[make], "v a\"b"));
        assert!(is_taken(&["SET x = 1", make], "v a\"b"));
        assert!(is_taken(&["create  user  name_1"], "name_1"));
        assert!(is_taken(&["CREATE ROLE\n\"name\"\nLOGIN"], "name"));
        for (statements, name) in [
            (&[make][..], "v a"),
            (&["CREATE ROLE reader"], "name"),
            (&["CREATE ROLE name_2"], "name"),
            (&["CREATE ROLE \"name\"\"2\""], "name"),
            (&["CREATE TABLESPACE name"], "name"),
            (&["DO $$ BEGIN CREATE ROLE name; END $$"], "name"),
            (&["CREATE ROLE name", "COMMIT", "CREATE ROLE name"], "name"),
            (&[" end", "CREATE ROLE name"], "name"),
            (&["/* it */ commit", "CREATE ROLE name"], "name"),
        ] {
            assert!(!is_taken(statements, name), "{statements:?}");
        }
        assert!(!is_refused_whole(&["CREATE ROLE name".to_owned()], 1, "name"), "at the end");
    }
}

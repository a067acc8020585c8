//! Users: made, changed and removed by the operator's statements, or by those that do without.

use bulkhead_sdk::driver::{Begun, UserChange, UserRemoval, UserSpec, password};
use bulkhead_sdk::sql::{self, Dialect, Values};
use bulkhead_sdk::{Cx, Error, Level, Result};

use crate::config::{Config, check_name};
use crate::fault::{CANNOT_USER, Fault};
use crate::fence;
use crate::session::Session;

const SQL: Dialect = Dialect::MySql;

/// How a password is changed where the operator does not say.
const CHANGE_PASSWORD: &str = "ALTER USER '{{username}}'@'%' IDENTIFIED BY '{{password}}'";

/// The same for an account of MariaDB's that proves its password by a plugin which the other form would take from it.
const CHANGE_ED25519: &str = "ALTER USER '{{username}}'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('{{password}}')";

/// The host of an account where it is not known for which ones there are accounts.
const ANY_HOST: &str = "%";

/// Makes a user.
///
/// # Errors
/// There are no statements, or they fail. What statements about accounts did is not undone then:
/// the database ends its transaction at each of them.
pub(crate) fn create(cx: &Cx, mut config: Config, spec: &UserSpec, begun: &Begun) -> Result<String> {
    if sql::is_blank(&spec.statements) {
        return Err(Error::invalid("empty creation statements"));
    }
    let name = match spec.username.as_deref() {
        Some(name) => name.to_owned(),
        None => config.username(cx, spec)?,
    };
    check_name(&name)?;
    let password = password(&spec.credential)?;
    config.hush.add(password);
    // A time without end is none that a database of this kind knows.
    let values = Values::new(&name).password(Some(password)).expiration(spec.expires_at.map(sql::timestamp));
    let statements = values.fill(&spec.statements, SQL)?;
    let fence = fence::name(cx, &name)?;
    let made = config.pool.with_session(cx, &config, |session| {
        fence::within(session, &fence, |session| {
            begun.now();
            make(session, &name, &statements)
        })
    });
    made.map_err(|error| {
        // Whose account it is, is not to lose it to an undoing.
        if begun.is() && !matches!(error, Error::PreconditionFailed(_)) {
            roll_back(cx, &config, &fence, values.fill(&spec.rollback_statements, SQL));
        }
        config.hush.error(error)
    })?;
    Ok(name)
}

/// Makes a user by these statements, if there is no account of the name. That there is one is said only where nothing
/// was made here: what is somebody else's is not undone.
fn make(session: &mut Session, name: &str, statements: &[String]) -> Result<(), Fault> {
    let is_known_free = match exists(session, name) {
        Ok(true) => return Err(Fault::Taken(format!("there is an account {name} already"))),
        Ok(false) => true,
        // It does not tell. Then its word at the first account that is made has to do.
        Err(Fault::Server { .. }) => false,
        Err(fault) => return Err(fault),
    };
    session.query("START TRANSACTION")?;
    for (at, statement) in statements.iter().enumerate() {
        match session.query(statement) {
            Err(Fault::Server { code: CANNOT_USER, message, .. })
                if !is_known_free && at == 0 && makes_one_account(statement) =>
            {
                return Err(Fault::Taken(message));
            }
            other => other?,
        };
    }
    session.query("COMMIT").map(|_| ())
}

/// Whether a statement makes one account for certain: of several, the server makes those that it can.
fn makes_one_account(statement: &str) -> bool {
    let mut words = statement.split_ascii_whitespace().map(str::to_ascii_uppercase);
    let makes = words.next().as_deref() == Some("CREATE") && words.next().as_deref() == Some("USER");
    makes && !has_comma_or_comment(statement)
}

/// Whether there is a comma outside of quotes, or what may be a comment, in which quotes mean nothing.
fn has_comma_or_comment(statement: &str) -> bool {
    let (mut quote, mut signs) = (None, statement.chars());
    while let Some(sign) = signs.next() {
        match (quote, sign) {
            (Some('\'' | '"'), '\\') => {
                signs.next();
            }
            (Some(open), sign) if sign == open => quote = None,
            (None, '\'' | '"' | '`') => quote = Some(sign),
            (None, ',' | '#' | '/' | '-') => return true,
            _ => {}
        }
    }
    false
}

/// The operator's own undoing.
fn roll_back(cx: &Cx, config: &Config, fence: &str, statements: Result<Vec<String>>) {
    let done = statements.and_then(|statements| {
        if statements.is_empty() {
            return Ok(());
        }
        let act = |session: &mut Session| fence::within(session, fence, |session| transact(session, &statements));
        config.pool.with_session(cx, config, act)
    });
    if let Err(error) = done {
        let told = config.hush.error(error).to_string();
        cx.log(Level::Warn, "rollback statements failed", &[("error", &told)]);
    }
}

/// Changes a user's password. Accounts have no end here, so a new end changes nothing.
///
/// # Errors
/// There is nothing to change, or the statements fail.
pub(crate) fn change(cx: &Cx, mut config: Config, change: &UserChange, begun: &Begun) -> Result<()> {
    if change.credential.is_none() && change.expires_at.is_none() {
        return Err(Error::invalid("no change requested"));
    }
    let Some(credential) = &change.credential else { return Ok(()) };
    let password = password(credential)?;
    if change.username.is_empty() || password.is_empty() {
        return Err(Error::invalid("must provide both username and password").within("failed to change password"));
    }
    check_name(&change.username)?;
    config.hush.add(password);
    let values =
        Values::new(&change.username).password(Some(password)).expiration(change.expires_at.map(sql::timestamp));
    let own = sql::is_blank(&change.statements);
    let fill = |written: &str| values.fill(&[written.to_owned()], SQL);
    let (usual, ed25519, given) =
        (fill(CHANGE_PASSWORD)?, fill(CHANGE_ED25519)?, values.fill(&change.statements, SQL)?);
    let fence = fence::name(cx, &change.username)?;
    let done = config.pool.with_session(cx, &config, |session| {
        fence::within(session, &fence, |session| {
            begun.now();
            let statements = match own {
                false => &given,
                true if is_of_ed25519(session, &change.username)? => &ed25519,
                true => &usual,
            };
            transact(session, statements)
        })
    });
    done.map_err(|error| config.hush.error(error).within("failed to change password"))
}

/// Whether the account of this name proves its password by `ed25519`. The server tells everybody of their own account,
/// as its statement; it begins with the name, so that no name can pass for the rest.
fn is_of_ed25519(session: &mut Session, name: &str) -> Result<bool, Fault> {
    let rows = match session.query(&format!("SHOW CREATE USER {}@'%'", sql::literal(name, SQL))) {
        Ok(rows) => rows,
        // There is none, or it is not told: what changes the password will say so.
        Err(Fault::Server { .. }) => return Ok(false),
        Err(fault) => return Err(fault),
    };
    let Some(told) = rows.first().and_then(|row| row.first()).and_then(Option::as_deref) else { return Ok(false) };
    Ok(['`', '"', '\''].iter().any(|quote| {
        let quoted = |text: &str| format!("{quote}{}{quote}", text.replace(*quote, &format!("{quote}{quote}")));
        let begin = format!("CREATE USER {}@{} IDENTIFIED VIA ed25519 ", quoted(name), quoted("%"));
        told.starts_with(&begin)
    }))
}

/// Removes a user, who may be gone already.
///
/// # Errors
/// The statements fail, and there is still such a user.
pub(crate) fn delete(cx: &Cx, config: &Config, removal: &UserRemoval) -> Result<()> {
    check_name(&removal.username)?;
    let fence = fence::name(cx, &removal.username)?;
    let written = Values::new(&removal.username).fill(&removal.statements, SQL)?;
    config.pool.with_session(cx, config, |session| {
        fence::within(session, &fence, |session| {
            let statements = match sql::is_blank(&removal.statements) {
                true => removals(session, &removal.username)?,
                false => written,
            };
            remove(session, &removal.username, &statements)
        })
    })
}

fn remove(session: &mut Session, name: &str, statements: &[String]) -> Result<(), Fault> {
    match transact(session, statements) {
        Err(fault) if fault.is_no_account() => {
            session.query("ROLLBACK")?;
            if exists(session, name)? { Err(fault) } else { Ok(()) }
        }
        other => other,
    }
}

/// What removes the accounts of a name, for whichever hosts they are: when one was made there was none of the name.
fn removals(session: &mut Session, name: &str) -> Result<Vec<String>, Fault> {
    let hosts = match hosts(session, name) {
        Ok(hosts) if !hosts.is_empty() => hosts,
        // It does not tell, or does not know yet: what it says of the account itself counts.
        Ok(_) | Err(Fault::Server { .. }) => vec![ANY_HOST.to_owned()],
        Err(fault) => return Err(fault),
    };
    let name = sql::literal(name, SQL);
    let of_host = |host: String| {
        let account = format!("{name}@{}", sql::literal(&host, SQL));
        [format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"), format!("DROP USER {account}")]
    };
    Ok(hosts.into_iter().flat_map(of_host).collect())
}

/// Whether there is an account of this name, for any host: one that another statement made for
/// `localhost` is not gone because there is none for `%`. Where the list may not be read it is not known.
fn exists(session: &mut Session, name: &str) -> Result<bool, Fault> {
    hosts(session, name).map(|hosts| !hosts.is_empty())
}

/// The hosts for which there are accounts of this name.
fn hosts(session: &mut Session, name: &str) -> Result<Vec<String>, Fault> {
    let name = sql::literal(name, SQL);
    let rows = session.query(&format!("SELECT host FROM mysql.user WHERE user = {name}"))?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// Runs statements one after the other; those that can be undone are, if one fails.
fn transact(session: &mut Session, statements: &[String]) -> Result<(), Fault> {
    session.query("START TRANSACTION")?;
    for statement in statements {
        session.query(statement)?;
    }
    session.query("COMMIT").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::makes_one_account;

    #[test]
    fn one_account_is_told_from_several() {
        for one in [
            "CREATE USER 'a,b'@'%' IDENTIFIED BY 'x, \\', ''y'",
            "create  user `a,b`@localhost",
            "CREATE USER IF NOT EXISTS \"a\"\", # \"@'%'",
        ] {
            assert!(makes_one_account(one), "{one}");
        }
        for other in [
            "CREATE USER 'a'@'%', 'b'@'%'",
            "CREATE USER 'a'@'%' IDENTIFIED BY 'it''s \\\\', 'b'@'%'",
            "CREATE USER 'a'@'%' /* it's */, 'b'@'%' -- it's",
            "CREATE USER 'a'@'%' # it's\n, 'b'@'%'",
            "CREATE ROLE 'a'",
            "CREATE OR REPLACE USER 'a'@'%'",
            "DROP USER 'a'@'%'",
            "GRANT CREATE USER ON *.* TO 'a'@'%'",
        ] {
            assert!(!makes_one_account(other), "{other}");
        }
    }
}

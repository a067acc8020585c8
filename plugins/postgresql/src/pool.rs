//! Sessions: one that was left by an earlier call, or a new one with the first server that takes it.

use bulkhead_sdk::net::{Connection, NetError};
use bulkhead_sdk::{Cx, Error, Result};

use crate::config::{Config, Encryption, Place, Target};
use crate::fault::{Fault, NO_DATABASE, NOT_LET_IN, WRONG_PASSWORD};
use crate::session::{Session, WithTls};

/// How long a session waits for the next call, in seconds.
const IDLE_SECS: u64 = 60;

/// Runs something in a session, and leaves the session for the next call if it is sound.
///
/// # Errors
/// There is none to be had, or what is run fails.
pub(crate) fn with_session<R>(
    cx: &Cx,
    config: &Config,
    act: impl FnOnce(&mut Session) -> Result<R, Fault>,
) -> Result<R> {
    let mut session = match left(cx, config) {
        Some(session) => session,
        None => begin(cx, config)?,
    };
    let done = act(&mut session).map_err(Error::from);
    if config.keeps_idle && done.is_ok() {
        let born = session.born_ms.to_be_bytes();
        if let Some(connection) = session.into_idle() {
            connection.park(&config.pool, &born, IDLE_SECS);
        }
    }
    done
}

/// The same in a new session, which ends with it: one that was left says nothing of whether its account
/// is let in still.
///
/// # Errors
/// As for [`with_session`].
pub(crate) fn with_new_session<R>(
    cx: &Cx,
    config: &Config,
    act: impl FnOnce(&mut Session) -> Result<R, Fault>,
) -> Result<R> {
    act(&mut begin(cx, config)?).map_err(Error::from)
}

/// A session of an earlier call. One that is dead is dropped before anything is asked of it.
fn left(cx: &Cx, config: &Config) -> Option<Session> {
    let (connection, born) = Connection::unpark(&config.pool)?;
    let born_ms = u64::from_be_bytes(born.try_into().ok()?);
    if config.lifetime_ms > 0 && cx.now_ms() >= born_ms.saturating_add(config.lifetime_ms) {
        return None;
    }
    let mut session = Session::over(connection, config.timeout_ms, born_ms);
    session.renew().ok()?;
    fits(&mut session, config.target).ok().filter(|fits| *fits)?;
    Some(session)
}

/// A new session, with the first server of several that takes it.
fn begin(cx: &Cx, config: &Config) -> Result<Session> {
    let mut told = Vec::new();
    let mut last = Fault::Net(NetError::Closed);
    for place in &config.places {
        for with_tls in attempts(config.encryption, place) {
            let begun = Session::begin(config, place, *with_tls, cx.now_ms()).and_then(|mut session| {
                let fits = fits(&mut session, config.target)?;
                if fits { Ok(session) } else { Err(Fault::protocol("it takes no writes")) }
            });
            match begun {
                Ok(session) => return Ok(session),
                Err(fault) => last = fault,
            }
            told.push(format!("{}: {}", place.shown, shown(&last)));
            // Without TLS it was not let in; with TLS it may be.
            if !last.is(NOT_LET_IN) {
                break;
            }
        }
        // Another server would say the same, and count it as one more wrong password.
        if [WRONG_PASSWORD, NO_DATABASE].iter().any(|state| last.is(state)) {
            break;
        }
    }
    let login = &config.login;
    let what = format!("failed to connect to `user={} database={}`:", login.user, login.database);
    let separator = if told.len() == 1 { " " } else { "\n\t" };
    let text = told.iter().fold(what, |text, line| text + separator + line);
    Err(match last {
        Fault::Net(NetError::Denied(_)) => Error::PermissionDenied(text),
        Fault::Net(_) => Error::Unavailable(text),
        Fault::Server { .. } | Fault::Protocol(_) => Error::Upstream(text),
    })
}

fn attempts(encryption: Encryption, place: &Place) -> &'static [WithTls] {
    match encryption {
        _ if place.server_name.is_none() => &[WithTls::No],
        Encryption::Never => &[WithTls::No],
        Encryption::IfDemanded => &[WithTls::No, WithTls::Yes],
        Encryption::IfOffered => &[WithTls::IfOffered],
        Encryption::Always => &[WithTls::Yes],
    }
}

fn shown(fault: &Fault) -> String {
    match fault {
        Fault::Server { severity, code, message } => format!("server error: {severity}: {message} (SQLSTATE {code})"),
        Fault::Net(NetError::Denied(grant)) => format!("this plugin is not granted {grant}"),
        Fault::Net(NetError::Resolve(text)) => format!("hostname resolving error: {text}"),
        Fault::Net(NetError::Refused(text)) => format!("dial error: {text}"),
        Fault::Net(NetError::Tls(text)) => format!("tls error: {text}"),
        Fault::Net(NetError::Timeout) => "timeout: it took too long".to_owned(),
        Fault::Net(NetError::Closed) => "the connection was ended before the answer".to_owned(),
        Fault::Net(NetError::Other(text)) | Fault::Protocol(text) => text.clone(),
    }
}

/// Whether the server is one of those that will do.
fn fits(session: &mut Session, target: Target) -> Result<bool, Fault> {
    let question = match target {
        Target::Any => return Ok(true),
        Target::ReadWrite => "SHOW transaction_read_only",
        Target::Primary => "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END",
    };
    let rows = session.query(question)?;
    Ok(rows.first().and_then(|row| row.first()).is_some_and(|value| value.as_deref() == Some("off")))
}

//! Sessions: one that was left by an earlier call, or a new one.

use bulkhead_sdk::net::{Connection, NetError};
use bulkhead_sdk::{Cx, Error, Result};

use crate::config::Config;
use crate::fault::Fault;
use crate::session::Session;

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

fn begin(cx: &Cx, config: &Config) -> Result<Session> {
    Session::begin(config, cx.now_ms()).map_err(|fault| unreached(fault, config))
}

/// A session of an earlier call. One that is dead is dropped before anything is asked of it.
fn left(cx: &Cx, config: &Config) -> Option<Session> {
    let (connection, born) = Connection::unpark(&config.pool)?;
    let born_ms = u64::from_be_bytes(born.try_into().ok()?);
    if config.lifetime_ms > 0 && cx.now_ms() >= born_ms.saturating_add(config.lifetime_ms) {
        return None;
    }
    let mut session = Session::over(connection, config.timeout_ms, born_ms);
    session.renew(config).ok()?;
    Some(session)
}

fn unreached(fault: Fault, config: &Config) -> Error {
    let place = config.address.split_once("://").map_or("", |(_, place)| place);
    match fault {
        Fault::Net(NetError::Timeout) => Error::Unavailable(format!("dial {place}: it took too long")),
        Fault::Net(NetError::Tls(text)) => Error::Unavailable(format!("{place}: tls: {text}")),
        other => other.into(),
    }
}

//! A session: commands and replies, over a connection of the host's.

use bulkhead_sdk::net::{Connection, NetError};
use bulkhead_sdk::{Cx, Error, Result};

use crate::config::Config;
use crate::resp::{self, Reply};

/// How long to wait for a server, in milliseconds.
const TIMEOUT_MS: u32 = 20_000;

/// How long a session waits for the next call, in seconds.
const IDLE_SECS: u64 = 60;

/// Most that is read at a time, and of one reply, in bytes.
const READ_BYTES: u32 = 16_384;
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A session that is open.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    incoming: Vec<u8>,
}

/// Runs something in a session, one that was left by an earlier call or a new one, and leaves it for
/// the next call if it is sound.
///
/// # Errors
/// There is none to be had, or what is run fails.
pub(crate) fn with_session<R>(cx: &Cx, config: &Config, act: impl FnOnce(&mut Session) -> Result<R>) -> Result<R> {
    let mut session = match left(config) {
        Some(session) => session,
        None => Session::begin(config)?,
    };
    let done = act(&mut session);
    if done.is_ok() && session.incoming.is_empty() {
        session.connection.park(&config.pool, &cx.now_ms().to_be_bytes(), IDLE_SECS);
    }
    done
}

/// The same in a new session, which ends with it: one that was left says nothing of whether its account
/// is let in still.
///
/// # Errors
/// As for [`with_session`].
pub(crate) fn with_new_session<R>(config: &Config, act: impl FnOnce(&mut Session) -> Result<R>) -> Result<R> {
    act(&mut Session::begin(config)?)
}

/// A session of an earlier call. One that is dead is dropped before anything is asked of it.
fn left(config: &Config) -> Option<Session> {
    let (connection, _) = Connection::unpark(&config.pool)?;
    let mut session = Session { connection, incoming: Vec::new() };
    session.command(&["PING"]).ok()?;
    Some(session)
}

impl Session {
    fn begin(config: &Config) -> Result<Self> {
        let address = format!("tcp://{}", config.place);
        let connection = Connection::connect(&address, config.tls.as_ref(), TIMEOUT_MS);
        let connection = connection.map_err(|error| Error::from(error).within(format!("dial {}", config.place)))?;
        let mut session = Self { connection, incoming: Vec::new() };
        session.command(&["AUTH", &config.username, config.password.expose()])?;
        Ok(session)
    }

    /// Runs a command.
    ///
    /// # Errors
    /// [`Error::Upstream`]: the server refuses it, in its own words.
    pub(crate) fn command(&mut self, words: &[&str]) -> Result<Reply> {
        self.connection.write_all(&resp::command(words), TIMEOUT_MS)?;
        loop {
            let read = resp::reply(&self.incoming);
            match read.map_err(|_| Error::upstream("the server does not answer like Redis"))? {
                Some((reply, length)) => {
                    self.incoming.drain(..length);
                    return match reply {
                        Reply::Refusal(text) => Err(Error::upstream(text)),
                        reply => Ok(reply),
                    };
                }
                None if self.incoming.len() > REPLY_BYTES_MAX => {
                    return Err(Error::upstream("the server answers with more than is asked for"));
                }
                None => {}
            }
            let bytes = self.connection.read(READ_BYTES, TIMEOUT_MS)?;
            if bytes.is_empty() {
                return Err(NetError::Closed.into());
            }
            self.incoming.extend_from_slice(&bytes);
        }
    }
}

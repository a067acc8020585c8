//! A session: commands and replies, over a connection of the host's.

use bulkhead_sdk::net::{self, Connection, NetError};
use bulkhead_sdk::{Cx, Error, Result};

use crate::config::Config;
use crate::resp::{self, Reply};

/// How long to wait for a server, in milliseconds.
const TIMEOUT_MS: u32 = 20_000;

/// Most that is read at a time, and of one reply, in bytes.
const READ_BYTES: u32 = 16_384;
const REPLY_BYTES_MAX: usize = 7 * 1024 * 1024;

/// A session that is open.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    incoming: Vec<u8>,
}

impl net::Session for Session {
    type Config = Config;
    type Fault = Error;

    fn begin(_cx: &Cx, config: &Config) -> Result<Self> {
        Self::begin(config)
    }

    fn resume(connection: Connection, _config: &Config) -> Option<Self> {
        let mut session = Self { connection, incoming: Vec::new() };
        session.command(&["PING"]).ok().map(|_| session)
    }

    fn into_idle(self) -> Option<Connection> {
        self.incoming.is_empty().then_some(self.connection)
    }
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

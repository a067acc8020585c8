//! A session: messages there and back, over a connection of the host's.

use bulkhead_sdk::net::{Connection, NetError, TlsInfo};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{Header, Message};
use postgres_protocol::message::frontend;

use crate::authenticate;
use crate::config::{Config, Login, Place};
use crate::fault::Fault;

/// Longest message that is read, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Most that is read of one answer, in bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most that is read at a time, in bytes.
const READ_BYTES: u32 = 16_384;

/// How long the server may take for a statement, in milliseconds. Why: it ends one by itself before that, and within the
/// time of a call there is to be some left for beginning a session.
const STATEMENT_MS: u32 = 45_000;

/// How a transaction stands.
const IDLE: u8 = b'I';

/// A row: each column as text, or null.
pub(crate) type Row = Vec<Option<String>>;

/// A session that is open.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    incoming: BytesMut,
    timeout_ms: u32,
    /// Nothing is under way, not even a transaction.
    is_idle: bool,
    /// Backslashes mean nothing in texts, which is what quoting goes by.
    is_conforming: bool,
}

impl Session {
    /// Begins a session.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us in.
    pub(crate) fn begin(config: &Config, place: &Place, with_tls: WithTls) -> Result<Self, Fault> {
        let connection = Connection::connect(&place.address, None, config.timeout_ms)?;
        let mut session = Self::over(connection, config.timeout_ms);
        if with_tls != WithTls::No {
            session.start_tls(config, place, with_tls)?;
        }
        session.log_in(&config.login)?;
        session.conform()?;
        session.timeout_ms = STATEMENT_MS;
        Ok(session)
    }

    /// A session over a connection that had one.
    pub(crate) fn over(connection: Connection, timeout_ms: u32) -> Self {
        Self { connection, incoming: BytesMut::new(), timeout_ms, is_idle: true, is_conforming: true }
    }

    fn start_tls(&mut self, config: &Config, place: &Place, with_tls: WithTls) -> Result<(), Fault> {
        self.send(|out| {
            frontend::ssl_request(out);
            Ok(())
        })?;
        // One byte and no more: what follows it already belongs to TLS.
        match self.connection.read(1, self.timeout_ms)?.as_slice() {
            b"S" => {
                let mut tls = config.tls.clone();
                tls.server_name.clone_from(&place.server_name);
                Ok(self.connection.start_tls(&tls, self.timeout_ms)?)
            }
            b"N" if with_tls == WithTls::IfOffered => Ok(()),
            b"N" => Err(Fault::Net(NetError::Tls("server refused TLS connection".to_owned()))),
            b"" => Err(Fault::Net(NetError::Closed)),
            _ => Err(Fault::protocol("the server does not answer like PostgreSQL")),
        }
    }

    fn log_in(&mut self, login: &Login) -> Result<(), Fault> {
        let own = [("user", login.user.as_str()), ("database", login.database.as_str()), ("client_encoding", "UTF8")];
        let set = login.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let parameters: Vec<(&str, &str)> = own.into_iter().chain(set).collect();
        self.send(|out| frontend::startup_message(parameters, out))?;
        authenticate::prove(self, login)?;
        self.answer().map(|_| ())
    }

    /// Sees to it that a backslash in a text is a backslash.
    fn conform(&mut self) -> Result<(), Fault> {
        if self.is_conforming {
            return Ok(());
        }
        self.query("SET standard_conforming_strings = on").map(|_| ())
    }

    /// Whether it still works; if so, it is like a new one.
    pub(crate) fn renew(&mut self) -> Result<(), Fault> {
        self.query("DISCARD ALL")?;
        self.conform()?;
        self.timeout_ms = STATEMENT_MS;
        Ok(())
    }

    /// Runs statements and gives the rows that they come to.
    ///
    /// # Errors
    /// One of them fails; the rest is not run.
    pub(crate) fn query(&mut self, statements: &str) -> Result<Vec<Row>, Fault> {
        if statements.contains('\0') {
            return Err(Fault::protocol("a statement has a byte 0"));
        }
        self.is_idle = false;
        self.send(|out| frontend::query(statements, out))?;
        self.answer()
    }

    /// Reads until the server is ready for more.
    fn answer(&mut self) -> Result<Vec<Row>, Fault> {
        let (mut rows, mut bytes, mut fault) = (Vec::new(), 0_usize, None);
        loop {
            // A server that ends the session says why first.
            let message = match self.receive() {
                Ok(message) => message,
                Err(broken) => return Err(fault.unwrap_or(broken)),
            };
            match message {
                Message::ReadyForQuery(body) => {
                    self.is_idle = body.status() == IDLE;
                    return fault.map_or(Ok(rows), Err);
                }
                Message::ErrorResponse(body) => fault = fault.or(Some(Fault::told(body.fields()))),
                Message::DataRow(body) => {
                    bytes += body.buffer().len();
                    if bytes > ANSWER_BYTES_MAX {
                        return Err(Fault::protocol("the server answers with more than is asked for"));
                    }
                    let text = |range: std::ops::Range<usize>| {
                        String::from_utf8_lossy(body.buffer().get(range).unwrap_or_default()).into_owned()
                    };
                    rows.push(body.ranges().map(|range| Ok(range.map(text))).collect()?);
                }
                Message::CopyInResponse(_) => self.send(|out| frontend::copy_fail("no data", out))?,
                // What else there may be says nothing about success.
                _ => {}
            }
        }
    }

    /// The next message that is not just a remark. An error before the session is idle ends it.
    pub(crate) fn receive(&mut self) -> Result<Message, Fault> {
        loop {
            let message = self.next()?;
            match &message {
                Message::NoticeResponse(_) | Message::NotificationResponse(_) => {}
                Message::ParameterStatus(body) => {
                    if body.name()? == "standard_conforming_strings" {
                        self.is_conforming = body.value()? == "on";
                    }
                }
                _ => return Ok(message),
            }
        }
    }

    fn next(&mut self) -> Result<Message, Fault> {
        loop {
            if let Some(header) = Header::parse(&self.incoming)? {
                let is_short = usize::try_from(header.len()).is_ok_and(|length| length <= MESSAGE_BYTES_MAX);
                if !is_short {
                    return Err(Fault::protocol("the server sends a message that is too long"));
                }
                if let Some(message) = Message::parse(&mut self.incoming)? {
                    return Ok(message);
                }
            }
            let bytes = self.connection.read(READ_BYTES, self.timeout_ms)?;
            if bytes.is_empty() {
                return Err(Fault::Net(NetError::Closed));
            }
            self.incoming.extend_from_slice(&bytes);
        }
    }

    pub(crate) fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<(), Fault> {
        let mut out = BytesMut::new();
        write(&mut out)?;
        Ok(self.connection.write_all(&out, self.timeout_ms)?)
    }

    pub(crate) fn tls(&self) -> Option<TlsInfo> {
        self.connection.tls()
    }

    /// The connection, if another session can follow over it.
    pub(crate) fn into_idle(self) -> Option<Connection> {
        (self.is_idle && self.incoming.is_empty()).then_some(self.connection)
    }
}

/// Whether a session is over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithTls {
    /// It is not.
    No,
    /// It is where the server can.
    IfOffered,
    /// It is.
    Yes,
}

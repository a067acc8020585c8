//! A session: packets there and back, over a connection of the host's.

use bulkhead_sdk::net::{Connection, NetError};
use bytes::BytesMut;
use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{CommonOkPacket, HandshakePacket, OkPacket, OkPacketDeserializer, SslRequest};
use mysql_common::proto::MySerialize;
use mysql_common::proto::codec::PacketCodec;

use crate::authenticate;
use crate::config::{Config, Encryption};
use crate::fault::Fault;

/// Longest packet, in bytes.
const PACKET_BYTES_MAX: usize = 1024 * 1024;

/// Most that is read of one answer, in bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most that is read at a time, in bytes.
const READ_BYTES: u32 = 16_384;

/// `utf8mb4_general_ci`: the signs that quoting goes by.
const COLLATION: u8 = 45;

/// What every session has: the signs that texts are in; and an end, in seconds, where nobody says a word any more. Why:
/// it is longer than a session waits for the next call, and what somebody said who has given up is not waited for.
const OWN_SETTINGS: &str = "SET NAMES utf8mb4, @@SESSION.wait_timeout = 90";

/// How long the server may take for a statement, in milliseconds. Why: within the time of a call there is to be some
/// left for beginning a session before, and for saying what came of it.
const STATEMENT_MS: u32 = 45_000;

const COM_QUERY: u8 = 0x03;
const COM_RESET_CONNECTION: u8 = 0x1f;

/// A row: each column as text, or null.
pub(crate) type Row = Vec<Option<String>>;

/// A session that is open.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    incoming: BytesMut,
    codec: PacketCodec,
    pub(crate) capabilities: CapabilityFlags,
    status: StatusFlags,
    timeout_ms: u32,
    /// Nothing is under way.
    is_idle: bool,
}

impl Session {
    /// Begins a session.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us in.
    pub(crate) fn begin(config: &Config) -> Result<Self, Fault> {
        let connection = Connection::connect(&config.address, None, config.timeout_ms)?;
        let mut session = Self::over(connection, config.timeout_ms);
        let greeting = session.receive()?;
        if greeting.first() == Some(&0xff) {
            // Too many connections, or a host that is not let in: sent before anything is agreed on.
            return Err(Fault::told(&greeting, CapabilityFlags::empty()));
        }
        let greeting: HandshakePacket<'_> = ParseBuf(&greeting).parse(())?;
        session.agree(config, greeting.capabilities())?;
        session.start_tls(config)?;
        authenticate::prove(&mut session, &config.login, &greeting)?;
        session.is_idle = true;
        session.set_up(config)?;
        session.timeout_ms = STATEMENT_MS;
        Ok(session)
    }

    /// A session over a connection that had one.
    pub(crate) fn over(connection: Connection, timeout_ms: u32) -> Self {
        let mut codec = PacketCodec::default();
        codec.max_allowed_packet = PACKET_BYTES_MAX;
        Self {
            connection,
            incoming: BytesMut::new(),
            codec,
            capabilities: wanted(),
            status: StatusFlags::empty(),
            timeout_ms,
            is_idle: false,
        }
    }

    /// What both sides can and one of them asks for. Files of this side are never among it.
    fn agree(&mut self, config: &Config, offered: CapabilityFlags) -> Result<(), Fault> {
        let mut wanted = wanted();
        wanted.set(CapabilityFlags::CLIENT_MULTI_STATEMENTS, config.login.multi_statements);
        wanted.set(CapabilityFlags::CLIENT_CONNECT_WITH_DB, !config.login.database.is_empty());
        wanted.set(CapabilityFlags::CLIENT_SSL, config.encryption != Encryption::Never && !config.login.is_local);
        self.capabilities = wanted & offered;
        if !self.capabilities.contains(CapabilityFlags::CLIENT_PROTOCOL_41 | CapabilityFlags::CLIENT_SECURE_CONNECTION)
        {
            return Err(Fault::protocol("the server is too old"));
        }
        if config.encryption == Encryption::Always && wanted.contains(CapabilityFlags::CLIENT_SSL) && !self.has_tls() {
            return Err(Fault::Net(NetError::Tls(
                "the server does not speak TLS, but the config asks for it".to_owned(),
            )));
        }
        Ok(())
    }

    /// Whether TLS was agreed on.
    pub(crate) fn has_tls(&self) -> bool {
        self.capabilities.contains(CapabilityFlags::CLIENT_SSL)
    }

    fn start_tls(&mut self, config: &Config) -> Result<(), Fault> {
        if !self.has_tls() {
            return Ok(());
        }
        // What came before TLS must not be taken for what comes within it.
        if !self.incoming.is_empty() {
            return Err(Fault::protocol("the server speaks out of turn"));
        }
        let packet_bytes = u32::try_from(PACKET_BYTES_MAX).unwrap_or(u32::MAX);
        self.send(&serialized(&SslRequest::new(self.capabilities, packet_bytes, COLLATION)))?;
        Ok(self.connection.start_tls(&config.tls, self.timeout_ms)?)
    }

    /// Sees to it that a backslash in a text is a sign, which is what quoting goes by, and sets what
    /// the config asks for.
    fn set_up(&mut self, config: &Config) -> Result<(), Fault> {
        self.query(OWN_SETTINGS)?;
        for statement in &config.login.settings {
            self.query(statement)?;
        }
        if self.status.contains(StatusFlags::SERVER_STATUS_NO_BACKSLASH_ESCAPES) {
            self.query("SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_BACKSLASH_ESCAPES', '')")?;
        }
        Ok(())
    }

    /// Whether it still works; if so, it is like a new one.
    pub(crate) fn renew(&mut self, config: &Config) -> Result<(), Fault> {
        self.command(COM_RESET_CONNECTION, b"")?;
        self.set_up(config)?;
        self.timeout_ms = STATEMENT_MS;
        Ok(())
    }

    /// Runs a statement and gives the rows that it comes to.
    ///
    /// # Errors
    /// It fails.
    pub(crate) fn query(&mut self, statement: &str) -> Result<Vec<Row>, Fault> {
        self.command(COM_QUERY, statement.as_bytes())
    }

    fn command(&mut self, command: u8, text: &[u8]) -> Result<Vec<Row>, Fault> {
        self.codec.reset_seq_id();
        self.is_idle = false;
        self.send(&[&[command], text].concat())?;
        let mut rows = Vec::new();
        let mut room = ANSWER_BYTES_MAX;
        let answered = loop {
            match self.result(&mut rows, &mut room) {
                Ok(()) if self.status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) => {}
                Ok(()) => break Ok(rows),
                Err(fault @ Fault::Server { .. }) => break Err(fault),
                Err(fault) => return Err(fault),
            }
        };
        self.is_idle = true;
        answered
    }

    /// One result: that all is well, or columns and rows.
    fn result(&mut self, rows: &mut Vec<Row>, room: &mut usize) -> Result<(), Fault> {
        let first = self.receive()?;
        let columns = match first.first() {
            Some(0x00) => {
                self.status = ok(&first, self.capabilities)?.status_flags();
                return Ok(());
            }
            Some(0xff) => return Err(Fault::told(&first, self.capabilities)),
            // The server asks for a file.
            Some(0xfb) | None => return Err(Fault::protocol("the server asks for what it is not given")),
            Some(_) => ParseBuf(&first).checked_eat_lenenc_int().ok_or_else(unread)?,
        };
        for _ in 0..columns {
            take(room, &self.receive()?)?;
        }
        let end = self.receive_end()?;
        self.end_of_part(&end)?;
        loop {
            let packet = self.receive()?;
            take(room, &packet)?;
            match packet.first() {
                Some(0xff) => return Err(Fault::told(&packet, self.capabilities)),
                Some(0xfe) if packet.len() < 9 => return self.end_of_part(&packet),
                _ => rows.push(row(&packet, columns)?),
            }
        }
    }

    fn receive_end(&mut self) -> Result<Vec<u8>, Fault> {
        let packet = self.receive()?;
        if packet.first() == Some(&0xfe) && packet.len() < 9 { Ok(packet) } else { Err(unread()) }
    }

    /// The packet between columns and rows, and after them: warnings, then how things stand.
    fn end_of_part(&mut self, packet: &[u8]) -> Result<(), Fault> {
        let bytes: [u8; 2] = packet.get(3..5).and_then(|bytes| bytes.try_into().ok()).ok_or_else(unread)?;
        self.status = StatusFlags::from_bits_truncate(u16::from_le_bytes(bytes));
        Ok(())
    }

    /// The next packet.
    pub(crate) fn receive(&mut self) -> Result<Vec<u8>, Fault> {
        let mut packet = Vec::new();
        while !self.codec.decode(&mut self.incoming, &mut packet)? {
            let bytes = self.connection.read(READ_BYTES, self.timeout_ms)?;
            if bytes.is_empty() {
                return Err(Fault::Net(NetError::Closed));
            }
            self.incoming.extend_from_slice(&bytes);
        }
        Ok(packet)
    }

    pub(crate) fn send(&mut self, packet: &[u8]) -> Result<(), Fault> {
        let mut out = BytesMut::new();
        self.codec.encode(&mut &*packet, &mut out)?;
        Ok(self.connection.write_all(&out, self.timeout_ms)?)
    }

    /// Notes how things stand after a login.
    pub(crate) fn stands(&mut self, packet: &[u8]) -> Result<(), Fault> {
        self.status = ok(packet, self.capabilities)?.status_flags();
        Ok(())
    }

    /// The connection, if another session can follow over it.
    pub(crate) fn into_idle(self) -> Option<Connection> {
        let is_in_transaction = self.status.contains(StatusFlags::SERVER_STATUS_IN_TRANS);
        (self.is_idle && self.incoming.is_empty() && !is_in_transaction).then_some(self.connection)
    }
}

fn wanted() -> CapabilityFlags {
    CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_LONG_FLAG
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_MULTI_RESULTS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH
}

fn unread() -> Fault {
    Fault::protocol("the server sends a packet that cannot be read")
}

pub(crate) fn serialized(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}

fn ok(packet: &[u8], capabilities: CapabilityFlags) -> Result<OkPacket<'_>, Fault> {
    let read: OkPacketDeserializer<'_, CommonOkPacket> = ParseBuf(packet).parse(capabilities)?;
    Ok(read.into_inner())
}

fn take(room: &mut usize, packet: &[u8]) -> Result<(), Fault> {
    let more = || Fault::protocol("the server answers with more than is asked for");
    *room = room.checked_sub(packet.len() + 1).ok_or_else(more)?;
    Ok(())
}

fn row(packet: &[u8], columns: u64) -> Result<Row, Fault> {
    let mut rest = ParseBuf(packet);
    let mut row = Vec::new();
    for _ in 0..columns {
        row.push(if rest.0.first() == Some(&0xfb) {
            rest.skip(1);
            None
        } else {
            let text = rest.checked_eat_lenenc_str().ok_or_else(unread)?;
            Some(String::from_utf8_lossy(text).into_owned())
        });
    }
    Ok(row)
}

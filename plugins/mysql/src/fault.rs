//! What can go wrong with a session, and what of it is told.

use bulkhead_sdk::Error;
use bulkhead_sdk::net::NetError;
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::ErrPacket;
use mysql_common::proto::codec::error::PacketCodecError;

/// Codes of a server that does not know the account it is to do something with.
const NO_ACCOUNT: [u16; 4] = [1133, 1141, 1269, CANNOT_USER];

/// The code of a statement about accounts that cannot be done: whether there is such an account or none, depends on
/// the statement.
pub(crate) const CANNOT_USER: u16 = 1396;

/// The code of a statement that cannot be read; its message repeats the end of the statement.
const SYNTAX: u16 = 1064;

/// Why something did not work.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server says so.
    Server { code: u16, state: String, message: String },
    /// There is an account of that name, which nobody made for this call.
    Taken(String),
    /// Somebody else is at work on the account, and nothing was begun here.
    Busy(String),
    /// The connection broke, or never was.
    Net(NetError),
    /// The other side does not speak the protocol, or not enough of it.
    Protocol(String),
}

impl Fault {
    /// What a server says.
    pub(crate) fn told(packet: &[u8], capabilities: CapabilityFlags) -> Self {
        match ParseBuf(packet).parse::<ErrPacket<'_>>(capabilities) {
            Ok(ErrPacket::Error(error)) => {
                let code = error.error_code();
                let message = error.message_str();
                let kept = if code == SYNTAX { message.split(" near '").next().unwrap_or_default() } else { &message };
                let state = error.sql_state_ref().map(|state| state.as_str().into_owned()).unwrap_or_default();
                Self::Server { code, state, message: kept.to_owned() }
            }
            Ok(ErrPacket::Progress(_)) | Err(_) => Self::protocol("the server sends an error that cannot be read"),
        }
    }

    /// Something that is not in the protocol.
    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into())
    }

    /// Whether the server does not know an account.
    pub(crate) fn is_no_account(&self) -> bool {
        matches!(self, Self::Server { code, .. } if NO_ACCOUNT.contains(code))
    }
}

impl From<NetError> for Fault {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Protocol(format!("malformed packet: {error}"))
    }
}

impl From<PacketCodecError> for Fault {
    fn from(error: PacketCodecError) -> Self {
        Self::Protocol(format!("malformed packet: {error}"))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Server { code, state, message } if state.is_empty() => {
                Self::Upstream(format!("Error {code}: {message}"))
            }
            Fault::Server { code, state, message } => Self::Upstream(format!("Error {code} ({state}): {message}")),
            Fault::Taken(text) => Self::PreconditionFailed(text),
            Fault::Busy(text) => Self::Unavailable(text),
            Fault::Net(error) => error.into(),
            Fault::Protocol(text) => Self::Upstream(text),
        }
    }
}

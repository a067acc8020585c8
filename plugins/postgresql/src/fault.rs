//! What can go wrong with a session, and what of it is told.

use bulkhead_sdk::Error;
use bulkhead_sdk::net::NetError;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

/// SQLSTATE: there is no such role, table or other thing.
pub(crate) const UNDEFINED_OBJECT: &str = "42704";

/// SQLSTATE: there is one of that name already.
pub(crate) const DUPLICATE_OBJECT: &str = "42710";

/// SQLSTATE: somebody else has the lock for longer than is waited.
pub(crate) const LOCK_TIMEOUT: &str = "55P03";

/// SQLSTATEs of two transactions of which one has to begin anew.
const BEGIN_ANEW: [&str; 2] = ["40001", "40P01"];

/// What a server says of two that grant on the same thing, under a SQLSTATE for all that is not foreseen. Servers do not
/// translate it.
const AT_ONCE: [&str; 2] = ["tuple concurrently updated", "tuple concurrently deleted"];
const UNFORESEEN: &str = "XX000";

/// SQLSTATE: no entry of `pg_hba.conf` lets this client in.
pub(crate) const NOT_LET_IN: &str = "28000";

/// SQLSTATE: a wrong password.
pub(crate) const WRONG_PASSWORD: &str = "28P01";

/// SQLSTATE: there is no such database.
pub(crate) const NO_DATABASE: &str = "3D000";

/// Why something did not work.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server says so. Its detail, hint and context are left out: they may repeat the statement.
    Server { severity: String, code: String, message: String },
    /// There is a role of that name, which nobody made for this call.
    Taken(String),
    /// The connection broke, or never was.
    Net(NetError),
    /// The other side does not speak the protocol.
    Protocol(String),
}

impl Fault {
    /// What a server says.
    pub(crate) fn told(mut fields: ErrorFields<'_>) -> Self {
        let (mut severity, mut code, mut message) = (String::new(), String::new(), String::new());
        while let Ok(Some(field)) = fields.next() {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'S' => severity = value,
                b'C' => code = value,
                b'M' => message = value,
                _ => {}
            }
        }
        Self::Server { severity, code, message }
    }

    /// Something that is not in the protocol.
    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into())
    }

    /// Whether it is for somebody else's transaction that this one failed, and another may succeed.
    pub(crate) fn is_conflict(&self) -> bool {
        let Self::Server { code, message, .. } = self else { return false };
        BEGIN_ANEW.contains(&code.as_str()) || (code == UNFORESEEN && AT_ONCE.contains(&message.as_str()))
    }

    /// Whether the server gives this SQLSTATE.
    pub(crate) fn is(&self, state: &str) -> bool {
        matches!(self, Self::Server { code, .. } if code == state)
    }
}

impl From<NetError> for Fault {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Server { severity, code, message } => {
                let text = format!("{severity}: {message} (SQLSTATE {code})");
                if code == LOCK_TIMEOUT { Self::Unavailable(text) } else { Self::Upstream(text) }
            }
            Fault::Taken(text) => Self::PreconditionFailed(text),
            Fault::Net(error) => error.into(),
            Fault::Protocol(text) => Self::Upstream(text),
        }
    }
}

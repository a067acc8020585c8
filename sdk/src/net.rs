//! Connections to servers outside, for protocols other than HTTP. The host makes them, to the
//! addresses that the operator granted and no others, and does all of TLS.

use crate::bindings::mounted::bulkhead::plugin::{keys as wit_keys, net as wit};
use crate::{Error, Result, Secret, host};

mod pool;

pub use pool::{Pool, Session};
pub use wit::{Error as NetError, TlsInfo, Verification};

/// How a server shows who it is, and what it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The name its certificate must have; that of the address where none is given.
    pub server_name: Option<String>,
    /// The authorities that are believed, PEM; those of the machine where none are given.
    pub roots_pem: Option<String>,
    /// What of its certificate is looked at. Anything but all of it needs a grant of its own
    /// (`insecure`) or trusts whomever the authorities have signed for (`chain-only`).
    pub verification: Verification,
    /// The certificate that the server is shown.
    pub client: Option<ClientIdentity>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    chain_pem: String,
    key_pem: Secret<String>,
    show: Show,
}

/// How an identity is shown. It is kept beside it so that a guest without any does not import keys.
#[derive(Clone)]
struct Show(fn(&ClientIdentity, &host::net::TlsConfig) -> Result<(), NetError>);

impl PartialEq for Show {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Show {}

impl core::fmt::Debug for Show {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Show")
    }
}

impl ClientIdentity {
    /// The certificate and those between it and an authority, and the key; both PEM, the key as
    /// PKCS#8, PKCS#1 or SEC1.
    #[must_use]
    pub fn new(chain_pem: String, key_pem: Secret<String>) -> Self {
        Self { chain_pem, key_pem, show: Show(show) }
    }

    /// The certificates.
    #[must_use]
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The key.
    #[must_use]
    pub const fn key_pem(&self) -> &Secret<String> {
        &self.key_pem
    }
}

fn show(client: &ClientIdentity, config: &host::net::TlsConfig) -> Result<(), NetError> {
    let pem = client.key_pem.expose().as_bytes();
    let key = host::keys::import("", "pem", pem, false).map_err(unusable)?;
    config.client_identity(client.chain_pem.as_bytes(), &key)
}

#[allow(clippy::derivable_impls)] // the type is generated
impl Default for Verification {
    fn default() -> Self {
        Self::Full
    }
}

/// Settings as the host takes them.
pub(crate) fn configured(tls: &Tls) -> Result<host::net::TlsConfig, NetError> {
    let config = host::net::TlsConfig::new();
    if let Some(name) = &tls.server_name {
        config.server_name(name);
    }
    if let Some(pem) = &tls.roots_pem {
        config.roots_pem(pem.as_bytes())?;
    }
    if let Some(client) = &tls.client {
        (client.show.0)(client, &config)?;
    }
    config.verification(tls.verification);
    Ok(config)
}

/// What is wrong with a key is told without a word of it.
fn unusable(error: wit_keys::Error) -> NetError {
    match error {
        wit_keys::Error::Denied(text) => NetError::Denied(text),
        wit_keys::Error::Unsupported(text) | wit_keys::Error::Failed(text) => {
            NetError::Tls(format!("the key of the client certificate: {text}"))
        }
        wit_keys::Error::NotFound | wit_keys::Error::Rejected => {
            NetError::Tls("the key of the client certificate cannot be read".to_owned())
        }
    }
}

/// A connection, ended when it is dropped.
#[derive(Debug)]
pub struct Connection(host::net::Connection);

impl Connection {
    /// Connects to `tcp://host:port` or `unix:///path`, with TLS from the first byte if it is asked
    /// for.
    ///
    /// # Errors
    /// The address is not granted, or nobody answers.
    pub fn connect(address: &str, tls: Option<&Tls>, timeout_ms: u32) -> Result<Self, NetError> {
        let config = tls.map(configured).transpose()?;
        host::net::connect(address, config.as_ref(), timeout_ms).map(Self)
    }

    /// A connection that an earlier call has left in this pool, and what it noted of it. The other
    /// side may have ended it meanwhile.
    #[must_use]
    pub fn unpark(pool: &str) -> Option<(Self, Vec<u8>)> {
        host::net::unpark(pool).map(|(connection, state)| (Self(connection), state))
    }

    /// Leaves it in a pool for a later call. Nothing may be under way on it, and nothing unread.
    pub fn park(self, pool: &str, state: &[u8], idle_secs: u64) {
        host::net::Connection::park(self.0, pool, state, idle_secs);
    }

    /// Some bytes, as many as have come; none if the other side has ended the connection.
    ///
    /// # Errors
    /// None come within the time, or the connection breaks.
    pub fn read(&mut self, bytes_max: u32, timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        self.0.read(bytes_max, timeout_ms)
    }

    /// Sends bytes, all of them.
    ///
    /// # Errors
    /// They are not taken within the time, or the connection breaks.
    pub fn write_all(&mut self, bytes: &[u8], timeout_ms: u32) -> Result<(), NetError> {
        self.0.write(bytes, timeout_ms)
    }

    /// Goes over to TLS, as protocols do that begin in plain text.
    ///
    /// # Errors
    /// The two do not come to terms, or the server is not who it should be.
    pub fn start_tls(&mut self, tls: &Tls, timeout_ms: u32) -> Result<(), NetError> {
        self.0.start_tls(&configured(tls)?, timeout_ms)
    }

    /// What TLS came to, where it is spoken.
    #[must_use]
    pub fn tls(&self) -> Option<TlsInfo> {
        self.0.tls()
    }
}

/// What a caller is told where a grant is missing, so that whoever may give it knows how.
#[must_use]
pub fn ungranted(grant: &str) -> String {
    format!("this mount is not granted {grant:?}: give it with `bulkhead plugin grant MOUNT {grant:?}`")
}

/// What it usually means that there was no answer: nothing to the caller, and worth trying
/// again, but for a grant that is missing.
impl From<NetError> for Error {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Denied(grant) => Self::PermissionDenied(ungranted(&grant)),
            NetError::Resolve(text) | NetError::Refused(text) | NetError::Other(text) => Self::Unavailable(text),
            NetError::Tls(text) => Self::Unavailable(format!("TLS: {text}")),
            NetError::Timeout => Self::Unavailable("it took too long".to_owned()),
            NetError::Closed => Self::Unavailable("the connection was ended before the answer".to_owned()),
        }
    }
}

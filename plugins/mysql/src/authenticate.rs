//! The proof of who we are, in whichever of its ways the server asks for it.

use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
use mysql_common::auth::plugins::client_ed25519::ClientEd25519;
use mysql_common::auth::plugins::mysql_native_password::scramble_native;
use mysql_common::auth::plugins::{ChallengeResponsePlugin, Context};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse};

use crate::config::Login;
use crate::fault::Fault;
use crate::key;
use crate::session::{Session, serialized};

/// Most steps of one proof.
const STEPS_MAX: usize = 8;

/// Longest packet that is taken, in bytes, as the server is told.
const PACKET_BYTES: u32 = 1024 * 1024;

/// What a server says of a password that it remembers, or does not; and what it is asked for.
const REMEMBERED: u8 = 3;
const NOT_REMEMBERED: u8 = 4;
const ASK_FOR_KEY: u8 = 2;

/// How a proof is made, with the server's nonce.
struct Proof<'a> {
    login: &'a Login,
    plugin: AuthPlugin<'static>,
    nonce: Vec<u8>,
    /// Nobody listens: TLS, or a socket of this machine.
    is_private: bool,
}

/// Proves it.
///
/// # Errors
/// The server does not let us in, or asks for what it is not given.
pub(crate) fn prove(session: &mut Session, login: &Login, greeting: &HandshakePacket<'_>) -> Result<(), Fault> {
    let is_private = session.has_tls() || login.is_local;
    // A server that asks for none of those that are offered says so after the first of them.
    let plugin = greeting.auth_plugin().unwrap_or(AuthPlugin::MysqlNativePassword).into_owned();
    let mut proof = Proof { login, plugin, nonce: greeting.nonce(), is_private };
    if !proof.is_offered() {
        proof.plugin = AuthPlugin::MysqlNativePassword;
    }
    let first = proof.first()?;
    session.send(&serialized(&response(session, &proof, first)))?;
    for _ in 0..STEPS_MAX {
        let packet = session.receive()?;
        match packet.split_first() {
            Some((0x00, _)) => return session.stands(&packet),
            Some((0xff, _)) => return Err(Fault::told(&packet, session.capabilities)),
            Some((0xfe, [])) => return Err(not_offered("mysql_old_password")),
            Some((0xfe, _)) => {
                let switch: AuthSwitchRequest<'_> = ParseBuf(&packet).parse(())?;
                proof.plugin = switch.auth_plugin().into_owned();
                proof.nonce = switch.plugin_data().to_vec();
                if !proof.is_offered() {
                    return Err(not_offered(&String::from_utf8_lossy(proof.plugin.as_bytes())));
                }
                session.send(&proof.first()?)?;
            }
            Some((0x01, more)) => {
                if let Some(answer) = proof.next(more)? {
                    session.send(&answer)?;
                }
            }
            _ => return Err(unfit()),
        }
    }
    Err(unfit())
}

impl Proof<'_> {
    /// Whether it is one of those that do not give the password away to whoever listens.
    fn is_offered(&self) -> bool {
        match self.plugin {
            AuthPlugin::MysqlNativePassword | AuthPlugin::CachingSha2Password | AuthPlugin::Ed25519 => true,
            AuthPlugin::Sha256Password => self.is_private,
            AuthPlugin::MysqlClearPassword => self.is_private && self.login.allows_cleartext,
            _ => false,
        }
    }

    fn password(&self) -> &[u8] {
        self.login.password.expose().as_bytes()
    }

    /// The password as it is, as strings end in the protocol.
    fn bare(&self) -> Vec<u8> {
        [self.password(), b"\0"].concat()
    }

    /// What is sent first.
    fn first(&self) -> Result<Vec<u8>, Fault> {
        match self.plugin {
            AuthPlugin::MysqlNativePassword if self.nonce.len() == 20 => {
                Ok(scramble_native(&self.nonce, self.password()).map(|proof| proof.to_vec()).unwrap_or_default())
            }
            AuthPlugin::CachingSha2Password => {
                let nonce = self.nonce.as_slice().try_into().map_err(|_| unfit())?;
                Ok(scramble_sha256(nonce, self.password()).map(|proof| proof.to_vec()).unwrap_or_default())
            }
            AuthPlugin::Ed25519 => {
                let answer = ClientEd25519::default().run(self, &self.nonce).map_err(|_| unfit())?;
                Ok(answer.data().unwrap_or_default().to_vec())
            }
            AuthPlugin::Sha256Password | AuthPlugin::MysqlClearPassword if self.is_private => Ok(self.bare()),
            _ => Err(unfit()),
        }
    }

    /// What is sent to what the server says further.
    fn next(&self, more: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match (&self.plugin, more) {
            (AuthPlugin::CachingSha2Password, [REMEMBERED]) => Ok(None),
            (AuthPlugin::CachingSha2Password, [NOT_REMEMBERED]) if self.is_private => Ok(Some(self.bare())),
            (AuthPlugin::CachingSha2Password, [NOT_REMEMBERED]) => Ok(Some(vec![ASK_FOR_KEY])),
            (AuthPlugin::CachingSha2Password, pem) => key::encrypted(self.password(), &self.nonce, pem).map(Some),
            _ => Err(unfit()),
        }
    }
}

/// What the crate's proofs are made of.
impl Context for &Proof<'_> {
    fn pass(&self) -> &[u8] {
        self.password()
    }

    fn is_ipc_transport(&self) -> bool {
        self.login.is_local
    }

    fn is_tls_transport(&self) -> bool {
        self.is_private && !self.login.is_local
    }

    fn scramble(&self) -> &[u8] {
        &self.nonce
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

fn response<'a>(session: &Session, proof: &Proof<'a>, data: Vec<u8>) -> HandshakeResponse<'a> {
    let login = proof.login;
    let database = Some(login.database.as_bytes()).filter(|name| !name.is_empty());
    let version = (5, 7, 0);
    let (user, plugin) = (Some(login.user.as_bytes()), Some(proof.plugin.clone()));
    HandshakeResponse::new(Some(data), version, user, database, plugin, session.capabilities, None, PACKET_BYTES)
}

fn not_offered(name: &str) -> Fault {
    Fault::protocol(format!("the server asks for a login by {name}, which is not offered, or only over TLS"))
}

fn unfit() -> Fault {
    Fault::protocol("the server does not go on with the login as it should")
}

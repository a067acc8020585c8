//! The proof of who we are, in whichever of its ways the server asks for it.

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin, Context};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse};

use crate::config::Login;
use crate::fault::Fault;
use crate::session::{Session, serialized};

/// Most steps of one proof.
const STEPS_MAX: usize = 8;

/// Longest packet that is taken, in bytes, as the server is told.
const PACKET_BYTES: u32 = 1024 * 1024;

/// What a proof is made of.
struct Means<'a> {
    password: &'a [u8],
    nonce: &'a [u8],
    has_tls: bool,
    is_local: bool,
}

impl Context for &Means<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        self.is_local
    }

    fn is_tls_transport(&self) -> bool {
        self.has_tls
    }

    fn scramble(&self) -> &[u8] {
        self.nonce
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

/// Proves it.
///
/// # Errors
/// The server does not let us in, or asks for what it is not given.
pub(crate) fn prove(session: &mut Session, login: &Login, greeting: &HandshakePacket<'_>) -> Result<(), Fault> {
    let mut nonce = greeting.nonce();
    // A server that asks for none of those that are offered says so after the first of them.
    let first = greeting.auth_plugin().filter(|plugin| is_offered(plugin, session, login));
    let mut plugin = first.unwrap_or(AuthPlugin::MysqlNativePassword).into_owned();
    let (mut proof, data) = step(session, login, &plugin, &nonce)?;
    session.send(&serialized(&response(session, login, &plugin, data)))?;
    for _ in 0..STEPS_MAX {
        let packet = session.receive()?;
        match packet.split_first() {
            Some((0x00, _)) => return session.stands(&packet),
            Some((0xff, _)) => return Err(Fault::told(&packet, session.capabilities)),
            Some((0xfe, [])) => return Err(not_offered("mysql_old_password")),
            Some((0xfe, _)) => {
                let switch: AuthSwitchRequest<'_> = ParseBuf(&packet).parse(())?;
                plugin = switch.auth_plugin().into_owned();
                if !is_offered(&plugin, session, login) {
                    return Err(not_offered(&String::from_utf8_lossy(plugin.as_bytes())));
                }
                nonce = switch.plugin_data().to_vec();
                let (next, data) = step(session, login, &plugin, &nonce)?;
                proof = next;
                session.send(&data)?;
            }
            Some((0x01, more)) => {
                let means = means(session, login, &nonce);
                let answer = proof.run(&means, more).map_err(|_| unfit())?;
                if let Some(data) = answer.data() {
                    session.send(data)?;
                }
            }
            _ => return Err(unfit()),
        }
    }
    Err(unfit())
}

/// Those that do not give the password away to whoever listens.
fn is_offered(plugin: &AuthPlugin<'_>, session: &Session, login: &Login) -> bool {
    match plugin {
        AuthPlugin::MysqlNativePassword | AuthPlugin::CachingSha2Password | AuthPlugin::Ed25519 => true,
        AuthPlugin::Sha256Password => session.has_tls(),
        AuthPlugin::MysqlClearPassword => login.allows_cleartext && (session.has_tls() || login.is_local),
        _ => false,
    }
}

fn means<'a>(session: &Session, login: &'a Login, nonce: &'a [u8]) -> Means<'a> {
    let password = login.password.expose().as_bytes();
    Means { password, nonce, has_tls: session.has_tls(), is_local: login.is_local }
}

/// Begins a proof; gives what is sent first.
fn step(session: &Session, login: &Login, plugin: &AuthPlugin<'_>, nonce: &[u8]) -> Result<(AuthProc, Vec<u8>), Fault> {
    let mut proof = plugin.init().map_err(|error| Fault::protocol(error.to_string()))?;
    let means = means(session, login, nonce);
    let answer = proof.run(&means, nonce).map_err(|_| unfit())?;
    Ok((proof, answer.data().unwrap_or_default().to_vec()))
}

fn response<'a>(session: &Session, login: &'a Login, plugin: &AuthPlugin<'a>, data: Vec<u8>) -> HandshakeResponse<'a> {
    let database = Some(login.database.as_bytes()).filter(|name| !name.is_empty());
    let version = (5, 7, 0);
    let (user, plugin) = (Some(login.user.as_bytes()), Some(plugin.clone()));
    HandshakeResponse::new(Some(data), version, user, database, plugin, session.capabilities, None, PACKET_BYTES)
}

fn not_offered(name: &str) -> Fault {
    Fault::protocol(format!("the server asks for a login by {name}, which is not offered, or only over TLS"))
}

fn unfit() -> Fault {
    Fault::protocol("the server does not go on with the login as it should")
}

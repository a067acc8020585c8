//! The proof of who we are, in whichever of its ways the server asks for it.

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use crate::config::Login;
use crate::fault::Fault;
use crate::session::Session;

/// Proves it.
///
/// # Errors
/// The server does not let us in, or is not who it should be.
pub(crate) fn prove(session: &mut Session, login: &Login) -> Result<(), Fault> {
    let password = login.password.expose().as_bytes();
    match session.receive()? {
        Message::AuthenticationOk => return Ok(()),
        Message::ErrorResponse(body) => return Err(Fault::told(body.fields())),
        Message::AuthenticationCleartextPassword => session.send(|out| frontend::password_message(password, out))?,
        Message::AuthenticationMd5Password(body) => {
            let hash = md5_hash(login.user.as_bytes(), password, body.salt());
            session.send(|out| frontend::password_message(hash.as_bytes(), out))?;
        }
        Message::AuthenticationSasl(body) => scram(session, password, &body)?,
        _ => return Err(Fault::protocol("the server asks for a kind of login that is not offered")),
    }
    match session.receive()? {
        Message::AuthenticationOk => Ok(()),
        Message::ErrorResponse(body) => Err(Fault::told(body.fields())),
        _ => Err(Fault::protocol("the server does not end the login")),
    }
}

/// SCRAM-SHA-256, bound to the TLS session where there is one. The server proves that it knows the
/// password too.
fn scram(session: &mut Session, password: &[u8], body: &AuthenticationSaslBody) -> Result<(), Fault> {
    let mut offered = body.mechanisms();
    let (mut has_plain, mut has_plus) = (false, false);
    while let Some(mechanism) = offered.next()? {
        has_plain |= mechanism == SCRAM_SHA_256;
        has_plus |= mechanism == SCRAM_SHA_256_PLUS;
    }
    let end_point = session.tls().map(|tls| tls.channel_binding).filter(|end_point| !end_point.is_empty());
    let (mechanism, binding) = match end_point {
        Some(end_point) if has_plus => (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(end_point)),
        // We could have; if somebody has taken the other name off the list, the server notices.
        Some(_) if has_plain => (SCRAM_SHA_256, ChannelBinding::unrequested()),
        None if has_plain => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        _ => return Err(Fault::protocol("the server asks for a kind of login that is not offered")),
    };
    let mut proof = ScramSha256::new(password, binding);
    session.send(|out| frontend::sasl_initial_response(mechanism, proof.message(), out))?;
    match session.receive()? {
        Message::AuthenticationSaslContinue(body) => proof.update(body.data())?,
        Message::ErrorResponse(body) => return Err(Fault::told(body.fields())),
        _ => return Err(Fault::protocol("the server does not go on with the login")),
    }
    session.send(|out| frontend::sasl_response(proof.message(), out))?;
    match session.receive()? {
        Message::AuthenticationSaslFinal(body) => Ok(proof.finish(body.data())?),
        Message::ErrorResponse(body) => Err(Fault::told(body.fields())),
        _ => Err(Fault::protocol("the server does not prove who it is")),
    }
}

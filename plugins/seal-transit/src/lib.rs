//! A seal by a transit engine of another cluster: what it does when, and nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::{Cx, Error, Result, Seal, Status, Wrapped};

mod bound;
mod config;
mod key;
mod server;
mod token;

use config::Config;
use key::TransitKey;
use server::Server;

/// The seal.
#[derive(Debug)]
pub struct Transit;

/// What is wrapped, and unwrapped again, to see that the key is there.
const PROBE: &[u8] = b"is the key there?";

/// What that is bound to; no secret has this label.
const PROBE_LABEL: &[u8] = b"seal-transit/check";

impl Seal for Transit {
    const NAME: &'static str = "transit";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const HELP: &'static str = "Wraps the seal key by a transit engine of another cluster.";

    type Config = Config;

    fn check(_cx: &Cx, config: &Config) -> Result<Status> {
        let server = Server::new(config)?;
        let key = TransitKey::new(config, &server)?;
        let sealed = key.encrypt(&bound::tie(PROBE, PROBE_LABEL)?)?;
        // A token that may encrypt and not decrypt would be noticed at the next start, too late.
        if key.decrypt(&sealed.ciphertext)? != bound::tie(PROBE, PROBE_LABEL)? {
            return Err(Error::upstream(format!("{} does not give back what it encrypted", config.address)));
        }
        let message = if config.disable_renewal { String::new() } else { token::keep(&server) };
        Ok(Status { key_id: sealed.version, healthy: true, message })
    }

    fn wrap(_cx: &Cx, config: &Config, secret: &[u8], label: &[u8]) -> Result<Wrapped> {
        let server = Server::new(config)?;
        let sealed = TransitKey::new(config, &server)?.encrypt(&bound::tie(secret, label)?)?;
        Ok(Wrapped { key_id: sealed.version, ciphertext: sealed.ciphertext.into_bytes(), extra: Vec::new() })
    }

    fn unwrap(_cx: &Cx, config: &Config, wrapped: &Wrapped, label: &[u8]) -> Result<Vec<u8>> {
        let unread = |_| Error::invalid("what is to be unwrapped was not wrapped by a transit engine");
        let ciphertext = core::str::from_utf8(&wrapped.ciphertext).map_err(unread)?;
        let server = Server::new(config)?;
        let tied = TransitKey::new(config, &server)?.decrypt(ciphertext)?;
        Ok(bound::untie(&tied, label)?.to_vec())
    }
}

bulkhead_sdk::export_seal!(Transit);

#[cfg(test)]
mod tests;

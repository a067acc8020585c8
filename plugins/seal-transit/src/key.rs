//! The key of the transit engine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bulkhead_sdk::{Error, Result};
use serde_json::{Value, json};

use crate::config::Config;
use crate::server::Server;

/// Where the engine is if the config does not say.
const MOUNT: &str = "transit";

/// A key of a transit engine.
pub(crate) struct TransitKey<'a> {
    server: &'a Server<'a>,
    mount: &'a str,
    name: &'a str,
}

/// What was encrypted.
pub(crate) struct Sealed {
    /// The version of the key: `v3`.
    pub(crate) version: String,
    pub(crate) ciphertext: String,
}

impl<'a> TransitKey<'a> {
    /// # Errors
    /// The config names no key, or what cannot be the name of one.
    pub(crate) fn new(config: &'a Config, server: &'a Server<'a>) -> Result<Self> {
        let mount = Some(config.mount_path.trim_matches('/')).filter(|mount| !mount.is_empty()).unwrap_or(MOUNT);
        let name = config.key_name.as_str();
        let plain = |text: &str| text.split('/').all(is_plain);
        if name.contains('/') || !plain(name) || !plain(mount) {
            return Err(Error::invalid(format!(
                "seal \"transit\" needs key_name and mount_path of letters, digits, '-', '_' and '.', not {name:?} in {mount:?}"
            )));
        }
        Ok(Self { server, mount, name })
    }

    /// Encrypts by the key's newest version.
    ///
    /// # Errors
    /// The engine cannot be asked, or refuses.
    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> Result<Sealed> {
        let answer = self.ask("encrypt", &json!({ "plaintext": STANDARD.encode(plaintext) }))?;
        let odd = || Error::upstream(format!("{}/encrypt answers with no ciphertext", self.mount));
        let ciphertext = answer["data"]["ciphertext"].as_str().ok_or_else(odd)?.to_owned();
        let version = version(&ciphertext).ok_or_else(odd)?;
        Ok(Sealed { version, ciphertext })
    }

    /// Decrypts what any of its versions encrypted.
    ///
    /// # Errors
    /// The engine cannot be asked, or refuses.
    pub(crate) fn decrypt(&self, ciphertext: &str) -> Result<Vec<u8>> {
        let answer = self.ask("decrypt", &json!({ "ciphertext": ciphertext }))?;
        let plaintext = answer["data"]["plaintext"].as_str().and_then(|text| STANDARD.decode(text).ok());
        plaintext.ok_or_else(|| Error::upstream(format!("{}/decrypt answers with no plaintext", self.mount)))
    }

    fn ask(&self, what: &str, body: &Value) -> Result<Value> {
        self.server.ask("POST", &format!("{}/{what}/{}", self.mount, self.name), Some(body))
    }
}

/// What a path has between two slashes, and means nothing more.
fn is_plain(segment: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(sound)
}

/// The `v3` of `vault:v3:…`.
fn version(ciphertext: &str) -> Option<String> {
    let version = ciphertext.split(':').nth(1)?;
    let digits = version.strip_prefix('v')?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| version.to_owned())
}

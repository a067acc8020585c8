//! Certificates of clients: what a role says of them.
//!
//! The key pair is made by the host, where there is constant time and native speed, and leaves it as RSA keys of other
//! roles do; the authority's key signs there too. What is signed is put together in [`issue`], which is a matter of
//! formats.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::key_pair::KeyPair;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::wire::{Reader, Writer};

mod issue;

use issue::Authority;

/// Longest common name, in signs. Source: RFC 5280.
const COMMON_NAME_SIGNS_MAX: usize = 64;

/// Digests of signatures that may be asked for, in bits. Source: Vault.
const SIGNATURE_BITS: [u64; 3] = [256, 384, 512];

/// What certificates of a role's users are like. There is an authority's private key in it, which is never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    common_name_template: String,
    ca_cert: String,
    ca_private_key: Secret<String>,
    key_type: String,
    /// 0: what is usual for the type.
    key_bits: u64,
    /// 0: 256.
    signature_bits: u64,
}

/// A certificate that was issued, and its key; both PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) private_key: Secret<String>,
    /// When it ends, in milliseconds since 1970.
    pub(crate) ends_ms: u64,
}

impl ClientCertificate {
    /// Sets a member of the config, which is checked as a whole afterwards.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let number = || value.parse().map_err(|_| invalid(&format!("invalid {name}")));
        match name {
            "common_name_template" => value.clone_into(&mut self.common_name_template),
            "ca_cert" => value.clone_into(&mut self.ca_cert),
            "ca_private_key" => self.ca_private_key = Secret::new(value.to_owned()),
            "key_type" => value.clone_into(&mut self.key_type),
            "key_bits" => self.key_bits = number()?,
            "signature_bits" => self.signature_bits = number()?,
            _ => {}
        }
        Ok(())
    }

    /// Whether certificates can be issued by it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: what is missing, or does not fit the rest.
    pub(crate) fn check(&self) -> Result<()> {
        self.algorithm()?;
        if !SIGNATURE_BITS.contains(&self.signature_bits()) {
            return Err(invalid("invalid signature_bits"));
        }
        if self.common_name_template.is_empty() {
            return Err(invalid("missing required common_name_template"));
        }
        for (name, value) in [("ca_cert", &self.ca_cert), ("ca_private_key", self.ca_private_key.expose())] {
            if value.is_empty() {
                return Err(invalid(&format!("missing required {name}")));
            }
        }
        self.authority().map(|_| ()).map_err(|error| match error {
            Error::InvalidRequest(text) => invalid(&format!("the authority cannot be used: {text}")),
            other => other,
        })
    }

    fn authority(&self) -> Result<Authority> {
        Authority::read(&self.ca_cert, KeyPair::from_pem(self.ca_private_key.expose())?, self.signature_bits())
    }

    fn signature_bits(&self) -> u64 {
        if self.signature_bits == 0 { SIGNATURE_BITS[0] } else { self.signature_bits }
    }

    /// What the host calls such keys.
    fn algorithm(&self) -> Result<&'static str> {
        match (self.key_type.as_str(), self.key_bits) {
            ("rsa", 0 | 2048) => Ok("rsa-2048"),
            ("rsa", 3072) => Ok("rsa-3072"),
            ("rsa", 4096) => Ok("rsa-4096"),
            ("ec", 0 | 256) => Ok("ecdsa-p256"),
            ("ec", 384) => Ok("ecdsa-p384"),
            ("ec", 521) => Ok("ecdsa-p521"),
            ("ed25519", _) => Ok("ed25519"),
            ("rsa" | "ec", _) => Err(invalid("invalid key_bits")),
            _ => Err(invalid("invalid key_type")),
        }
    }

    /// The type of its keys, as it is told with them.
    pub(crate) fn key_type(&self) -> &str {
        &self.key_type
    }

    /// How the driver makes the name that a certificate is issued to, and that its user has.
    pub(crate) fn common_name_template(&self) -> &str {
        &self.common_name_template
    }

    /// Issues a certificate to this name, which ends then, or with its authority.
    ///
    /// # Errors
    /// The name cannot be in one; the host makes no key, or does not sign.
    pub(crate) fn issue(&self, cx: &Cx, common_name: &str, ends_ms: u64) -> Result<Issued> {
        let signs = common_name.chars().count();
        if signs == 0 || signs > COMMON_NAME_SIGNS_MAX || common_name.contains(char::is_control) {
            return Err(Error::invalid(format!(
                "common_name_template makes no name of 1 to {COMMON_NAME_SIGNS_MAX} signs that can be printed"
            )));
        }
        let pair = KeyPair::generate(self.algorithm()?)?;
        let (certificate, ends_ms) = self.authority()?.issue(cx, common_name, &pair.public_key_der()?, ends_ms)?;
        Ok(Issued { certificate, private_key: pair.private_key_pem()?, ends_ms })
    }

    /// What it is, but for the private key.
    pub(crate) fn shown(&self) -> Object {
        let object =
            Object::new().text("ca_cert", &self.ca_cert).text("common_name_template", &self.common_name_template);
        let usual = match self.key_type.as_str() {
            "rsa" => 2048,
            "ec" => 256,
            _ => 0,
        };
        let bits = if self.key_bits == 0 { usual } else { self.key_bits };
        let object = if bits == 0 { object } else { object.number("key_bits", bits) };
        object.text("key_type", &self.key_type).number("signature_bits", self.signature_bits())
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(1, self.common_name_template.as_bytes());
        writer.bytes(2, self.ca_cert.as_bytes());
        writer.bytes(3, self.ca_private_key.expose().as_bytes());
        writer.bytes(4, self.key_type.as_bytes());
        writer.number(5, self.key_bits);
        writer.number(6, self.signature_bits);
        writer.end()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                1 => value.text()?.clone_into(&mut found.common_name_template),
                2 => value.text()?.clone_into(&mut found.ca_cert),
                3 => found.ca_private_key = Secret::new(value.text()?.to_owned()),
                4 => value.text()?.clone_into(&mut found.key_type),
                5 => found.key_bits = value.number(),
                6 => found.signature_bits = value.number(),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// What a role is refused for.
pub(crate) fn invalid(text: &str) -> Error {
    Error::invalid(format!("credential_config validation failed: {text}"))
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::issue::authority;
    pub(crate) use super::issue::tests::read;
}

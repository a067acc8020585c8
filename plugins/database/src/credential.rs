//! What users log in with: kinds of credentials, how they are configured, and how one is made.

use std::collections::BTreeMap;

use bulkhead_sdk::databases::{self, Driver};
use bulkhead_sdk::json::Object;
use bulkhead_sdk::key_pair::KeyPair;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::wire::{Reader, Writer};

use crate::certificate::ClientCertificate;
use crate::records::Connection;

/// Lengths of RSA keys that may be asked for, in bits. Source: Vault.
const KEY_BITS: [u64; 3] = [2048, 3072, 4096];

/// What users of a role log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A password by this policy; if it is empty, by that of the connection.
    Password { policy: String },
    /// A pair of RSA keys of so many bits, of which the database has the public one.
    RsaPrivateKey { bits: u64 },
    /// A certificate to the user's name, of an authority that the database believes.
    ClientCertificate(Box<ClientCertificate>),
}

/// A credential that was made.
pub(crate) struct Made {
    /// What the user gets, by its names in the answer.
    pub(crate) told: Vec<(&'static str, Secret<String>)>,
    /// What the database is told.
    pub(crate) given: databases::Credential,
    /// When it ends by itself, in milliseconds since 1970. A certificate does; nobody takes it back before, and it lets
    /// in whoever has its name, also when its user is gone.
    pub(crate) ends_ms: Option<u64>,
}

impl Default for Credential {
    fn default() -> Self {
        Self::Password { policy: String::new() }
    }
}

/// Which kind a request asks for, and how it is configured. Members that are not sent stay. A private key may be among
/// them, so there is no `Debug`.
#[derive(Fields)]
pub(crate) struct SetCredential {
    /// The type of credential to manage. Options include: 'password', 'rsa_private_key', 'client_certificate'.
    /// Defaults to 'password'.
    credential_type: Option<String>,
    /// The configuration for the given credential_type.
    credential_config: Option<BTreeMap<String, String>>,
}

impl Credential {
    /// As the request wants it, from what it was.
    pub(crate) fn updated(self, sent: SetCredential) -> Result<Self> {
        let mut credential = match sent.credential_type.as_deref() {
            None => self,
            Some(kind) if kind == self.kind() => self,
            Some("password") => Self::default(),
            Some("rsa_private_key") => Self::RsaPrivateKey { bits: KEY_BITS[0] },
            Some("client_certificate") => Self::ClientCertificate(Box::default()),
            Some(other) => return Err(Error::invalid(format!("invalid credential_type {other:?}"))),
        };
        if let (Self::RsaPrivateKey { bits }, Some(_)) = (&mut credential, &sent.credential_config) {
            // What it does not say is as by default; of other kinds, what is not sent stays. As in OpenBao.
            *bits = KEY_BITS[0];
        }
        for (name, value) in sent.credential_config.unwrap_or_default() {
            credential.set(&name, &value)?;
        }
        if let Self::ClientCertificate(config) = &credential {
            config.check()?;
        }
        Ok(credential)
    }

    /// Whether a user that stays can have it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: a certificate ends with a lease, and such a user has none.
    pub(crate) fn check_lasting(&self) -> Result<()> {
        match self {
            Self::ClientCertificate(_) => Err(self.unsupported()),
            Self::Password { .. } | Self::RsaPrivateKey { .. } => Ok(()),
        }
    }

    fn unsupported(&self) -> Error {
        Error::invalid(format!("unsupported credential_type: {:?}", self.kind()))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = || Error::invalid(format!("credential_config validation failed: invalid {name}: {value}"));
        match (self, name) {
            (Self::Password { policy }, "password_policy") => value.clone_into(policy),
            (Self::RsaPrivateKey { bits }, "key_bits") => {
                *bits = value.parse().ok().filter(|bits| KEY_BITS.contains(bits)).ok_or_else(wrong)?;
            }
            (Self::RsaPrivateKey { .. }, "format") if value != "pkcs8" => return Err(wrong()),
            (Self::ClientCertificate(config), name) => config.set(name, value)?,
            _ => {}
        }
        Ok(())
    }

    /// The name of the kind, and of the answer's member that has it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Password { .. } => "password",
            Self::RsaPrivateKey { .. } => "rsa_private_key",
            Self::ClientCertificate(_) => "client_certificate",
        }
    }

    /// What is told of a secret that was made before: nothing where it is of another kind, since the role was changed
    /// after it was made. Private keys are PEM, and no password begins as that does.
    pub(crate) fn told<'a>(&self, secret: &'a Secret<String>) -> &'a str {
        let is_key = secret.expose().starts_with("-----BEGIN ");
        let is_of_kind = match self {
            Self::Password { .. } => !is_key,
            Self::RsaPrivateKey { .. } => is_key,
            Self::ClientCertificate(_) => false,
        };
        if is_of_kind { secret.expose() } else { "" }
    }

    /// Adds what it is to an answer about a role.
    pub(crate) fn show(&self, answer: Object) -> Object {
        let config = match self {
            Self::Password { policy } if policy.is_empty() => None,
            Self::Password { policy } => Some(Object::new().text("password_policy", policy)),
            Self::RsaPrivateKey { bits } => Some(Object::new().text("format", "pkcs8").number("key_bits", *bits)),
            Self::ClientCertificate(config) => Some(config.shown()),
        };
        let answer = config.into_iter().fold(answer, |answer, config| answer.json("credential_config", &config.end()));
        answer.text("credential_type", self.kind())
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Password { policy } => writer.bytes(1, policy.as_bytes()),
            Self::RsaPrivateKey { bits } => writer.number(2, *bits),
            Self::ClientCertificate(config) => writer.bytes(3, &config.encode()),
        }
        writer.end()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                1 => found = Self::Password { policy: value.text()?.to_owned() },
                2 => found = Self::RsaPrivateKey { bits: value.number() },
                3 => found = Self::ClientCertificate(Box::new(ClientCertificate::decode(value.bytes())?)),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Whether the driver can give it to a user. Passwords all of them can.
    pub(crate) fn check(&self, driver: Driver<'_>) -> Result<()> {
        let wanted = match self {
            Self::Password { .. } => return Ok(()),
            Self::RsaPrivateKey { .. } => databases::RSA_PRIVATE_KEY,
            Self::ClientCertificate(_) => databases::CLIENT_CERTIFICATE,
        };
        if driver.credential_kinds()?.iter().any(|kind| kind == wanted) {
            return Ok(());
        }
        Err(self.unsupported())
    }

    /// The template of names that it brings: whoever has a certificate is called by it.
    pub(crate) fn name_template(&self) -> Option<&str> {
        match self {
            Self::ClientCertificate(config) => Some(config.common_name_template()),
            Self::Password { .. } | Self::RsaPrivateKey { .. } => None,
        }
    }

    /// Makes one for a user on demand of this name, who may log in until then, in milliseconds since 1970.
    pub(crate) fn make_for(&self, cx: &Cx, connection: &Connection, username: &str, ends_ms: u64) -> Result<Made> {
        let Self::ClientCertificate(config) = self else {
            let (secret, given) = self.make(cx, connection)?;
            return Ok(Made { told: vec![(self.kind(), secret)], given, ends_ms: None });
        };
        let issued = config.issue(cx, username, ends_ms)?;
        let told = vec![
            (self.kind(), Secret::new(issued.certificate.trim_end().to_owned())),
            ("private_key", Secret::new(issued.private_key.expose().trim_end().to_owned())),
            ("private_key_type", Secret::new(config.key_type().to_owned())),
        ];
        let given = databases::Credential::Subject(databases::subject(username));
        Ok(Made { told, given, ends_ms: Some(issued.ends_ms) })
    }

    /// Makes one that lasts: what the user gets, and what the database does.
    pub(crate) fn make(&self, cx: &Cx, connection: &Connection) -> Result<(Secret<String>, databases::Credential)> {
        match self {
            Self::Password { policy } => {
                let password = password(cx, policy, connection)?;
                let told = databases::Credential::Password(password.expose().clone());
                Ok((password, told))
            }
            Self::RsaPrivateKey { bits } => {
                let pair = KeyPair::generate(&format!("rsa-{bits}"))?;
                let told = databases::Credential::PublicKey(pair.public_key_pem()?.into_bytes());
                Ok((pair.private_key_pem()?, told))
            }
            Self::ClientCertificate(_) => Err(self.unsupported()),
        }
    }
}

/// A password by the role's policy, else by the connection's, else by the built-in one.
pub(crate) fn password(cx: &Cx, policy: &str, connection: &Connection) -> Result<Secret<String>> {
    let named = [policy, &connection.password_policy].into_iter().find(|policy| !policy.is_empty());
    cx.generate_password(named).map_err(|error| match error {
        Error::InvalidRequest(text) => Error::invalid(format!("failed to generate password: {text}")),
        other => other,
    })
}

//! The `seal` stanzas: by which key outside the node unseals itself, and which one it is to
//! migrate away from.

use std::path::PathBuf;
use std::sync::Arc;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::seal::SealKind;

use super::error::ConfigError;
use super::keys;
use super::stanza::{Note, Stanza};
use crate::transit::TransitSettings;

/// The seals of the config. Without one that is in use, key shares unseal.
#[derive(Debug, Default)]
pub(crate) struct SealsConfig {
    /// The one in use.
    pub(crate) key: Option<SealStanza>,
    /// The one that is disabled.
    pub(crate) former: Option<SealStanza>,
}

/// One seal other than Shamir's.
#[derive(Debug)]
pub(crate) enum SealStanza {
    Static(StaticKeyConfig),
    Transit(Box<TransitSettings>),
}

/// `seal "static"`.
#[derive(Debug)]
pub(crate) struct StaticKeyConfig {
    pub(crate) current: (String, KeySource),
    pub(crate) previous: Option<(String, KeySource)>,
}

/// Where the bytes of a key are.
pub(crate) enum KeySource {
    File(PathBuf),
    Variable(String),
    /// In the config itself.
    Text(Arc<Hidden<String>>),
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Variable(name) => write!(f, "env://{name}"),
            Self::Text(_) => f.write_str("(hidden)"),
        }
    }
}

impl SealStanza {
    pub(crate) fn kind(&self) -> SealKind {
        match self {
            Self::Static(_) => SealKind::Static,
            Self::Transit(_) => SealKind::Transit,
        }
    }
}

impl SealsConfig {
    /// Both, each with whether it is disabled.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&SealStanza, bool)> {
        let used = self.key.iter().map(|stanza| (stanza, false));
        used.chain(self.former.iter().map(|stanza| (stanza, true)))
    }
}

/// Reads the stanzas of a server, or of a dev server, which can have none.
pub(super) fn read(top: &Stanza<'_>, is_dev: bool, notes: &mut Vec<Note>) -> Result<SealsConfig, ConfigError> {
    let mut seals = SealsConfig::default();
    for stanza in top.blocks("seal")? {
        let Some(seal) = one(&stanza, notes)? else { continue };
        if is_dev {
            return Err(stanza.error("-dev unseals itself: leave the seal stanza out of its config"));
        }
        let is_disabled = stanza.flag("disabled")?;
        if [&seals.key, &seals.former].into_iter().flatten().any(|other| other.kind() == seal.kind()) {
            let text = "two seals of one type: to change a static key, name the old one in previous_key";
            return Err(stanza.error(text));
        }
        let place = if is_disabled { &mut seals.former } else { &mut seals.key };
        if place.is_some() {
            let text = if is_disabled {
                "two seals are disabled: name the one that the cluster is under"
            } else {
                "two seals, and neither is disabled: set disabled = true in the one to migrate away from"
            };
            return Err(stanza.error(text));
        }
        *place = Some(seal);
    }
    Ok(seals)
}

fn one(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<Option<SealStanza>, ConfigError> {
    let name = stanza.label().ok_or_else(|| stanza.error("seal needs a type, as in seal \"static\" {}"))?;
    match SealKind::parse(name) {
        Some(SealKind::Shamir) => Ok(None),
        Some(SealKind::Static) => {
            stanza.check(keys::SEAL_STATIC, notes)?;
            static_key(stanza).map(|key| Some(SealStanza::Static(key)))
        }
        Some(SealKind::Transit) => {
            stanza.check(keys::SEAL_TRANSIT, notes)?;
            transit(stanza).map(|settings| Some(SealStanza::Transit(Box::new(settings))))
        }
        None => Err(stanza.error(format!(
            "seal {name:?} is not offered: use \"static\" or \"transit\", or leave the stanza out and unseal with key \
             shares (\"shamir\")"
        ))),
    }
}

fn static_key(stanza: &Stanza<'_>) -> Result<StaticKeyConfig, ConfigError> {
    let text = |key: &str| Ok::<_, ConfigError>(stanza.string(key)?.filter(|text| !text.is_empty()));
    let missing = |key: &str| stanza.error(format!("seal \"static\" needs {key}"));
    let current_id = text("current_key_id")?.ok_or_else(|| missing("current_key_id: any name for the key"))?;
    let current = text("current_key")?
        .ok_or_else(|| missing("current_key: 32 bytes, as file:///path, env://NAME, or in hexadecimal or base64"))?;
    let previous = match (text("previous_key_id")?, text("previous_key")?) {
        (Some(id), Some(_)) if id == current_id => {
            return Err(stanza.wrong("previous_key_id", "is the current key's name too: a new key needs a new name"));
        }
        (Some(id), Some(key)) => Some((id, source(key))),
        (None, None) => None,
        _ => return Err(missing("both of previous_key_id and previous_key, or neither")),
    };
    Ok(StaticKeyConfig { current: (current_id, source(current)), previous })
}

fn transit(stanza: &Stanza<'_>) -> Result<TransitSettings, ConfigError> {
    let text = |key: &str| Ok::<_, ConfigError>(stanza.string(key)?.unwrap_or_default());
    let given = |key: &str, what: &str| {
        let text = text(key)?;
        if text.is_empty() { Err(stanza.error(format!("seal \"transit\" needs {key}: {what}"))) } else { Ok(text) }
    };
    Ok(TransitSettings {
        address: given("address", "https://host:port of the other cluster")?,
        token: Hidden::new(given("token", "a token of the other cluster, which may encrypt and decrypt with the key")?),
        key_name: given("key_name", "the key of the transit engine there")?,
        mount_path: given("mount_path", "where the transit engine is mounted there")?,
        namespace: text("namespace")?,
        tls_ca_cert: stanza.string("tls_ca_cert")?.filter(|path| !path.is_empty()).map(PathBuf::from),
        tls_server_name: text("tls_server_name")?,
        tls_skip_verify: stanza.flag("tls_skip_verify")?,
        disable_renewal: stanza.flag("disable_renewal")?,
    })
}

fn source(text: String) -> KeySource {
    match (text.strip_prefix("file://"), text.strip_prefix("env://")) {
        (Some(path), _) => KeySource::File(PathBuf::from(path)),
        (_, Some(name)) => KeySource::Variable(name.to_owned()),
        _ => KeySource::Text(Arc::new(Hidden::new(text))),
    }
}

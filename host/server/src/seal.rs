//! The keys outside the cluster that unseal this node, made of what the config says of them.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_broker::{NamedKey, Seals, StaticKey};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::Entropy;
use bulkhead_model::seam::seal::SealKey;
use bulkhead_sandbox::Sandbox;

use crate::config::{KeySource, SealStanza, SealsConfig, StaticKeyConfig};
use crate::error::ServerError;
use crate::transit;

/// Longest file of a key, in bytes: hexadecimal with room for line ends.
const KEY_FILE_BYTES_MAX: u64 = 256;

/// The seals of a config.
///
/// # Errors
/// [`ServerError::Seal`]: a key is not there, or is none.
pub(crate) fn of(config: &SealsConfig, entropy: &Arc<dyn Entropy>, sandbox: &Sandbox) -> Result<Seals, ServerError> {
    let made = |stanza: &Option<SealStanza>| stanza.as_ref().map(|stanza| one(stanza, entropy, sandbox)).transpose();
    Ok(Seals { key: made(&config.key)?, former: made(&config.former)? })
}

fn one(stanza: &SealStanza, entropy: &Arc<dyn Entropy>, sandbox: &Sandbox) -> Result<Arc<dyn SealKey>, ServerError> {
    match stanza {
        SealStanza::Static(StaticKeyConfig { current, previous }) => {
            let named = |(id, source): &(String, KeySource)| {
                Ok::<_, ServerError>(NamedKey { id: id.clone(), key: key(source)? })
            };
            let previous = previous.as_ref().map(named).transpose()?;
            Ok(Arc::new(StaticKey::new(named(current)?, previous, Arc::clone(entropy))))
        }
        SealStanza::Transit(settings) => transit::seal(settings, sandbox),
    }
}

/// The bytes of a key.
///
/// # Errors
/// [`ServerError::Seal`].
pub(crate) fn key(source: &KeySource) -> Result<Hidden<[u8; 32]>, ServerError> {
    let failed = |why: String| ServerError::Seal { place: format!("{source:?}"), why };
    let bytes = match source {
        KeySource::File(path) => {
            let mut bytes = Hidden::new(Vec::with_capacity(KEY_FILE_BYTES_MAX as usize + 1));
            let file = File::open(path).map_err(|error| failed(error.to_string()))?;
            let read = file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(bytes.expose_mut());
            read.map_err(|error| failed(error.to_string()))?;
            bytes
        }
        KeySource::Variable(name) => match std::env::var(name) {
            Ok(text) => Hidden::new(text.into_bytes()),
            Err(_) => return Err(failed("there is no such variable".to_owned())),
        },
        KeySource::Text(text) => Hidden::new(text.expose().clone().into_bytes()),
    };
    decoded(bytes.expose(), matches!(source, KeySource::File(_)))
        .ok_or_else(|| failed("it is neither 32 bytes nor those in hexadecimal or base64".to_owned()))
}

/// 32 bytes as text, which may end with a new line, or where they may be raw as they are. A text is
/// not: 32 hexadecimal digits would be a key of half the strength.
fn decoded(bytes: &[u8], may_be_raw: bool) -> Option<Hidden<[u8; 32]>> {
    let whole = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok().map(Hidden::new);
    whole(bytes).filter(|_| may_be_raw).or_else(|| {
        let text = std::str::from_utf8(bytes).ok()?.trim();
        let of_text = hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok()).map(Hidden::new)?;
        whole(of_text.expose())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_in_one_of_three_forms() {
        let key: [u8; 32] = std::array::from_fn(|n| n as u8);
        let (hexadecimal, base64) = (hex::encode(key), STANDARD.encode(key));
        for form in [key.to_vec(), hexadecimal.clone().into_bytes(), format!("{base64}\n").into_bytes()] {
            assert_eq!(decoded(&form, true).expect("it is a key").expose(), &key);
        }
        for odd in [&key[..31], b"", &hexadecimal.as_bytes()[..62], &[0xff; 64], &vec![b'a'; 257]] {
            assert!(decoded(odd, true).is_none());
        }
        assert!(decoded(&key, false).is_none() && decoded(hexadecimal.as_bytes(), false).is_some());
    }
}

//! Signed texts in their compact form (RFC 7515): `header.payload.signature`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulkhead_model::hidden::Hidden;
use serde::Deserialize;
use serde_json::json;

use super::{Algorithm, SigningError};

/// The payload, signed by the key of this id.
///
/// # Errors
/// [`SigningError`] if the key is none of this algorithm.
pub(crate) fn signed(
    (algorithm, id): (Algorithm, &str),
    private: &Hidden<Vec<u8>>,
    payload: &[u8],
) -> Result<String, SigningError> {
    let header = json!({ "alg": algorithm.name(), "kid": id }).to_string();
    let mut text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = algorithm.sign(private, text.as_bytes())?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}

/// A signed text that was taken apart, not verified.
pub(crate) struct Unverified<'t> {
    pub algorithm: Algorithm,
    /// Which key is said to have signed it.
    pub key_id: String,
    signed: &'t str,
    signature: Vec<u8>,
    payload: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    alg: String,
    #[serde(default)]
    kid: String,
}

/// Why a text is none that was signed. The texts are those that Vault's clients know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwsError {
    /// Not three parts with points between them.
    #[error("go-jose/go-jose: compact JWS format must have three parts")]
    Parts,
    /// A part is not base64url.
    #[error("illegal base64 data")]
    Base64,
    /// The header is no JSON object, or has something else than texts for `alg` and `kid`.
    #[error("the header is not that of a signed token")]
    Header,
    /// No algorithm that keys are made for; `none` among them.
    #[error("unexpected signature algorithm {0:?}; expected {names:?}", names = Algorithm::ALL.map(Algorithm::name))]
    Algorithm(String),
}

impl<'t> Unverified<'t> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// [`JwsError`].
    pub(crate) fn parse(text: &'t str) -> Result<Self, JwsError> {
        let (signed, signature) = text.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Parts)?;
        if payload.contains('.') {
            return Err(JwsError::Parts);
        }
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Base64);
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| JwsError::Header)?;
        let algorithm = Algorithm::named(&header.alg).ok_or(JwsError::Algorithm(header.alg))?;
        Ok(Self { algorithm, key_id: header.kid, signed, signature: bytes(signature)?, payload: bytes(payload)? })
    }

    /// What was signed, if this key did it.
    pub(crate) fn payload(&self, public: &[u8]) -> Option<&[u8]> {
        self.algorithm.verifies(public, self.signed.as_bytes(), &self.signature).then_some(&*self.payload)
    }
}

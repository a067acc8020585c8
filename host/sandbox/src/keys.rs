//! Private keys that a guest holds by a handle: made or brought in, used here, and taken out only
//! where that is granted. They last as long as the call.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use zeroize::Zeroizing;

/// What `keys` answers where it does not do what is asked: its `error`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    Unsupported(String),
    Denied(String),
    Rejected,
    Failed,
}

impl From<Unspecified> for KeyError {
    fn from(_: Unspecified) -> Self {
        Self::Failed
    }
}

impl From<KeyRejected> for KeyError {
    fn from(_: KeyRejected) -> Self {
        Self::Rejected
    }
}

/// A private key.
pub(crate) struct Key {
    pair: Pair,
    algorithm: &'static str,
    pub(crate) exportable: bool,
    /// PKCS#8. The library wipes its own copies of this form.
    pkcs8: Hidden<Vec<u8>>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Curves, by their names here, with the digest that is signed on each.
const CURVES: [(&str, &str, &EcdsaSigningAlgorithm); 3] = [
    ("ecdsa-p256", "sha2-256", &ECDSA_P256_SHA256_ASN1_SIGNING),
    ("ecdsa-p384", "sha2-384", &ECDSA_P384_SHA384_ASN1_SIGNING),
    ("ecdsa-p521", "sha2-512", &ECDSA_P521_SHA512_ASN1_SIGNING),
];

impl Key {
    /// Makes a key. One of RSA takes up to seconds of a processor.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(crate) fn generate(algorithm: &str, exportable: bool) -> Result<Self, KeyError> {
        let size = match algorithm {
            "rsa-2048" => Some(KeySize::Rsa2048),
            "rsa-3072" => Some(KeySize::Rsa3072),
            "rsa-4096" => Some(KeySize::Rsa4096),
            _ => None,
        };
        if let Some(size) = size {
            return Self::rsa(RsaKeyPair::generate(size)?, exportable);
        }
        if algorithm == "ed25519" {
            return Self::ed25519(Ed25519KeyPair::generate()?, exportable);
        }
        match CURVES.iter().find(|(name, ..)| *name == algorithm) {
            Some((name, _, curve)) => Self::ec(EcdsaKeyPair::generate(curve)?, name, exportable),
            None => Err(KeyError::Unsupported(format!("keys of {algorithm:?} are not made in this version"))),
        }
    }

    /// Takes in a private key: DER of PKCS#8, PKCS#1 or RFC 5915, or that in PEM.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(crate) fn import(format: &str, bytes: &Hidden<Vec<u8>>, exportable: bool) -> Result<Self, KeyError> {
        match format {
            "pkcs8-der" => Self::from_der(bytes.expose(), exportable),
            "pem" | "pkcs8-pem" => {
                let der = unarmoured(bytes.expose()).ok_or(KeyError::Rejected)?;
                Self::from_der(&der, exportable)
            }
            other => Err(KeyError::Unsupported(format!("keys in the form {other:?} are not read in this version"))),
        }
    }

    fn from_der(der: &[u8], exportable: bool) -> Result<Self, KeyError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return Self::rsa(pair, exportable);
        }
        for (name, _, curve) in CURVES {
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve, der) {
                return Self::ec(pair, name, exportable);
            }
        }
        Self::ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)?, exportable)
    }

    fn rsa(pair: RsaKeyPair, exportable: bool) -> Result<Self, KeyError> {
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        let pkcs8 = Hidden::new(der.as_ref().to_vec());
        let algorithm = match pair.public_modulus_len() {
            256 => "rsa-2048",
            384 => "rsa-3072",
            512 => "rsa-4096",
            _ => "rsa",
        };
        Ok(Self { pair: Pair::Rsa(pair), algorithm, exportable, pkcs8 })
    }

    fn ec(pair: EcdsaKeyPair, algorithm: &'static str, exportable: bool) -> Result<Self, KeyError> {
        let pkcs8 = Hidden::new(pair.to_pkcs8v1()?.as_ref().to_vec());
        Ok(Self { pair: Pair::Ec(pair), algorithm, exportable, pkcs8 })
    }

    fn ed25519(pair: Ed25519KeyPair, exportable: bool) -> Result<Self, KeyError> {
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        let pkcs8 = Hidden::new(der.as_ref().to_vec());
        Ok(Self { pair: Pair::Ed25519(pair), algorithm: "ed25519", exportable, pkcs8 })
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// PKCS#8, for the host's own use.
    pub(crate) fn pkcs8(&self) -> &Hidden<Vec<u8>> {
        &self.pkcs8
    }

    /// `SubjectPublicKeyInfo`, DER.
    ///
    /// # Errors
    /// [`KeyError::Failed`].
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, KeyError> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der()?,
            Pair::Ec(pair) => pair.public_key().as_der()?,
            Pair::Ed25519(pair) => pair.public_key().as_der()?,
        };
        Ok(der.as_ref().to_vec())
    }

    /// The private key, in one of the forms that it can leave in.
    ///
    /// # Errors
    /// [`KeyError`]; whether it is granted is the caller's to ask.
    pub(crate) fn export(&self, format: &str) -> Result<Hidden<Vec<u8>>, KeyError> {
        if !self.exportable {
            return Err(KeyError::Denied("the key was not made to be taken out".to_owned()));
        }
        match format {
            "pkcs8-der" => Ok(self.pkcs8.duplicate()),
            "pkcs8-pem" => Ok(armoured(self.pkcs8.expose())),
            other => Err(KeyError::Unsupported(format!("keys are not written as {other:?} in this version"))),
        }
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(crate) fn sign(&self, scheme: &str, hash: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let unsupported = || {
            let key = self.algorithm;
            KeyError::Unsupported(format!(
                "{scheme:?} over {hash:?} by a key of {key:?} is not offered in this version"
            ))
        };
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn RsaEncoding = match (scheme, hash) {
                    ("rsa-pkcs1v15", "sha2-256") => &RSA_PKCS1_SHA256,
                    ("rsa-pkcs1v15", "sha2-384") => &RSA_PKCS1_SHA384,
                    ("rsa-pkcs1v15", "sha2-512") => &RSA_PKCS1_SHA512,
                    ("rsa-pss", "sha2-256") => &RSA_PSS_SHA256,
                    ("rsa-pss", "sha2-384") => &RSA_PSS_SHA384,
                    ("rsa-pss", "sha2-512") => &RSA_PSS_SHA512,
                    _ => return Err(unsupported()),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature)?;
                Ok(signature)
            }
            Pair::Ec(pair) => {
                let own = CURVES.iter().find(|(name, ..)| *name == self.algorithm);
                if scheme != "ecdsa" || own.is_none_or(|(_, digest, _)| *digest != hash) {
                    return Err(unsupported());
                }
                Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
            }
            Pair::Ed25519(pair) if scheme == "ed25519" => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Ed25519(_) => Err(unsupported()),
        }
    }
}

/// The first private key of a PEM text.
fn unarmoured(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (_, rest) = rest.split_once("PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let mut plain = Zeroizing::new(String::with_capacity(body.len()));
    plain.extend(body.chars().filter(|sign| !sign.is_whitespace()));
    STANDARD.decode(plain.as_bytes()).ok().map(Zeroizing::new)
}

fn armoured(der: &[u8]) -> Hidden<Vec<u8>> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = HiddenBuffer::with_capacity(text.len() + text.len() / 64 + 64);
    pem.push(b"-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push(line);
        pem.push(b"\n");
    }
    pem.push(b"-----END PRIVATE KEY-----\n");
    pem.into_hidden()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_out_and_comes_in_as_the_same_key() {
        for algorithm in ["rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"] {
            let key = Key::generate(algorithm, true).unwrap();
            for (out, back) in [("pkcs8-der", "pkcs8-der"), ("pkcs8-pem", "pem")] {
                let again = Key::import(back, &key.export(out).unwrap(), false).unwrap();
                assert_eq!(again.algorithm(), algorithm);
                assert_eq!(again.public_key().unwrap(), key.public_key().unwrap());
            }
        }
    }

    #[test]
    fn a_key_that_is_not_made_for_it_does_not_go_out() {
        let key = Key::generate("ed25519", false).unwrap();
        assert!(matches!(key.export("pkcs8-pem"), Err(KeyError::Denied(_))));
    }

    #[test]
    fn what_is_no_key_is_rejected() {
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "-----BEGIN X-----", "rubbish"]
        {
            let bytes = Hidden::new(text.as_bytes().to_vec());
            assert_eq!(Key::import("pem", &bytes, true).err(), Some(KeyError::Rejected), "{text}");
        }
    }

    #[test]
    fn signatures_are_those_of_the_key_and_what_it_cannot_do_is_said() {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
        let key = Key::generate("ecdsa-p256", false).unwrap();
        let signature = key.sign("ecdsa", "sha2-256", b"m").unwrap();
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().unwrap()).unwrap();
        assert!(public.verify_sig(b"m", &signature).is_ok() && public.verify_sig(b"n", &signature).is_err());
        assert!(matches!(key.sign("rsa-pss", "sha2-256", b"m"), Err(KeyError::Unsupported(_))));
    }
}

//! Keys that sign, and what is signed with them. What lives here: pairs of keys, signatures,
//! and the forms that others read them in (JWK, JWS). What must not: which key signs what,
//! and where it is kept.

pub(crate) mod jwk;
pub(crate) mod jws;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use bulkhead_model::hidden::Hidden;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// Pairs made at once on a node. Source: ours. Why: an RSA key costs a tenth of a second or more
/// of a processor, and requests go on meanwhile.
static MADE_AT_ONCE: Semaphore = Semaphore::const_new(1);

/// How something is signed: RFC 7518, and RFC 8037 for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

/// A key did not do what it is for. Says nothing of the key.
#[derive(Debug, thiserror::Error)]
#[error("a signing key could not be {tried}")]
pub(crate) struct SigningError {
    tried: &'static str,
}

/// A new key in its two halves.
pub(crate) struct Pair {
    /// PKCS#8; RFC 5915 on a curve of NIST's. The library wipes its own copies of these forms.
    pub private: Hidden<Vec<u8>>,
    /// What the name of the algorithm means: the `RSAPublicKey` of RFC 8017, a point in its long
    /// form, or 32 bytes.
    pub public: Vec<u8>,
}

enum Scheme {
    Rsa(&'static dyn RsaEncoding, &'static dyn VerificationAlgorithm),
    Ec(&'static EcdsaSigningAlgorithm, &'static dyn VerificationAlgorithm),
    Ed25519,
}

impl Algorithm {
    /// All there are, in the order that Vault tells them.
    pub(crate) const ALL: [Self; 7] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Es256, Self::Es384, Self::Es512, Self::EdDsa];

    /// Its name in a token's `alg`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn scheme(self) -> Scheme {
        match self {
            Self::Rs256 => Scheme::Rsa(&signature::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Scheme::Rsa(&signature::RSA_PKCS1_SHA384, &signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Scheme::Rsa(&signature::RSA_PKCS1_SHA512, &signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Es256 => Scheme::Ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &signature::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Scheme::Ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, &signature::ECDSA_P384_SHA384_FIXED),
            Self::Es512 => Scheme::Ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING, &signature::ECDSA_P521_SHA512_FIXED),
            Self::EdDsa => Scheme::Ed25519,
        }
    }

    /// A new pair. RSA keys have 2048 bits, as in Vault, and take a processor for a while:
    /// [`pairs`] is for where others wait.
    ///
    /// # Errors
    /// [`SigningError`] if the library makes none.
    fn pair(self) -> Result<Pair, SigningError> {
        self.made().map_err(|Unspecified| SigningError { tried: "made" })
    }

    fn made(self) -> Result<Pair, Unspecified> {
        match self.scheme() {
            Scheme::Rsa(..) => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
                let private: Pkcs8V1Der<'_> = pair.as_der()?;
                Ok(Pair::of(private.as_ref(), pair.public_key()))
            }
            Scheme::Ec(curve, _) => {
                let pair = EcdsaKeyPair::generate(curve)?;
                let private: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der()?;
                Ok(Pair::of(private.as_ref(), pair.public_key()))
            }
            Scheme::Ed25519 => {
                let pair = Ed25519KeyPair::generate()?;
                let private: Pkcs8V1Der<'_> = pair.as_der()?;
                Ok(Pair::of(private.as_ref(), pair.public_key()))
            }
        }
    }

    /// The signature over a message, as JWS has it.
    ///
    /// # Errors
    /// [`SigningError`] if the key is none of this algorithm.
    pub(crate) fn sign(self, private: &Hidden<Vec<u8>>, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let unread = |_| SigningError { tried: "read" };
        let unused = |Unspecified| SigningError { tried: "used" };
        let private = private.expose().as_slice();
        // The library asks for a source of randomness, and uses its own.
        let random = SystemRandom::new();
        match self.scheme() {
            Scheme::Rsa(padding, _) => {
                let pair = RsaKeyPair::from_pkcs8(private).map_err(unread)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).map_err(unused)?;
                Ok(signature)
            }
            Scheme::Ec(curve, _) => {
                let pair = EcdsaKeyPair::from_private_key_der(curve, private).map_err(unread)?;
                Ok(pair.sign(&random, message).map_err(unused)?.as_ref().to_vec())
            }
            Scheme::Ed25519 => {
                // What is read here was written with its public half; it is not checked against it.
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private).map_err(unread)?;
                Ok(pair.sign(message).as_ref().to_vec())
            }
        }
    }

    /// Whether a signature is that of the key over the message.
    pub(crate) fn verifies(self, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match self.scheme() {
            Scheme::Rsa(_, algorithm) | Scheme::Ec(_, algorithm) => algorithm,
            Scheme::Ed25519 => &signature::ED25519,
        };
        UnparsedPublicKey::new(algorithm, public).verify(message, signature).is_ok()
    }
}

impl Pair {
    fn of(private: &[u8], public: &impl AsRef<[u8]>) -> Self {
        Self { private: Hidden::new(private.to_vec()), public: public.as_ref().to_vec() }
    }
}

/// New pairs, made beside the threads that answer requests, and few at a time.
///
/// # Errors
/// [`SigningError`] if the library makes none, or the node ends.
pub(crate) async fn pairs(algorithm: Algorithm, count: usize) -> Result<Vec<Pair>, SigningError> {
    let unmade = || SigningError { tried: "made" };
    let turn = MADE_AT_ONCE.acquire().await.map_err(|_| unmade())?;
    let making = tokio::task::spawn_blocking(move || {
        // Held to the end of the work, whether or not somebody still waits for it.
        let _turn = turn;
        (0..count).map(|_| algorithm.pair()).collect()
    });
    making.await.map_err(|_| unmade())?
}

#[cfg(test)]
mod tests;

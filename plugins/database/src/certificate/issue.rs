//! A certificate of a client, put together and signed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_sdk::key_pair::{KeyPair, pem};
use bulkhead_sdk::{Cx, Error, Result};
use signature::Keypair;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder, CertificateBuilder};
use x509_cert::certificate::{Certificate, TbsCertificate};
use x509_cert::der::asn1::{Any, BitString, GeneralizedTime, ObjectIdentifier, SetOfVec};
use x509_cert::der::{Decode, Document, Encode, Tag};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{self, DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};
use x509_cert::{AlgorithmIdentifier, SubjectPublicKeyInfo, attr::AttributeTypeAndValue};

/// How long before it is issued a certificate begins, in seconds. Source: Vault. Why: the clocks of others may be behind.
const BEFORE_SECS: u64 = 30;

/// Bytes of a serial number; the first bit is none, so that it is above 0. Source: RFC 5280, which has 20 at most.
const SERIAL_BYTES: u32 = 16;

/// Longest certificate of an authority, in bytes. Source: ours. Why: it is read with each user that is made.
const CA_BYTES_MAX: usize = 64 * 1024;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// How keys sign: scheme and digest as the host calls them, the algorithm's number, and whether it says that it has no
/// parameters, which RSA's does.
type Scheme = (&'static str, &'static str, &'static str, bool);

/// An authority that signs.
pub(super) struct Authority {
    certificate: Certificate,
    signer: Signer,
}

/// Its key, which stays in the host. To the crate it only tells what it is.
pub(super) struct Signer {
    pair: KeyPair,
    public: PublicKey,
    scheme: Scheme,
}

#[derive(Clone)]
pub(super) struct PublicKey(Vec<u8>);

impl Authority {
    /// The authority of this certificate, the first of a text in PEM, with its key.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: it is no certificate of an authority, or not of this key.
    pub(super) fn read(ca_cert: &str, pair: KeyPair, signature_bits: u64) -> Result<Self> {
        let der = unarmoured(ca_cert).ok_or_else(|| Error::invalid("ca_cert is no certificate in PEM"))?;
        let certificate = Certificate::from_der(&der).map_err(|_| Error::invalid("ca_cert cannot be read"))?;
        let tbs = certificate.tbs_certificate();
        let constraints = tbs.get_extension::<BasicConstraints>().ok().flatten();
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
            return Err(Error::invalid("the given certificate is not marked for CA use"));
        }
        // One that says what its key is for has to say this too: who checks the chain goes by it.
        let usage = tbs.get_extension::<KeyUsage>().map_err(|_| Error::invalid("ca_cert cannot be read"))?;
        if usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
            return Err(Error::invalid("the key of the given certificate is not marked to sign certificates"));
        }
        let signer = Signer::new(pair, signature_bits)?;
        let public = tbs.subject_public_key_info().to_der().map_err(damaged)?;
        if public != signer.public.0 {
            return Err(Error::invalid("ca_private_key is not the key of ca_cert"));
        }
        Ok(Self { certificate, signer })
    }

    /// Issues a certificate to this name and public key, in PEM, and tells when it ends, in milliseconds since 1970:
    /// then, or with the authority's own.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: nobody would believe it, since the authority's own is over, or has not begun. Else the
    /// host does not sign.
    pub(super) fn issue(&self, cx: &Cx, common_name: &str, public_der: &[u8], ends_ms: u64) -> Result<(String, u64)> {
        let tbs = self.certificate.tbs_certificate();
        let issuer_id = tbs.get_extension::<SubjectKeyIdentifier>().ok().flatten().map(|(_, id)| id);
        let subject = named(common_name).map_err(damaged)?;
        let profile = Client { issuer: tbs.subject().clone(), subject, issuer_id };
        let now_secs = cx.now_ms() / 1000;
        let last_secs = tbs.validity().not_after.to_unix_duration().as_secs();
        if now_secs > last_secs || now_secs < tbs.validity().not_before.to_unix_duration().as_secs() {
            return Err(Error::invalid("ca_cert is not valid at this time"));
        }
        let ends_secs = (ends_ms / 1000).min(last_secs);
        let validity_secs = (now_secs.saturating_sub(BEFORE_SECS), ends_secs);
        let der = self.signer.sign(cx, profile, public_der, validity_secs)?;
        Ok((pem("CERTIFICATE", &der), ends_secs.saturating_mul(1000)))
    }
}

impl Signer {
    pub(super) fn new(pair: KeyPair, signature_bits: u64) -> Result<Self> {
        let scheme: Scheme = match (pair.algorithm().as_str(), signature_bits) {
            ("rsa" | "rsa-2048" | "rsa-3072" | "rsa-4096", 384) => {
                ("rsa-pkcs1v15", "sha2-384", "1.2.840.113549.1.1.12", true)
            }
            ("rsa" | "rsa-2048" | "rsa-3072" | "rsa-4096", 512) => {
                ("rsa-pkcs1v15", "sha2-512", "1.2.840.113549.1.1.13", true)
            }
            ("rsa" | "rsa-2048" | "rsa-3072" | "rsa-4096", _) => {
                ("rsa-pkcs1v15", "sha2-256", "1.2.840.113549.1.1.11", true)
            }
            // The digest of a curve is the one that goes with it.
            ("ecdsa-p256", _) => ("ecdsa", "sha2-256", "1.2.840.10045.4.3.2", false),
            ("ecdsa-p384", _) => ("ecdsa", "sha2-384", "1.2.840.10045.4.3.3", false),
            ("ecdsa-p521", _) => ("ecdsa", "sha2-512", "1.2.840.10045.4.3.4", false),
            ("ed25519", _) => ("ed25519", "none", "1.3.101.112", false),
            _ => return Err(Error::invalid("ca_private_key is of a kind that does not sign here")),
        };
        let public = PublicKey(pair.public_key_der()?);
        Ok(Self { pair, public, scheme })
    }

    /// A certificate in DER, from its begin to its end in seconds since 1970.
    pub(super) fn sign(
        &self,
        cx: &Cx,
        profile: impl BuilderProfile,
        public_der: &[u8],
        (begins_secs, ends_secs): (u64, u64),
    ) -> Result<Vec<u8>> {
        let mut serial = cx.random(SERIAL_BYTES);
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7f | 0x40;
        }
        let serial = SerialNumber::new(&serial).map_err(damaged)?;
        let validity = Validity::new(time(begins_secs)?, time(ends_secs)?);
        let public = SubjectPublicKeyInfo::from_der(public_der).map_err(damaged)?;
        let mut builder = CertificateBuilder::new(profile, serial, validity, public).map_err(damaged)?;
        let signed = builder.finalize(self).map_err(damaged)?;
        let (scheme, digest, ..) = self.scheme;
        let signature = BitString::from_bytes(&self.pair.sign(scheme, digest, &signed)?).map_err(damaged)?;
        builder.assemble(signature, self).map_err(damaged)?.to_der().map_err(damaged)
    }
}

impl Keypair for Signer {
    type VerifyingKey = PublicKey;

    fn verifying_key(&self) -> PublicKey {
        self.public.clone()
    }
}

impl EncodePublicKey for PublicKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(self.0.as_slice())?)
    }
}

impl DynSignatureAlgorithmIdentifier for Signer {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifier> {
        let (_, _, number, says_null) = self.scheme;
        let parameters = says_null.then(Any::null);
        Ok(AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap(number), parameters })
    }
}

/// Certificates that let a client in, and are good for nothing else.
struct Client {
    issuer: Name,
    subject: Name,
    /// What the authority's certificate calls its key.
    issuer_id: Option<SubjectKeyIdentifier>,
}

impl BuilderProfile for Client {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        own: SubjectPublicKeyInfoRef<'_>,
        issuer: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let issuer_id = match &self.issuer_id {
            Some(id) => AuthorityKeyIdentifier { key_identifier: Some(id.0.clone()), ..Default::default() },
            None => AuthorityKeyIdentifier::try_from(issuer)?,
        };
        Ok(vec![
            KeyUsage(KeyUsages::DigitalSignature.into()).to_extension(tbs.subject(), &[])?,
            ExtendedKeyUsage(vec![CLIENT_AUTH]).to_extension(tbs.subject(), &[])?,
            SubjectKeyIdentifier::try_from(own)?.to_extension(tbs.subject(), &[])?,
            issuer_id.to_extension(tbs.subject(), &[])?,
        ])
    }
}

/// A name that is a common name and nothing else, letter by letter.
fn named(common_name: &str) -> x509_cert::der::Result<Name> {
    let value = Any::new(Tag::Utf8String, common_name.as_bytes())?;
    let set = SetOfVec::try_from(vec![AttributeTypeAndValue { oid: COMMON_NAME, value }])?;
    Name::from_der(&Any::new(Tag::Sequence, set.to_der()?)?.to_der()?)
}

fn time(secs: u64) -> Result<Time> {
    GeneralizedTime::from_unix_duration(Duration::from_secs(secs)).map(Time::GeneralTime).map_err(damaged)
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("putting a certificate together: {error}"))
}

/// The bytes of the first certificate in PEM.
fn unarmoured(text: &str) -> Option<Vec<u8>> {
    let (_, after) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (inner, _) = after.split_once("-----END CERTIFICATE-----")?;
    let letters: String = inner.split_ascii_whitespace().collect();
    if letters.len() > CA_BYTES_MAX { None } else { STANDARD.decode(letters).ok() }
}

/// An authority of its own making, for tests: its certificate and its key, PEM.
#[cfg(test)]
pub(crate) fn authority(cx: &Cx, algorithm: &str, is_authority: bool) -> (String, bulkhead_sdk::Secret<String>) {
    let pair = KeyPair::generate(algorithm).unwrap();
    let key = pair.private_key_pem().unwrap();
    let public = pair.public_key_der().unwrap();
    let signer = Signer::new(pair, 256).unwrap();
    let profile = tests::Root { name: named("Authority of a test").unwrap(), is_authority, usage: None };
    let now_secs = cx.now_ms() / 1000;
    (pem("CERTIFICATE", &signer.sign(cx, profile, &public, (now_secs, now_secs + tests::LIFE_SECS)).unwrap()), key)
}

#[cfg(test)]
pub(crate) mod tests;

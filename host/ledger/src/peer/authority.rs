//! The cluster's own authority: makes the certificates its nodes show each other. A node
//! makes its key itself and asks with a request, so that no key travels. Where the
//! authority's key is kept, and how long certificates live, is decided above.

use std::time::Duration;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::peer::{PeerCredentials, Validity};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::OffsetDateTime;

use super::tls::{self, UnixTime};

/// What the authority calls itself.
const AUTHORITY_NAME: &str = "Bulkhead cluster";

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {cause}")]
pub struct AuthorityError {
    doing: &'static str,
    cause: String,
}

/// An authority: certificate and key.
pub struct Authority {
    certificate: Vec<u8>,
    key: Hidden<Vec<u8>>,
}

impl Authority {
    /// Founds a new authority.
    ///
    /// # Errors
    /// [`AuthorityError`]: the time is none, or the crypto failed.
    pub fn found(validity: Validity) -> Result<Self, AuthorityError> {
        let key = NodeKey::generate()?;
        let certificate = authority_params(Some(validity))?.self_signed(&key.pair()?);
        let certificate = certificate.map_err(|e| failed("signing the authority's certificate", &e))?;
        Ok(Self { certificate: certificate.der().to_vec(), key: key.0 })
    }

    /// The authority that was kept: its certificate, DER, and its key, PKCS #8 DER.
    #[must_use]
    pub fn kept(certificate: Vec<u8>, key: Hidden<Vec<u8>>) -> Self {
        Self { certificate, key }
    }

    /// Its certificate, DER: what every node believes.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its key, PKCS #8 DER.
    #[must_use]
    pub fn key(&self) -> &Hidden<Vec<u8>> {
        &self.key
    }

    /// Makes the certificate of a node, DER, for the key that signed the request. What else
    /// the request asks for counts for nothing.
    ///
    /// # Errors
    /// [`AuthorityError`]: the request is none, or is not signed by its own key.
    pub fn issue(&self, number: u64, request: &[u8], validity: Validity) -> Result<Vec<u8>, AuthorityError> {
        let asked = CertificateSigningRequestParams::from_der(&request.into());
        let asked = asked.map_err(|e| failed("reading a request for a certificate", &e))?;
        let mut params = CertificateParams::new([tls::name(number)]).map_err(|e| failed("naming a node", &e))?;
        params.distinguished_name = named(&tls::name(number));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        limit(&mut params, validity)?;
        let issuer = Issuer::new(authority_params(None)?, pair(&self.key)?);
        let certificate = params.signed_by(&asked.public_key, &issuer);
        certificate.map(|made| made.der().to_vec()).map_err(|e| failed("signing a node's certificate", &e))
    }
}

/// Whether these are credentials of the node `number`, good at this time: the certificate has its
/// name, is that of the key, and one of the authorities vouches for it.
///
/// # Errors
/// [`AuthorityError`]: they are not.
pub fn check_credentials(number: u64, credentials: &PeerCredentials, now_secs: u64) -> Result<(), AuthorityError> {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now_secs));
    tls::check(number, credentials, now).map_err(|e| failed("checking a certificate of this node", &e))
}

/// A node's own key, PKCS #8 DER.
pub struct NodeKey(Hidden<Vec<u8>>);

impl NodeKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`AuthorityError`]: the crypto failed.
    pub fn generate() -> Result<Self, AuthorityError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| failed("making a key", &e))?;
        Ok(Self(Hidden::new(pair.serialize_der())))
    }

    /// The key, as it is kept.
    #[must_use]
    pub fn into_key(self) -> Hidden<Vec<u8>> {
        self.0
    }

    /// A request for a certificate, DER, signed by the key.
    ///
    /// # Errors
    /// [`AuthorityError`]: the crypto failed.
    pub fn request(&self) -> Result<Vec<u8>, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&self.pair()?);
        request.map(|made| made.der().to_vec()).map_err(|e| failed("signing a request for a certificate", &e))
    }

    fn pair(&self) -> Result<KeyPair, AuthorityError> {
        pair(&self.0)
    }
}

fn pair(key: &Hidden<Vec<u8>>) -> Result<KeyPair, AuthorityError> {
    let key = tls::Pkcs8::from(key.expose().as_slice());
    KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).map_err(|e| failed("reading a key", &e))
}

fn authority_params(validity: Option<Validity>) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if let Some(validity) = validity {
        limit(&mut params, validity)?;
    }
    Ok(params)
}

fn limit(params: &mut CertificateParams, validity: Validity) -> Result<(), AuthorityError> {
    let moment = |secs: u64| {
        let secs = i64::try_from(secs).map_err(|e| failed("reading the time", &e))?;
        OffsetDateTime::from_unix_timestamp(secs).map_err(|e| failed("reading the time", &e))
    };
    params.not_before = moment(validity.from_secs)?;
    params.not_after = moment(validity.until_secs)?;
    Ok(())
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn failed(doing: &'static str, error: &dyn std::fmt::Display) -> AuthorityError {
    AuthorityError { doing, cause: error.to_string() }
}

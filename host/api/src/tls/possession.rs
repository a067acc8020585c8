//! Takes any certificate whose key the client holds. It proves nothing by itself: the `cert` auth
//! method decides whom it trusts, as in Vault.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::asn1_rs::Any;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

#[derive(Debug)]
pub(super) struct PossessionOnly(pub(super) WebPkiSupportedAlgorithms);

impl ClientCertVerifier for PossessionOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = verify_tls12_signature(message, certificate, signature, &self.0);
        self.or_by_first_version(verified, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = verify_tls13_signature(message, certificate, signature, &self.0);
        // TLS 1.3 has none of these (RFC 8446, section 4.2.3).
        use SignatureScheme as S;
        if matches!(signature.scheme, S::RSA_PKCS1_SHA256 | S::RSA_PKCS1_SHA384 | S::RSA_PKCS1_SHA512) {
            return verified;
        }
        self.or_by_first_version(verified, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

impl PossessionOnly {
    /// What was found out, or, where the certificate is of X.509's first version, which the library
    /// does not read, what its key says. Clients have such certificates; Go takes them.
    fn or_by_first_version(
        &self,
        verified: Result<HandshakeSignatureValid, Error>,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !matches!(verified, Err(Error::InvalidCertificate(_))) {
            return verified;
        }
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return verified };
        if parsed.version() != X509Version::V1 {
            return verified;
        }
        let key = parsed.public_key();
        let Some(algorithm) = algorithm_of(key.raw) else { return verified };
        let known = self.0.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
        let fits = known.into_iter().flat_map(|(_, all)| *all).filter(|one| *one.public_key_alg_id() == *algorithm);
        for one in fits {
            if one.verify_signature(&key.subject_public_key.data, message, signature.signature()).is_ok() {
                return Ok(HandshakeSignatureValid::assertion());
            }
        }
        Err(CertificateError::BadSignature.into())
    }
}

/// What is within the algorithm's sequence of a public key (RFC 5280, section 4.1.2.7).
fn algorithm_of(public_key: &[u8]) -> Option<&[u8]> {
    let (_, key) = Any::from_der(public_key).ok()?;
    let (_, algorithm) = Any::from_der(key.data).ok()?;
    Some(algorithm.data)
}

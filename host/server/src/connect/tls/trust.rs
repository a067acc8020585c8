//! Which servers a client of TLS believes: those that an authority vouches for, and one that
//! shows a certificate which the user named as it is.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Certificates that are trusted.
pub struct Roots {
    anchors: RootCertStore,
    /// Those that may be shown by a server, though they are an authority's.
    named: Vec<CertificateDer<'static>>,
}

impl Default for Roots {
    fn default() -> Self {
        Self { anchors: RootCertStore::empty(), named: Vec::new() }
    }
}

impl Roots {
    /// Trusts what a certificate vouches for: one of the machine's.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), Error> {
        self.anchors.add(certificate)
    }

    /// Trusts what a certificate vouches for, and a server that shows it: one that the user
    /// named.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn name(&mut self, certificate: CertificateDer<'static>) -> Result<(), Error> {
        self.anchors.add(certificate.clone())?;
        self.named.push(certificate);
        Ok(())
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// What holds servers to this trust.
    #[must_use]
    pub fn verifier(self, provider: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(self.anchors), Arc::clone(provider)).build();
        Arc::new(Verifier {
            // It fails without any root, and then nobody is believed.
            usual: usual.ok(),
            named: self.named,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}

#[derive(Debug)]
struct Verifier {
    usual: Option<Arc<WebPkiServerVerifier>>,
    named: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Go's TLS, and so every peer, takes what `openssl req -x509` makes: one certificate that is
    /// authority and server at once. Also one that somebody else signed, whom the user did not name. To rustls
    /// these are errors, though nothing is left to prove where the user named that very certificate: except what
    /// it may be used for, which rustls looks at later.
    fn is_named(&self, end_entity: &CertificateDer<'_>, error: &Error) -> bool {
        // Its validity is looked at first: one that is out of date has another error.
        let is_alone = match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
            Error::InvalidCertificate(CertificateError::Other(other)) => other.0.to_string() == "CaUsedAsEndEntity",
            _ => false,
        };
        is_alone && self.named.iter().any(|named| named == end_entity) && may_serve(end_entity)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.usual.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        match usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(error) if self.is_named(end_entity, &error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether a certificate may be a server's: it says so, or says nothing of what it is for.
pub(crate) fn may_serve(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    match parsed.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.server_auth,
        Err(_) => false,
    }
}

/// Takes any certificate, but still checks that the other side has its key. Anyone on the way
/// can then read and change everything.
#[derive(Debug)]
pub struct TrustsAnyone(pub Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes a certificate that somebody trusted vouches for, whatever its name is.
#[derive(Debug)]
pub(crate) struct AnyName(pub(crate) Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last: everything else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What a failed handshake is to say: in the peers' words where a certificate is at fault, since
/// scripts look for them.
#[must_use]
pub fn handshake_fault(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(fault)) => {
            format!("failed to verify certificate: x509: {}", certificate_fault(fault))
        }
        Some(Error::AlertReceived(alert)) => format!("the server refuses: {}", words(&format!("{alert:?}"))),
        _ => error.to_string(),
    }
}

fn certificate_fault(fault: &CertificateError) -> String {
    match fault {
        // The second: one of those trusted has the issuer's name, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired
        | CertificateError::NotValidYet
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYetContext { .. } => "certificate has expired or is not yet valid".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } if !presented.is_empty() => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            format!("certificate is valid for {}, not {}", names.join(", "), expected.to_str())
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate is not valid for any names".to_owned()
        }
        CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => {
            "certificate of an authority, which is not itself named as a server to trust".to_owned()
        }
        CertificateError::Other(other) => words(&other.0.to_string()),
        fault @ CertificateError::InvalidPurposeContext { .. } => fault.to_string(),
        fault => words(&format!("{fault:?}")),
    }
}

/// The name in `DnsName("a.example")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner.trim_end_matches(')'));
    inner.trim_matches('"')
}

/// The words of `UnhandledCriticalExtension`; what is added to it in brackets says nothing to a reader.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars().take_while(|letter| letter.is_alphanumeric()) {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests;

//! TLS for the client: whom to trust and what to show. The only file of this room that
//! knows rustls.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use bulkhead_server::{Roots, TrustsAnyone};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::ClientError;
use super::settings::TlsFiles;

/// Where systems keep the roots they trust; the first that is there counts.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Makes TLS connections; without a use for it, nothing is loaded.
pub(super) struct Tls {
    connector: Option<TlsConnector>,
    server_name: Option<String>,
}

impl Tls {
    /// Loads certificates, unless the address speaks no TLS and none are named.
    pub(super) fn new(files: &TlsFiles, is_needed: bool) -> Result<Self, ClientError> {
        let is_named = files.ca_cert.is_some()
            || files.ca_path.is_some()
            || files.client_cert.is_some()
            || files.client_key.is_some()
            || files.bytes.ca_cert.is_some()
            || files.bytes.client_cert.is_some()
            || files.bytes.client_key.is_some();
        let connector = if is_needed || is_named { Some(TlsConnector::from(Arc::new(config(files)?))) } else { None };
        Ok(Self { connector, server_name: files.server_name.clone() })
    }

    /// Speaks TLS on a connection to `host`.
    pub(super) async fn handshake(&self, host: &str, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        // A redirect from http to https arrives here without any roots loaded.
        let connector = self.connector.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the server redirects to https: use its https address")
        })?;
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
        connector.connect(name, stream).await
    }
}

/// What a server says that does not take the client's certificate, in Go's words; none of any other
/// fault. With TLS 1.3 it comes when an answer is read, so that it stands deep in the error.
pub(super) fn refused_certificate(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(fault) = next {
        // An io::Error hides what it was made of: its source is that one's source.
        let inner = fault.downcast_ref::<Error>().and_then(Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = inner.or_else(|| fault.downcast_ref::<rustls::Error>()) {
            return of_certificates(*alert);
        }
        next = fault.source();
    }
    None
}

fn of_certificates(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::CertificateRequired => Some("certificate required"),
        AlertDescription::NoCertificate => Some("no certificate"),
        AlertDescription::BadCertificate => Some("bad certificate"),
        AlertDescription::UnsupportedCertificate => Some("unsupported certificate"),
        AlertDescription::CertificateRevoked => Some("revoked certificate"),
        AlertDescription::CertificateExpired => Some("expired certificate"),
        AlertDescription::CertificateUnknown => Some("unknown certificate"),
        AlertDescription::UnknownCA => Some("unknown certificate authority"),
        AlertDescription::AccessDenied => Some("access denied"),
        _ => None,
    }
}

fn config(files: &TlsFiles) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has the cipher suites of TLS 1.2 and 1.3");
    let verifier: Arc<dyn ServerCertVerifier> =
        if files.skip_verify { Arc::new(TrustsAnyone(provider)) } else { roots(files)?.verifier(&provider) };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let bytes = &files.bytes;
    match (&files.client_cert, &files.client_key) {
        (None, None) => match (&bytes.client_cert, &bytes.client_key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(cert), Some(key)) => {
                let chain = certificates_in(CERT_BYTES, cert)?;
                let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
                let key = key.map_err(|error| unusable(Path::new("CLIENT_KEY_BYTES"), &error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| unusable(Path::new(CERT_BYTES), &error))
            }
            _ => Err(ClientError::Settings(ONE_WITHOUT_THE_OTHER.to_owned())),
        },
        (Some(cert), Some(key)) => {
            let chain = certificates(Path::new(cert))?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(Path::new(key), &error))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|error| unusable(Path::new(cert), &error))
        }
        _ => Err(ClientError::Settings(ONE_WITHOUT_THE_OTHER.to_owned())),
    }
}

const CERT_BYTES: &str = "CLIENT_CERT_BYTES";

const ONE_WITHOUT_THE_OTHER: &str = "both client cert and client key must be provided";

fn roots(files: &TlsFiles) -> Result<Roots, ClientError> {
    let mut store = Roots::default();
    if let Some(path) = &files.ca_cert {
        name(&mut store, Path::new(path), certificates(Path::new(path))?)?;
    } else if let Some(text) = files.bytes.ca_cert.as_ref().filter(|_| files.ca_path.is_none()) {
        name(&mut store, Path::new("CACERT_BYTES"), certificates_in("CACERT_BYTES", text)?)?;
    } else if let Some(dir) = &files.ca_path {
        let entries = std::fs::read_dir(dir).map_err(|error| unusable(Path::new(dir), &error))?;
        for entry in entries {
            let path = entry.map_err(|error| unusable(Path::new(dir), &error))?.path();
            if path.is_file() {
                name(&mut store, &path, certificates(&path)?)?;
            }
        }
    } else {
        let named = files.system_roots.iter().map(|path| (Path::new(path), true));
        let system = SYSTEM_ROOTS.iter().map(|path| (Path::new(path), false));
        if let Some((path, is_named)) = named.chain(system).find(|(path, _)| path.is_file()) {
            // Bundles of systems hold certificates that rustls does not take; the rest counts.
            for certificate in certificates(path)? {
                let _ = if is_named { store.name(certificate) } else { store.add(certificate) };
            }
        }
    }
    Ok(store)
}

fn name(store: &mut Roots, path: &Path, certificates: Vec<CertificateDer<'static>>) -> Result<(), ClientError> {
    for certificate in certificates {
        store.name(certificate).map_err(|error| unusable(path, &error))?;
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error))?.collect();
    let found = found.map_err(|error| unusable(path, &error))?;
    if found.is_empty() {
        return Err(unusable(path, &"there is no certificate (PEM) in it"));
    }
    Ok(found)
}

/// The certificates in a setting.
fn certificates_in(setting: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| unusable(Path::new(setting), &error))?;
    if found.is_empty() {
        return Err(unusable(Path::new(setting), &"there is no certificate (PEM) in it"));
    }
    Ok(found)
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> ClientError {
    ClientError::Settings(format!("failed to setup TLS config: {}: {why}", path.display()))
}

#[cfg(test)]
mod tests;

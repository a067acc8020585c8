//! TLS for clients: certificate and key from PEM files, replaced as a whole on reload.
//! With `possession`, the only file of this room that knows rustls' types.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::ApiError;
use possession::PossessionOnly;

mod possession;

/// What is asked of a client's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Asked for, and passed on if the client proves that it holds the key. Who issued
    /// it is for the auth method to judge. Vault's default.
    #[default]
    Requested,
    /// Required, and issued by an authority in this PEM file.
    Required(PathBuf),
    /// Not asked for.
    Ignored,
}

/// Oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, Vault's default.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Where certificate and key are, and how they are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// The key, PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// What is asked of clients.
    pub clients: ClientCertificates,
    /// Oldest version.
    pub version_min: TlsVersion,
}

/// A listener's TLS settings, replaceable while it serves.
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ApiError`]: a file is missing or holds something else.
    pub fn load(files: TlsFiles) -> Result<Self, ApiError> {
        let current = RwLock::new(Arc::new(config(&files)?));
        Ok(Self { files, current })
    }

    /// Reads the files again. Connections that come after this get the new certificate;
    /// on an error the old one stays in use.
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn reload(&self) -> Result<(), ApiError> {
        let fresh = Arc::new(config(&self.files)?);
        *self.current.write() = fresh;
        Ok(())
    }

    /// Shakes hands; gives the stream and the client's certificates, leaf first.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<(TlsStream<S>, Vec<Vec<u8>>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let current = Arc::clone(&self.current.read());
        let stream = TlsAcceptor::from(current).accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
        Ok((stream, chain))
    }
}

fn config(files: &TlsFiles) -> Result<ServerConfig, ApiError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = verifier(&files.clients, &provider)?;
    let versions: &[&rustls::SupportedProtocolVersion] = match files.version_min {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let chain = certificates(&files.certificate)?;
    let key = key(&files.key)?;
    let failed = |error: rustls::Error| unusable(&files.certificate, &error);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(failed)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(failed)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ApiError> {
    match clients {
        ClientCertificates::Ignored => Ok(WebPkiClientVerifier::no_client_auth()),
        ClientCertificates::Requested => Ok(Arc::new(PossessionOnly(provider.signature_verification_algorithms))),
        ClientCertificates::Required(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| unusable(path, &error))?;
            }
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| unusable(path, &error))
        }
    }
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> ApiError {
    ApiError::Tls { path: path.to_owned(), cause: error.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ApiError> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ApiError::Pem { path: path.to_owned(), what: "holds no certificate".to_owned() }),
        Err(error) => Err(ApiError::Pem { path: path.to_owned(), what: format!("is not PEM: {error}") }),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, ApiError> {
    let pem = zeroize::Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| ApiError::Pem {
        path: path.to_owned(),
        what: "holds no private key (encrypted ones are not read)".to_owned(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ApiError> {
    std::fs::read(path).map_err(|source| ApiError::File { path: path.to_owned(), source })
}

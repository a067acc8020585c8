//! TLS towards another server. It must show a certificate that the machine's roots vouch
//! for, or those the operator named.

pub(crate) mod facts;
pub(crate) mod trust;

use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bulkhead_model::seam::egress::{EgressTls, Verification};
use bulkhead_model::seam::net::NetTls;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use self::trust::{AnyName, Roots, TrustsAnyone, handshake_fault};
use super::stream::{Stream, late};

/// Where systems keep the roots they trust; the first that is there counts.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A connection, with TLS or without.
pub(crate) enum Channel {
    Plain(Stream),
    Tls(Box<StreamOwned<ClientConnection, Stream>>),
}

/// Whom to trust, read once.
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads the roots: those of the machine, unless `SSL_CERT_FILE` names others.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn new(named: Option<PathBuf>) -> Result<Self, String> {
        Ok(Self(Arc::new(trusting_only(machine_roots(named)?).with_no_client_auth())))
    }

    /// What a plugin asks of a server.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn asked(asked: &EgressTls) -> Result<Self, String> {
        let (provider, verifier) = asked_verifier(asked)?;
        Ok(Self(Arc::new(verified_by(provider, verifier).with_no_client_auth())))
    }

    /// What a plugin asks of a server on a connection of its own, and shows it.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn of_connection(tls: &NetTls) -> Result<Arc<ClientConfig>, String> {
        let (provider, verifier) = asked_verifier(&tls.asked)?;
        let versions: &[_] = if tls.only_tls13 { &[&TLS13] } else { &[&TLS12, &TLS13] };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let Some(identity) = &tls.identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&identity.chain_pem).collect();
        let chain = chain.map_err(|error| format!("the client certificate: {error}"))?;
        // The library wipes its copy.
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.expose().clone()));
        let config = builder.with_client_auth_cert(chain, key);
        config.map(Arc::new).map_err(|error| format!("the client certificate: {error}"))
    }

    /// Trusts these roots alone, PEM, and shows this certificate and key, PEM, if there are any.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn trusting(pem: &[u8], shown: Option<(&[u8], &[u8])>) -> Result<Self, String> {
        let builder = trusting_only(roots(pem, Roots::name).map_err(|error| format!("the roots: {error}"))?);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
                let chain = chain.map_err(|error| format!("the client certificate: {error}"))?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("its key: {error}"))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| format!("the client certificate: {error}"))?
            }
        };
        Ok(Self(Arc::new(config)))
    }

    /// Speaks TLS on a connection to this host; the handshake is part of the first write.
    pub(crate) fn over(&self, stream: Stream, host: &str) -> io::Result<Channel> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        Ok(Channel::Tls(Box::new(StreamOwned::new(connection, stream))))
    }
}

fn asked_verifier(asked: &EgressTls) -> Result<(Arc<CryptoProvider>, Arc<dyn ServerCertVerifier>), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trusted = || match &asked.roots_pem {
        Some(pem) => roots(pem, Roots::name).map_err(|error| format!("the roots: {error}")),
        None => machine_roots(std::env::var_os("SSL_CERT_FILE").map(Into::into)),
    };
    let verifier: Arc<dyn ServerCertVerifier> = match asked.verification {
        Verification::Full => trusted()?.verifier(&provider),
        Verification::ChainOnly => Arc::new(AnyName(trusted()?.verifier(&provider))),
        Verification::Insecure => Arc::new(TrustsAnyone(Arc::clone(&provider))),
    };
    Ok((provider, verifier))
}

/// How a certificate comes among those that are trusted.
type Add = fn(&mut Roots, CertificateDer<'static>) -> Result<(), rustls::Error>;

/// The machine's roots, unless others are named.
fn machine_roots(named: Option<PathBuf>) -> Result<Roots, String> {
    let add: Add = if named.is_some() { Roots::name } else { Roots::add };
    let found = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file());
    let path = named.or_else(found).ok_or("this machine has no certificate roots: name them in SSL_CERT_FILE")?;
    let unusable = |error: &dyn std::fmt::Display| format!("certificate roots in {}: {error}", path.display());
    let pem = std::fs::read(&path).map_err(|error| unusable(&error))?;
    roots(&pem, add).map_err(|error| unusable(&error))
}

/// Certificates that are trusted, PEM. One that is odd does no harm: it vouches for nobody.
fn roots(pem: &[u8], add: Add) -> Result<Roots, String> {
    let mut roots = Roots::default();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let _ = add(&mut roots, certificate.map_err(|error| error.to_string())?);
    }
    if roots.is_empty() { Err("there are none".to_owned()) } else { Ok(roots) }
}

fn trusting_only(roots: Roots) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = roots.verifier(&provider);
    verified_by(provider, verifier)
}

fn verified_by(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the cipher suites of TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
}

/// Does it again where a signal came between; a socket's own timeout is told as one.
fn uninterrupted<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            ended => return ended.map_err(late),
        }
    }
}

impl Channel {
    /// Whether nothing has come that nobody asked for, not even the end. One that is not
    /// quiet must not be used any more: part of a record may be gone.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if let Self::Tls(tls) = self {
            let decrypted = tls.conn.process_new_packets().map(|state| state.plaintext_bytes_to_read());
            if !matches!(decrypted, Ok(0)) {
                return false;
            }
        }
        self.stream().is_quiet()
    }

    /// Completes the handshake before the deadline.
    pub(crate) fn handshake(&mut self, deadline: Instant) -> io::Result<()> {
        let Self::Tls(tls) = self else { return Ok(()) };
        while tls.conn.is_handshaking() {
            tls.sock.bound(deadline)?;
            if tls.conn.wants_write() {
                uninterrupted(|| tls.conn.write_tls(&mut tls.sock))?;
            } else if uninterrupted(|| tls.conn.read_tls(&mut tls.sock))? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            } else {
                tls.conn.process_new_packets().map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    /// Writes all of it before the deadline, however slowly the other side takes it.
    pub(crate) fn write_within(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        let tls = match self {
            Self::Plain(stream) => return stream.write_within(bytes, deadline),
            Self::Tls(tls) => tls,
        };
        while !bytes.is_empty() || tls.conn.wants_write() {
            let taken = tls.conn.writer().write(bytes)?;
            bytes = &bytes[taken..];
            tls.sock.bound(deadline)?;
            uninterrupted(|| tls.conn.write_tls(&mut tls.sock))?;
        }
        Ok(())
    }

    /// Reads what comes before the deadline; nothing at all is the end.
    pub(crate) fn read_within(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        let tls = match self {
            Self::Plain(stream) => {
                stream.bound(deadline)?;
                return uninterrupted(|| stream.read(buffer));
            }
            Self::Tls(tls) => tls,
        };
        loop {
            match tls.conn.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            tls.sock.bound(deadline)?;
            // What the other side's last words ask for, such as new keys.
            while tls.conn.wants_write() {
                uninterrupted(|| tls.conn.write_tls(&mut tls.sock))?;
            }
            uninterrupted(|| tls.conn.read_tls(&mut tls.sock))?;
            tls.conn.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// What the server showed, DER, leaf first.
    pub(crate) fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let shown = match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => tls.conn.peer_certificates(),
        };
        shown.into_iter().flatten().map(|certificate| certificate.to_vec()).collect()
    }

    pub(crate) fn stream(&mut self) -> &mut Stream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => &mut tls.sock,
        }
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            // The handshake is part of the first one.
            Self::Tls(tls) => tls.write(bytes).map_err(|error| io::Error::new(error.kind(), handshake_fault(&error))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

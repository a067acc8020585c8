//! TLS between nodes: version 1.3, both sides show a certificate of the cluster's
//! authority, and each certificate names its node by number. The only file of this room
//! that knows rustls' types.

use std::io;
use std::sync::Arc;

use bulkhead_model::seam::peer::{PeerCredentials, PeerIdentity};
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

pub(super) use rustls::pki_types::UnixTime;

/// A connection that both sides have proved themselves on.
pub(super) type Stream = TlsStream<TcpStream>;

/// A key as rustls and its kin read it.
pub(super) type Pkcs8<'a> = PrivatePkcs8KeyDer<'a>;

/// What this protocol is called in the handshake.
const PROTOCOL: &[u8] = b"bulkhead-peer/1";

/// The name a node's certificate carries.
pub(super) fn name(number: u64) -> String {
    format!("n{number:016x}.peer.bulkhead")
}

/// Settings made of the credentials of the moment, and made anew when those change.
pub(super) struct Tls {
    identity: Arc<dyn PeerIdentity>,
    made: Mutex<Option<Arc<Settings>>>,
}

/// Both sides' settings, and what they were made of.
pub(super) struct Settings {
    credentials: Arc<PeerCredentials>,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Tls {
    pub(super) fn new(identity: Arc<dyn PeerIdentity>) -> Self {
        Self { identity, made: Mutex::new(None) }
    }

    /// The settings of the moment.
    ///
    /// # Errors
    /// This node has no credentials, or they are of no use.
    pub(super) fn settings(&self) -> io::Result<Arc<Settings>> {
        let credentials = self.identity.current();
        let credentials =
            credentials.ok_or_else(|| io::Error::other("this node has no certificate of a cluster yet"))?;
        let mut made = self.made.lock();
        if let Some(settings) = made.as_ref().filter(|settings| Arc::ptr_eq(&settings.credentials, &credentials)) {
            return Ok(Arc::clone(settings));
        }
        let settings = Arc::new(Settings::of(credentials).map_err(io::Error::other)?);
        *made = Some(Arc::clone(&settings));
        Ok(settings)
    }

    /// Whether these are still the settings of the moment.
    pub(super) fn is_current(&self, settings: &Settings) -> bool {
        self.identity.current().is_some_and(|credentials| Arc::ptr_eq(&credentials, &settings.credentials))
    }
}

impl Settings {
    fn of(credentials: Arc<PeerCredentials>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in &credentials.authorities {
            roots.add(CertificateDer::from(authority.as_slice()))?;
        }
        let roots = Arc::new(roots);
        let chain = || vec![CertificateDer::from(credentials.certificate.clone())];
        let key = || PrivatePkcs8KeyDer::from(credentials.key.expose().clone()).into();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build();
        let clients = clients.map_err(|e| rustls::Error::General(e.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain(), key())?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        // Each connection proves anew who is on it: a session that is taken up again
        // would outlive the certificate it began with.
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain(), key())?;
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        Ok(Self { credentials, client: Arc::new(client), server: Arc::new(server) })
    }

    /// Shakes hands as the one who calls. Whoever answers is the node `number`.
    pub(super) async fn connect(&self, stream: TcpStream, number: u64) -> io::Result<Stream> {
        let name = ServerName::try_from(name(number)).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(&self.client)).connect(name, stream).await?;
        spoken(stream.get_ref().1.alpn_protocol())?;
        Ok(stream.into())
    }

    /// Shakes hands as the one who is called.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let stream = TlsAcceptor::from(Arc::clone(&self.server)).accept(stream).await?;
        spoken(stream.get_ref().1.alpn_protocol())?;
        Ok(stream.into())
    }
}

/// Whether a node of this number can show these credentials: the certificate has its name, is
/// that of the key, and an authority among them vouches for it at this time.
pub(super) fn check(number: u64, credentials: &PeerCredentials, now: UnixTime) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in &credentials.authorities {
        roots.add(CertificateDer::from(authority.as_slice()))?;
    }
    let certificate = CertificateDer::from(credentials.certificate.as_slice());
    let name = ServerName::try_from(name(number)).map_err(|e| rustls::Error::General(e.to_string()))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let verifier = verifier.map_err(|e| rustls::Error::General(e.to_string()))?;
    verifier.verify_server_cert(&certificate, &[], &name, &[], now)?;
    let key = PrivatePkcs8KeyDer::from(credentials.key.expose().as_slice()).clone_key();
    let key = provider.key_provider.load_private_key(key.into())?;
    CertifiedKey::new(vec![certificate.into_owned()], key).keys_match()
}

/// A TLS of other purpose, under the same authority, is not ours.
fn spoken(protocol: Option<&[u8]>) -> io::Result<()> {
    if protocol == Some(PROTOCOL) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak the peers' protocol"))
}

/// Whether the other side's certificate is that of the node `number`.
pub(super) fn is_of(stream: &Stream, number: u64) -> bool {
    let Some([leaf, ..]) = stream.get_ref().1.peer_certificates() else { return false };
    let (Ok(leaf), Ok(name)) = (ParsedCertificate::try_from(leaf), ServerName::try_from(name(number))) else {
        return false;
    };
    rustls::client::verify_server_name(&leaf, &name).is_ok()
}

//! A TLS server for the tests of what is built upon it.

use std::net::TcpStream;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::*;

pub(crate) fn server_config(certificate: Vec<u8>, key: Vec<u8>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the cipher suites")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate)], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)));
    Arc::new(config.expect("a certificate and its key"))
}

/// Reads something, and answers with this. A client that turns away is as good.
pub(crate) fn answer(
    config: &Arc<ServerConfig>,
    stream: TcpStream,
    answer: &[u8],
) -> StreamOwned<ServerConnection, TcpStream> {
    let connection = ServerConnection::new(Arc::clone(config)).expect("a connection");
    let mut tls = StreamOwned::new(connection, stream);
    let mut buffer = [0; 4096];
    if tls.read(&mut buffer).is_ok() {
        let _ = tls.write_all(answer);
        let _ = tls.flush();
    }
    tls
}

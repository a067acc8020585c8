//! What a connection's TLS came to.

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use bulkhead_model::seam::net::TlsFacts;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ProtocolVersion};

/// The name that a certificate must have.
///
/// # Errors
/// A sentence for who asks: it is no name.
pub(crate) fn server_name(name: String) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name).map_err(|error| error.to_string())
}

/// What is known of the other side.
pub(crate) fn of(connection: &ClientConnection) -> TlsFacts {
    let shown = connection.peer_certificates().unwrap_or_default();
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    };
    TlsFacts {
        version: version.to_owned(),
        peer_certificates: shown.iter().map(|certificate| certificate.to_vec()).collect(),
        channel_binding: shown.first().map(|leaf| end_point(leaf)).unwrap_or_default(),
    }
}

/// Whether nothing was decrypted that nobody has read.
pub(crate) fn has_nothing(connection: &mut ClientConnection) -> bool {
    matches!(connection.process_new_packets().map(|state| state.plaintext_bytes_to_read()), Ok(0))
}

/// RFC 5929, section 4.1: the certificate's digest, by the hash of its own signature, and by
/// SHA-256 in place of weaker ones; nothing where the signature has no hash of its own.
fn end_point(leaf: &[u8]) -> Vec<u8> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(leaf) else { return Vec::new() };
    let algorithm: &Algorithm = match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        // RSA with MD5, SHA-1, SHA-256; ECDSA with SHA-1, SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => &SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &SHA512,
        _ => return Vec::new(),
    };
    digest(algorithm, leaf).as_ref().to_vec()
}

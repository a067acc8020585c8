//! TLS: certificates, their reload, client certificates.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::harness::Served;
use crate::{ClientCertificates, ListenerLimits, Tls, TlsFiles};

/// Makes a self-signed certificate for `localhost` with this name in its subject.
fn certificate(dir: &Path, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output();
    assert!(made.expect("openssl runs").status.success(), "openssl makes a certificate");
    let chain = CertificateDer::from_pem_file(&cert).expect("a certificate");
    (chain, PrivateKeyDer::from_pem_file(&key).expect("a key"))
}

fn files(dir: &Path, clients: ClientCertificates) -> TlsFiles {
    TlsFiles { certificate: dir.join("cert.pem"), key: dir.join("key.pem"), clients, ..TlsFiles::default() }
}

pub(super) type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// Settings with a new certificate, and the certificate.
pub(super) fn loaded(dir: &Path) -> (Tls, CertificateDer<'static>) {
    let (trusted, _) = certificate(dir, "one");
    (Tls::load(files(dir, ClientCertificates::Ignored)).expect("loads"), trusted)
}

/// One request over TLS, trusting only this certificate.
async fn ask(
    served: &Served,
    trusted: &CertificateDer<'static>,
    identity: Option<&Identity>,
) -> Result<String, String> {
    ask_behind(served, b"", (trusted, identity)).await
}

/// The same, with bytes in front of TLS.
pub(super) async fn ask_behind(
    served: &Served,
    header: &[u8],
    (trusted, identity): (&CertificateDer<'static>, Option<&Identity>),
) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).map_err(|e| e.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| e.to_string())?.with_root_certificates(roots);
    let config = match identity {
        Some((cert, key)) => {
            builder.with_client_auth_cert(vec![cert.clone()], key.clone_key()).map_err(|e| e.to_string())?
        }
        None => builder.with_no_client_auth(),
    };
    let mut stream = TcpStream::connect(served.address).await.map_err(|e| e.to_string())?;
    stream.write_all(header).await.map_err(|e| e.to_string())?;
    let name = ServerName::try_from("localhost").map_err(|e| e.to_string())?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| e.to_string())?;
    let request = b"GET /v1/kv/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(|e| e.to_string())?;
    Ok(answer)
}

#[tokio::test]
async fn a_clients_certificate_is_asked_for_but_not_required() {
    let dir = tempfile::tempdir().expect("a directory");
    let identity = certificate(dir.path(), "one");
    let tls = Tls::load(files(dir.path(), ClientCertificates::Requested)).expect("loads");
    let served = Served::start(Some(Arc::new(tls)), ListenerLimits::default()).await;
    assert!(ask(&served, &identity.0, None).await.expect("an answer").contains("\"certificates\":0"));
    assert!(ask(&served, &identity.0, Some(&identity)).await.expect("an answer").contains("\"certificates\":1"));
}

/// A certificate of X.509's first version, as some clients have. The library makes none, and does not
/// read it.
fn of_first_version(dir: &Path) -> Identity {
    let (request, cert, key) = (dir.join("first.csr"), dir.join("first.pem"), dir.join("first.key"));
    let openssl = |command: &mut Command| {
        assert!(command.output().expect("openssl runs").status.success(), "openssl makes a certificate");
    };
    let new = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=first"];
    openssl(Command::new("openssl").args(new).arg("-keyout").arg(&key).arg("-out").arg(&request));
    let sign = ["x509", "-req", "-days", "2", "-in"];
    openssl(Command::new("openssl").args(sign).arg(&request).arg("-signkey").arg(&key).arg("-out").arg(&cert));
    let chain = CertificateDer::from_pem_file(&cert).expect("a certificate");
    let (_, parsed) = x509_parser::parse_x509_certificate(&chain).expect("a certificate");
    assert_eq!(parsed.version(), x509_parser::prelude::X509Version::V1);
    (chain, PrivateKeyDer::from_pem_file(&key).expect("a key"))
}

/// Shakes hands with a certificate, and a key that need not be its own.
async fn is_taken(
    served: &Served,
    trusted: &CertificateDer<'static>,
    (cert, key): &Identity,
    version: &'static rustls::SupportedProtocolVersion,
) -> bool {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(key.clone_key()).expect("a key");
    let certified = rustls::sign::CertifiedKey::new(vec![cert.clone()], key);
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let stream = TcpStream::connect(served.address).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("a name");
    let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else { return false };
    let request = b"GET /v1/kv/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    let asked = stream.write_all(request).await.is_ok() && stream.read_to_string(&mut answer).await.is_ok();
    asked && answer.contains("\"certificates\":1")
}

#[tokio::test]
async fn a_certificate_of_the_first_version_is_taken_of_who_has_its_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let (trusted, other_key) = certificate(dir.path(), "one");
    let first = of_first_version(dir.path());
    let another = tempfile::tempdir().expect("a directory");
    let stolen = (first.0.clone(), of_first_version(another.path()).1);
    let tls = Tls::load(files(dir.path(), ClientCertificates::Requested)).expect("loads");
    let served = Served::start(Some(Arc::new(tls)), ListenerLimits::default()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert!(is_taken(&served, &trusted, &first, version).await, "{version:?}");
        assert!(!is_taken(&served, &trusted, &stolen, version).await, "another key, {version:?}");
        let of_another_kind = (first.0.clone(), other_key.clone_key());
        assert!(!is_taken(&served, &trusted, &of_another_kind, version).await, "a key of another kind, {version:?}");
    }
}

#[tokio::test]
async fn a_clients_certificate_can_be_required() {
    let (dir, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let identity = certificate(dir.path(), "one");
    let stranger = certificate(other.path(), "stranger");
    let clients = ClientCertificates::Required(dir.path().join("cert.pem"));
    let tls = Tls::load(files(dir.path(), clients)).expect("loads");
    let served = Served::start(Some(Arc::new(tls)), ListenerLimits::default()).await;
    assert!(ask(&served, &identity.0, None).await.is_err());
    assert!(ask(&served, &identity.0, Some(&stranger)).await.is_err());
    assert!(ask(&served, &identity.0, Some(&identity)).await.expect("an answer").contains("\"certificates\":1"));
}

#[tokio::test]
async fn a_new_certificate_is_served_after_reload_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let (old, _) = certificate(dir.path(), "old");
    let tls = Arc::new(Tls::load(files(dir.path(), ClientCertificates::Ignored)).expect("loads"));
    let served = Served::start(Some(Arc::clone(&tls)), ListenerLimits::default()).await;
    ask(&served, &old, None).await.expect("an answer");
    let (new, _) = certificate(dir.path(), "new");
    ask(&served, &old, None).await.expect("the old one is served until reload");
    tls.reload().expect("reloads");
    ask(&served, &new, None).await.expect("an answer");
    assert!(ask(&served, &old, None).await.is_err());
    std::fs::write(dir.path().join("cert.pem"), "rubbish").expect("writes");
    let error = tls.reload().expect_err("is no certificate");
    assert!(error.to_string().ends_with("cert.pem holds no certificate"), "{error}");
    ask(&served, &new, None).await.expect("the last good one stays");
}

/// CVE-2024-6468: one connection refused in its first bytes ended the listener.
#[tokio::test]
async fn plain_http_to_a_tls_listener_does_not_stop_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (trusted, _) = certificate(dir.path(), "one");
    let tls = Tls::load(files(dir.path(), ClientCertificates::Requested)).expect("loads");
    let served = Served::start(Some(Arc::new(tls)), ListenerLimits::default()).await;
    let mut client = served.connect().await;
    client.send(b"GET / HTTP/1.1\r\n\r\n").await;
    let (status, text) = client.answer().await.expect("an answer");
    assert_eq!((status, text.as_str()), (400, "HTTP/1.0 400 Bad Request\r\n\r\n"));
    let told = client.rest().await;
    assert_eq!(told, "Client sent an HTTP request to an HTTPS server.\n");
    ask(&served, &trusted, None).await.expect("an answer");
}

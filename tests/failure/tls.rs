//! TLS: what a listener serves to clients of either version, what it asks of them, and
//! how certificates change while it runs. Every certificate signs itself, so a client
//! that trusts one of them is answered exactly where that one is served.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::http::connect;
use bulkhead_tests::node::{Node, READY_SECS_MAX, Start, free_port};
use bulkhead_tests::programs::{self, Program};
use rustix::process::Signal;
use rustls::client::{ResolvesClientCert, WantsClientCert};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, SignatureScheme, Stream, SupportedProtocolVersion,
};

/// What an answer to the one question asked here holds.
const UNINITIALISED: &str = "\"initialized\":false";

/// A key and a certificate for 127.0.0.1, signed by itself, as `name.pem` and `name.key`.
fn certify(dir: &Path, name: &str) {
    certify_as(dir, name, rcgen::IsCa::NoCa);
}

fn certify_as(dir: &Path, name: &str, is_ca: rcgen::IsCa) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut asked = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    asked.distinguished_name.push(rcgen::DnType::CommonName, name);
    asked.is_ca = is_ca;
    let certificate = asked.self_signed(&key).unwrap();
    fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

type Unfinished = ConfigBuilder<ClientConfig, WantsClientCert>;

/// A client that speaks these versions and trusts the certificate `name`.
fn trusting(node: &Node, name: &str, versions: &[&'static SupportedProtocolVersion]) -> Unfinished {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(node.path(&format!("{name}.pem"))).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots)
}

/// The answer to one request over TLS.
fn answer(port: u16, config: ClientConfig) -> io::Result<String> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut socket = connect(port)?;
    let mut stream = Stream::new(&mut session, &mut socket);
    stream.write_all(b"GET /v1/sys/init HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // Closed without a farewell: the answer counts.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(answer),
    }
}

/// Whether the certificate `name` is served, with an answer behind it.
fn is_served(node: &Node, name: &str) -> bool {
    let config = trusting(node, name, &[&TLS13]).with_no_client_auth();
    answer(node.port, config).is_ok_and(|text| text.contains(UNINITIALISED))
}

/// A server with the certificate `first`, its files named relative to the working folder.
fn serving_tls() -> Node {
    let mut node = starting_tls("");
    until_served(&mut node, "first");
    node
}

/// The same, perhaps not there yet, with more in its listener; the certificate `client` is there as well.
fn starting_tls(listener: &str) -> Node {
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    certify(node.dir(), "first");
    certify(node.dir(), "client");
    install(&node, "first");
    let (port, dir, cluster) = (node.port, node.dir().display(), free_port());
    node.write_config(&format!(
        "storage \"raft\" {{\n  path = \"{dir}/data\"\n  node_id = \"n1\"\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"live.pem\"\n  tls_key_file = \"live.key\"\n{listener}}}\n\
         api_addr = \"https://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{cluster}\"\n"
    ));
    node.spawn();
    node
}

fn install(node: &Node, name: &str) {
    for end in ["pem", "key"] {
        fs::copy(node.path(&format!("{name}.{end}")), node.path(&format!("live.{end}"))).unwrap();
    }
}

fn until_served(node: &mut Node, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
    while !is_served(node, name) {
        assert!(!node.has_ended() && Instant::now() < deadline, "{name} is not served:\n{}", node.output());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_listener_serves_the_certificate_of_its_files_to_tls_1_2_and_1_3() {
    let node = serving_tls();
    certify(node.dir(), "stranger");
    for version in [&TLS12, &TLS13] {
        let config = trusting(&node, "first", &[version]).with_no_client_auth();
        let said = answer(node.port, config).unwrap();
        assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains(UNINITIALISED), "{version:?}: {said}");
        let config = trusting(&node, "stranger", &[version]).with_no_client_auth();
        assert!(answer(node.port, config).is_err(), "{version:?}: whoever trusts another certificate");
    }
}

/// A client's first message, up to this version: what every client of TLS 1.1 or 1.2
/// sends, with a cipher suite and a curve that the server has for 1.2.
fn first_message(version: [u8; 2]) -> Vec<u8> {
    let extensions: &[u8] = &[
        0x00, 0x0a, 0, 4, 0, 2, 0x00, 0x17, // supported_groups: secp256r1
        0x00, 0x0b, 0, 2, 1, 0, // ec_point_formats: uncompressed
        0x00, 0x0d, 0, 4, 0, 2, 0x04, 0x03, // signature_algorithms: ecdsa_secp256r1_sha256
        0x00, 0x17, 0, 0, // extended_master_secret
    ];
    let mut body = version.to_vec();
    body.extend([7; 32]); // random
    body.push(0); // no session
    body.extend([0, 2, 0xc0, 0x2b]); // ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    body.extend([1, 0]); // no compression
    body.extend(length(extensions));
    body.extend(extensions);
    let message = [&[1, 0], &length(&body)[..], &body].concat();
    [&[22, 3, 1], &length(&message)[..], &message].concat()
}

/// A length in the two bytes that TLS writes it in.
fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap().to_be_bytes()
}

#[test]
fn a_client_of_tls_1_1_is_turned_away() {
    let node = serving_tls();
    let first_byte = |version: [u8; 2]| {
        let mut socket = connect(node.port).unwrap();
        socket.write_all(&first_message(version)).unwrap();
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        byte[0]
    };
    assert_eq!(first_byte([3, 3]), 22, "1.2 gets a handshake");
    assert_eq!(first_byte([3, 2]), 21, "1.1 gets an alert");
}

/// A client without a certificate that remembers whether it was asked for one.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::SeqCst);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn a_client_certificate_is_asked_for_but_not_required() {
    let node = serving_tls();
    for version in [&TLS12, &TLS13] {
        let certificate = CertificateDer::from_pem_file(node.path("client.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(node.path("client.key")).unwrap();
        let config = trusting(&node, "first", &[version]).with_client_auth_cert(vec![certificate], key).unwrap();
        let said = answer(node.port, config).unwrap();
        assert!(said.contains(UNINITIALISED), "{version:?}, with one: {said}");
        let asked = Arc::new(Asked::default());
        let config = trusting(&node, "first", &[version]).with_client_cert_resolver(asked.clone());
        let said = answer(node.port, config).unwrap();
        assert!(said.contains(UNINITIALISED), "{version:?}, without: {said}");
        assert!(asked.0.load(Ordering::SeqCst), "{version:?}: nobody asked for one");
    }
}

#[test]
fn whoever_shows_no_certificate_that_is_trusted_is_told_what_to_give() {
    let node = starting_tls("tls_require_and_verify_client_cert = true\ntls_client_ca_file = \"client.pem\"\n");
    certify(node.dir(), "stranger");
    let ask = |client: &Path, shown: Option<&str>| {
        let mut command = Command::new(client);
        command.args(["operator", "init", "-status", "-address", &format!("https://127.0.0.1:{}", node.port)]);
        command.arg("-ca-cert").arg(node.path("first.pem")).env("HOME", node.dir());
        for (flag, end) in [("-client-cert", "pem"), ("-client-key", "key")] {
            command.args(shown.map(|name| format!("{flag}={}", node.path(&format!("{name}.{end}")).display())));
        }
        let output = command.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let own = programs::bulkhead();
    let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
    while !ask(&own, Some("client")).contains("is not initialized") {
        assert!(Instant::now() < deadline, "{}", ask(&own, Some("client")));
        thread::sleep(Duration::from_millis(100));
    }
    let told = ask(&own, None);
    assert!(told.contains("remote error: tls: certificate required"), "{told}");
    assert!(told.contains("give -client-cert and -client-key\n(BULKHEAD_CLIENT_CERT, BULKHEAD_CLIENT_KEY)"), "{told}");
    let told = ask(&own, Some("stranger"));
    assert!(told.contains("remote error: tls: unknown certificate authority"), "{told}");
    assert!(told.contains("give -client-cert"), "{told}");
    if let Some(bao) = programs::bao() {
        assert!(ask(&bao, None).contains("remote error: tls: certificate required"), "{}", ask(&bao, None));
    }
}

#[test]
fn the_bao_client_speaks_tls_with_it() {
    let Some(bao) = programs::bao() else {
        println!("skipped: no bao here, by BULKHEAD_WITHOUT_PEER");
        return;
    };
    let node = serving_tls();
    let output = Command::new(bao)
        .args(["operator", "init", "-status"])
        .env("BAO_ADDR", format!("https://127.0.0.1:{}", node.port))
        .env("BAO_CACERT", node.path("first.pem"))
        .env("HOME", node.dir())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("is not initialized"));
}

/// What `openssl req -x509` makes if nothing else is said.
#[test]
fn a_certificate_that_is_its_own_authority_is_taken_by_both_clients() {
    let node = serving_tls();
    certify_as(node.dir(), "own", rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    certify_as(node.dir(), "other", rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    install(&node, "own");
    node.signal(Signal::HUP);
    let ask = |client: &Path, name: &str| {
        let output = Command::new(client)
            .args(["operator", "init", "-status", "-address", &format!("https://127.0.0.1:{}", node.port), "-ca-cert"])
            .arg(node.path(&format!("{name}.pem")))
            .env("HOME", node.dir())
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let own = programs::bulkhead();
    let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
    while !ask(&own, "own").contains("is not initialized") {
        assert!(Instant::now() < deadline, "{}", ask(&own, "own"));
        thread::sleep(Duration::from_millis(100));
    }
    for client in std::iter::once(own).chain(programs::bao()) {
        let told = ask(&client, "own");
        assert!(told.contains("is not initialized"), "{}: {told}", client.display());
        let told = ask(&client, "other");
        assert!(told.contains("failed to verify certificate: x509: certificate"), "{}: {told}", client.display());
    }
}

#[test]
fn a_certificate_may_stand_in_the_environment_itself() {
    let node = serving_tls();
    certify(node.dir(), "other");
    let pem = |name: &str| fs::read_to_string(node.path(&format!("{name}.pem"))).unwrap();
    let ask = |client: &Path, variable: &str, pem: &str| {
        let mut command = Command::new(client);
        command.args(["operator", "init", "-status", "-address", &format!("https://127.0.0.1:{}", node.port)]);
        let output = command.env("HOME", node.dir()).env(variable, pem).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for client in std::iter::once(programs::bulkhead()).chain(programs::bao()) {
        for variable in ["VAULT_CACERT_BYTES", "BAO_CACERT_BYTES"] {
            let told = ask(&client, variable, &pem("first"));
            assert!(told.contains("is not initialized"), "{}: {told}", client.display());
            let told = ask(&client, variable, &pem("other"));
            assert!(told.contains("failed to verify certificate"), "{}: {told}", client.display());
        }
    }
}

/// A proxy that takes one connection, and what it was asked first. It connects to this port, whatever it is told to, or
/// answers itself where nothing is to be connected.
fn proxy(to: u16) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        if !head.starts_with("CONNECT ") {
            let body = r#"{"initialized":true}"#;
            write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            return head;
        }
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let mut server = connect(to).unwrap();
        let (mut from, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = thread::spawn(move || io::copy(&mut from, &mut server).map(|_| server.shutdown(Shutdown::Write)));
        let _ = io::copy(&mut back, &mut client);
        let _ = client.shutdown(Shutdown::Both);
        let _ = up.join().unwrap();
        head
    });
    (port, served)
}

#[test]
fn clients_go_through_a_proxy_and_speak_tls_with_the_server_behind_it() {
    let node = serving_tls();
    for client in std::iter::once(programs::bulkhead()).chain(programs::bao()) {
        for (address, told, asked) in [
            (format!("https://127.0.0.1:{}", node.port), "is not initialized", "CONNECT 127.0.0.1:"),
            (
                "http://vault.example:8200".to_owned(),
                "is initialized",
                "GET http://vault.example:8200/v1/sys/init HTTP/1.1",
            ),
        ] {
            // The peer's client asks for what is not behind TLS on more connections than the proxy takes.
            if client != programs::bulkhead() && !address.starts_with("https") {
                continue;
            }
            let (port, served) = proxy(node.port);
            let mut command = Command::new(&client);
            command.args(["operator", "init", "-status", "-address", &address]).env("HOME", node.dir());
            command.env("VAULT_PROXY_ADDR", format!("http://ann:secret@127.0.0.1:{port}"));
            let output = command.env("VAULT_CACERT", node.path("first.pem")).output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(said.contains(told), "{} {address}: {said}", client.display());
            let head = served.join().unwrap();
            assert!(head.starts_with(asked), "{head}");
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            let who = fields.find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization")).map(|(_, who)| who);
            assert_eq!(who, Some("Basic YW5uOnNlY3JldA=="), "{head}");
        }
    }
}

#[test]
fn the_log_says_why_a_handshake_failed_and_counts_instead_of_saying_it_each_time() {
    let node = serving_tls();
    for version in [&TLS12, &TLS13] {
        // It trusts nobody, and says so in an alert.
        let roots = RootCertStore::empty();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        assert!(answer(node.port, builder.with_root_certificates(roots).with_no_client_auth()).is_err());
    }
    let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
    let told = || node.output().lines().filter(|line| line.contains("TLS handshake failed")).count();
    while told() == 0 {
        assert!(Instant::now() < deadline, "{}", node.output());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(told(), 1, "{}", node.output());
}

#[test]
fn sighup_takes_a_new_certificate_and_keeps_the_old_one_if_the_new_is_broken() {
    let mut node = serving_tls();
    certify(node.dir(), "second");
    install(&node, "second");
    assert!(is_served(&node, "first"), "nobody asked it to reload");
    node.signal(Signal::HUP);
    until_served(&mut node, "second");
    assert!(!is_served(&node, "first"));
    fs::write(node.path("live.pem"), "this is no certificate").unwrap();
    node.signal(Signal::HUP);
    node.until("it says what is wrong with the new one", |node| node.output().contains("live.pem"));
    assert!(is_served(&node, "second"), "{}", node.output());
}

#[test]
fn plain_http_to_a_tls_port_is_told_so() {
    let node = serving_tls();
    let answer =
        bulkhead_tests::http::raw(node.port, b"GET /v1/sys/init HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "{answer}");
    assert!(is_served(&node, "first"));
}

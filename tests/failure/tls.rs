//! TLS with certificates of the openssl program, and their reload.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::node::{Node, READY_SECS_MAX, Start, free_port};
use bulkhead_tests::programs::{self, Program};
use rustix::process::Signal;

/// A key and a certificate for 127.0.0.1, signed by itself, as `name.pem` and `name.key`.
fn certify(dir: &Path, name: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj"])
        .arg(format!("/CN={name}"))
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(dir.join(format!("{name}.key")))
        .arg("-out")
        .arg(dir.join(format!("{name}.pem")))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// What a TLS client sees: all of openssl's words, with the answer to one request.
fn seen(port: u16, more: &[&str]) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-showcerts", "-ign_eof"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A server that refuses the handshake closes the pipe first.
    let _ =
        client.stdin.take().unwrap().write_all(b"GET /v1/sys/init HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let output = client.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A server with the certificate `first`, its files named relative to the working folder.
fn serving_tls() -> Option<Node> {
    if programs::on_path("openssl").is_none() {
        println!("skipped: no openssl program here");
        return None;
    }
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    certify(node.dir(), "first");
    install(&node, "first");
    let (port, dir, cluster) = (node.port, node.dir().display(), free_port());
    node.write_config(&format!(
        "storage \"raft\" {{\n  path = \"{dir}/data\"\n  node_id = \"n1\"\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"live.pem\"\n  tls_key_file = \"live.key\"\n}}\n\
         api_addr = \"https://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{cluster}\"\n"
    ));
    node.spawn();
    until_seen(&mut node, "\"initialized\":false");
    Some(node)
}

fn install(node: &Node, name: &str) {
    for end in ["pem", "key"] {
        fs::copy(node.path(&format!("{name}.{end}")), node.path(&format!("live.{end}"))).unwrap();
    }
}

fn until_seen(node: &mut Node, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
    while !seen(node.port, &[]).contains(text) {
        assert!(
            !node.has_ended() && Instant::now() < deadline,
            "{text:?} is not seen: {}\n{}",
            seen(node.port, &[]),
            node.output()
        );
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_listener_serves_the_certificate_of_its_files_to_tls_1_2_and_1_3() {
    let Some(node) = serving_tls() else { return };
    let ca = node.path("first.pem").display().to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let said = seen(node.port, &[version, "-CAfile", &ca, "-verify_return_error"]);
        assert!(said.contains("HTTP/1.1 200 OK") && said.contains("\"initialized\":false"), "{version}: {said}");
    }
    let said = seen(node.port, &["-tls1_1"]);
    assert!(!said.contains("HTTP/1.1 200 OK"), "TLS 1.1: {said}");
}

#[test]
fn a_client_certificate_is_asked_for_but_not_required() {
    let Some(node) = serving_tls() else { return };
    certify(node.dir(), "client");
    let (cert, key) = (node.path("client.pem").display().to_string(), node.path("client.key").display().to_string());
    let said = seen(node.port, &["-cert", &cert, "-key", &key]);
    assert!(said.contains("\"initialized\":false"), "with one: {said}");
    let said = seen(node.port, &["-tls1_2", "-msg"]);
    assert!(said.contains("CertificateRequest"), "not asked: {said}");
    assert!(said.contains("\"initialized\":false"), "without: {said}");
}

#[test]
fn the_bao_client_speaks_tls_with_it() {
    let Some(node) = serving_tls() else { return };
    let Some(bao) = programs::bao() else { return };
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

#[test]
fn sighup_takes_a_new_certificate_and_keeps_the_old_one_if_the_new_is_broken() {
    let Some(mut node) = serving_tls() else { return };
    certify(node.dir(), "second");
    install(&node, "second");
    assert!(
        seen(node.port, &[]).contains("CN = first") || seen(node.port, &[]).contains("CN=first"),
        "nobody asked it to reload"
    );
    node.signal(Signal::HUP);
    let second = fs::read_to_string(node.path("second.pem")).unwrap();
    until_seen(&mut node, second.lines().nth(1).unwrap());
    fs::write(node.path("live.pem"), "this is no certificate").unwrap();
    node.signal(Signal::HUP);
    thread::sleep(Duration::from_millis(500));
    assert!(seen(node.port, &[]).contains(second.lines().nth(1).unwrap()), "{}", node.output());
    assert!(seen(node.port, &[]).contains("\"initialized\":false"));
    node.until("it says what is wrong with the new one", |node| node.output().contains("live.pem"));
}

#[test]
fn plain_http_to_a_tls_port_is_told_so_or_closed() {
    let Some(mut node) = serving_tls() else { return };
    let answer =
        bulkhead_tests::http::raw(node.port, b"GET /v1/sys/init HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_or_default();
    assert!(!String::from_utf8_lossy(&answer).contains("initialized"));
    until_seen(&mut node, "\"initialized\":false");
}

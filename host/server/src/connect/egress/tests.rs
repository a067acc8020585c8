//! What becomes of a request with each kind of server, and of none.

use std::net::TcpListener;
use std::thread;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{EgressTls, Origin, Verification};

use super::*;
use crate::connect::tls::tests::{answer, server_config};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn request(url: &str, tls: EgressTls) -> EgressRequest {
    let (origin, path) = Origin::split(url).expect("an address");
    EgressRequest {
        origin,
        tls,
        method: "GET".to_owned(),
        path,
        headers: Vec::new(),
        body: Hidden::new(Vec::new()),
        within: Duration::from_secs(5),
        body_bytes_max: 1024,
    }
}

/// A server with a certificate for `name`, which signs itself; and that, PEM.
fn tls_server(name: &str) -> (String, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let config = server_config(made.cert.der().to_vec(), made.signing_key.serialize_der());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://127.0.0.1:{}/", listener.local_addr().expect("its address").port());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&config, stream, OK);
        }
    });
    (url, made.cert.pem().into_bytes())
}

async fn fault(url: &str, tls: EgressTls) -> EgressError {
    HttpEgress.send(request(url, tls)).await.err().expect("there is no answer")
}

// a server that shows another authority's certificate is not believed.
#[tokio::test]
async fn a_server_is_believed_by_the_authorities_that_are_named() {
    let (url, pem) = tls_server("127.0.0.1");
    let trusting = EgressTls { roots_pem: Some(pem), ..EgressTls::default() };
    let answer = HttpEgress.send(request(&url, trusting)).await.expect("an answer");
    assert_eq!((answer.status, answer.body.expose().as_slice()), (200, &b"ok"[..]));
    assert_eq!(answer.peer_certificates.len(), 1);
    let (_, other) = tls_server("127.0.0.1");
    let mistaken = EgressTls { roots_pem: Some(other), ..EgressTls::default() };
    let EgressError::Tls(text) = fault(&url, mistaken).await else { panic!("it is about TLS") };
    assert!(text.starts_with("failed to verify certificate: x509: "), "{text}");
}

// nor one that shows another name.
#[tokio::test]
async fn its_name_is_the_one_that_is_asked_for() {
    let (url, pem) = tls_server("a.example");
    let of = |name: Option<&str>, verification| EgressTls {
        server_name: name.map(str::to_owned),
        roots_pem: Some(pem.clone()),
        verification,
    };
    assert!(matches!(fault(&url, of(None, Verification::Full)).await, EgressError::Tls(_)));
    for asked in [
        of(Some("a.example"), Verification::Full),
        of(None, Verification::ChainOnly),
        EgressTls { roots_pem: None, ..of(None, Verification::Insecure) },
    ] {
        assert!(HttpEgress.send(request(&url, asked)).await.is_ok());
    }
    let (_, other) = tls_server("a.example");
    let chain_only = EgressTls { roots_pem: Some(other), verification: Verification::ChainOnly, server_name: None };
    assert!(matches!(fault(&url, chain_only).await, EgressError::Tls(_)));
}

#[tokio::test]
async fn nobody_there_and_nobody_speaking_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    let mut silent = request(&url, EgressTls::default());
    silent.within = Duration::from_millis(200);
    assert_eq!(HttpEgress.send(silent).await.err(), Some(EgressError::Timeout));
    let ending = thread::spawn(move || drop(listener.accept()));
    let ended = fault(&url, EgressTls::default()).await;
    ending.join().expect("it ended");
    assert!(matches!(ended, EgressError::Closed | EgressError::Refused(_)), "{ended:?}");
    assert!(matches!(fault(&url, EgressTls::default()).await, EgressError::Refused(_)));
    let unknown = fault("http://no-such-name.invalid/", EgressTls::default()).await;
    assert!(matches!(unknown, EgressError::Resolve(_)), "{unknown:?}");
}

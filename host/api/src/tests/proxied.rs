//! Proxies in front that say in a PROXY header for whom they speak.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::cidr::Network;

use super::harness::{Served, get};
use super::secure;
use crate::{Behind, ListenerLimits, Proxies};

const HEADER: &[u8] = b"PROXY TCP4 10.1.2.3 127.0.0.1 5555 8200\r\n";

async fn behind(proxies: Proxies, limits: ListenerLimits) -> Served {
    Served::start_behind(None, limits, Behind { proxies: Some(proxies), forwarded: None }).await
}

fn local() -> Vec<Network> {
    vec![Network::parse("127.0.0.0/8").expect("one")]
}

#[tokio::test]
async fn a_header_may_come_in_pieces_and_with_what_follows() {
    let served = behind(Proxies::UseAlways, ListenerLimits::default()).await;
    let whole = [HEADER, &get("/v1/kv/x"), &get("/v1/kv/y")].concat();
    for cut in [0, 1, 5, 6, HEADER.len() - 1, HEADER.len(), HEADER.len() + 3] {
        let mut client = served.connect().await;
        client.send(&whole[..cut]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.send(&whole[cut..]).await;
        for _ in 0..2 {
            let (status, text) = client.answer().await.expect("an answer");
            assert_eq!(status, 200);
            assert!(text.contains("\"address\":\"10.1.2.3\",\"port\":5555"), "cut at {cut}: {text}");
        }
    }
    let without = served.ask(&get("/v1/kv/x")).await;
    assert!(without.1.contains("\"address\":\"127.0.0.1\""), "{}", without.1);
}

#[tokio::test]
async fn a_header_that_is_malformed_or_comes_too_slowly_ends_its_connection_only() {
    let limits = ListenerLimits { header_max: Duration::from_millis(200), ..ListenerLimits::default() };
    let served = behind(Proxies::UseAlways, limits).await;
    for start in [&b"PROXY TCP4 10.1.2.3"[..], b"PROXY nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", b""] {
        let mut client = served.connect().await;
        client.send(start).await;
        assert_eq!(client.answer().await, None, "{start:?}");
    }
    assert_eq!(served.ask(&get("/v1/kv/x")).await.0, 200);
}

#[tokio::test]
async fn a_believed_proxy_has_connections_for_each_of_its_clients() {
    let limits = ListenerLimits { address_connections_max: 1, ..ListenerLimits::default() };
    let served = behind(Proxies::AllowAuthorized(local()), limits).await;
    let ask =
        |address: &str| [format!("PROXY TCP4 {address} 127.0.0.1 5 8200\r\n").as_bytes(), &get("/v1/kv/x")].concat();
    let (mut one, mut two) = (served.connect().await, served.connect().await);
    one.send(&ask("10.1.2.3")).await;
    two.send(&ask("10.1.2.4")).await;
    assert_eq!((one.answer().await.expect("an answer").0, two.answer().await.expect("an answer").0), (200, 200));
    let mut again = served.connect().await;
    again.send(&ask("10.1.2.3")).await;
    assert_eq!(again.answer().await, None);
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let dir = tempfile::tempdir().expect("a directory");
    let (tls, trusted) = secure::loaded(dir.path());
    let behind = Behind { proxies: Some(Proxies::DenyUnauthorized(local())), forwarded: None };
    let served = Served::start_behind(Some(Arc::new(tls)), ListenerLimits::default(), behind).await;
    for header in [HEADER, b""] {
        let answer = secure::ask_behind(&served, header, (&trusted, None)).await.expect("an answer");
        let address = if header.is_empty() { "127.0.0.1" } else { "10.1.2.3" };
        assert!(answer.contains(&format!("\"address\":\"{address}\"")), "{answer}");
    }
    let mut plain = served.connect().await;
    plain.send(&[HEADER, &get("/v1/kv/x")].concat()).await;
    assert_eq!(plain.answer().await.map(|(status, _)| status), Some(400));
    assert_eq!(plain.rest().await, "Client sent an HTTP request to an HTTPS server.\n");
}

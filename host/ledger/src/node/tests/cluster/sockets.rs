//! Nodes over real sockets and TLS, and what those do not let in.

use std::net::TcpListener;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::peer::{PeerCredentials, PeerIdentity, Validity};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::peer::authority::{Authority, NodeKey, check_credentials};
use crate::peer::tcp::{PeerNetwork, TcpLink};
use crate::peer::wire::{self, Request};
use crate::peer::{Lane, Link, Target};

/// Credentials that can be replaced.
struct Kept(Mutex<Option<Arc<PeerCredentials>>>);

impl PeerIdentity for Kept {
    fn current(&self) -> Option<Arc<PeerCredentials>> {
        self.0.lock().clone()
    }
}

const YEARS: Validity = Validity { from_secs: 1_500_000_000, until_secs: 4_000_000_000 };

fn authority() -> Authority {
    Authority::found(YEARS).unwrap()
}

fn credentials(issuer: &Authority, number: u64, believed: &[&Authority]) -> Arc<PeerCredentials> {
    issued(issuer, number, believed, YEARS)
}

fn issued(issuer: &Authority, number: u64, believed: &[&Authority], validity: Validity) -> Arc<PeerCredentials> {
    let key = NodeKey::generate().unwrap();
    let certificate = issuer.issue(number, &key.request().unwrap(), validity).unwrap();
    let authorities = believed.iter().map(|authority| authority.certificate().to_vec()).collect();
    Arc::new(PeerCredentials { certificate, key: key.into_key(), authorities, validity })
}

fn kept(credentials: Arc<PeerCredentials>) -> Arc<Kept> {
    Arc::new(Kept(Mutex::new(Some(credentials))))
}

struct Node {
    ledger: Arc<RaftLedger>,
    identity: Arc<Kept>,
    address: String,
}

async fn node(dir: &Path, nth: usize, issuer: &Authority) -> Node {
    show_log();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let identity = kept(credentials(issuer, number(nth), &[issuer]));
    let config = LedgerConfig {
        address: address.clone(),
        fresh_number: number(nth),
        timings: timings(),
        ..LedgerConfig::new(dir.join(name(nth)), name(nth), &FakeEntropy::seeded(1))
    };
    let network = PeerNetwork { listener, identity: identity.clone() };
    Node { ledger: RaftLedger::open_with_peers(config, network).await.unwrap(), identity, address }
}

async fn three(dir: &Path, issuer: &Authority) -> Vec<Node> {
    let nodes = vec![node(dir, 0, issuer).await, node(dir, 1, issuer).await, node(dir, 2, issuer).await];
    nodes[0].ledger.bootstrap().await.unwrap();
    nodes[0].ledger.set_autopilot(eager());
    for node in &nodes[1..] {
        nodes[0].ledger.join(node.ledger.candidate()).await.unwrap();
    }
    for _ in 0..500 {
        if nodes[0].ledger.peers().iter().filter(|peer| peer.voter).count() == 3 {
            return nodes;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("they do not all vote");
}

/// Calls a node as someone, and says whether it answers.
async fn is_heard(node: &Node, identity: Arc<Kept>, from: u64, to: u64) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = TcpLink::new(from, PeerNetwork { listener, identity }, Duration::from_secs(2)).unwrap();
    let target = Target { number: to, address: node.address.clone() };
    let answer = link.call(&target, Lane::Talk, wire::encode(&Request::Greet(wire::About::default()))).await;
    link.close().await;
    answer.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_work_over_tls_and_go_on_when_one_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let issuer = authority();
    let nodes = three(dir.path(), &issuer).await;
    let mut writing = tokio::task::JoinSet::new();
    for n in 0..200 {
        let ledger = Arc::clone(&nodes[0].ledger);
        writing.spawn(async move { ledger.propose(put(&format!("key/{n}"), &"v".repeat(n * 50))).await.unwrap() });
    }
    writing.join_all().await;
    for node in &nodes {
        assert_eq!(read_now(&node.ledger, "key/7").await.unwrap(), Some("v".repeat(350)));
    }
    nodes[0].ledger.shutdown().await.unwrap();
    let began = Instant::now();
    let left = &nodes[1..];
    let acknowledged = async {
        loop {
            for node in left {
                if node.ledger.propose(put("after", "it")).await.is_ok() {
                    return;
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), acknowledged).await.unwrap();
    println!("writes went on after {:?}", began.elapsed());
    for node in left {
        assert_eq!(read_now(&node.ledger, "after").await.unwrap().as_deref(), Some("it"));
    }
    for node in left {
        node.ledger.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_node_with_its_own_certificate_of_the_clusters_authority_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    let (issuer, other) = (authority(), authority());
    let node = node(dir.path(), 0, &issuer).await;
    let me = number(0);
    let past = Validity { from_secs: 1_000_000_000, until_secs: 1_100_000_000 };
    let caller = |credentials| kept(credentials);
    assert!(is_heard(&node, caller(credentials(&issuer, 7, &[&issuer])), 7, me).await);
    let cases = [
        ("another authority's certificate", caller(credentials(&other, 7, &[&issuer])), 7, me),
        ("another node's certificate", caller(credentials(&issuer, 8, &[&issuer])), 7, me),
        ("an expired certificate", caller(issued(&issuer, 7, &[&issuer], past)), 7, me),
        ("a call to another node", caller(credentials(&issuer, 7, &[&issuer])), 7, 9),
        ("a node that is not believed", caller(credentials(&issuer, 7, &[&other])), 7, me),
    ];
    for (what, identity, from, to) in cases {
        assert!(!is_heard(&node, identity, from, to).await, "{what}");
    }
    let nobody = Arc::new(Kept(Mutex::new(None)));
    assert!(!is_heard(&node, nobody, 7, me).await, "no certificate");
    node.ledger.shutdown().await.unwrap();
}

/// Sends bytes and waits for the end of the connection.
async fn sent(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    drop(reading.await.expect("the connection is ended"));
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_speaks_no_tls_is_not_heard_and_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let issuer = authority();
    let node = node(dir.path(), 0, &issuer).await;
    let plain = sent(&node.address, b"BkPeer1\n\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x64").await;
    assert!(!plain.windows(6).any(|bytes| bytes == b"BkPeer"), "{plain:?}");
    sent(&node.address, b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    // Says nothing at all, and is shown the door.
    sent(&node.address, b"").await;
    assert!(is_heard(&node, kept(credentials(&issuer, 7, &[&issuer])), 7, number(0)).await);
    node.ledger.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_authority_are_replaced_while_the_cluster_works() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (authority(), authority());
    let nodes = three(dir.path(), &old).await;
    let put_in = |nth: usize, issuer: &Authority, believed: &[&Authority]| {
        *nodes[nth].identity.0.lock() = Some(credentials(issuer, number(nth), believed));
    };
    let steps: [(&Authority, Vec<&Authority>); 3] =
        [(&old, vec![&old, &new]), (&new, vec![&new, &old]), (&new, vec![&new])];
    for (round, (issuer, believed)) in steps.iter().enumerate() {
        for nth in 0..3 {
            put_in(nth, issuer, believed);
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(2500)).await;
        let value = round.to_string();
        let mut written = false;
        for _ in 0..200 {
            for node in &nodes {
                written = written || node.ledger.propose(put("a", &value)).await.is_ok();
            }
            if written {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        assert!(written, "round {round}");
        for node in &nodes {
            assert_eq!(read_now(&node.ledger, "a").await.unwrap(), Some(value.clone()));
        }
    }
    let last = &nodes[2];
    assert!(!is_heard(last, kept(credentials(&old, 7, &[&new])), 7, number(2)).await, "the old authority is gone");
    for node in &nodes {
        node.ledger.shutdown().await.unwrap();
    }
}

#[test]
fn credentials_are_a_nodes_own_or_refused() {
    const NOW: u64 = 2_000_000_000;
    let (issuer, other) = (authority(), authority());
    let fits = |credentials: &PeerCredentials, now_secs| check_credentials(7, credentials, now_secs).is_ok();
    let own = credentials(&issuer, 7, &[&issuer]);
    assert!(fits(&own, NOW) && fits(&credentials(&issuer, 7, &[&other, &issuer]), NOW));
    assert!(!fits(&own, YEARS.until_secs + 1) && !fits(&own, YEARS.from_secs - 1));
    assert!(!fits(&credentials(&issuer, 8, &[&issuer]), NOW), "another node's");
    assert!(!fits(&credentials(&issuer, 7, &[&other]), NOW), "another authority's");
    let key = NodeKey::generate().unwrap().into_key();
    let authorities = own.authorities.clone();
    let foreign = PeerCredentials { certificate: own.certificate.clone(), key, authorities, validity: YEARS };
    assert!(!fits(&foreign, NOW), "of another key");
    let nothing = PeerCredentials { certificate: Vec::new(), key: Hidden::new(Vec::new()), ..foreign };
    assert!(!fits(&nothing, NOW));
}

#[test]
fn a_request_for_a_certificate_gets_no_more_than_it_may() {
    let issuer = authority();
    assert!(issuer.issue(1, b"not a request", YEARS).is_err());
    let again = Authority::kept(issuer.certificate().to_vec(), Hidden::new(issuer.key().expose().clone()));
    let key = NodeKey::generate().unwrap();
    again.issue(1, &key.request().unwrap(), YEARS).unwrap();
}

//! What becomes of a node whose state is replaced by a snapshot's: when whoever asked goes away,
//! when it fails in the end, and when the nodes would not know each other afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::request::{Body, Pieces, Request, Unread, Verb};
use bulkhead_model::seam::peer::{AuthorityKeys, KeyRequest, PeerCredentials, PeerIdentity, PeerOffice, Validity};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::kit::{Kit, ROOT, request};
use super::peers::{ABANDON, FakeCluster, LAST, parts_with};
use crate::cluster::authority;

/// A body of nothing.
struct NoPieces;

#[async_trait]
impl Pieces for NoPieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }
}

/// An office that makes whatever is wanted.
struct Office {
    current: Mutex<Option<Arc<PeerCredentials>>>,
}

impl Office {
    /// Of a node that knows others by this authority, with a certificate until then.
    fn of(authority: &[u8], until_secs: u64) -> Arc<Self> {
        let validity = Validity { from_secs: 0, until_secs };
        let authorities = vec![authority.to_vec()];
        let own = PeerCredentials { certificate: Vec::new(), key: Hidden::new(Vec::new()), authorities, validity };
        Arc::new(Self { current: Mutex::new(Some(Arc::new(own))) })
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        self.current().map(|own| own.authorities.clone()).unwrap_or_default()
    }
}

impl PeerIdentity for Office {
    fn current(&self) -> Option<Arc<PeerCredentials>> {
        self.current.lock().clone()
    }
}

impl PeerOffice for Office {
    fn found(&self, _: Validity) -> Result<AuthorityKeys, String> {
        Ok(AuthorityKeys { certificate: b"the state's".to_vec(), key: Hidden::new(vec![1]) })
    }

    fn issue(&self, _: &AuthorityKeys, _: u64, _: &[u8], _: Validity) -> Result<Vec<u8>, String> {
        Ok(vec![2])
    }

    fn request(&self) -> Result<KeyRequest, String> {
        Ok(KeyRequest { key: Hidden::new(vec![3]), request: vec![4] })
    }

    fn install(&self, _: u64, credentials: PeerCredentials, _: u64) -> Result<(), String> {
        *self.current.lock() = Some(Arc::new(credentials));
        Ok(())
    }
}

async fn leader() -> (Kit, Arc<FakeCluster>) {
    let cluster = Arc::new(FakeCluster::default());
    let kit = Kit::among(cluster.clone(), parts_with(Office::of(b"the state's", u64::MAX))).await;
    (kit, cluster)
}

fn forced() -> Request {
    let mut asked = request(Verb::Write, "sys/storage/raft/snapshot-force", ROOT, &Value::Null);
    asked.body = Body::Unread(Unread::new(Box::new(NoPieces)));
    asked
}

/// Begins a forced restoring, and goes away while its last step is under way.
async fn begun_and_left(kit: &Kit, cluster: &FakeCluster) {
    let node = kit.node.clone();
    let asking = tokio::spawn(async move { node.handle_within(forced(), Duration::from_secs(60)).await });
    until_steps(cluster, &[0, 1, LAST]).await;
    assert_eq!(kit.views_held(), 0, "nobody looks at the state that is replaced");
    asking.abort();
    assert!(asking.await.is_err_and(|ended| ended.is_cancelled()));
}

async fn until_steps(cluster: &FakeCluster, steps: &[u8]) {
    let until = async {
        while *cluster.restored.steps.lock() != steps {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), until).await.expect("the steps are taken");
}

async fn writes(kit: &Kit) -> Option<FailureKind> {
    let body = json!({"policy": "path \"a\" { capabilities = [\"read\"] }"});
    kit.ask(Verb::Write, "sys/policies/acl/one", ROOT, body).await.kind()
}

#[tokio::test]
async fn a_restoring_whose_client_goes_away_is_carried_out() {
    let (kit, cluster) = leader().await;
    let open = kit.open();
    begun_and_left(&kit, &cluster).await;
    assert_eq!(writes(&kit).await, Some(FailureKind::Unavailable), "it is shut meanwhile");
    cluster.restored.last_may_go.notify_one();
    timeout(Duration::from_secs(5), open.fence.closing()).await.expect("the node closes");
    assert_eq!(*cluster.restored.steps.lock(), [0, 1, LAST]);
    assert!(open.snapshots.turn().is_ok(), "nothing is under way any more");
}

#[tokio::test]
async fn a_restoring_that_is_refused_in_the_end_is_given_up_and_the_node_goes_on() {
    let (kit, cluster) = leader().await;
    cluster.restored.fails.store(true, Ordering::SeqCst);
    begun_and_left(&kit, &cluster).await;
    let again = kit.ask_within(Duration::from_secs(5), forced()).await;
    assert!(matches!(again.kind(), Some(FailureKind::Unavailable)), "one at a time");
    cluster.restored.last_may_go.notify_one();
    until_steps(&cluster, &[0, 1, LAST, ABANDON]).await;
    assert_eq!(writes(&kit).await, None);
}

#[tokio::test]
async fn a_forced_snapshot_of_other_keys_is_refused_where_there_are_other_nodes() {
    let (kit, cluster) = leader().await;
    cluster.others.store(2, Ordering::SeqCst);
    let refused = kit.ask_within(Duration::from_secs(5), forced()).await;
    let failed = refused.failed.expect("it is refused");
    assert_eq!(failed.kind, FailureKind::Invalid);
    assert!(failed.errors[0].contains("remove all nodes but one"), "{:?}", failed.errors);
    assert!(cluster.restored.steps.lock().is_empty());
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_others_do_not_know_is_not_taken() {
    let cluster = Arc::new(FakeCluster::default());
    let due = Office::of(b"the nodes'", 1);
    let kit = Kit::among(cluster.clone(), parts_with(due.clone())).await;
    let open = kit.open();
    let peers = open.parts.peers.as_ref().expect("it has peers");
    // The state has no authority, and must not get another; then it has another.
    cluster.others.store(1, Ordering::SeqCst);
    for round in 0..2 {
        let refused = authority::renew_own(&open, peers).await.expect_err("the others would not know it");
        assert!(refused.into_failure().errors[0].contains("remove the other nodes"), "round {round}");
        assert_eq!(due.authorities(), [b"the nodes'".to_vec()]);
        cluster.others.store(0, Ordering::SeqCst);
        let elsewhere = parts_with(Office::of(b"the nodes'", 1));
        authority::renew_own(&open, &elsewhere).await.expect("it founds the one of the state");
        cluster.others.store(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_node_that_is_alone_takes_the_authority_of_its_state_before_its_time() {
    let cluster = Arc::new(FakeCluster::default());
    let long = Office::of(b"from before", u64::MAX);
    let kit = Kit::among(cluster.clone(), parts_with(long.clone())).await;
    let open = kit.open();
    let peers = open.parts.peers.as_ref().expect("it has peers");
    authority::renew_own(&open, peers).await.expect("nobody else knows it");
    assert_eq!(long.authorities(), [b"the state's".to_vec()]);
    let own = long.current();
    authority::renew_own(&open, peers).await.expect("it has it already");
    assert!(own.zip(long.current()).is_some_and(|(before, now)| Arc::ptr_eq(&before, &now)));
}

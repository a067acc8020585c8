//! A node among others: the others are what the test says they are.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::failure::FailureKind;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::request::{Request, Verb};
use bulkhead_model::seam::cluster::{
    AskError, AutopilotConfig, AutopilotState, Cluster, ClusterError, Joining, Leader, Peer, ReceivedSnapshot,
    Responder, Restoration, RestoreStep, RestoreSteps, SavedSnapshot, SnapshotInfo, SnapshotSeal,
};
use bulkhead_model::seam::peer::{
    ApiAddress, ApiClient, AuthorityKeys, KeyRequest, PeerCredentials, PeerIdentity, PeerOffice, Validity,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::kit::{Kit, ROOT, fresh, request};
use crate::cluster::{PeerParts, tenure};
use crate::node::Node;

/// Members that exist by their names only. Whoever asks the leader waits as long as it would.
#[derive(Default)]
pub(crate) struct FakeCluster {
    leads: Mutex<Option<u64>>,
    /// How long each question would have waited.
    waits: Mutex<Vec<Duration>>,
    /// How many others there are.
    pub(super) others: AtomicU64,
    pub(super) restored: Restored,
}

/// What is restored: two steps and a last one, which waits until it is let go.
#[derive(Default)]
pub(super) struct Restored {
    pub(super) steps: Mutex<Vec<u8>>,
    pub(super) last_may_go: Notify,
    pub(super) fails: AtomicBool,
}

/// The last step, and the one that gives up.
pub(super) const LAST: u8 = 2;
pub(super) const ABANDON: u8 = 9;

#[async_trait]
impl Cluster for FakeCluster {
    fn candidate(&self) -> Joining {
        Joining { number: 1, id: "one".into(), address: "a:1".into(), non_voter: false }
    }

    fn leader(&self) -> Option<Leader> {
        self.leads.lock().map(|number| Leader { number, ..Leader::default() })
    }

    fn peers(&self) -> Vec<Peer> {
        let peer = |number| Peer {
            number,
            id: if number == 1 { "one".into() } else { number.to_string() },
            address: format!("{}:1", if number == 1 { "a" } else { "b" }),
            api_address: String::new(),
            version: String::new(),
            voter: true,
            non_voter: false,
            leader: number == 1,
            contact: None,
        };
        (1..=1 + self.others.load(Ordering::SeqCst)).map(peer).collect()
    }

    fn is_member(&self) -> bool {
        true
    }

    fn respond_with(&self, _: Arc<dyn Responder>) {}

    async fn ask(&self, _: u64, _: Vec<u8>, within: Duration) -> Result<Vec<u8>, AskError> {
        self.waits.lock().push(within);
        sleep(within).await;
        Err(AskError { maybe_acted_on: true, why: "no answer came".into() })
    }

    async fn join(&self, _: Joining) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn promote(&self, _: &str) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn demote(&self, _: &str) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn remove(&self, _: &str) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn step_down(&self, _: Option<&str>) -> Result<(), ClusterError> {
        Ok(())
    }

    fn autopilot(&self) -> AutopilotConfig {
        AutopilotConfig::default()
    }

    fn set_autopilot(&self, _: AutopilotConfig) {}

    fn autopilot_state(&self) -> Result<AutopilotState, ClusterError> {
        Ok(AutopilotState::default())
    }

    async fn save_snapshot(&self, _: &SnapshotSeal<'_>) -> Result<SavedSnapshot, ClusterError> {
        Err(ClusterError::Refused { why: "not here".into() })
    }

    async fn receive_snapshot(
        &self,
        _: Box<dyn Read + Send>,
        _: u64,
        _: Vec<Vec<u8>>,
    ) -> Result<ReceivedSnapshot, ClusterError> {
        let step = |nth: u8| RestoreStep { bytes: vec![nth], is_last: nth == LAST };
        let steps = move |_: Restoration| RestoreSteps {
            steps: Box::new((0..=LAST).map(move |nth| Ok(step(nth)))),
            abandon: step(ABANDON),
        };
        Ok(ReceivedSnapshot {
            info: SnapshotInfo::default(),
            sums: Vec::new(),
            seal: Vec::new(),
            shown: BTreeMap::new(),
            steps: Box::new(steps),
        })
    }

    async fn restore_step(&self, step: RestoreStep) -> Result<u64, ClusterError> {
        self.restored.steps.lock().extend(&step.bytes);
        if step.is_last {
            self.restored.last_may_go.notified().await;
            if self.restored.fails.load(Ordering::SeqCst) {
                return Err(ClusterError::Refused { why: "not all records came".into() });
            }
        }
        Ok(1)
    }

    async fn state_digest(&self) -> Result<(u64, [u8; 32]), ClusterError> {
        Err(ClusterError::Refused { why: "not here".into() })
    }
}

/// An office that is closed.
struct NoOffice;

impl PeerIdentity for NoOffice {
    fn current(&self) -> Option<Arc<PeerCredentials>> {
        None
    }
}

impl PeerOffice for NoOffice {
    fn found(&self, _: Validity) -> Result<AuthorityKeys, String> {
        Err("it is closed".into())
    }

    fn issue(&self, _: &AuthorityKeys, _: u64, _: &[u8], _: Validity) -> Result<Vec<u8>, String> {
        Err("it is closed".into())
    }

    fn request(&self) -> Result<KeyRequest, String> {
        Err("it is closed".into())
    }

    fn install(&self, _: u64, _: PeerCredentials, _: u64) -> Result<(), String> {
        Err("it is closed".into())
    }
}

/// What is at an address.
#[derive(Clone)]
enum There {
    /// A cluster whose key is split in so many, of which so many are needed.
    Cluster(u64, u64),
    Answers(u16, &'static str),
    Fails(&'static str),
    Hangs,
}

/// A network in which these are.
#[derive(Default)]
struct FakeClient {
    there: HashMap<String, There>,
    /// Addresses that were asked, with the authorities they would have been believed by.
    asked: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl ApiClient for FakeClient {
    async fn post(
        &self,
        to: &ApiAddress,
        _: &str,
        _: Hidden<Vec<u8>>,
        _: Duration,
    ) -> Result<(u16, Hidden<Vec<u8>>), String> {
        self.asked.lock().push((to.url.clone(), to.authorities_pem.clone()));
        let told = |status, text: String| Ok((status, Hidden::new(text.into_bytes())));
        match self.there.get(&to.url) {
            Some(There::Cluster(shares, threshold)) => {
                let config = json!({"type": "shamir", "secret_shares": shares, "secret_threshold": threshold});
                told(200, json!({"data": {"challenge": "AAAA", "seal_config": config}}).to_string())
            }
            Some(There::Answers(status, text)) => told(*status, (*text).to_owned()),
            Some(There::Fails(why)) => Err((*why).to_owned()),
            Some(There::Hangs) => pending().await,
            None => Err("there is no such host".into()),
        }
    }
}

fn client(there: &[(&str, There)]) -> Arc<FakeClient> {
    let there = there.iter().map(|(url, there)| ((*url).to_owned(), there.clone())).collect();
    Arc::new(FakeClient { there, asked: Mutex::default() })
}

fn parts(client: &Arc<FakeClient>, retry_join: &[&str]) -> PeerParts {
    let entry = |url: &&str| ApiAddress {
        url: (*url).to_owned(),
        authorities_pem: "the config's".into(),
        ..ApiAddress::default()
    };
    let retry_join = retry_join.iter().map(entry).collect();
    PeerParts {
        office: Arc::new(NoOffice),
        client: client.clone(),
        retry_join,
        non_voter: false,
        stale_reads_max: std::time::Duration::ZERO,
    }
}

/// What a node with this office has to be one of several.
pub(super) fn parts_with(office: Arc<dyn PeerOffice>) -> PeerParts {
    PeerParts { office, ..parts(&client(&[]), &[]) }
}

/// A node that does not lead. The leader is there, and says nothing.
async fn standby() -> (Kit, Arc<FakeCluster>) {
    let cluster = Arc::new(FakeCluster::default());
    let kit = Kit::among(cluster.clone(), parts(&client(&[]), &[])).await;
    kit.mount("db").await;
    *cluster.leads.lock() = Some(2);
    kit.leads(false);
    (kit, cluster)
}

fn write(bytes: usize) -> Request {
    request(Verb::Write, "db/creds/one", ROOT, &json!({"filling": "x".repeat(bytes)}))
}

#[tokio::test]
async fn what_is_on_its_way_to_the_leader_is_bounded_in_bytes() {
    let (kit, cluster) = standby().await;
    let large = || write(10 * 1024 * 1024 - 100);
    let mut under_way = Vec::new();
    for _ in 0..6 {
        let (node, request) = (kit.node.clone(), large());
        under_way.push(tokio::spawn(async move { node.handle_within(request, Duration::from_secs(3)).await }));
    }
    let six = async {
        while cluster.waits.lock().len() < 6 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(2), six).await.expect("they are handed on");
    let began = Instant::now();
    let refused = kit.ask_within(Duration::from_secs(3), large()).await;
    assert_eq!(refused.kind(), Some(FailureKind::Unavailable));
    assert!(refused.failed.expect("it failed").errors[0].contains("try again"));
    assert!(began.elapsed() < Duration::from_secs(1), "it waits for nothing");
    kit.ask_within(Duration::from_millis(50), write(100)).await;
    assert_eq!(cluster.waits.lock().len(), 7, "a small one has room");
    for request in under_way {
        request.await.expect("it ends");
    }
    kit.ask_within(Duration::from_millis(50), large()).await;
    assert_eq!(cluster.waits.lock().len(), 8, "what has ended is given back");
}

#[tokio::test]
async fn a_read_that_turns_out_to_write_has_one_deadline_on_both_nodes() {
    let (kit, cluster) = standby().await;
    kit.reads_take(Duration::from_millis(600));
    let began = Instant::now();
    let read = request(Verb::Read, "db/creds/one", ROOT, &Value::Null);
    let answer = kit.ask_within(Duration::from_secs(1), read).await;
    assert_eq!(answer.kind(), Some(FailureKind::Unavailable));
    let waits = cluster.waits.lock().clone();
    assert!(waits.len() == 1 && waits[0] <= Duration::from_millis(400), "{waits:?}");
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn leadership_that_was_lost_and_regained_unseen_is_another_tenure() {
    let kit = Kit::among(Arc::new(FakeCluster::default()), parts(&client(&[]), &[])).await;
    let open = kit.open();
    let working = tokio::spawn(tenure::run(open.clone()));
    let began = |at_ms: u64| {
        let open = open.clone();
        async move {
            while open.active_since_ms.load(Ordering::Relaxed) != at_ms {
                sleep(Duration::from_millis(10)).await;
            }
        }
    };
    kit.clock.advance_secs(5);
    let now_ms = open.parts.clock.now_ms();
    kit.is_in_term(2);
    timeout(Duration::from_secs(5), began(now_ms)).await.expect("its first tenure begins");
    kit.clock.advance_secs(5);
    kit.is_in_term(4);
    timeout(Duration::from_secs(5), began(now_ms + 5_000)).await.expect("another begins with another term");
    working.abort();
}

async fn told_to_join(node: &Arc<Node>, url: &str) -> Result<(), (FailureKind, String)> {
    let asked = request(Verb::Write, "sys/storage/raft/join", "", &json!({"leader_api_addr": url}));
    match node.handle(asked).await.into_reply() {
        bulkhead_model::reply::Reply::Failed(failure) => Err((failure.kind, failure.errors.join("; "))),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn whom_a_node_joins_is_the_configs_to_say_where_it_says_so() {
    let network = client(&[("https://a:1", There::Cluster(1, 1)), ("https://b:1", There::Cluster(1, 1))]);
    let node = fresh(Arc::default(), parts(&network, &["https://a:1"]));
    let refused = told_to_join(&node, "https://b:1").await;
    assert!(refused.is_err_and(|(kind, why)| kind == FailureKind::Invalid && why.contains("retry_join")));
    assert!(network.asked.lock().is_empty(), "nobody was asked");
    assert_eq!(told_to_join(&node, "https://a:1/").await, Ok(()));
    assert_eq!(*network.asked.lock(), [("https://a:1".to_owned(), "the config's".to_owned())]);
    let free = fresh(Arc::default(), parts(&network, &[]));
    assert_eq!(told_to_join(&free, "https://b:1").await, Ok(()));
}

#[tokio::test]
async fn a_join_that_fails_tells_nothing_of_what_is_there_and_only_one_is_under_way() {
    let network = client(&[
        ("https://refused:1", There::Fails("connection refused")),
        ("https://other:1", There::Answers(404, "<html>a printer</html>")),
        ("https://sealed:1", There::Answers(503, "{\"errors\": [\"Vault is sealed\"]}")),
        ("https://silent:1", There::Hangs),
    ]);
    let began = Instant::now();
    let asking = ["refused", "other", "sealed", "silent", "nowhere"].map(|host| {
        let node = fresh(Arc::default(), parts(&network, &[]));
        async move {
            let url = format!("https://{host}:1");
            let (first, second) = tokio::join!(told_to_join(&node, &url), async {
                tokio::task::yield_now().await;
                told_to_join(&node, "https://second:1").await
            });
            assert!(second.is_err_and(|(kind, _)| kind == FailureKind::Unavailable), "one at a time");
            (first.expect_err("nobody takes it in"), began.elapsed().as_secs())
        }
    });
    let answers = futures_of(asking).await;
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert!(answers[0].0.1.starts_with("failed to join raft cluster"), "{answers:?}");
}

async fn futures_of<T: Send + 'static>(
    all: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = all.into_iter().map(tokio::spawn).collect();
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(task.await.expect("it does not panic"));
    }
    ended
}

#[tokio::test]
async fn shares_that_were_given_for_one_cluster_do_not_count_for_another() {
    let network = client(&[("https://a:1", There::Cluster(3, 2)), ("https://b:1", There::Cluster(3, 2))]);
    let node = fresh(Arc::default(), parts(&network, &[]));
    told_to_join(&node, "https://a:1").await.expect("it would be taken in");
    node.unseal(Hidden::new(vec![1; 33])).await.expect("a share of two");
    assert_eq!(node.unseal_progress().0, 1);
    told_to_join(&node, "https://a:1").await.expect("the same again");
    assert_eq!(node.unseal_progress().0, 1, "nothing has changed");
    told_to_join(&node, "https://b:1").await.expect("it would be taken in");
    assert_eq!(node.unseal_progress().0, 0);
}

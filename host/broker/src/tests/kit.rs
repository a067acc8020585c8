//! A node over memory, and shortcuts to what tests want to know of it. Nothing works in
//! the background unless a test starts it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_barrier::{Folder, SpaceId, Transaction};
use bulkhead_model::change::{Change, Verdict};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::fake::clock::FakeClock;
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::REQUEST_MS_MAX;
use bulkhead_model::path::ApiPath;
use bulkhead_model::plugin::PluginKind;
use bulkhead_model::reply::{Envelope, Reply};
use bulkhead_model::request::{Body, OpenCeremonies, Origin, Request, Verb};
use bulkhead_model::seam::audit::{AuditSink, AuditSinkMaker};
use bulkhead_model::seam::cluster::Cluster;
use bulkhead_model::seam::ledger::{Ledger, LedgerError, Standing, Versioned, View};
use bulkhead_model::seam::plugin::Plugin;
use serde_json::Value;

use super::peers::FakeCluster;
use super::plugin::{FakeCompiler, FakePlugin};
use crate::book::leases::{self, LeaseRecord};
use crate::book::space;
use crate::book::tokens::{self, TokenHash, TokenRecord};
use crate::brought::{Brought, Outfit};
use crate::cluster::PeerParts;
use crate::fault::Fault;
use crate::node::{Facts, InitOptions, MetricsParts, Node, Parts, Seals};
use crate::open::Open;
use crate::step::expire;

/// The root token.
pub(crate) const ROOT: &str = "root";
/// What goes with the test's plugin where a test has it brought under the name `outfitted`.
const OUTFITS: &[Outfit] = &[Outfit {
    kind: PluginKind::Secrets,
    name: "outfitted",
    aliases: &["outfitted-once"],
    grants: &["driver *"],
    grants_in_root: &["net tcp://127.0.0.1:5432"],
}];
/// When the clock of a kit starts, in milliseconds.
const START_MS: u64 = 1_000_000_000;

/// A ledger that takes so many changes and then fails, as if the node had died.
pub(crate) struct MortalLedger {
    inner: Arc<FakeLedger>,
    changes_left: AtomicUsize,
    /// Whether it only falls silent then.
    silent: AtomicBool,
    /// Changes until the one that meets another.
    until_conflict: AtomicUsize,
    /// Whether its node does not lead.
    follows: AtomicBool,
    /// The term it is in, and how long it takes to make sure of a read, in milliseconds.
    term: AtomicU64,
    read_ms: AtomicU64,
    /// The others, if it has any.
    cluster: Option<Arc<dyn Cluster>>,
    /// One for each view that somebody holds, and one.
    views: Arc<()>,
}

/// A view that is counted.
struct Counted(Arc<dyn View>, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl View for Counted {
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, LedgerError> {
        self.0.get(key)
    }

    fn keys(&self, from: &[u8], end: &[u8], limit: u32) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.0.keys(from, end, limit)
    }
}

#[async_trait]
impl Ledger for MortalLedger {
    fn view(&self) -> Result<Arc<dyn View>, LedgerError> {
        Ok(Arc::new(Counted(self.inner.view()?, Arc::clone(&self.views))))
    }

    async fn linearizable(&self) -> Result<(), LedgerError> {
        let read_ms = self.read_ms.load(Ordering::SeqCst);
        if read_ms > 0 {
            tokio::time::sleep(Duration::from_millis(read_ms)).await;
        }
        self.inner.linearizable().await
    }

    async fn propose(&self, change: Change) -> Result<Verdict, LedgerError> {
        if self.cluster.is_some() && self.follows.load(Ordering::SeqCst) {
            return Err(LedgerError::NotLeader { leader: None });
        }
        // Others get their turn, as while a disk is at work.
        tokio::task::yield_now().await;
        let died = || LedgerError::Stopped { cause: "as the test wants it".into() };
        let left = self.changes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() && self.silent.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        left.map_err(|_| died())?;
        // From the greatest number on it counts down for longer than any test.
        if self.until_conflict.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Ok(Verdict::Conflict);
        }
        self.inner.propose(change).await
    }

    fn standing(&self) -> Standing {
        let term = self.term.load(Ordering::SeqCst);
        Standing { leader: !self.follows.load(Ordering::SeqCst), term, ..self.inner.standing() }
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        self.cluster.as_deref()
    }
}

/// A maker that makes none.
pub(super) struct NoSinks;

#[async_trait]
impl AuditSinkMaker for NoSinks {
    async fn make(&self, _: &str, _: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
        Err("there are no audit devices here".into())
    }
}

/// What a request was answered.
pub(crate) struct Answer {
    pub failed: Option<Failure>,
    pub envelope: Envelope,
}

impl Answer {
    pub(crate) fn kind(&self) -> Option<FailureKind> {
        self.failed.as_ref().map(|failure| failure.kind)
    }

    /// The envelope's `data`.
    pub(crate) fn data(&self) -> Value {
        self.envelope
            .data
            .as_ref()
            .map_or(Value::Null, |text| serde_json::from_slice(text.expose()).expect("the data of an answer is JSON"))
    }

    /// The token that was made.
    pub(crate) fn token(&self) -> String {
        self.envelope.auth.as_ref().expect("the answer has a token").client_token.expose().clone()
    }
}

/// An open node and its surroundings.
pub(crate) struct Kit {
    pub clock: Arc<FakeClock>,
    pub plugin: Arc<FakePlugin>,
    pub compiler: Arc<FakeCompiler>,
    pub node: Arc<Node>,
    /// Plugins besides.
    others: Vec<Arc<dyn Plugin>>,
    ledger: Arc<MortalLedger>,
    share: Vec<u8>,
}

impl Kit {
    /// A new cluster, unsealed.
    pub(crate) async fn new() -> Self {
        Self::with(FakePlugin::new()).await
    }

    /// The same with this plugin.
    pub(crate) async fn with(plugin: FakePlugin) -> Self {
        Self::over(mortal(Arc::new(FakeLedger::new())), plugin, Vec::new(), None).await
    }

    /// A new cluster with one more plugin.
    pub(crate) async fn with_other(other: Arc<dyn Plugin>) -> Self {
        Self::over(mortal(Arc::new(FakeLedger::new())), FakePlugin::new(), vec![other], None).await
    }

    /// A new cluster whose only node knows these others.
    pub(crate) async fn among(cluster: Arc<dyn Cluster>, peers: PeerParts) -> Self {
        Self::over(mortal_among(cluster), FakePlugin::new(), Vec::new(), Some(peers)).await
    }

    async fn over(
        ledger: Arc<MortalLedger>,
        plugin: FakePlugin,
        others: Vec<Arc<dyn Plugin>>,
        peers: Option<PeerParts>,
    ) -> Self {
        let clock = Arc::new(FakeClock::at_ms(START_MS));
        let (plugin, compiler) = (Arc::new(plugin), Arc::<FakeCompiler>::default());
        let plugins = [vec![plugin.clone() as _], others.clone()].concat();
        let node = node((&ledger, peers), &clock, plugins, &compiler);
        let options = InitOptions { shares: 1, threshold: 1, root_token: Some(Hidden::new(ROOT.into())) };
        let made = node.initialise(options).await.expect("a new ledger can be initialised");
        let share = made.shares[0].expose().clone();
        unseal(&node, &share).await;
        Self { clock, plugin, compiler, node, others, ledger, share }
    }

    /// Another node over what the ledger of this one holds, as after a crash.
    pub(crate) async fn restarted(self, plugins: bool) -> Self {
        let ledger = mortal(self.ledger.inner.clone());
        let mut loaded = self.others.clone();
        if plugins {
            loaded.push(self.plugin.clone());
        }
        let node = node((&ledger, None), &self.clock, loaded, &self.compiler);
        unseal(&node, &self.share).await;
        Self { node, ledger, ..self }
    }

    /// The same with another version of the plugin.
    pub(crate) async fn restarted_with(self, plugin: FakePlugin) -> Self {
        Self { plugin: Arc::new(plugin), ..self }.restarted(true).await
    }

    /// Lets the node die after so many more changes.
    pub(crate) fn dies_after(&self, changes: usize) {
        self.ledger.changes_left.store(changes, Ordering::SeqCst);
    }

    /// Lets the ledger give no answer any more after so many changes.
    pub(crate) fn is_silent_after(&self, changes: usize) {
        self.ledger.silent.store(true, Ordering::SeqCst);
        self.dies_after(changes);
    }

    /// Has the change after so many meet another.
    pub(crate) fn conflicts_after(&self, changes: usize) {
        self.ledger.until_conflict.store(changes, Ordering::SeqCst);
    }

    /// Whether the node leads from now on.
    pub(crate) fn leads(&self, leads: bool) {
        self.ledger.follows.store(!leads, Ordering::SeqCst);
    }

    /// The ledger's term from now on.
    pub(crate) fn is_in_term(&self, term: u64) {
        self.ledger.term.store(term, Ordering::SeqCst);
    }

    /// How long the ledger takes to make sure of a read from now on.
    pub(crate) fn reads_take(&self, time: Duration) {
        self.ledger.read_ms.store(time.as_millis() as u64, Ordering::SeqCst);
    }

    /// Views of the state that somebody holds.
    pub(crate) fn views_held(&self) -> usize {
        Arc::strong_count(&self.ledger.views) - 1
    }

    pub(crate) fn open(&self) -> Arc<Open> {
        self.node.open().expect("the node is unsealed")
    }

    /// What the scheduler would do by now.
    pub(crate) async fn settle(&self) {
        expire::settle_all(&self.open()).await;
    }

    /// Writes into the books, past every request.
    pub(crate) async fn write(&self, work: impl FnOnce(&mut Transaction, &Open)) {
        let open = self.open();
        let mut tx = open.begin().expect("memory has views");
        work(&mut tx, &open);
        open.commit(tx).await.expect("nobody else writes");
    }

    /// Records of a book whose keys say nothing.
    pub(crate) fn count(&self, space: SpaceId) -> usize {
        let mut tx = self.open().begin().expect("memory has views");
        tx.opaque_range(space, &[0], &[0xff; 80], u32::MAX).expect("the book can be read").len()
    }

    /// Records of a book whose keys are names.
    pub(crate) fn count_named(&self, space: SpaceId) -> usize {
        let mut tx = self.open().begin().expect("memory has views");
        tx.walk(&Folder::root(space), None, 900_000).expect("the book can be read").keys.len()
    }

    /// That the root token is all there is, and nothing falls due.
    pub(crate) fn is_clean(&self) {
        assert_eq!(self.count(space::TOKENS), 1, "tokens");
        assert_eq!(self.count(space::ACCESSORS), 1, "accessors");
        assert_eq!(self.count(space::CHILDREN), 0, "ties between tokens");
        assert_eq!(self.count(space::TOKEN_LEASES), 0, "leases of tokens");
        assert_eq!(self.count(space::LEASE_REFUSALS), 0, "why leases could not be revoked");
        assert_eq!(self.count(space::DUE), 0, "due");
        assert_eq!(self.count_named(space::LEASES), 0, "leases");
        assert_eq!(self.count_named(space::CUBBYHOLE), 0, "names in cubbyholes");
    }

    /// Answers a request with all the time there is.
    pub(crate) async fn ask(&self, verb: Verb, path: &str, token: &str, body: Value) -> Answer {
        self.ask_within(Duration::from_millis(REQUEST_MS_MAX), request(verb, path, token, &body)).await
    }

    pub(crate) async fn ask_within(&self, time_max: Duration, request: Request) -> Answer {
        match self.node.handle_within(request, time_max).await.into_reply() {
            Reply::Envelope(envelope) => Answer { failed: None, envelope: *envelope },
            Reply::Failed(failure) => Answer { failed: Some(failure), envelope: Envelope::default() },
            Reply::Empty => Answer { failed: None, envelope: Envelope::default() },
            _ => panic!("an answer of another form"),
        }
    }

    pub(crate) async fn is_valid(&self, token: &str) -> bool {
        self.ask(Verb::Read, "auth/token/lookup-self", token, Value::Null).await.failed.is_none()
    }

    /// Enables the test's plugin here.
    pub(crate) async fn mount(&self, path: &str) {
        let body = serde_json::json!({ "type": "leaser" });
        let path = path.trim_end_matches('/');
        let answer = self.ask(Verb::Write, &format!("sys/mounts/{path}"), ROOT, body).await;
        assert_eq!(answer.failed, None);
    }

    /// A lease of an hour; its id.
    pub(crate) async fn lease(&self, mount: &str, token: &str) -> String {
        let answer = self.ask(Verb::Read, &format!("{mount}creds/one"), token, Value::Null).await;
        assert_eq!(answer.failed, None);
        answer.envelope.lease.expect("a lease was granted").id
    }

    /// Leases of an hour of this mount, straight into the book.
    pub(crate) async fn leases(&self, mount: &str, count: usize) {
        let mut tx = self.open().begin().expect("memory has views");
        let mounted = self.open().config(&mut tx).expect("the mounts can be read").mounts.at(mount).cloned();
        let space = mounted.expect("it is mounted").space;
        for from in (0..count).step_by(1_000) {
            self.write(|tx, open| {
                let now_ms = open.parts.clock.now_ms();
                for n in from..count.min(from + 1_000) {
                    let record = lease(format!("{mount}creds/one/{n}"), space, now_ms);
                    leases::save(tx, None, &record).expect("a lease can be written");
                }
            })
            .await;
        }
    }

    /// Tokens `<name>-<n>` below a token, straight into the book.
    pub(crate) async fn children(&self, parent: &str, name: &str, count: usize) {
        for from in (0..count).step_by(1_000) {
            self.write(|tx, open| {
                for n in from..count.min(from + 1_000) {
                    put_token(tx, open, &format!("{name}-{n}"), Some(parent));
                }
            })
            .await;
        }
    }

    /// Tokens `<name>-<n>`, each below the one before, the first below a token.
    pub(crate) async fn chain(&self, parent: &str, name: &str, count: usize) {
        let id = |n: usize| format!("{name}-{n}");
        for from in (0..count).step_by(1_000) {
            self.write(|tx, open| {
                for n in from..count.min(from + 1_000) {
                    let parent = if n == 0 { parent.to_owned() } else { id(n - 1) };
                    put_token(tx, open, &id(n), Some(&parent));
                }
            })
            .await;
        }
    }
}

/// Writes a token that lives for ten hours.
pub(crate) fn put_token(tx: &mut Transaction, open: &Open, id: &str, parent: Option<&str>) -> TokenHash {
    let now_ms = open.parts.clock.now_ms();
    let record = TokenRecord {
        accessor: format!("accessor-of-{id}"),
        parent: parent.map(|parent| open.salt.hash(parent)),
        policies: vec!["root".into()],
        path: "auth/token/create".into(),
        created_ms: now_ms,
        ttl_secs: 36_000,
        expires_ms: now_ms + 36_000_000,
        ..TokenRecord::default()
    };
    let hash = open.salt.hash(id);
    tokens::create(tx, &open.salt, &hash, &record).expect("a token can be written");
    hash
}

fn lease(id: String, mount: SpaceId, now_ms: u64) -> LeaseRecord {
    LeaseRecord {
        id,
        path: "creds/one".into(),
        mount: mount.0,
        kind: "creds".into(),
        token: None,
        issued_ms: now_ms,
        expires_ms: now_ms + 3_600_000,
        max_expires_ms: now_ms + 3_600_000,
        ttl_secs: 3_600,
        renewed_ms: 0,
        renewable: true,
        internal: Hidden::new(b"{}".to_vec()).into(),
        data: Hidden::new(b"{}".to_vec()).into(),
        data_version: 1,
        failures: 0,
        due_ms: now_ms + 3_600_000,
    }
}

pub(crate) fn request(verb: Verb, path: &str, token: &str, body: &Value) -> Request {
    Request {
        id: "00000000-0000-4000-8000-000000000000".into(),
        verb,
        path: ApiPath::checked(path.to_owned()).expect("a path of the API"),
        namespace: String::new(),
        token: (!token.is_empty()).then(|| Hidden::new(token.to_owned())),
        body: if body.is_null() { Body::Empty } else { Body::Json(Hidden::new(body.to_string().into_bytes())) },
        content_type: String::new(),
        headers: Vec::new(),
        wrap_ttl_secs: None,
        help: false,
        query: Vec::new(),
        origin: Origin {
            address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: 1,
            certificates: Vec::new(),
            open_metrics: false,
            open_ceremonies: OpenCeremonies::default(),
        },
    }
}

/// Whether a commit met a conflict.
pub(crate) fn is_conflict(commit: &Result<(), Fault>) -> bool {
    matches!(commit, Err(Fault::Conflict))
}

fn ledger(inner: Arc<FakeLedger>, cluster: Option<Arc<dyn Cluster>>) -> Arc<MortalLedger> {
    Arc::new(MortalLedger {
        inner,
        changes_left: AtomicUsize::new(usize::MAX),
        silent: AtomicBool::new(false),
        until_conflict: AtomicUsize::new(usize::MAX),
        follows: AtomicBool::new(false),
        term: AtomicU64::new(1),
        read_ms: AtomicU64::new(0),
        cluster,
        views: Arc::default(),
    })
}

fn mortal(inner: Arc<FakeLedger>) -> Arc<MortalLedger> {
    ledger(inner, None)
}

fn mortal_among(cluster: Arc<dyn Cluster>) -> Arc<MortalLedger> {
    ledger(Arc::new(FakeLedger::new()), Some(cluster))
}

/// A node that belongs to no cluster yet, and knows these others.
pub(crate) fn fresh(cluster: Arc<FakeCluster>, peers: PeerParts) -> Arc<Node> {
    node((&mortal_among(cluster), Some(peers)), &Arc::new(FakeClock::at_ms(START_MS)), Vec::new(), &Arc::default())
}

fn node(
    (ledger, peers): (&Arc<MortalLedger>, Option<PeerParts>),
    clock: &Arc<FakeClock>,
    plugins: Vec<Arc<dyn Plugin>>,
    compiler: &Arc<FakeCompiler>,
) -> Arc<Node> {
    Node::new(Parts {
        ledger: ledger.clone(),
        clock: clock.clone(),
        // Another seed for each node: what one drew, the next must not draw again.
        entropy: Arc::new(FakeEntropy::seeded(ledger.standing().applied_index)),
        plugins: Brought { plugins, outfits: OUTFITS },
        compiler: compiler.clone(),
        audit_sinks: Arc::new(NoSinks),
        audits: Vec::new(),
        peers,
        shelf: None,
        seals: Seals::default(),
        metrics: MetricsParts::default(),
        facts: Facts::default(),
    })
}

async fn unseal(node: &Arc<Node>, share: &[u8]) {
    node.unseal(Hidden::new(share.to_vec())).await.expect("the share is the right one");
    node.rest();
    let open = node.open().expect("the node is unsealed");
    open.in_flight.underway.stands(&open.ledger().standing(), open.parts.clock.steady_ms());
}

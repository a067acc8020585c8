//! Audit devices that hang: what waits for them, and what does not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bulkhead_model::fake::clock::FakeClock;
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use bulkhead_model::seam::audit::{AuditSink, AuditSinkMaker};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::kit::request;
use crate::book::audits::{self, AuditEntry};
use crate::node::{Facts, InitOptions, Node, Parts, Seals};
use crate::sys::audit::follow_book;

const ROOT: &str = "the-root-token";

/// Devices that do nothing without a permit. A device of the type `free` needs none. One of
/// the type `far` opens only where it is in reach.
struct Gates {
    in_reach: AtomicBool,
    opening: Semaphore,
    writing: Arc<Semaphore>,
    /// Lines that came to any device.
    lines: Arc<AtomicUsize>,
}

struct Gated {
    writing: Option<Arc<Semaphore>>,
    lines: Arc<AtomicUsize>,
}

#[async_trait]
impl AuditSinkMaker for Gates {
    async fn make(&self, kind: &str, _: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
        if kind == "far" && !self.in_reach.load(Ordering::Relaxed) {
            return Err("no such directory".to_owned());
        }
        let is_free = kind != "slow";
        if !is_free {
            self.opening.acquire().await.expect("is never closed").forget();
        }
        let writing = (!is_free).then(|| self.writing.clone());
        Ok(Arc::new(Gated { writing, lines: self.lines.clone() }))
    }
}

#[async_trait]
impl AuditSink for Gated {
    async fn write(&self, _: &[u8]) -> Result<(), String> {
        self.lines.fetch_add(1, Ordering::Relaxed);
        if let Some(writing) = &self.writing {
            writing.acquire().await.expect("is never closed").forget();
        }
        Ok(())
    }

    async fn reopen(&self) -> Result<(), String> {
        Ok(())
    }
}

async fn node() -> (Arc<Node>, Arc<Gates>) {
    let (opening, writing) = (Semaphore::new(0), Arc::new(Semaphore::new(0)));
    let gates = Arc::new(Gates { in_reach: AtomicBool::new(false), opening, writing, lines: Arc::default() });
    let node = Node::new(Parts {
        ledger: Arc::new(FakeLedger::new()),
        clock: Arc::new(FakeClock::at_ms(1_800_000_000_000)),
        entropy: Arc::new(FakeEntropy::seeded(1)),
        plugins: Vec::new().into(),
        compiler: Arc::<super::plugin::FakeCompiler>::default(),
        audit_sinks: gates.clone(),
        audits: Vec::new(),
        facts: Facts { unsafe_allow_api_audit_creation: true, ..Facts::default() },
        shelf: None,
        peers: None,
        seals: Seals::default(),
        metrics: crate::node::MetricsParts::default(),
    });
    let root_token = Some(Hidden::new(ROOT.to_owned()));
    let made = node.initialise(InitOptions { shares: 1, threshold: 1, root_token }).await.expect("a new node");
    for share in made.shares {
        node.unseal(share).await.expect("the right share");
    }
    (node, gates)
}

/// Whether the request succeeded.
async fn ask(node: &Arc<Node>, verb: Verb, path: &str, body: Value) -> bool {
    !matches!(node.handle(request(verb, path, ROOT, &body)).await.into_reply(), Reply::Failed(_))
}

async fn enable(node: &Arc<Node>, name: &str, kind: &str) -> bool {
    let body = json!({"type": kind, "options": {"skip_test": "true"}});
    ask(node, Verb::Write, &format!("sys/audit/{name}"), body).await
}

async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn while_a_device_opens_requests_go_on() {
    let (node, gates) = node().await;
    let enabling = tokio::spawn({
        let node = node.clone();
        async move { enable(&node, "slow", "slow").await }
    });
    turns().await;
    assert!(!enabling.is_finished());
    assert!(ask(&node, Verb::Read, "sys/mounts", Value::Null).await);
    assert!(enable(&node, "free", "free").await, "nor do other devices wait for it");
    gates.opening.add_permits(1);
    gates.writing.add_permits(1);
    assert!(enabling.await.expect("it ends"));
}

#[tokio::test]
async fn all_devices_get_a_line_before_any_has_taken_it() {
    let (node, gates) = node().await;
    gates.opening.add_permits(1);
    gates.writing.add_permits(3);
    assert!(enable(&node, "a", "slow").await);
    assert!(enable(&node, "b", "free").await);
    let before = gates.lines.load(Ordering::Relaxed);
    gates.writing.forget_permits(gates.writing.available_permits());
    let asking = tokio::spawn({
        let node = node.clone();
        async move { ask(&node, Verb::Read, "sys/mounts", Value::Null).await }
    });
    turns().await;
    assert!(!asking.is_finished());
    assert_eq!(gates.lines.load(Ordering::Relaxed), before + 2);
    gates.writing.add_permits(2);
    assert!(asking.await.expect("it ends"));
}

#[tokio::test]
async fn what_a_device_out_of_reach_should_record_is_not_served() {
    let (node, gates) = node().await;
    let open = node.open().expect("an unsealed node");
    // As another node enabled it.
    let entry = AuditEntry {
        path: "far/".into(),
        kind: "far".into(),
        description: String::new(),
        options: BTreeMap::new(),
        local: false,
        from_config: false,
        salt: "00".into(),
    };
    let mut tx = open.begin().expect("reads");
    audits::save(&mut tx, &entry).expect("writes");
    open.commit(tx).await.expect("commits");
    follow_book(&open, None).await;
    assert!(!ask(&node, Verb::Read, "sys/mounts", Value::Null).await);
    gates.in_reach.store(true, Ordering::Relaxed);
    follow_book(&open, None).await;
    assert!(ask(&node, Verb::Read, "sys/mounts", Value::Null).await);
}

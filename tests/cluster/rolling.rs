//! A restart of each node in turn, under load: what clients that try again as Vault's do see of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bulkhead_tests::http::Request;
use bulkhead_tests::node::Node;
use serde_json::json;

use super::{Cluster, secret};

/// How often Vault's clients try again (`VAULT_MAX_RETRIES`), and how long they wait before that:
/// a time between these.
const RETRIES: usize = 2;
const BACKOFF_MS: [usize; 2] = [1000, 1500];

/// How long the operator waits before the next node. Why: longer than a client tries, so that no
/// request meets two nodes that are down.
const BETWEEN_NODES: Duration = Duration::from_secs(4);

/// An older program: nodes begin with it, and are restarted with the one under test.
const OLDER: &str = "BULKHEAD_OLDER_BIN";

/// What all clients saw.
#[derive(Default)]
struct Seen {
    requests: usize,
    /// Requests that were tried again, and what they were told first.
    retried: Vec<String>,
    /// Requests that failed however often they were tried.
    failed: Vec<String>,
    /// The longest that nothing could be written, by a client that tries again at once.
    gap: Duration,
    /// What that client was told in it.
    gap_told: Vec<String>,
}

/// What the clients have in common.
struct Load {
    ports: Vec<u16>,
    token: String,
    stop: AtomicBool,
    seen: Mutex<Seen>,
}

/// Whether Vault's clients try again after this status.
fn is_retried(status: u16) -> bool {
    matches!(status, 412 | 429) || (status >= 500 && status != 501)
}

impl Load {
    /// Asks as a client behind a balancer does that does not know yet which nodes are up: each
    /// try goes to the next one.
    fn ask(&self, place: usize, request: &Request, expected: &dyn Fn(&bulkhead_tests::http::Reply) -> bool) {
        let mut told = Vec::new();
        for attempt in 0..=RETRIES {
            if attempt > 0 {
                let [shortest, longest] = BACKOFF_MS;
                let chosen = shortest + (place * 7 + attempt * 13) * 31 % (longest - shortest);
                thread::sleep(Duration::from_millis(chosen as u64));
            }
            let port = self.ports[(place + attempt) % self.ports.len()];
            match request.send(port) {
                Ok(reply) if expected(&reply) => break,
                Ok(reply) => {
                    told.push(format!("{}: {}", reply.status, reply.text().trim()));
                    if !is_retried(reply.status) {
                        break;
                    }
                }
                Err(error) => told.push(error.to_string()),
            }
            if attempt == RETRIES {
                told.push("no more tries".to_owned());
            }
        }
        let mut seen = self.seen.lock().unwrap();
        seen.requests += 1;
        let was_retried = told.first().is_some_and(|first| !first.starts_with('4'));
        match told.len() {
            0 => {}
            tries if tries <= RETRIES && was_retried => seen.retried.push(told.remove(0)),
            _ => seen.failed.push(told.join(" | ")),
        }
    }

    /// A client that asks until it is told to stop; `one` makes its requests.
    fn client(self: &Arc<Self>, place: usize, one: impl Fn(&Self, usize, usize) + Send + 'static) -> JoinHandle<usize> {
        let load = Arc::clone(self);
        thread::spawn(move || {
            for count in 0.. {
                if load.stop.load(Ordering::Relaxed) {
                    return count;
                }
                one(&load, place + count, count);
            }
            0
        })
    }

    fn writer(self: &Arc<Self>, writer: usize) -> JoinHandle<usize> {
        self.client(writer, move |load, place, count| {
            let path = format!("/v1/kv/data/w{writer}");
            let request = Request::new("POST", &path).token(&load.token).json(&secret(&count.to_string()));
            load.ask(place, &request, &|reply| reply.status == 200);
        })
    }

    /// A client that waits for nothing, and so sees how long there was nobody to write to.
    fn prober(self: &Arc<Self>) -> JoinHandle<usize> {
        let tries = Mutex::new((Instant::now(), Vec::new()));
        self.client(0, move |load, place, count| {
            let at = place % load.ports.len();
            let request = Request::new("POST", "/v1/kv/data/probe").token(&load.token);
            let asked = Instant::now();
            let reply = request.json(&secret(&count.to_string())).send(load.ports[at]);
            let told = reply.as_ref().map_or_else(ToString::to_string, |reply| reply.status.to_string());
            let mut tries = tries.lock().unwrap();
            tries.1.push(format!("node{at} after {:?}: {told}", asked.elapsed()));
            if reply.is_ok_and(|reply| reply.status == 200) {
                let (since, told) = std::mem::replace(&mut *tries, (Instant::now(), Vec::new()));
                let mut seen = load.seen.lock().unwrap();
                if since.elapsed() > seen.gap {
                    (seen.gap, seen.gap_told) = (since.elapsed(), told);
                }
            }
        })
    }

    fn reader(self: &Arc<Self>, reader: usize) -> JoinHandle<usize> {
        self.client(reader, |load, place, _| {
            let request = Request::new("GET", "/v1/kv/data/read").token(&load.token);
            load.ask(place, &request, &|reply| reply.at("data.data.value") == json!("one"));
        })
    }
}

/// Waits until the leader has heard of all, and they of it.
fn until_healthy(cluster: &Cluster) {
    cluster.leader().until("all nodes are healthy", |node| {
        node.get("sys/storage/raft/autopilot/state").at("data.healthy") == json!(true)
    });
}

/// The clients' load, over a cluster whose every node is restarted once.
fn restarted(mut cluster: Cluster, before_start: impl Fn(&mut Node)) -> (Cluster, Arc<Load>, Vec<usize>) {
    cluster.nodes[0].put("kv/data/read", &secret("one"));
    until_healthy(&cluster);
    let load = Arc::new(Load {
        ports: cluster.nodes.iter().map(|node| node.port).collect(),
        token: cluster.nodes[0].token.clone(),
        stop: AtomicBool::new(false),
        seen: Mutex::default(),
    });
    let writers: Vec<_> = (0..3).map(|writer| load.writer(writer)).collect();
    let readers: Vec<_> = (0..3).map(|reader| load.reader(reader)).chain([load.prober()]).collect();
    // The leader last, as operators do.
    let leader = cluster.leader_at();
    for at in [(leader + 1) % 3, (leader + 2) % 3, leader] {
        thread::sleep(BETWEEN_NODES);
        let node = &mut cluster.nodes[at];
        assert!(node.terminate().success(), "{}", node.output());
        before_start(node);
        node.spawn();
        node.until_up();
        cluster.unseal(at);
        until_healthy(&cluster);
    }
    thread::sleep(Duration::from_secs(1));
    load.stop.store(true, Ordering::Relaxed);
    assert!(readers.into_iter().all(|reader| reader.join().unwrap() > 0));
    let counts = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    (cluster, load, counts)
}

#[test]
fn a_rolling_restart_fails_no_request_of_a_client_that_tries_again() {
    let (cluster, load, counts) = restarted(Cluster::open(), |_| {});
    let seen = load.seen.lock().unwrap();
    println!("{} requests, {} tried again, longest gap {:?}", seen.requests, seen.retried.len(), seen.gap);
    println!("{:#?}\n{:#?}", seen.gap_told, seen.retried);
    assert!(seen.failed.is_empty(), "{:#?}\n{}", seen.failed, cluster.output());
    assert!(seen.requests > 100, "too few requests to mean anything: {}", seen.requests);
    // Nothing that was acknowledged is gone.
    for (writer, count) in counts.iter().enumerate() {
        let expected = json!((count - 1).to_string());
        for node in &cluster.nodes {
            assert_eq!(node.get(&format!("kv/data/w{writer}")).at("data.data.value"), expected);
        }
    }
}

#[test]
fn a_rolling_restart_takes_a_cluster_from_an_older_program_to_this_one() {
    let Ok(older) = std::env::var(OLDER) else {
        println!("{OLDER} names no older program: nothing to restart from");
        return;
    };
    let mut cluster = Cluster::prepared(3);
    for node in &mut cluster.nodes {
        let instead = format!("shift; exec {older} \"$@\"");
        node.start_mut().prefix = ["sh", "-c", &instead, "sh"].map(str::to_owned).to_vec();
    }
    let (cluster, load, _) = restarted(cluster.opened(), |node| node.start_mut().prefix.clear());
    let seen = load.seen.lock().unwrap();
    println!("{} requests, {} tried again, longest gap {:?}", seen.requests, seen.retried.len(), seen.gap);
    assert!(seen.failed.is_empty(), "{:#?}\n{}", seen.failed, cluster.output());
}

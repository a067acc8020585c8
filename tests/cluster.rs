//! Three processes that are one cluster. What lives here: how it is started, and the list of
//! what is asked of it.

use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::node::{Node, READY_SECS_MAX, Start, free_port};
use bulkhead_tests::programs::Program;
use serde_json::{Value, json};

mod cases;
mod catalog;
mod client;
mod consistency;
mod exact;
mod example;
mod failover;
mod join;
mod lockout;
mod members;
mod metrics;
mod mfa;
mod rolling;
mod seal;
mod snapshot;
mod standby;

/// Nodes of one cluster. The first one founded it.
struct Cluster {
    nodes: Vec<Node>,
    ports: Vec<u16>,
}

impl Cluster {
    /// Three nodes, unsealed and voting, with KV at `kv/`.
    fn open() -> Self {
        Self::prepared(3).opened()
    }

    /// The same, each with another config.
    fn open_with(edit: impl Fn(String) -> String) -> Self {
        Self::voting(edit).with_kv()
    }

    /// Starts three nodes that are prepared.
    fn opened(self) -> Self {
        self.voted().with_kv()
    }

    fn with_kv(self) -> Self {
        self.nodes[0].put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
        self
    }

    /// Three nodes, unsealed and voting, each with another config.
    fn voting(edit: impl Fn(String) -> String) -> Self {
        let cluster = Self::prepared(3);
        for at in 0..3 {
            cluster.nodes[at].write_config(&edit(cluster.config(at, &[0])));
        }
        cluster.voted()
    }

    fn voted(self) -> Self {
        let cluster = self.started(1, 1);
        cluster.put_fast_autopilot();
        for at in 1..3 {
            cluster.join(at);
        }
        cluster.until_voters(3);
        cluster
    }

    /// Nodes that would join the first, which alone is initialised and unsealed.
    fn founded(count: usize, shares: u8, threshold: u8) -> Self {
        Self::prepared(count).started(shares, threshold)
    }

    /// Starts all, and initialises the first.
    fn started(self, shares: u8, threshold: u8) -> Self {
        let mut cluster = self;
        for node in &mut cluster.nodes {
            node.spawn();
        }
        cluster.nodes.iter_mut().for_each(Node::until_up);
        cluster.nodes[0].initialise(shares, threshold);
        cluster.nodes[0].unseal();
        let (shares, token) = (cluster.nodes[0].shares.clone(), cluster.nodes[0].token.clone());
        for node in &mut cluster.nodes[1..] {
            node.shares.clone_from(&shares);
            node.token.clone_from(&token);
        }
        cluster
    }

    /// Folders and configs, with nothing running yet.
    fn prepared(count: usize) -> Self {
        let nodes: Vec<Node> = (0..count).map(|_| Node::prepare(Start::config(Program::Bulkhead))).collect();
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let cluster = Self { nodes, ports };
        for at in 0..count {
            cluster.nodes[at].write_config(&cluster.config(at, &[0]));
        }
        cluster
    }

    /// The config of a node that joins these.
    fn config(&self, at: usize, joins: &[usize]) -> String {
        let node = &self.nodes[at];
        let joins = joins.iter().filter(|other| **other != at);
        let joins: String = joins
            .map(|other| {
                format!("  retry_join {{ leader_api_addr = \"http://127.0.0.1:{}\" }}\n", self.nodes[*other].port)
            })
            .collect();
        node.member_config(&format!("node{at}"), self.ports[at], &joins)
    }

    /// Members are made voters as soon as they have caught up.
    fn put_fast_autopilot(&self) {
        self.nodes[0].put("sys/storage/raft/autopilot/configuration", &json!({"server_stabilization_time": "0s"}));
    }

    /// Gives a node that waits to join its shares.
    fn join(&self, at: usize) {
        let node = &self.nodes[at];
        node.until("it knows its cluster", |node| node.get("sys/seal-status").at("initialized") == json!(true));
        self.unseal(at);
    }

    /// Gives a node its shares, and waits until it is a standby or leads.
    fn unseal(&self, at: usize) {
        let node = &self.nodes[at];
        for share in &node.shares {
            let reply = node.call("PUT", "sys/unseal", Some(&json!({"key": share})));
            assert_eq!(reply.status, 200, "unseal: {}\n{}", reply.text(), node.output());
            if reply.at("sealed") == json!(false) {
                break;
            }
        }
        node.until("it is unsealed", |node| matches!(node.get("sys/health").status, 200 | 429));
    }

    /// Waits until so many members vote.
    fn until_voters(&self, count: usize) {
        let node = self.leader();
        node.until("the members vote", |node| {
            let servers = node.get("sys/storage/raft/configuration").at("data.config.servers");
            servers.as_array().is_some_and(|all| all.iter().filter(|s| s["voter"] == json!(true)).count() == count)
        });
    }

    /// The place of the node that leads and is unsealed, among those that run.
    fn leader_at(&self) -> usize {
        let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
        loop {
            let active = |node: &&Node| {
                node.pid().is_some() && node.try_call("GET", "sys/health", None).is_ok_and(|reply| reply.status == 200)
            };
            if let Some(at) = self.nodes.iter().position(|node| active(&node)) {
                return at;
            }
            assert!(Instant::now() < deadline, "no node leads:\n{}", self.output());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn leader(&self) -> &Node {
        &self.nodes[self.leader_at()]
    }

    /// The nodes that do not lead.
    fn standbys(&self) -> Vec<&Node> {
        let leader = self.leader_at();
        self.nodes.iter().enumerate().filter(|(at, _)| *at != leader).map(|(_, node)| node).collect()
    }

    fn output(&self) -> String {
        self.nodes.iter().map(Node::output).collect::<Vec<_>>().join("\n--\n")
    }
}

/// A secret of KV version 2.
fn secret(value: &str) -> Value {
    json!({"data": {"value": value}})
}

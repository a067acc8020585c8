//! The case files `api/*.yaml` once more, asked of a cluster: whichever node is asked, it answers
//! as a node alone does, or the case says why not.

use std::fs;
use std::time::{Duration, Instant};

use bulkhead_tests::case::{self, CaseFile, Kind};
use bulkhead_tests::http::Request;
use bulkhead_tests::node::{DEV_ROOT, READY_SECS_MAX};
use bulkhead_tests::programs;
use bulkhead_tests::runner::{Asked, Members, Report, run_on};
use serde_json::json;

use super::Cluster;

/// How often a file is begun anew because another node has come to lead meanwhile, which a slow
/// machine brings about: what is expected of a node depends on whether it leads.
const ROUNDS_MAX: usize = 10;

/// A cluster that is brought back to how it was before each file.
struct Stage {
    cluster: Cluster,
    /// Snapshots: as after `init`, and with what a development server has from the start.
    empty: Vec<u8>,
    dev: Vec<u8>,
}

impl Stage {
    fn set() -> Self {
        let cluster = Cluster::voting(|config| config);
        let empty = saved(&cluster);
        let secret = json!({"type": "kv", "options": {"version": "2"}, "description": "key/value secret storage"});
        cluster.nodes[0].put("sys/mounts/secret", &secret);
        let root = json!({"id": DEV_ROOT, "policies": ["root"], "no_parent": true});
        cluster.nodes[0].put("auth/token/create", &root);
        let dev = saved(&cluster);
        Self { cluster, empty, dev }
    }

    /// Brings the state back that files of this kind begin with.
    fn reset(&self, kind: Kind) {
        let state = if kind == Kind::Dev { &self.dev } else { &self.empty };
        let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
        loop {
            let standby = self.cluster.standbys()[0];
            let request = Request::new("POST", "/v1/sys/storage/raft/snapshot");
            let reply = request.token(&standby.token).body(state.clone()).send(standby.port).unwrap();
            if reply.status == 204 {
                return;
            }
            // Another node may come to lead just now.
            let busy = reply.status >= 500 && Instant::now() < deadline;
            assert!(busy, "{} {}\n{}", reply.status, reply.text(), self.cluster.output());
        }
    }

    /// What comes of a file while one and the same node leads.
    fn play(&self, file: &CaseFile, asked: Asked) -> Report {
        for _ in 0..ROUNDS_MAX {
            self.reset(file.server);
            let leader = self.cluster.leader_at();
            let report = run_on(file, Members { nodes: &self.cluster.nodes, leader, asked });
            if self.cluster.leader_at() == leader {
                return report;
            }
            println!("{}: another node leads now: once more", file.name);
        }
        panic!("{}: no node leads for as long as it takes", file.name);
    }
}

fn saved(cluster: &Cluster) -> Vec<u8> {
    let reply = cluster.nodes[0].get("sys/storage/raft/snapshot");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.body
}

/// Plays all files; the report says all that is wrong.
fn hold(asked: Asked) {
    let stage = Stage::set();
    let mut faults = Vec::new();
    let mut steps = 0;
    let mut names: Vec<_> = fs::read_dir(programs::here("api")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    names.sort();
    for file in names.iter().map(|path| case::load(path).unwrap()) {
        if let Some(reason) = &file.alone {
            println!("{}: left out: {reason}", file.name);
            continue;
        }
        let report = stage.play(&file, asked);
        println!("{}: {} steps, {} listed differences", file.name, report.steps, report.exceptions.len());
        for exception in &report.exceptions {
            println!("  differs: {exception}");
        }
        steps += report.steps;
        faults.extend(report.faults.into_iter().map(|fault| format!("{}: {fault}", file.name)));
    }
    assert!(faults.is_empty(), "{} faults in {steps} steps:\n  {}", faults.len(), faults.join("\n  "));
    assert!(steps >= 2000, "{steps} steps");
}

#[test]
fn a_standby_answers_every_case_as_a_node_alone_does() {
    hold(Asked::Standby);
}

#[test]
fn nodes_that_are_asked_in_turn_answer_every_case_as_a_node_alone_does() {
    hold(Asked::InTurn);
}

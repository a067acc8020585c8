//! The commands for clusters: those of the real `bao`, and ours.

use std::path::Path;
use std::process::{Command, Output};

use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{bao, bulkhead};

use super::Cluster;

/// Runs `operator …` of this program against a node.
fn operator(program: &Path, node: &Node, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.arg("operator").args(args).env("BAO_ADDR", format!("http://127.0.0.1:{}", node.port));
    command.env("BAO_TOKEN", &node.token).env("HOME", node.dir());
    command.output().unwrap()
}

#[test]
fn the_commands_for_clusters_work_in_either_client_and_on_any_node() {
    let cluster = Cluster::open();
    for program in bao().into_iter().chain([bulkhead()]) {
        let standby = cluster.standbys()[0];
        for (args, expected) in [
            (&["raft", "list-peers"][..], "node2"),
            (&["raft", "autopilot", "state"], "Failure Tolerance:"),
            (&["raft", "autopilot", "get-config"], "Server Stabilization Time"),
            (&["raft", "autopilot", "set-config", "-max-trailing-logs=500"], ""),
            (&["raft", "autopilot", "get-config", "-format=json"], "500"),
            (&["members"], "Active Node"),
            (&["raft", "remove-peer", "nobody"], "removed"),
            (&["step-down"], "Success"),
        ] {
            let output = operator(&program, standby, args);
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && text.contains(expected), "{program:?} {args:?}: {text}");
        }
    }
}

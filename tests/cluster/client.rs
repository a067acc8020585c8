//! The real `bao` against our cluster.

use std::process::{Command, Output};

use bulkhead_tests::node::Node;
use bulkhead_tests::programs::bao;

use super::Cluster;

/// Runs `bao operator …` against a node; `None` where there is no peer.
fn operator(node: &Node, args: &[&str]) -> Option<Output> {
    let mut command = Command::new(bao()?);
    command.arg("operator").args(args).env("BAO_ADDR", format!("http://127.0.0.1:{}", node.port));
    command.env("BAO_TOKEN", &node.token).env("HOME", node.dir());
    Some(command.output().unwrap())
}

#[test]
fn the_clients_commands_for_clusters_work() {
    let cluster = Cluster::open();
    let standby = cluster.standbys()[0];
    for (args, expected) in [
        (&["raft", "list-peers"][..], "node2"),
        (&["raft", "autopilot", "state"], "Failure Tolerance:"),
        (&["raft", "autopilot", "get-config"], "Server Stabilization Time"),
        (&["raft", "autopilot", "set-config", "-max-trailing-logs=500"], "Success"),
        (&["members"], "Active Node"),
        (&["raft", "remove-peer", "nobody"], "removed"),
        (&["step-down"], "Success"),
    ] {
        let Some(output) = operator(standby, args) else { return };
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains(expected), "{args:?}: {text}");
    }
}

//! The commands for clusters: those of the real `bao`, and ours.

use std::path::Path;
use std::process::{Command, Output};

use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{Program, bao, bulkhead};

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

/// An answer without what changes from one moment to the next.
fn steady(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let changing = ["LastContact", "LastIndex", "StableSince", "Last Contact", "Last Index"];
    let steady = |line: &str| {
        let name = line.trim_start().trim_start_matches('"');
        changing
            .iter()
            .find(|start| name.starts_with(*start))
            .map_or_else(|| line.to_owned(), |start| (*start).to_owned())
    };
    text.trim_end().lines().map(steady).collect::<Vec<_>>().join("\n")
}

#[test]
fn both_clients_show_the_autopilot_in_the_same_form() {
    let Some(bao) = bao() else {
        println!("skipped: no bao here, by BULKHEAD_WITHOUT_PEER");
        return;
    };
    let node = Node::raft_open(Program::Bulkhead);
    for what in ["state", "get-config", "set-config"] {
        for format in ["json", "yaml", "table"] {
            let format = format!("-format={format}");
            let [ours, theirs] =
                [&bulkhead(), &bao].map(|program| operator(program, &node, &["raft", "autopilot", what, &format]));
            assert_eq!(ours.status.code(), theirs.status.code(), "{what} {format}: {}", steady(&ours));
            assert_eq!(steady(&ours), steady(&theirs), "{what} {format}");
            assert_eq!(steady(&ours).is_empty(), what == "set-config", "{what} {format}");
        }
    }
}

//! Who belongs to the cluster, and how it is.

use std::thread;
use std::time::Duration;

use bulkhead_tests::http::Request;
use serde_json::{Value, json};

use super::{Cluster, secret};

#[test]
fn members_are_listed_alike_on_every_node() {
    let cluster = Cluster::open();
    for node in &cluster.nodes {
        let servers = node.get("sys/storage/raft/configuration").at("data.config.servers");
        let servers = servers.as_array().unwrap();
        assert_eq!(servers.len(), 3);
        for server in servers {
            assert_eq!((&server["voter"], &server["protocol_version"]), (&json!(true), &json!("3")), "{server}");
            assert!(server["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{server}");
        }
        assert_eq!(servers.iter().filter(|server| server["leader"] == json!(true)).count(), 1);
        let state = node.get("sys/storage/raft/autopilot/state");
        assert_eq!(state.at("data.failure_tolerance"), json!(1), "{}", state.text());
        assert_eq!(state.at("data.voters").as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn a_node_that_was_removed_serves_nothing_more_and_the_rest_goes_on() {
    let cluster = Cluster::open();
    let standby = cluster.standbys()[0];
    let name = cluster.nodes.iter().position(|node| node.port == standby.port).unwrap();
    cluster.leader().put("sys/storage/raft/remove-peer", &json!({"server_id": format!("node{name}")}));
    cluster.until_voters(2);
    cluster.leader().put("kv/data/a", &secret("after"));
    let reply = standby.try_call("PUT", "kv/data/b", Some(&secret("from outside")));
    assert!(reply.is_err() || reply.is_ok_and(|reply| reply.status >= 500));
    assert_eq!(cluster.leader().get("kv/data/b").status, 404);
}

/// The term, as the node that leads tells it.
fn term(cluster: &Cluster) -> Value {
    let told = cluster.leader().get("sys/storage/raft/autopilot/state");
    let id = told.at("data.leader").as_str().unwrap_or_else(|| panic!("{}", told.text())).to_owned();
    told.at(&format!("data.servers.{id}.last_term"))
}

#[test]
fn a_removed_node_that_is_started_again_disturbs_nobody_and_comes_back_only_as_another() {
    let mut cluster = Cluster::open();
    let leader = cluster.leader_at();
    let gone = (leader + 1) % 3;
    cluster.nodes[gone].kill();
    cluster.leader().put("sys/storage/raft/remove-peer", &json!({"server_id": format!("node{gone}")}));
    cluster.until_voters(2);
    cluster.leader().put("kv/data/a", &secret("after"));
    let before = term(&cluster);
    assert!(before.is_u64(), "{before}");
    cluster.nodes[gone].spawn();
    cluster.nodes[gone].until_up();
    // It takes itself for a member, and is not one for anybody else.
    let share = json!({"key": cluster.nodes[gone].shares[0]});
    let _ = cluster.nodes[gone].try_call("PUT", "sys/unseal", Some(&share));
    thread::sleep(Duration::from_secs(5));
    assert_eq!((cluster.leader_at(), term(&cluster)), (leader, before));
    cluster.until_voters(2);
    let read = cluster.nodes[gone].try_call("GET", "kv/data/a", None);
    assert!(read.is_err() || read.is_ok_and(|reply| reply.status >= 400), "it is told nothing");
    cluster.nodes[gone].kill();
    std::fs::remove_dir_all(cluster.nodes[gone].path("data")).unwrap();
    cluster.nodes[gone].spawn();
    cluster.nodes[gone].until_up();
    cluster.join(gone);
    cluster.until_voters(3);
    assert_eq!(cluster.nodes[gone].get("kv/data/a").at("data.data.value"), json!("after"));
}

#[test]
fn voters_can_be_demoted_and_promoted() {
    let cluster = Cluster::open();
    let standby = cluster.standbys()[0];
    let name = format!("node{}", cluster.nodes.iter().position(|node| node.port == standby.port).unwrap());
    // Asked of a standby: the leader does it.
    standby.put("sys/storage/raft/demote", &json!({"server_id": name}));
    cluster.until_voters(2);
    standby.put("sys/storage/raft/promote", &json!({"server_id": name}));
    cluster.until_voters(3);
    let unknown = standby.call("PUT", "sys/storage/raft/promote", Some(&json!({"server_id": "nobody"})));
    assert_eq!(unknown.status, 500, "{}", unknown.text());
}

#[test]
fn a_node_that_is_removed_while_others_promote_and_demote_it_stays_removed() {
    let cluster = Cluster::open();
    let leader = cluster.leader();
    let gone = (cluster.leader_at() + 1) % 3;
    let named = json!({"server_id": format!("node{gone}")});
    thread::scope(|scope| {
        let changes = ["demote", "promote", "demote", "promote"].map(|change| {
            scope.spawn(move || {
                let named = json!({"server_id": format!("node{gone}")});
                // Until there is no such node any more.
                let path = format!("sys/storage/raft/{change}");
                let told = || leader.call("PUT", &path, Some(&named)).text();
                (0..2_000).map(|_| told()).any(|told| told.contains("not found in raft configuration"))
            })
        });
        thread::sleep(Duration::from_millis(300));
        leader.put("sys/storage/raft/remove-peer", &named);
        for change in changes {
            assert!(change.join().unwrap(), "it is gone for all of them");
        }
    });
    thread::sleep(Duration::from_secs(1));
    let servers = leader.get("sys/storage/raft/configuration").at("data.config.servers");
    assert_eq!(servers.as_array().map(Vec::len), Some(2), "{servers}");
}

#[test]
fn the_autopilot_takes_no_settings_by_which_it_would_remove_nodes_that_live() {
    let cluster = Cluster::open();
    for (settings, text) in [
        (
            json!({"cleanup_dead_servers": true, "min_quorum": 3, "dead_server_last_contact_threshold": "59s"}),
            "dead_server_last_contact_threshold should not be set to less than 1m; received: 59s",
        ),
        (json!({"cleanup_dead_servers": true, "min_quorum": 2}), "should at least be 3"),
        (json!({"last_contact_threshold": "0s"}), "a second at least"),
    ] {
        let refused = cluster.leader().call("PUT", "sys/storage/raft/autopilot/configuration", Some(&settings));
        assert!(refused.status == 400 && refused.text().contains(text), "{settings}: {}", refused.text());
    }
    let told = cluster.leader().get("sys/storage/raft/autopilot/configuration");
    assert_eq!(told.at("data.cleanup_dead_servers"), json!(false), "{}", told.text());
}

#[test]
fn the_autopilots_settings_outlive_the_leader_that_took_them() {
    let mut cluster = Cluster::open();
    cluster.leader().put("sys/storage/raft/autopilot/configuration", &json!({"max_trailing_logs": 77}));
    let old = cluster.leader_at();
    cluster.nodes[old].kill();
    let told = cluster.leader().get("sys/storage/raft/autopilot/configuration");
    assert_eq!(told.at("data.max_trailing_logs"), json!(77), "{}", told.text());
}

#[test]
fn every_node_tells_the_digest_of_its_records_to_whoever_has_sudo_there() {
    let cluster = Cluster::open();
    let digests = || {
        let told = cluster.nodes.iter().map(|node| node.get("sys/storage/raft/digest"));
        let told = told.map(|told| (told.at("data.applied_index").as_u64().unwrap(), told.at("data.digest")));
        told.collect::<Vec<_>>()
    };
    let alike = || {
        cluster.nodes[0].until("the nodes stand at one entry", |_| {
            let told = digests();
            told.iter().all(|(index, _)| *index == told[0].0)
        });
        let told = digests();
        assert!(told.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1), "{told:?}");
        told[0].clone()
    };
    let before = alike();
    cluster.leader().put("kv/data/a", &secret("one more"));
    let after = alike();
    assert!(after.0 > before.0 && after.1 != before.1, "{before:?} {after:?}");

    let rule = json!({"policy": "path \"sys/storage/raft/digest\" { capabilities = [\"read\"] }"});
    cluster.leader().put("sys/policies/acl/reads", &rule);
    let made = cluster.leader().put("auth/token/create", &json!({"policies": ["reads"]}));
    let token = made.at("auth.client_token").as_str().unwrap().to_owned();
    let asked = Request::new("GET", "/v1/sys/storage/raft/digest").token(&token);
    assert_eq!(asked.send(cluster.nodes[0].port).unwrap().status, 403);
}

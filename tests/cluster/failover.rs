//! A leader that dies, is sealed, or hands over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::http::Request;
use bulkhead_tests::node::Node;
use serde_json::json;

use super::{Cluster, secret};

/// What a writer was told of each name: whether it was acknowledged.
type Told = Arc<Mutex<BTreeMap<String, bool>>>;

/// Writes to one node until told to stop.
fn write_until(stop: &AtomicBool, port: u16, token: &str, writer: usize, told: &Told) {
    for i in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("w{writer}-{i}");
        told.lock().unwrap().insert(name.clone(), false);
        let request = Request::new("POST", &format!("/v1/kv/data/{name}")).token(token).json(&secret(&name));
        match request.send(port) {
            Ok(reply) if reply.status == 200 => drop(told.lock().unwrap().insert(name, true)),
            Ok(reply) => assert!(reply.status >= 500, "{}: {}", reply.status, reply.text()),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Waits until a write by way of this node goes through, and says how long that took.
fn until_written(node: &Node, name: &str) -> Duration {
    let began = Instant::now();
    node.until("writes go on", |node| {
        node.try_call("PUT", &format!("kv/data/{name}"), Some(&secret(name))).is_ok_and(|reply| reply.status == 200)
    });
    began.elapsed()
}

#[test]
fn a_leader_killed_amid_writes_loses_none_that_was_acknowledged_and_writes_go_on() {
    let mut cluster = Cluster::open();
    let told = Told::default();
    let stop = Arc::new(AtomicBool::new(false));
    let leader = cluster.leader_at();
    let survivors: Vec<usize> = (0..3).filter(|at| *at != leader).collect();
    let writers: Vec<_> = survivors
        .iter()
        .chain(&survivors)
        .enumerate()
        .map(|(writer, at)| {
            let (stop, told) = (Arc::clone(&stop), Arc::clone(&told));
            let (port, token) = (cluster.nodes[*at].port, cluster.nodes[*at].token.clone());
            thread::spawn(move || write_until(&stop, port, &token, writer, &told))
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    cluster.nodes[leader].kill();
    let before = told.lock().unwrap().values().filter(|acknowledged| **acknowledged).count();
    let outage = until_written(&cluster.nodes[survivors[0]], "after");
    thread::sleep(Duration::from_secs(1));
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let told = told.lock().unwrap();
    let acknowledged: Vec<&String> = told.iter().filter(|(_, yes)| **yes).map(|(name, _)| name).collect();
    println!("{before} writes, an outage of {outage:?}, {} writes in all", acknowledged.len());
    assert!(before > 10 && acknowledged.len() > before + 10, "too few writes to mean anything");
    assert!(outage < Duration::from_secs(15), "{outage:?}");
    // The dead node comes back, catches up, and has them as well.
    cluster.nodes[leader].spawn();
    cluster.nodes[leader].until_up();
    cluster.unseal(leader);
    for node in &cluster.nodes {
        for name in &acknowledged {
            let read = node.get(&format!("kv/data/{name}"));
            assert_eq!(read.at("data.data.value"), json!(name), "{name}: {} {}", read.status, read.text());
        }
    }
}

#[test]
fn a_leader_that_steps_down_is_followed_by_another_at_once() {
    let cluster = Cluster::open();
    let (old, asked) = (cluster.leader_at(), cluster.standbys()[0]);
    let reply = asked.call("PUT", "sys/step-down", None);
    assert_eq!(reply.status, 204, "{}", reply.text());
    assert_ne!(cluster.leader_at(), old);
    until_written(&cluster.nodes[old], "a");
    let status = cluster.leader().get("sys/ha-status").at("nodes");
    let active = status.as_array().unwrap().iter().filter(|node| node["active_node"] == json!(true)).count();
    assert_eq!((status.as_array().unwrap().len(), active), (3, 1), "{status}");
}

#[test]
fn a_leader_that_is_sealed_hands_over() {
    let cluster = Cluster::open();
    let old = cluster.leader_at();
    assert_eq!(cluster.nodes[old].call("PUT", "sys/seal", None).status, 204);
    assert_eq!(cluster.nodes[old].get("sys/health").status, 503);
    let new = cluster.leader_at();
    assert_ne!(new, old);
    until_written(&cluster.nodes[new], "a");
    cluster.unseal(old);
    assert_eq!(cluster.nodes[old].get("kv/data/a").status, 200);
}

#[test]
fn a_cluster_that_was_stopped_goes_on_where_it_was() {
    let mut cluster = Cluster::open();
    cluster.nodes[1].put("kv/data/a", &secret("one"));
    for node in &mut cluster.nodes {
        assert!(node.terminate().success());
    }
    for node in &mut cluster.nodes {
        node.spawn();
    }
    cluster.nodes.iter_mut().for_each(Node::until_up);
    // The last one is sealed still, whether it leads or not.
    cluster.unseal(1);
    cluster.unseal(2);
    until_written(&cluster.nodes[1], "b");
    assert_eq!(cluster.nodes[2].get("kv/data/a").at("data.data.value"), json!("one"));
    cluster.unseal(0);
    assert_eq!(cluster.nodes[0].get("kv/data/b").status, 200);
}

#[test]
fn without_a_majority_there_are_errors_and_no_stale_reads() {
    let mut cluster = Cluster::open();
    cluster.nodes[0].put("kv/data/a", &secret("one"));
    let survivor = cluster.leader_at();
    for at in (0..3).filter(|at| *at != survivor) {
        cluster.nodes[at].kill();
    }
    let node = &cluster.nodes[survivor];
    let began = Instant::now();
    let written = node.try_call("PUT", "kv/data/a", Some(&secret("two")));
    assert!(written.is_err() || written.is_ok_and(|reply| reply.status >= 500));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // Two readers, the second of which comes while the first waits already.
    std::thread::scope(|scope| {
        for late_ms in [0, 1000] {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(late_ms));
                let began = Instant::now();
                let read = node.try_call("GET", "kv/data/a", None);
                assert!(read.is_ok_and(|reply| reply.status == 503), "nobody can know what is new");
                assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
            });
        }
    });
}

//! SIGKILL amid writes, and two processes on one folder.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bulkhead_tests::http::Request;
use bulkhead_tests::node::{Node, Start, free_port};
use bulkhead_tests::programs::Program;
use serde_json::{Value, json};

const WRITERS: usize = 8;
const ROUNDS: usize = 4;

/// What the writers were told: name and value of every write, and whether it was acknowledged.
type Told = Arc<Mutex<BTreeMap<String, (String, bool)>>>;

/// Writes until told to stop, or the server is gone. Both fields of a secret are the same text.
fn write_until(stop: &AtomicBool, port: u16, token: &str, writer: &str, told: &Told) {
    for i in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (name, value) = (format!("{writer}-{i}"), format!("value of {writer} {i} {}", "x".repeat(i % 900)));
        told.lock().unwrap().insert(name.clone(), (value.clone(), false));
        let request = Request::new("POST", &format!("/v1/kv/data/{name}")).token(token);
        match request.json(&json!({"data": {"one": value, "two": value}})).send(port) {
            Ok(reply) if reply.status == 200 => told.lock().unwrap().get_mut(&name).unwrap().1 = true,
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// A round: eight writers, and the server killed in the middle of it.
fn round(node: &mut Node, number: usize, told: &Told) {
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (stop, told, token, port) = (Arc::clone(&stop), Arc::clone(told), node.token.clone(), node.port);
            thread::spawn(move || write_until(&stop, port, &token, &format!("r{number}-w{writer}"), &told))
        })
        .collect();
    thread::sleep(Duration::from_millis(300 + 170 * number as u64));
    node.kill();
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn every_acknowledged_write_survives_sigkill_and_none_is_half_there() {
    let mut node = Node::raft_open(Program::Bulkhead);
    node.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    let told = Told::default();
    for number in 0..ROUNDS {
        round(&mut node, number, &told);
        node.spawn();
        node.until_up();
        node.unseal();
        for (name, (value, acknowledged)) in told.lock().unwrap().iter() {
            let reply = node.get(&format!("kv/data/{name}"));
            let (one, two) = (reply.at("data.data.one"), reply.at("data.data.two"));
            match reply.status {
                200 => assert!(
                    one == json!(value) && two == json!(value),
                    "round {number}: {name} is half there: {one} {two}"
                ),
                404 => assert!(!acknowledged, "round {number}: {name} was acknowledged and is gone"),
                other => panic!("round {number}: {name}: {other} {}", reply.text()),
            }
        }
    }
    let acknowledged = told.lock().unwrap().values().filter(|(_, acknowledged)| *acknowledged).count();
    println!("{acknowledged} acknowledged writes over {ROUNDS} kills");
    assert!(acknowledged > ROUNDS * WRITERS, "too few writes to mean anything: {acknowledged}");
}

#[test]
fn what_is_listed_after_a_crash_can_be_read() {
    let mut node = Node::raft_open(Program::Bulkhead);
    node.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    round(&mut node, 1, &Told::default());
    node.spawn();
    node.until_up();
    node.unseal();
    let keys = node.call("LIST", "kv/metadata/", None).at("data.keys");
    let keys: Vec<&str> = keys.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!(node.get(&format!("kv/data/{key}")).status, 200, "{key} is listed but not there");
    }
}

#[test]
fn a_second_process_on_the_same_folder_refuses_to_start() {
    let node = Node::raft_open(Program::Bulkhead);
    let mut second = Node::prepare(Start::config(Program::Bulkhead));
    second.port = free_port();
    let config = second
        .raft_config()
        .replace(&format!("{}/data", second.dir().display()), &format!("{}/data", node.dir().display()));
    second.write_config(&config);
    second.spawn();
    let status = second.wait_end();
    let said = second.output();
    assert!(!status.success(), "{said}");
    assert!(said.contains(&format!("{}/data", node.dir().display())), "the folder is not named: {said}");
    let clear = ["in use", "another process", "another node", "already", "locked"];
    assert!(clear.iter().any(|word| said.contains(word)), "no clear reason: {said}");
    assert_eq!(node.get("sys/health").status, 200, "the first process must not suffer");
}

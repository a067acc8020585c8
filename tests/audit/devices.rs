//! Devices made over the API: what they are asked, what they take, and what happens once
//! they take no more.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::thread;

use bulkhead_tests::http::Reply;
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::Program;
use rustix::process::Signal;
use serde_json::{Value, json};

fn enable(node: &Node, name: &str, kind: &str, options: &Value) -> Reply {
    node.call("PUT", &format!("sys/audit/{name}"), Some(&json!({"type": kind, "options": options})))
}

#[test]
fn what_makes_no_device_is_refused_with_the_reason() {
    let node = Node::dev(Program::Bulkhead);
    for (kind, options, told) in [
        ("file", json!({"file_pth": "/x"}), "unknown option file_pth of audit \"file\"; did you mean file_path?"),
        ("file", json!({}), "file_path is required"),
        ("file", json!({"file_path": "/dev/full"}), "audit backend failed test message: file /dev/full: "),
        ("file", json!({"file_path": "/dev/null/x"}), "opening /dev/null/x: Not a directory"),
        ("file", json!({"file_path": "/x", "hmac_accessor": "maybe"}), "hmac_accessor is neither true nor false"),
        ("file", json!({"file_path": "/x", "format": "xml"}), "unknown format type \"xml\""),
        ("file", json!({"file_path": "/x", "prefix": "x"}), "audit log prefixing is not allowed"),
        ("socket", json!({}), "address is required"),
        ("socket", json!({"address": "127.0.0.1:1"}), "audit backend failed test message: socket 127.0.0.1:1: "),
        ("http", json!({"uri": "http://127.0.0.1:1/"}), "audit backend failed test message: http 127.0.0.1:1: "),
        ("syslog", json!({"facility": "NOPE"}), "invalid syslog facility: NOPE"),
        ("nosuch", json!({}), "unknown backend type: \"nosuch\""),
    ] {
        let reply = enable(&node, "x", kind, &options);
        let said = reply.at("errors.0");
        assert!(reply.status == 400 && said.as_str().unwrap_or_default().starts_with(told), "{kind}: {}", reply.text());
    }
    assert_eq!(node.get("sys/audit").at("data"), json!({}), "nothing of it is left");
}

#[test]
fn devices_that_are_enabled_at_once_all_take_lines() {
    let node = Node::dev(Program::Bulkhead);
    let file = |i: usize| node.path(&format!("audit-{i}.log"));
    thread::scope(|scope| {
        for i in 0..8 {
            let (node, path) = (&node, file(i));
            scope.spawn(move || {
                let made = enable(node, &format!("d{i}"), "file", &json!({"file_path": path}));
                assert_eq!(made.status, 204, "{}", made.text());
            });
        }
    });
    let id = node.get("sys/mounts").at("request_id").as_str().unwrap().to_owned();
    for i in 0..8 {
        let log = fs::read_to_string(file(i)).unwrap();
        let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(first["request"]["path"], "sys/audit/test");
        assert_eq!(log.matches(&id).count(), 2, "device {i}");
    }
    for i in 0..8 {
        assert_eq!(node.call("DELETE", &format!("sys/audit/d{i}"), None).status, 204);
    }
    let before = fs::read_to_string(file(0)).unwrap().len();
    node.get("sys/mounts");
    assert_eq!(fs::read_to_string(file(0)).unwrap().len(), before, "a disabled device takes nothing");
}

#[test]
fn a_socket_takes_every_line_and_requests_end_once_nobody_takes_them() {
    let node = Node::dev(Program::Bulkhead);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let reader = thread::spawn(move || {
        let lines = BufReader::new(listener.accept().unwrap().0).lines();
        // The test line, the answer that enabled the device, and a request with its answer.
        lines.take(4).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect::<Vec<Value>>()
    });
    let options = json!({"address": address, "write_timeout": "500ms"});
    assert_eq!(enable(&node, "s", "socket", &options).status, 204);
    assert_eq!(node.get("sys/mounts").status, 200);
    let lines = reader.join().unwrap();
    let paths: Vec<_> = lines.iter().filter_map(|line| line["request"]["path"].as_str()).collect();
    assert_eq!(paths, ["sys/audit/test", "sys/audit/s", "sys/mounts", "sys/mounts"]);
    // The end of a connection takes its time to arrive, and a line may be lost meanwhile.
    node.until("requests are refused", |node| {
        let refused = node.get("sys/mounts");
        refused.status == 500 && refused.text().contains("no audit device took the request")
    });
}

// one device that takes lines is enough.
#[test]
fn one_device_that_takes_lines_is_enough() {
    let node = Node::dev(Program::Bulkhead);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert_eq!(enable(&node, "s", "socket", &json!({"address": address})).status, 204);
    assert_eq!(enable(&node, "f", "file", &json!({"file_path": node.path("audit.log")})).status, 204);
    drop(listener);
    assert_eq!(node.get("sys/mounts").status, 200);
    fs::remove_file(node.path("audit.log")).unwrap();
    assert_eq!(node.get("sys/mounts").status, 200, "the file is made anew");
    assert!(fs::read_to_string(node.path("audit.log")).unwrap().contains("\"path\":\"sys/mounts\""));
}

// and a node whose other device cannot be opened is no sealed one.
#[test]
fn a_device_that_cannot_be_opened_is_left_to_the_others_until_it_can() {
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    let folder = node.path("deep/down");
    let second =
        format!("audit \"file\" \"second\" {{ options = {{ file_path = \"{}/b.log\" }} }}\n", folder.display());
    node.write_config(&(node.raft_config() + &second));
    node.spawn();
    node.until_up();
    node.initialise(1, 1);
    node.unseal();
    let lines = |node: &Node, path: &str| {
        let path = node.path(path);
        fs::read_to_string(path).unwrap_or_default().matches("\"path\":\"sys/mounts\"").count()
    };
    node.get("sys/mounts");
    assert_eq!((lines(&node, "audit.log"), lines(&node, "deep/down/b.log")), (2, 2), "its folder is made");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    node.restart();
    node.unseal();
    assert_eq!(node.get("sys/mounts").status, 200);
    assert_eq!(lines(&node, "audit.log"), 4);
    assert!(node.output().contains("audit device cannot be used: device=second/"), "{}", node.output());
    fs::remove_file(&folder).unwrap();
    node.signal(Signal::HUP);
    node.until("the other takes lines again", |node| {
        node.get("sys/mounts");
        lines(node, "deep/down/b.log") > 0
    });
    // Where none can be opened, what is asked would be recorded nowhere.
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    fs::remove_file(node.path("audit.log")).unwrap();
    fs::create_dir(node.path("audit.log")).unwrap();
    node.restart();
    let refused = node.call("PUT", "sys/unseal", Some(&json!({"key": node.shares[0]})));
    let text = refused.text();
    assert!(refused.status >= 400 && text.contains("to-file/") && text.contains("second/"), "{text}");
    assert_eq!(node.get("sys/seal-status").at("sealed"), json!(true));
}

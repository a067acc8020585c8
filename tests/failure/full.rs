//! A full disk: writes fail with an error, reads go on, and nothing acknowledged is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::Program;
use serde_json::{Value, json};

/// Room for the log's preallocated segments and some data; small enough to fill fast.
const DISK_MIB: usize = 192;

/// What can be freed again.
const BALLAST_MIB: usize = 48;

/// A small file system of its own, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path, mib: usize) -> Option<SmallDisk> {
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output().ok()?;
        mounted.status.success().then(|| SmallDisk(path.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still be on it. If it fails, the folder stays: nothing else to do here.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_fails_writes_but_not_reads_and_loses_nothing() {
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    let Some(_disk) = SmallDisk::at(&node.path("data"), DISK_MIB) else {
        println!("skipped: mounting a small file system takes root");
        return;
    };
    node.write_config(&node.raft_config());
    fs::write(node.path("data/ballast"), vec![1; BALLAST_MIB << 20]).unwrap();
    node.spawn();
    node.until_up();
    node.until("little room is told of before there is none", |node| {
        node.output().contains("little room is left on the disk")
    });
    node.initialise(1, 1);
    node.unseal();
    node.put("sys/mounts/kv", &json!({"type": "kv"}));

    let acknowledged = fill(&node);
    assert!(acknowledged > 0, "the disk was full before the first write");
    check(&node, acknowledged);
    fs::remove_file(node.path("data/ballast")).unwrap();
    if !node.has_ended() {
        node.kill();
    }
    node.spawn();
    node.until_up();
    node.unseal();
    check(&node, acknowledged);
    node.put("kv/after", &json!({"v": "there is room again"}));
}

// what no audit device has taken is not served.
#[test]
fn a_full_disk_under_the_audit_file_refuses_requests_until_there_is_room() {
    let node = Node::dev(Program::Bulkhead);
    fs::create_dir(node.path("logs")).unwrap();
    let Some(_disk) = SmallDisk::at(&node.path("logs"), 1) else {
        println!("skipped: mounting a small file system takes root");
        return;
    };
    fs::write(node.path("logs/ballast"), vec![1; 512 << 10]).unwrap();
    let options = json!({"file_path": node.path("logs/audit.log")});
    node.put("sys/audit/file", &json!({"type": "file", "options": options}));
    let refused = (0..10_000).map(|_| node.get("sys/mounts")).find(|reply| reply.status != 200);
    let refused = refused.expect("the disk is full some time");
    assert!(refused.status == 500 && refused.text().contains("no audit device took"), "{}", refused.text());
    assert_eq!(node.get("sys/mounts").status, 500);
    fs::remove_file(node.path("logs/ballast")).unwrap();
    let served = node.get("sys/mounts");
    assert_eq!(served.status, 200, "there is room again: {}", served.text());
    let log = fs::read_to_string(node.path("logs/audit.log")).unwrap();
    let torn = log.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    assert!(torn <= 1, "{torn} lines are torn: one was cut off as the disk was full");
    let id = served.at("request_id");
    let of_it =
        log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|l| l["request"]["id"] == id);
    assert_eq!(of_it.count(), 2);
}

/// Writes until one fails, which must be with an error; how many were acknowledged.
fn fill(node: &Node) -> usize {
    for i in 0..4 * DISK_MIB {
        let reply = node.call("POST", &format!("kv/s{i}"), Some(&json!({"v": value(i)})));
        if reply.status != 204 {
            assert!(reply.status >= 500, "write {i}: {} {}", reply.status, reply.text());
            assert!(reply.text().contains("errors"), "{}", reply.text());
            return i;
        }
    }
    panic!("the disk never was full");
}

fn check(node: &Node, acknowledged: usize) {
    for i in 0..acknowledged {
        let reply = node.get(&format!("kv/s{i}"));
        assert_eq!(reply.status, 200, "secret {i} of {acknowledged}: {}", reply.text());
        assert!(reply.at("data.v") == json!(value(i)), "secret {i} is wrong");
    }
}

/// Half a MiB that does not compress to nothing.
fn value(i: usize) -> String {
    let mut state = i as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    };
    (0..512 << 10).map(|_| next()).collect()
}

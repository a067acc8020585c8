//! Snapshots of one node, through the API and both clients: saved, restored, refused, looked
//! at without a key.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use bulkhead_tests::http::{self, Reply, Request};
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::{Program, bao, bulkhead};
use serde_json::{Value, json};

/// Runs `operator raft snapshot …` against a node.
pub(crate) fn snapshot(program: &Path, node: &Node, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(["operator", "raft", "snapshot"]).args(args);
    command.env("BAO_ADDR", format!("http://127.0.0.1:{}", node.port));
    command.env("BAO_TOKEN", &node.token).env("HOME", node.dir()).env("BAO_MAX_RETRIES", "0");
    command.output().unwrap()
}

pub(crate) fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn secret(value: &str) -> Value {
    json!({ "data": { "value": value } })
}

fn open() -> Node {
    let node = Node::raft_open(Program::Bulkhead);
    node.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    node.put("kv/data/a", &secret("then"));
    node
}

fn saved(node: &Node) -> Vec<u8> {
    let reply = node.get("sys/storage/raft/snapshot");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.body
}

fn restore(node: &Node, path: &str, bytes: &[u8]) -> Reply {
    let request = Request::new("POST", &format!("/v1/sys/storage/raft/{path}")).token(&node.token);
    request.body(bytes.to_vec()).send(node.port).unwrap()
}

fn status_with(node: &Node, token: &str) -> u16 {
    Request::new("GET", "/v1/auth/token/lookup-self").token(token).send(node.port).unwrap().status
}

fn new_token(node: &Node) -> String {
    let made = node.put("auth/token/create", &json!({"policies": ["default"]}));
    made.at("auth.client_token").as_str().unwrap().to_owned()
}

#[test]
fn what_either_client_saves_either_restores_and_all_is_as_it_was() {
    let node = open();
    node.put("sys/policies/acl/one", &json!({"policy": "path \"kv/*\" { capabilities = [\"read\"] }"}));
    let old = new_token(&node);
    let programs: Vec<PathBuf> = bao().into_iter().chain([bulkhead()]).collect();
    for (saves, restores) in programs.iter().zip(programs.iter().rev()) {
        let file = node.path("snapshot");
        succeeds(&snapshot(saves, &node, &["save", file.to_str().unwrap()]));
        node.put("kv/data/a", &secret("later"));
        node.put("kv/data/b", &secret("later"));
        node.put("sys/mounts/new", &json!({"type": "kv"}));
        node.put("sys/policies/acl/one", &json!({"policy": "path \"kv/*\" { capabilities = [\"deny\"] }"}));
        node.put("sys/rotate", &json!({}));
        node.put("kv/data/c", &secret("under another key"));
        let new = new_token(&node);
        assert_eq!(node.call("POST", "auth/token/revoke", Some(&json!({"token": old}))).status, 204);
        assert_eq!((status_with(&node, &old), status_with(&node, &new)), (403, 200));
        succeeds(&snapshot(restores, &node, &["restore", file.to_str().unwrap()]));
        assert_eq!(node.get("kv/data/a").at("data.data.value"), json!("then"));
        assert_eq!([node.get("kv/data/b").status, node.get("kv/data/c").status], [404, 404]);
        assert_eq!(node.get("new/a").status, 404);
        assert!(node.get("sys/mounts").at("data").get("new/").is_none());
        assert!(node.get("sys/policies/acl/one").text().contains("read"));
        assert_eq!((status_with(&node, &old), status_with(&node, &new)), (200, 403));
        fs::remove_file(&file).unwrap();
    }
    // What is written from here on is there after a restart, with the shares of before.
    let mut node = node;
    node.put("kv/data/after", &secret("restored"));
    node.kill();
    node.spawn();
    node.until_up();
    node.unseal();
    assert_eq!(node.get("kv/data/after").at("data.data.value"), json!("restored"));
    assert_eq!(node.get("kv/data/a").at("data.data.value"), json!("then"));
    assert!(fs::metadata(node.path("audit.log")).unwrap().len() > 1000, "audit devices are in use");
}

// a snapshot from before the shares were replaced brings none of them back.
#[test]
fn shares_that_were_replaced_since_stay_those_that_unseal() {
    let mut node = open();
    let bytes = saved(&node);
    let begun = node.put("sys/rotate/root/init", &json!({"secret_shares": 1, "secret_threshold": 1}));
    let nonce = begun.at("data.nonce").as_str().unwrap_or_else(|| panic!("{}", begun.text())).to_owned();
    let done = node.put("sys/rotate/root/update", &json!({"key": node.shares[0], "nonce": nonce}));
    let share = done.at("data.keys.0").as_str().unwrap_or_else(|| panic!("{}", done.text())).to_owned();
    assert_eq!(restore(&node, "snapshot", &bytes).status, 204);
    node.shares = vec![share];
    node.put("sys/seal", &json!({}));
    node.unseal();
    assert_eq!(node.get("kv/data/a").at("data.data.value"), json!("then"));
    node.terminate();
}

// what is this cluster's own needs no force, and whoever uses it all the same stays unsealed.
#[test]
fn force_on_a_snapshot_of_the_nodes_own_keys_leaves_it_open() {
    let node = open();
    let file = node.path("snapshot");
    for program in bao().into_iter().chain([bulkhead()]) {
        succeeds(&snapshot(&program, &node, &["save", file.to_str().unwrap()]));
        node.put("kv/data/a", &secret("later"));
        let restored = snapshot(&program, &node, &["restore", "-force", file.to_str().unwrap()]);
        succeeds(&restored);
        assert!(!text(&restored.stderr).contains("sealed"), "{}", text(&restored.stderr));
        assert_eq!(node.get("sys/seal-status").at("sealed"), json!(false));
        assert_eq!(node.get("kv/data/a").at("data.data.value"), json!("then"));
        node.put("kv/data/b", &secret("after"));
        fs::remove_file(&file).unwrap();
    }
}

// a snapshot of another cluster is not restored unless by force.
#[test]
fn a_snapshot_of_another_cluster_is_taken_by_force_alone_and_opens_with_its_own_shares() {
    let (lost, mut fresh) = (open(), Node::raft_open(Program::Bulkhead));
    fresh.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    fresh.put("kv/data/a", &secret("of the fresh one"));
    let file = lost.path("snapshot");
    succeeds(&snapshot(&bulkhead(), &lost, &["save", file.to_str().unwrap()]));
    for program in bao().into_iter().chain([bulkhead()]) {
        let refused = snapshot(&program, &fresh, &["restore", file.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains("could not verify hash file"), "{}", text(&refused.stderr));
        assert_eq!(fresh.get("kv/data/a").at("data.data.value"), json!("of the fresh one"));
    }
    let forced = snapshot(&bulkhead(), &fresh, &["restore", "-force", file.to_str().unwrap()]);
    succeeds(&forced);
    assert!(text(&forced.stderr).contains("The node is sealed now"), "{}", text(&forced.stderr));
    fresh.until("it has sealed itself", |node| node.get("sys/seal-status").at("sealed") == json!(true));
    let own = fresh.call("PUT", "sys/unseal", Some(&json!({"key": fresh.shares[0]})));
    assert_eq!(own.status, 400, "its own shares are good for nothing now: {}", own.text());
    let own_token = std::mem::replace(&mut fresh.token, lost.token.clone());
    fresh.shares.clone_from(&lost.shares);
    fresh.unseal();
    assert_eq!(fresh.get("kv/data/a").at("data.data.value"), json!("then"));
    assert_eq!(status_with(&fresh, &own_token), 403);
    fresh.put("kv/data/b", &secret("after"));
    fresh.kill();
    fresh.spawn();
    fresh.until_up();
    fresh.unseal();
    assert_eq!(fresh.get("kv/data/b").at("data.data.value"), json!("after"));
}

// what is no whole snapshot changes nothing.
#[test]
fn damaged_files_and_those_of_others_are_refused_and_change_nothing() {
    let node = open();
    let bytes = saved(&node);
    node.put("kv/data/a", &secret("later"));
    let refused = |what: String, bytes: &[u8]| {
        for path in ["snapshot", "snapshot-force"] {
            let reply = restore(&node, path, bytes);
            assert_eq!(reply.status, 400, "{what}: {}", reply.text());
            assert!(reply.at("errors").as_array().is_some_and(|errors| errors.len() == 1), "{what}: {}", reply.text());
        }
    };
    // Each region: gzip's header, tar's, our own, records, digests, the end.
    let len = bytes.len();
    let places = (0..4).chain(10..16).chain((16..1200).step_by(41)).chain((1200..len).step_by(len / 40));
    for at in places.chain((len - 2200..len - 1024).step_by(17)).chain(len - 8..len) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x11;
        refused(format!("byte {at} of {len} changed"), &changed);
    }
    for cut in [1, 9, 300, 700, 1500, len / 2, len - 2000, len - 9, len - 1] {
        refused(format!("cut to {cut} of {len}"), &bytes[..cut]);
    }
    refused("twice".to_owned(), &[&bytes[..], &bytes[..]].concat());
    refused("empty".to_owned(), b"");
    refused("JSON".to_owned(), b"{\"a\": 1}");
    refused("gzip of another program".to_owned(), &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9]);
    assert_eq!(node.get("kv/data/a").at("data.data.value"), json!("later"));
    assert_eq!(restore(&node, "snapshot", &bytes).status, 204);
    assert_eq!(node.get("kv/data/a").at("data.data.value"), json!("then"));
}

#[test]
fn who_may_save_and_who_may_restore_is_for_policies_to_say() {
    let mut node = open();
    let bytes = saved(&node);
    let rule = |path: &str, what: &str| format!("path \"sys/storage/raft/{path}\" {{ capabilities = [\"{what}\"] }}\n");
    let root = node.token.clone();
    for (policy, [save, put, force]) in [
        (rule("snapshot", "read"), [200, 403, 403]),
        (rule("snapshot", "update"), [403, 204, 403]),
        (rule("snapshot-force", "read"), [403, 403, 403]),
        (String::new(), [403, 403, 403]),
    ] {
        node.put("sys/policies/acl/of", &json!({"policy": policy + "path \"kv/none\" { capabilities = [\"read\"] }"}));
        let made = node.put("auth/token/create", &json!({"policies": ["of"], "no_default_policy": true}));
        node.token = made.at("auth.client_token").as_str().unwrap().to_owned();
        assert_eq!(node.get("sys/storage/raft/snapshot").status, save);
        assert_eq!(restore(&node, "snapshot-force", &bytes).status, force);
        assert_eq!(restore(&node, "snapshot", &bytes).status, put);
        node.token.clone_from(&root);
    }
}

#[test]
fn a_body_is_not_read_before_its_sender_was_let_through() {
    let node = open();
    for token in ["", "X-Vault-Token: s.wrong\r\n"] {
        let mut stream = http::connect(node.port).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!(
            "POST /v1/sys/storage/raft/snapshot HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 60000000000\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(text(&answer), "HTTP/1.1 403");
    }
}

#[test]
fn a_snapshot_has_a_size_limit_of_its_own() {
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    let config = node.raft_config();
    let limited = config.replacen(
        "listener \"tcp\" {",
        "listener \"tcp\" {\n  max_request_size = 2000\n  max_snapshot_size = 100000",
        1,
    );
    assert_ne!(config, limited);
    node.write_config(&limited);
    node.spawn();
    node.until_up();
    node.initialise(1, 1);
    node.unseal();
    let bytes = saved(&node);
    assert!(bytes.len() > 2000);
    assert_eq!(restore(&node, "snapshot", &bytes).status, 204, "it is over the limit of other bodies");
    node.put("sys/mounts/kv", &json!({"type": "kv"}));
    for n in 0..80 {
        node.put(&format!("kv/{n}"), &json!({"v": "x".repeat(1500)}));
    }
    let bytes = saved(&node);
    let reply = restore(&node, "snapshot", &bytes);
    assert_eq!(reply.status, 413, "{} bytes: {}", bytes.len(), reply.text());
    assert_eq!(node.get("kv/79").status, 200);
}

#[test]
fn a_file_is_looked_at_without_a_server_and_shows_no_name() {
    let node = open();
    let file = node.path("snapshot");
    succeeds(&snapshot(&bulkhead(), &node, &["save", file.to_str().unwrap()]));
    let inspect = |args: &[&str]| {
        let mut command = Command::new(bulkhead());
        command.args(["operator", "raft", "snapshot", "inspect"]).args(args).arg(&file).env_clear();
        command.output().unwrap()
    };
    let shown = inspect(&[]);
    succeeds(&shown);
    for expected in ["Index", "Term", "Records", "Bytes", "Digest", "policies", "tokens", "mount "] {
        assert!(text(&shown.stdout).contains(expected), "{expected}: {}", text(&shown.stdout));
    }
    let told = inspect(&["-format=json"]);
    succeeds(&told);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let sum: u64 = told["spaces"].as_array().unwrap().iter().map(|space| space["records"].as_u64().unwrap()).sum();
    assert_eq!(told["records"].as_u64(), Some(sum));
    assert!(told["index"].as_u64().unwrap() > 0 && told["digest"].as_str().unwrap().len() == 64);
    let mut bytes = fs::read(&file).unwrap();
    let half = bytes.len() / 2;
    bytes[half] ^= 1;
    fs::write(&file, bytes).unwrap();
    let refused = inspect(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("no whole snapshot"), "{}", text(&refused.stderr));
}

#[test]
fn a_file_that_could_not_be_saved_whole_is_not_there() {
    let mut node = open();
    node.token = "s.wrong".to_owned();
    let file = node.path("snapshot");
    let refused = snapshot(&bulkhead(), &node, &["save", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    let left: Vec<_> = fs::read_dir(node.dir()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("snapshot")), "{left:?}");
}

/// A node that may take snapshots by itself, in the folder `kept`.
fn keeping() -> Node {
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    let kept = node.path("kept");
    fs::create_dir(&kept).unwrap();
    node.write_config(&format!("{}\nsnapshot_directory = {kept:?}\n", node.raft_config()));
    node.spawn();
    node.until_up();
    node.initialise(1, 1);
    node.unseal();
    node
}

fn kept(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn snapshots_are_taken_regularly_and_the_newest_kept() {
    use std::os::unix::fs::PermissionsExt as _;

    let node = keeping();
    let path = "sys/storage/raft/snapshot-auto/config/often";
    let folder = node.path("kept/often");
    let plan =
        json!({"interval": "1s", "retain": 2, "path_prefix": folder, "file_prefix": "bulk", "storage_type": "local"});
    assert_eq!(node.put(path, &plan).status, 204);
    let told = node.get(path);
    assert_eq!(told.at("data.interval"), json!(1), "{}", told.text());
    assert_eq!(node.call("LIST", "sys/storage/raft/snapshot-auto/config", None).at("data.keys"), json!(["often"]));
    node.until("two are there", |_| kept(&folder).iter().filter(|path| path.extension().is_some()).count() == 2);
    let first = kept(&folder).remove(0);
    node.until("the first has made way", |_| !first.exists());
    let status = node.get("sys/storage/raft/snapshot-auto/status/often");
    assert_eq!(status.at("data.consecutive_errors"), json!(0), "{}", status.text());
    let url = status.at("data.last_snapshot_url").as_str().unwrap().to_owned();
    let file = PathBuf::from(url.strip_prefix("file://").unwrap());
    assert!(file.starts_with(&folder));
    // None is taken while it is looked at.
    assert_eq!(node.call("DELETE", path, None).status, 204);
    assert_eq!(node.get(path).status, 404);
    let newest = kept(&folder).pop().unwrap();
    assert_eq!(fs::metadata(&newest).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(restore(&node, "snapshot", &fs::read(&newest).unwrap()).status, 204);
}

#[test]
fn nobody_has_snapshots_written_outside_of_the_directory_that_the_operator_allows() {
    let node = keeping();
    let write = |node: &Node, change: Value| {
        let mut plan = json!({"interval": "1h", "path_prefix": node.path("kept"), "storage_type": "local"});
        plan.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        node.call("POST", "sys/storage/raft/snapshot-auto/config/one", Some(&plan))
    };
    for change in [
        json!({"path_prefix": "/tmp"}),
        json!({"path_prefix": node.path("data")}),
        json!({"path_prefix": node.path("kept/../data")}),
        json!({"path_prefix": "../data"}),
        json!({"file_prefix": "../data/a"}),
        json!({"file_prefix": ".hidden"}),
        json!({"storage_type": "aws-s3"}),
        json!({"interval": 0}),
        json!({"retain": 0}),
    ] {
        let reply = write(&node, change.clone());
        assert_eq!(reply.status, 400, "{change}: {}", reply.text());
    }
    assert_eq!(node.get("sys/storage/raft/snapshot-auto/config/one").status, 404);
    assert_eq!(write(&node, json!({})).status, 204);
    let without = open();
    let reply = write(&without, json!({}));
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("snapshot_directory"), "{}", reply.text());
    // A path that demands sudo.
    node.put("sys/policies/acl/p", &json!({"policy": "path \"sys/*\" { capabilities = [\"read\", \"update\"] }"}));
    let made = node.put("auth/token/create", &json!({"policies": ["p"]}));
    let token = made.at("auth.client_token").as_str().unwrap().to_owned();
    let asked = Request::new("GET", "/v1/sys/storage/raft/snapshot-auto/config/one").token(&token);
    assert_eq!(asked.send(node.port).unwrap().status, 403);
}

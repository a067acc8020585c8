//! Nodes that a key outside unseals. What is asked of Bulkhead here is asked of the peer too
//! where it has the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::masks;
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::{Program, bao};
use serde_json::{Value, json};
use tempfile::TempDir;

mod transit;

/// Keys of the static seal, outside every node's folder.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        let keys = Self(tempfile::tempdir().unwrap());
        for (name, first) in [("one", 1_u8), ("two", 100)] {
            let bytes: Vec<u8> = (0..32).map(|n| first + n).collect();
            fs::write(keys.path(name), bytes).unwrap();
        }
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A stanza with this key, and more lines.
    fn stanza(&self, name: &str, more: &str) -> String {
        let path = self.path(name);
        let path = path.display();
        format!("seal \"static\" {{\n  current_key_id = \"{name}\"\n  current_key = \"file://{path}\"\n{more}}}\n")
    }

    /// The lines of an older key.
    fn previous(&self, name: &str) -> String {
        let path = self.path(name);
        format!("  previous_key_id = \"{name}\"\n  previous_key = \"file://{}\"\n", path.display())
    }
}

/// A node whose config can be changed between two starts.
struct Sealed {
    node: Node,
    config: String,
}

impl Sealed {
    fn start(program: Program, seal: &str) -> Self {
        let node = Node::prepare(Start::config(program));
        let config = node.raft_config();
        let mut sealed = Self { node, config };
        sealed.run(seal);
        sealed
    }

    fn run(&mut self, seal: &str) {
        self.node.write_config(&format!("{}{seal}", self.config));
        self.node.spawn();
        self.node.until_up();
    }

    /// Ends it as a crash would, and starts it under another config.
    fn again(&mut self, seal: &str) {
        self.node.kill();
        self.run(seal);
    }

    /// Keeps the root token and gives the shares.
    fn initialise(&mut self, body: &Value, shares: &str) -> Vec<String> {
        let reply = self.node.call("PUT", "sys/init", Some(body));
        assert_eq!(reply.status, 200, "init: {}", reply.text());
        self.node.token = reply.at("root_token").as_str().unwrap().to_owned();
        let shares = reply.at(shares);
        shares.as_array().into_iter().flatten().map(|share| share.as_str().unwrap().to_owned()).collect()
    }

    fn until_open(&self) {
        self.node.until("it serves", |node| node.get("sys/health").status == 200);
    }

    /// Makes sure that it stays sealed for a while.
    fn stays_sealed(&self) {
        thread::sleep(Duration::from_millis(1200));
        assert_eq!(self.node.get("sys/seal-status").at("sealed"), json!(true), "{}", self.node.output());
    }

    fn share(&self, key: &str, migrate: bool) -> Reply {
        let body = if migrate { json!({"key": key, "migrate": true}) } else { json!({"key": key}) };
        self.node.call("PUT", "sys/unseal", Some(&body))
    }

    fn until_migrated(&self, kind: &str) {
        self.node.until("the seal is another", |node| {
            let status = node.get("sys/seal-status");
            (status.at("migration"), status.at("type")) == (json!(false), json!(kind))
        });
    }

    fn logged(&self, text: &str) -> bool {
        self.node.output().contains(text)
    }
}

/// Runs the peer's client against a node.
fn client(node: &Node, args: &[&str]) -> Output {
    let mut command = Command::new(bao().expect("the peer's client"));
    command.args(args).env("BAO_ADDR", format!("http://127.0.0.1:{}", node.port)).env("BAO_TOKEN", &node.token);
    command.env("HOME", node.dir()).output().unwrap()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_static_key_unseals_a_node_whenever_it_starts_and_recovery_keys_do_the_rest() {
    let keys = Keys::new();
    let stanza = keys.stanza("one", "");
    let mut sealed = Sealed::start(Program::Bulkhead, &stanza);
    let init =
        client(&sealed.node, &["operator", "init", "-recovery-shares=3", "-recovery-threshold=2", "-format=json"]);
    let made: Value = serde_json::from_str(&printed(&init)).unwrap();
    sealed.node.token = made["root_token"].as_str().unwrap().to_owned();
    let shares: Vec<&str> =
        made["recovery_keys_hex"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert_eq!((shares.len(), &made["unseal_keys_b64"]), (3, &json!([])));
    sealed.until_open();
    sealed.node.put("sys/mounts/kv", &json!({"type": "kv"}));
    sealed.node.put("kv/a", &json!({"v": "kept"}));
    sealed.again(&stanza);
    sealed.until_open();
    assert_eq!(sealed.node.get("kv/a").at("data.v"), json!("kept"));
    let status = printed(&client(&sealed.node, &["status"]));
    for line in ["Seal Type static", "Recovery Seal Type shamir", "Total Recovery Shares 3", "Threshold 2"] {
        assert!(masks::line(&status.replace('\n', " "), Path::new("/")).contains(line), "{line}: {status}");
    }

    // Who seals it wants it sealed.
    assert_eq!(sealed.node.call("PUT", "sys/seal", None).status, 204);
    sealed.stays_sealed();
    let wrong = "ab".repeat(33);
    assert_eq!(sealed.share(&wrong, false).status, 200);
    let refused = sealed.share(shares[1], false);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("recovery key does not match submitted values"), "{}", refused.text());
    assert_eq!(sealed.share(shares[2], false).at("progress"), json!(1));
    assert_eq!(sealed.share(shares[0], false).at("sealed"), json!(false));
    sealed.until_open();

    // They make a root token too.
    let attempt = sealed.node.put("sys/generate-root-token/attempt", &json!({}));
    let nonce = attempt.at("data.nonce");
    sealed.node.put("sys/generate-root-token/update", &json!({"nonce": nonce, "key": shares[0]}));
    let last = sealed.node.put("sys/generate-root-token/update", &json!({"nonce": nonce, "key": shares[1]}));
    assert_eq!(last.at("data.complete"), json!(true));
}

#[test]
fn a_key_that_changed_is_followed_and_a_wrong_one_opens_nothing() {
    let keys = Keys::new();
    let mut sealed = Sealed::start(Program::Bulkhead, &keys.stanza("one", ""));
    sealed.initialise(&json!({}), "recovery_keys");
    sealed.until_open();
    sealed.again(&keys.stanza("two", ""));
    sealed.stays_sealed();
    assert!(sealed.logged("the static key \\\"one\\\"") || sealed.logged("the static key \"one\""));
    // The newer key under the older one's name.
    fs::copy(keys.path("two"), keys.path("three")).unwrap();
    sealed.again(&keys.stanza("three", "").replace("\"three\"", "\"one\""));
    sealed.stays_sealed();
    assert!(sealed.logged("does not open what was wrapped"), "{}", sealed.node.output());
    sealed.again(&keys.stanza("two", &keys.previous("one")));
    sealed.until_open();
    sealed.node.until("the key is followed", |node| node.output().contains("wrapped by the newest key of the seal"));
    sealed.again(&keys.stanza("two", ""));
    sealed.until_open();
    // Without the stanza it says what is missing.
    sealed.again("");
    sealed.stays_sealed();
    for migrate in [true, false] {
        let refused = sealed.share(&"ab".repeat(33), migrate);
        assert!(refused.status == 400 && refused.text().contains("its seal stanza is missing"), "{}", refused.text());
    }
}

#[test]
fn a_restored_snapshot_leaves_the_seal_and_its_keys_as_they_are() {
    let keys = Keys::new();
    let stanza = keys.stanza("one", "");
    let mut sealed = Sealed::start(Program::Bulkhead, "");
    let old = sealed.initialise(&json!({"secret_shares": 1, "secret_threshold": 1}), "keys").remove(0);
    sealed.share(&old, false);
    sealed.until_open();
    let restore = |sealed: &Sealed, snapshot: &[u8]| {
        let request = Request::new("POST", "/v1/sys/storage/raft/snapshot").token(&sealed.node.token);
        let reply = request.body(snapshot.to_vec()).send(sealed.node.port).unwrap();
        assert_eq!(reply.status, 204, "{}", reply.text());
    };
    let of_shamir = sealed.node.get("sys/storage/raft/snapshot").body;
    sealed.again(&stanza);
    sealed.share(&old, true);
    sealed.until_open();
    sealed.until_migrated("static");
    restore(&sealed, &of_shamir);
    sealed.again(&stanza);
    sealed.until_open();

    // Recovery keys that were rotated away do not come back either.
    let of_old = sealed.node.get("sys/storage/raft/snapshot").body;
    let split = json!({"secret_shares": 1, "secret_threshold": 1});
    let nonce = sealed.node.put("sys/rotate/recovery/init", &split).at("data.nonce");
    let new = sealed.node.put("sys/rotate/recovery/update", &json!({"nonce": nonce, "key": old})).at("data.keys.0");
    restore(&sealed, &of_old);
    let nonce = sealed.node.put("sys/generate-root-token/attempt", &json!({})).at("data.nonce");
    let bring = |key: &Value| {
        let body = json!({"nonce": nonce, "key": key});
        sealed.node.call("PUT", "sys/generate-root-token/update", Some(&body)).status
    };
    assert_eq!((bring(&json!(old)), bring(&new)), (400, 200));
    sealed.again(&stanza);
    sealed.until_open();
}

#[test]
fn a_node_opens_again_after_a_forced_restore_and_ends_at_once_while_it_cannot() {
    let keys = Keys::new();
    let mut sealed = Sealed::start(Program::Bulkhead, &keys.stanza("one", ""));
    sealed.initialise(&json!({}), "recovery_keys");
    sealed.until_open();
    sealed.node.put("sys/mounts/kv", &json!({"type": "kv"}));
    let snapshot = sealed.node.get("sys/storage/raft/snapshot").body;
    sealed.node.put("kv/late", &json!({"v": "1"}));
    let request = Request::new("POST", "/v1/sys/storage/raft/snapshot-force").token(&sealed.node.token);
    let reply = request.body(snapshot).send(sealed.node.port).unwrap();
    assert_eq!(reply.status, 204, "{}", reply.text());
    sealed.node.until("it shows what was restored", |node| node.get("kv/late").status == 404);
    sealed.again(&keys.stanza("two", ""));
    sealed.stays_sealed();
    assert!(sealed.node.terminate().success());
}

#[test]
fn shares_migrate_to_a_static_key_and_back_with_the_peers_client() {
    let keys = Keys::new();
    let (used, disabled) = (keys.stanza("one", ""), keys.stanza("one", "  disabled = \"true\"\n"));
    let mut sealed = Sealed::start(Program::Bulkhead, "");
    let shares = sealed.initialise(&json!({"secret_shares": 3, "secret_threshold": 2}), "keys");
    for share in &shares[..2] {
        sealed.share(share, false);
    }
    sealed.until_open();
    sealed.node.put("sys/mounts/kv", &json!({"type": "kv"}));
    sealed.node.put("kv/a", &json!({"v": "kept"}));

    sealed.again(&used);
    sealed.stays_sealed();
    assert_eq!(sealed.node.get("sys/seal-status").at("migration"), json!(true));
    let refused = sealed.share(&shares[0], false);
    assert!(refused.text().contains("migrate option not provided and seal migration is pending"));
    for share in &shares[1..] {
        printed(&client(&sealed.node, &["operator", "unseal", "-migrate", share]));
    }
    sealed.until_open();
    sealed.until_migrated("static");
    assert!(!sealed.logged("was not brought under the config's seal"), "{}", sealed.node.output());
    sealed.again(&used);
    sealed.until_open();
    assert_eq!(sealed.node.get("kv/a").at("data.v"), json!("kept"));

    // What unsealed is what recovers now, and unseals again after the way back.
    sealed.again(&disabled);
    sealed.stays_sealed();
    assert_eq!(sealed.node.get("sys/seal-status").at("migration"), json!(true));
    for share in [&shares[0], &shares[2]] {
        printed(&client(&sealed.node, &["operator", "unseal", "-migrate", share]));
    }
    sealed.until_open();
    sealed.until_migrated("shamir");
    sealed.again("");
    sealed.stays_sealed();
    assert_eq!(sealed.node.get("sys/seal-status").at("migration"), json!(false));
    let refused = sealed.share(&shares[0], true);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("no migration seal found"), "{}", refused.text());
    for share in &shares[..2] {
        assert_eq!(sealed.share(share, false).status, 200);
    }
    sealed.until_open();
    assert_eq!(sealed.node.get("kv/a").at("data.v"), json!("kept"));
}

/// What a node answers to a list of requests, without what differs from run to run.
fn answers(program: Program) -> Vec<(String, Value)> {
    let keys = Keys::new();
    let mut sealed = Sealed::start(program, &keys.stanza("one", ""));
    let mut told = Vec::new();
    let mut tell = |what: &str, reply: &Reply| {
        let text = reply.text();
        let mut body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        blank(&mut body);
        told.push((format!("{what}: {}", reply.status), body));
    };
    tell("status before", &sealed.node.get("sys/seal-status"));
    for body in [
        json!({"secret_shares": 5, "secret_threshold": 3}),
        json!({"recovery_shares": 3, "recovery_threshold": 1}),
        json!({"recovery_shares": 2, "recovery_threshold": 3}),
    ] {
        tell("odd init", &sealed.node.call("PUT", "sys/init", Some(&body)));
    }
    let init = sealed.node.call("PUT", "sys/init", Some(&json!({})));
    tell("init", &init);
    sealed.node.token = init.at("root_token").as_str().unwrap().to_owned();
    sealed.until_open();
    tell("status open", &sealed.node.get("sys/seal-status"));
    tell("recovery before", &sealed.node.get("sys/rotate/recovery/init"));
    let split = json!({"secret_shares": 3, "secret_threshold": 2});
    let first = sealed.node.call("PUT", "sys/rotate/recovery/init", Some(&split));
    tell("first recovery keys", &first);
    let shares: Vec<String> =
        first.at("data.keys").as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect();
    tell("recovery", &sealed.node.get("sys/rotate/recovery/init"));
    let root = sealed.node.call("PUT", "sys/rotate/root/init", Some(&split));
    tell("root", &root);
    for share in &shares[1..] {
        let body = json!({"key": share, "nonce": root.at("data.nonce")});
        tell("root share", &sealed.node.call("PUT", "sys/rotate/root/update", Some(&body)));
    }
    let single = json!({"secret_shares": 1, "secret_threshold": 1});
    let recovery = sealed.node.call("PUT", "sys/rotate/recovery/init", Some(&single));
    tell("new recovery key", &recovery);
    let mut newest = Vec::new();
    for share in &shares[..2] {
        let body = json!({"key": share, "nonce": recovery.at("data.nonce")});
        let reply = sealed.node.call("PUT", "sys/rotate/recovery/update", Some(&body));
        tell("recovery share", &reply);
        newest = reply.at("data.keys").as_array().cloned().unwrap_or_default();
    }
    tell("seal", &sealed.node.call("PUT", "sys/seal", None));
    sealed.stays_sealed();
    tell("status sealed", &sealed.node.get("sys/seal-status"));
    tell("unseal", &sealed.share(newest[0].as_str().unwrap(), false));
    sealed.until_open();
    sealed.again(&keys.stanza("one", ""));
    sealed.until_open();
    tell("status again", &sealed.node.get("sys/seal-status"));
    told
}

/// Takes out what differs from run to run, or between the two products.
fn blank(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["request_id", "nonce", "root_token", "cluster_name", "cluster_id"] {
                if map.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty()) {
                    map[name] = "…".into();
                }
            }
            for name in ["version", "commit_date", "build_date"] {
                map.remove(name);
            }
            map.values_mut().for_each(blank);
        }
        Value::Array(all) => all.iter_mut().for_each(blank),
        Value::String(text) if text.len() >= 43 && !text.contains(' ') => *text = "(key)".to_owned(),
        _ => {}
    }
}

#[test]
fn both_answer_alike_where_a_static_key_unseals() {
    if bao().is_none() {
        return;
    }
    let (ours, theirs) = (answers(Program::Bulkhead), answers(Program::Bao));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn neither_the_static_key_nor_the_recovery_keys_are_in_any_file_of_the_node() {
    let keys = Keys::new();
    let mut sealed = Sealed::start(Program::Bulkhead, &keys.stanza("one", ""));
    let shares = sealed.initialise(&json!({"recovery_shares": 1, "recovery_threshold": 1}), "recovery_keys");
    sealed.until_open();
    sealed.node.put("sys/rotate", &json!({}));
    sealed.again(&keys.stanza("one", ""));
    sealed.until_open();
    sealed.node.terminate();
    let key = fs::read(keys.path("one")).unwrap();
    let recovery = hex::decode(&shares[0]).unwrap();
    let mut files = 0;
    let mut folders = vec![sealed.node.dir().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            files += 1;
            for secret in [&key, &recovery] {
                for guise in [secret.clone(), hex::encode(secret).into_bytes()] {
                    let found = bytes.windows(guise.len()).any(|window| window == guise);
                    assert!(!found, "a key is legible in {}", entry.path().display());
                }
            }
        }
    }
    assert!(files > 5, "there must be files for this to mean anything");
}

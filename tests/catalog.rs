//! Plugins that an operator registers in a running server. What lives here: what becomes of the
//! mounts and of their clients. What must not: what a component may be (that is the sandbox's own
//! test).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{self, Program};
use bulkhead_tests::transcript::{self, Client};
use serde_json::{Value, json};

pub(crate) const CATALOG: &str = "sys/plugins/catalog/secret/almanac";

/// The component of a guest.
fn guest(name: &str) -> Vec<u8> {
    std::fs::read(programs::guests().join(name)).expect("no guests: `cargo xtask plugins` builds them")
}

/// Another version of a guest: the same, but for what it says its version is.
fn with_version(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> =
        (0..=component.len() - from.len()).filter(|at| component[*at..].starts_with(from.as_bytes())).collect();
    assert_eq!(places.len(), 1, "the version stands in a guest once");
    let mut other = component.to_vec();
    other[places[0]..places[0] + to.len()].copy_from_slice(to.as_bytes());
    other
}

/// Bodies that register two versions of the almanac.
pub(crate) fn versions() -> [Value; 2] {
    let first = guest("almanac.wasm");
    let next = with_version(&first, "0.1.0", "0.2.0");
    [first, next].map(|component| json!({ "component": STANDARD.encode(component) }))
}

fn running(node: &Node) -> Value {
    node.get("sys/mounts").at("data")["almanac/"]["running_plugin_version"].clone()
}

fn reasons(node: &Node) -> Vec<String> {
    let told = node.get("almanac/reasons").at("data.reasons");
    let told = told.as_array().into_iter().flatten().map(|reason| reason.as_str().unwrap().replace("Reason::", ""));
    told.filter(|reason| reason != "Unsealed").collect()
}

/// Lets clients end, also where the test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A server with both versions, the first of which serves a mount.
fn mounted(node: Node) -> Node {
    for body in versions() {
        node.put(CATALOG, &body);
    }
    node.put("sys/mounts/almanac", &json!({"type": "almanac", "config": {"plugin_version": "v0.1.0"}}));
    node
}

#[test]
fn a_mount_goes_to_another_version_and_back_while_no_request_fails() {
    let node = mounted(Node::dev(Program::Bulkhead));
    assert_eq!(running(&node), "v0.1.0");
    let (ends, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _end = Ending(&ends);
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !ends.load(Ordering::SeqCst) {
                        let reply = node.get("almanac/reasons");
                        assert_eq!(reply.status, 200, "{}", reply.text());
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for version in ["v0.2.0", "v0.1.0", "v0.2.0", "v0.1.0"] {
            let before = answered.load(Ordering::SeqCst);
            node.put("sys/mounts/almanac/tune", &json!({"plugin_version": version}));
            assert_eq!(running(&node), version);
            node.until("clients were answered", |_| {
                answered.load(Ordering::SeqCst) > before + 20 || clients.iter().any(|client| client.is_finished())
            });
        }
    });
    assert_eq!(reasons(&node), ["Mounted", "Upgraded", "Upgraded", "Upgraded", "Upgraded"]);
    node.put("sys/plugins/reload/backend", &json!({"plugin": "almanac"}));
    assert_eq!(reasons(&node).last().map(String::as_str), Some("Reloaded"));
}

#[test]
fn what_was_registered_is_there_after_a_restart() {
    let mut node = mounted(Node::raft_open(Program::Bulkhead));
    node.put("sys/mounts/almanac/tune", &json!({"plugin_version": "0.2.0"}));
    node.restart();
    node.unseal();
    let reply = node.get("almanac/reasons");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reasons(&node), ["Mounted", "Upgraded"]);
    assert_eq!(running(&node), "v0.2.0");
    let listed = node.get("sys/plugins/catalog/secret/almanac?version=0.1.0");
    assert_eq!(listed.at("data.builtin"), json!(false), "{}", listed.text());
}

#[test]
fn what_is_no_plugin_of_that_name_is_refused_with_the_reason() {
    let node = Node::dev(Program::Bulkhead);
    let [first, _] = versions();
    let bytes = |bytes: &[u8]| json!({ "component": STANDARD.encode(bytes) });
    let seal = std::fs::read(programs::guests().join("seal-transit.wasm")).unwrap();
    for (path, body, why) in [
        ("secret/almanac", bytes(b"\0asm\x01\0\0\0"), "the component is refused"),
        ("secret/almanac", bytes(&[b'x'; 4096]), "the component is refused"),
        ("secret/seal-transit", bytes(&seal), "the component is refused"),
        ("secret/diary", first.clone(), "the component says that it is"),
        ("auth/almanac", first.clone(), "a secrets engine"),
        ("secret/almanac", json!({"command": "almanac", "sha256": "00"}), "not programs"),
    ] {
        let reply = node.call("PUT", &format!("sys/plugins/catalog/{path}"), Some(&body));
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert!(reply.at("errors").to_string().contains(why), "{path}: {}", reply.text());
    }
    let without_sudo = json!({"policy": "path \"sys/plugins/catalog/*\" { capabilities = [\"create\", \"update\"] }"});
    node.put("sys/policies/acl/weak", &without_sudo);
    let token = node.put("auth/token/create", &json!({"policies": ["weak"]})).at("auth.client_token");
    let weak: Reply = Request::new("PUT", &format!("/v1/{CATALOG}"))
        .token(token.as_str().unwrap())
        .json(&first)
        .send(node.port)
        .unwrap();
    assert_eq!(weak.status, 403, "{}", weak.text());
}

#[test]
fn a_plugin_is_registered_used_and_taken_out_at_the_command_line() {
    let node = Node::dev(Program::Bulkhead);
    std::fs::write(node.path("almanac.wasm"), guest("almanac.wasm")).unwrap();
    std::fs::write(node.path("next.wasm"), with_version(&guest("almanac.wasm"), "0.1.0", "0.2.0")).unwrap();
    let client = Client {
        program: Program::Bulkhead.path(),
        home: node.dir().to_path_buf(),
        address: format!("http://127.0.0.1:{}", node.port),
        same_errors: false,
    };
    for (line, exit, tells) in [
        ("login -no-print root", 0, ""),
        ("plugin register -sha256=00 secret almanac almanac.wasm", 2, "SHA-256"),
        ("plugin register secret almanac none.wasm", 1, "Error opening component: open none.wasm"),
        ("plugin register secret almanac almanac.wasm", 0, "Success! Registered plugin: almanac"),
        ("plugin register almanac none.wasm", 1, "Error opening component: open none.wasm"),
        ("plugin register other almanac.wasm", 2, "says that it is \"almanac\""),
        ("plugin register almanac almanac.wasm", 0, "Success! Registered plugin: almanac"),
        ("plugin register almanac", 1, "Not enough arguments (expected 2 or 3, got 1)"),
        ("plugin register -version=0.2.0 almanac next.wasm", 0, "Success!"),
        ("plugin list secret", 0, "v0.2.0"),
        ("plugin list -detailed", 0, "Deprecation Status"),
        ("plugin list -format=json", 0, "\"details\""),
        ("plugin list -format=json secret", 0, "\"secret\": [\n    \"almanac\","),
        ("plugin info -field=version secret almanac", 0, "v0.2.0"),
        ("plugin info -version=0.1.0 secret almanac", 0, "v0.1.0"),
        ("secrets enable -plugin-version=v0.1.0 almanac", 0, "Success!"),
        ("read almanac/reasons", 0, "Mounted"),
        ("secrets tune -plugin-version=v0.2.0 almanac", 0, "Success!"),
        ("read almanac/reasons", 0, "Upgraded"),
        ("plugin reload -plugin=almanac", 0, "Success! Reloaded plugin: almanac"),
        ("plugin reload -mounts=almanac/", 0, "Success! Reloaded mounts: [almanac/]"),
        ("plugin deregister -version=v0.2.0 secret almanac", 2, "serves almanac/"),
        ("plugin deregister -version=v0.1.0 secret almanac", 0, "Success!"),
        ("secrets disable almanac", 0, "Success!"),
        ("plugin deregister secret almanac", 0, "Success!"),
        ("plugin info secret almanac", 2, ""),
    ] {
        let ran = client.run(&transcript::words(line), "");
        assert_eq!(ran.exit, exit, "{line}: {}{}", ran.output, ran.errors);
        let said = format!("{}{}", ran.output, ran.errors);
        assert!(said.contains(tells), "{line}: {said}");
    }
}

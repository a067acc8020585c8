//! Devices that are for some requests alone, and the one that takes what others did not.

use std::fs;

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::Program;
use serde_json::{Value, json};

fn enable(node: &Node, name: &str, options: &Value) -> Reply {
    node.call("PUT", &format!("sys/audit/{name}"), Some(&json!({"type": "file", "options": options})))
}

/// A device with a file of its name.
fn file(node: &Node, name: &str, option: (&str, &str)) {
    let path = node.path(&format!("{name}.log"));
    let mut options = json!({"file_path": path, "skip_test": "true", "log_raw": "true"});
    options[option.0] = option.1.into();
    let made = enable(node, name, &options);
    assert_eq!(made.status, 204, "{}", made.text());
}

/// What a device was told since this was asked last: type of line and path.
fn told(node: &Node, name: &str) -> Vec<String> {
    let path = node.path(&format!("{name}.log"));
    let log = fs::read_to_string(&path).unwrap_or_default();
    if !log.is_empty() {
        fs::write(&path, "").unwrap();
    }
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |at: &Value| at.as_str().unwrap().to_owned();
        format!("{} {} {}", text(&line["type"]), text(&line["request"]["operation"]), text(&line["request"]["path"]))
    };
    log.lines().map(line).collect()
}

fn both(operation: &str, path: &str) -> Vec<String> {
    ["request", "response"].iter().map(|kind| format!("{kind} {operation} {path}")).collect()
}

#[test]
fn a_device_is_told_what_its_filter_takes_and_nothing_else() {
    let node = Node::dev(Program::Bulkhead);
    node.put("sys/namespaces/team", &json!({}));
    for (name, filter) in [
        ("kv", "mount_type == kv"),
        ("point", "mount_point == \"secret/\" and operation != read"),
        ("path", "path matches \"^secret/data/a(b|c)$\""),
        ("team", "namespace == \"team/\""),
        ("elsewhere", "namespace is empty and not (\"secret/\" in path or path contains `sys/audit`)"),
        ("none", "operation == \"nothing\""),
    ] {
        file(&node, name, ("filter", filter));
    }
    for name in ["kv", "point", "path", "team", "elsewhere", "none"] {
        assert_eq!(told(&node, name), Vec::<String>::new(), "{name}");
    }
    node.put("secret/data/ab", &json!({"data": {"a": "b"}}));
    assert_eq!(node.get("secret/data/ab").status, 200);
    assert_eq!(node.get("sys/mounts").status, 200);
    let inside = Request::new("GET", "/v1/sys/mounts").token(&node.token).header("X-Vault-Namespace", "team");
    assert_eq!(inside.send(node.port).unwrap().status, 200);
    // Nobody may do this: it is an entry as well.
    let denied = Request::new("GET", "/v1/secret/data/ab").token("s.nobody").send(node.port).unwrap();
    assert_eq!(denied.status, 403);

    let (read, mounts) = (both("read", "secret/data/ab"), both("read", "sys/mounts"));
    let mut kv = both("update", "secret/data/ab");
    assert_eq!(told(&node, "point"), kv);
    kv.extend(read.iter().chain(&read).cloned());
    assert_eq!(told(&node, "path"), kv);
    assert_eq!(told(&node, "kv"), kv);
    assert_eq!(told(&node, "team"), mounts);
    assert_eq!(told(&node, "elsewhere"), mounts);
    assert_eq!(told(&node, "none"), Vec::<String>::new());
}

#[test]
fn what_a_device_is_for_is_served_only_if_it_or_another_took_it() {
    let node = Node::dev(Program::Bulkhead);
    // It opens, and takes no line.
    let full = json!({"file_path": "/dev/full", "skip_test": "true", "filter": "mount_type == kv"});
    assert_eq!(enable(&node, "full", &full).status, 204);
    assert_eq!(node.get("sys/mounts").status, 200, "it is for no device");
    let refused = node.get("secret/data/x");
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(refused.text().contains("no audit device took the request"), "{}", refused.text());

    file(&node, "left", ("fallback", "true"));
    assert_eq!(node.get("secret/data/x").status, 404, "the fallback takes what the other did not");
    assert_eq!(node.get("sys/mounts").status, 200);
    let expected = [both("read", "secret/data/x"), both("read", "sys/mounts")].concat();
    let lines = told(&node, "left");
    assert!(lines.ends_with(&expected), "{lines:?}");

    file(&node, "all", ("hmac_accessor", "true"));
    told(&node, "left");
    assert_eq!(node.get("secret/data/x").status, 404);
    assert_eq!(told(&node, "left"), Vec::<String>::new(), "another device took it");
    let lines = told(&node, "all");
    assert!(lines.ends_with(&both("read", "secret/data/x")), "{lines:?}");
}

#[test]
fn filters_and_fallbacks_that_cannot_be_are_refused_and_nothing_is_left() {
    let node = Node::dev(Program::Bulkhead);
    let path = node.path("x.log");
    let refused = |options: Value, said: &str| {
        let mut options = options;
        options["file_path"] = path.display().to_string().into();
        let reply = enable(&node, "x", &options);
        assert_eq!((reply.status, reply.at("errors.0")), (400, json!(said)), "{options}");
    };
    refused(json!({"filter": "mount_type == "}), "filter is none: it ends too early");
    refused(
        json!({"filter": "secret == x"}),
        "filter is none: \"secret\" is none of the properties mount_point, mount_type, namespace, operation, path",
    );
    refused(json!({"fallback": "maybe"}), "fallback is neither true nor false: \"maybe\"");
    let both = json!({"fallback": "true", "filter": "path == x"});
    refused(both, "cannot configure a fallback device with a filter");
    assert_eq!(node.get("sys/audit").at("data"), json!({}));
    file(&node, "first", ("fallback", "true"));
    refused(json!({"fallback": "1"}), "there can be only one fallback audit device");
    assert!(!path.exists(), "no file was made for what is no device");
}

//! Every operation that the peer's own document names is answered, or listed with the reason why it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use bulkhead_tests::http::Request;
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

/// Where the engines and methods of `paths.txt` are.
const MOUNTED: [(&str, &str); 5] = [
    ("sys/auth/approle", "approle"),
    ("sys/auth/userpass", "userpass"),
    ("sys/mounts/database", "database"),
    ("sys/mounts/kv", "kv"),
    ("sys/mounts/kvv2", "kv-v2"),
];

fn lines(name: &str) -> Vec<String> {
    let text = fs::read_to_string(programs::here(&format!("api/{name}"))).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// A path whose parameters have no names.
fn shape(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// What the node's own document names: methods by path.
fn documented(node: &Node) -> BTreeMap<String, BTreeSet<String>> {
    let document = node.get("sys/internal/specs/openapi");
    assert_eq!(document.status, 200, "{}", document.text());
    let Value::Object(paths) = document.at("paths") else { panic!("no paths in the document") };
    let methods = |item: &Value| {
        let operations = item.as_object().into_iter().flatten().filter(|(_, operation)| !is_list(operation));
        let names = operations.map(|(name, _)| name.to_uppercase());
        names.filter(|name| ["GET", "POST", "PATCH", "DELETE"].contains(&name.as_str())).collect()
    };
    let mut known = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, item) in &paths {
        known.entry(shape(path)).or_default().extend::<BTreeSet<String>>(methods(item));
    }
    known
}

/// A list is a GET in the document, with a parameter that must say so.
fn is_list(operation: &Value) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let says_so = |parameter: &Value| parameter["name"] == "list" || parameter["name"] == "scan";
    parameters.into_iter().flatten().any(|parameter| says_so(parameter) && parameter["required"] == true)
}

/// Whether a list is answered, which changes nothing.
fn lists(node: &Node, method: &str, path: &str) -> bool {
    let path = shape(path).replace("{}", "x");
    let reply = Request::new(method, &format!("/v1{path}")).token(&node.token).send(node.port).unwrap();
    let errors = reply.at("errors").to_string();
    !(reply.status == 405 || errors.contains("unsupported") || errors.contains("no handler"))
}

#[test]
fn the_document_names_each_operation_and_each_of_its_parameters_once() {
    let node = Node::dev(Program::Bulkhead);
    for (path, kind) in MOUNTED {
        assert_eq!(node.put(path, &json!({"type": kind})).status, 204, "{path}");
    }
    let Value::Object(paths) = node.get("sys/internal/specs/openapi").at("paths") else { panic!("no paths") };
    let (mut ids, mut faults) = (BTreeSet::new(), Vec::new());
    for (path, item) in &paths {
        let of_path = parameters(item);
        let named: BTreeSet<String> = of_path.iter().map(|(name, _)| format!("{{{name}}}")).collect();
        let wanted = path.split('/').filter(|segment| segment.starts_with('{')).map(str::to_owned).collect();
        if named != wanted {
            faults.push(format!("{path}: {named:?} are declared"));
        }
        for (method, operation) in item.as_object().unwrap().iter().filter(|(_, it)| it.get("operationId").is_some()) {
            let all = parameters(operation);
            if all.iter().chain(&of_path).collect::<BTreeSet<_>>().len() < all.len() + of_path.len() {
                faults.push(format!("{method} {path}: a parameter twice in {all:?}"));
            }
            if !ids.insert(operation["operationId"].clone().to_string()) {
                faults.push(format!("{method} {path}: {} is another's", operation["operationId"]));
            }
        }
    }
    assert!(ids.len() > 300, "{} operations", ids.len());
    assert!(faults.is_empty(), "{} faults:\n  {}", faults.len(), faults.join("\n  "));
}

/// Names and places of parameters.
fn parameters(of: &Value) -> Vec<(String, String)> {
    let text = |parameter: &Value, name: &str| parameter[name].as_str().unwrap().to_owned();
    let all = of.get("parameters").and_then(Value::as_array).into_iter().flatten();
    all.map(|parameter| (text(parameter, "name"), text(parameter, "in"))).collect()
}

/// Entries of `absent.txt`, with their reasons.
fn reasons() -> Vec<(String, String)> {
    let parted = |line: String| {
        let (entry, reason) = line.split_once(": ").unwrap_or_else(|| panic!("no reason: {line}"));
        (entry.to_owned(), reason.to_owned())
    };
    lines("absent.txt").into_iter().map(parted).collect()
}

fn is_about(entry: &str, method: &str, path: &str) -> bool {
    let path_of = |entry: &str| match entry.strip_suffix('*') {
        Some(front) => path.starts_with(front),
        None => shape(path) == shape(entry),
    };
    match entry.split_once(' ') {
        Some((only, rest)) => only == method && path_of(rest),
        None => path_of(entry),
    }
}

#[test]
fn each_operation_of_the_peer_is_answered_or_has_a_reason_not_to_be() {
    let node = Node::dev(Program::Bulkhead);
    for (path, kind) in MOUNTED {
        assert_eq!(node.put(path, &json!({"type": kind})).status, 204, "{path}");
    }
    let (documented, reasons) = (documented(&node), reasons());
    let (mut faults, mut used, mut answered) = (Vec::new(), BTreeSet::new(), 0);
    for line in lines("paths.txt") {
        let (method, path) = line.split_once(' ').unwrap();
        let is_answered = match method {
            "LIST" | "SCAN" => lists(&node, method, path),
            _ => documented.get(&shape(path)).is_some_and(|methods| methods.contains(method)),
        };
        let entry = reasons.iter().position(|(entry, _)| is_about(entry, method, path));
        match (is_answered, entry) {
            (true, None) => answered += 1,
            (false, Some(at)) => {
                used.insert(at);
            }
            (true, Some(at)) => faults.push(format!("{line}: is answered, and listed: {:?}", reasons[at])),
            (false, None) => faults.push(format!("{line}: is not answered, and not listed")),
        }
    }
    let unused = reasons.iter().enumerate().filter(|(at, _)| !used.contains(at));
    faults.extend(unused.map(|(_, (entry, _))| format!("{entry}: nothing of the list is it")));
    println!("{answered} operations are answered");
    assert!(faults.is_empty(), "{} faults:\n  {}", faults.len(), faults.join("\n  "));
}

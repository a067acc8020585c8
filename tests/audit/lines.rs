//! What is in the lines: the same members as in the peer's, but for what is listed.

use std::collections::BTreeSet;
use std::fs;

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

/// Where the lines differ: the step (or all), the member, and why.
const UNLIKE: &[(&str, &str, &str)] = &[
    ("", "request.mount_accessor", "the peer knows it only where it asked the engine whether the thing exists"),
    ("", "response.mount_accessor", "likewise"),
    ("", "request.mount_running_sha256", "engines are components here, and each has a digest"),
    ("", "response.mount_running_sha256", "likewise"),
    ("", "auth.policy_results.denied_by", "what denied a request is told here"),
    ("unwrap", "auth.policy_results.granting_policies", "the path is open to all here: the token is what is asked for"),
    ("renew", "response.auth.token_issue_time", "the peer tells it of renewed tokens alone"),
];

/// Steps whose lines are not the same ones, and why.
const OTHER_LINES: &[(&str, &str)] =
    &[("unwrap again", "the peer refuses a used token before the request is one, and writes no answer's line")];

/// A node whose steps are told by the audit file.
struct Told {
    node: Node,
    read: usize,
    steps: Vec<(&'static str, Vec<Value>)>,
}

impl Told {
    fn start(program: Program) -> Told {
        let node = Node::raft_open(program);
        node.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
        let policy = "path \"kv/data/ok\" { capabilities = [\"create\", \"read\", \"update\"] }\n\
                      path \"kv/data/no\" { capabilities = [\"deny\"] }\n\
                      path \"kv/data/write\" { capabilities = [\"update\"] }";
        // The peer makes a new mount ready in its own time.
        node.until("a mount that answers", |node| node.get("kv/config").status == 200);
        node.put("sys/policies/acl/some", &json!({"policy": policy}));
        let mut told = Told { node, read: 0, steps: Vec::new() };
        told.new_lines();
        told
    }

    fn new_lines(&mut self) -> Vec<Value> {
        let log = fs::read_to_string(self.node.path("audit.log")).unwrap();
        let lines: Vec<Value> = log.lines().skip(self.read).map(|line| serde_json::from_str(line).unwrap()).collect();
        self.read += lines.len();
        lines
    }

    fn step(&mut self, name: &'static str, request: Request) -> Reply {
        let reply = request.send(self.node.port).unwrap();
        let lines = self.new_lines();
        self.steps.push((name, lines));
        reply
    }

    fn as_root(&mut self, name: &'static str, method: &str, path: &str, body: Option<Value>) -> Reply {
        let token = self.node.token.clone();
        self.step(name, request(&token, method, path, body))
    }
}

fn request(token: &str, method: &str, path: &str, body: Option<Value>) -> Request {
    let request = Request::new(method, &format!("/v1/{path}"));
    let request = if token.is_empty() { request } else { request.token(token) };
    match body {
        Some(body) => request.json(&body),
        None => request,
    }
}

fn text(reply: &Reply, at: &str) -> String {
    reply.at(at).as_str().unwrap_or_else(|| panic!("no {at} in {}", reply.text())).to_owned()
}

/// The same steps on either server.
fn walk(program: Program) -> Told {
    let mut told = Told::start(program);
    told.as_root("write", "POST", "kv/data/ok", Some(json!({"data": {"a": "b", "n": 3}})));
    told.as_root("read", "GET", "kv/data/ok", None);
    told.as_root("read with a parameter", "GET", "kv/data/ok?version=1", None);
    told.as_root("list", "LIST", "kv/metadata/", None);
    told.as_root("nothing there", "GET", "kv/data/absent", None);
    told.as_root("delete", "DELETE", "kv/data/ok", None);
    told.as_root("deleted", "GET", "kv/data/ok", None);
    let body = json!({"policies": ["some"], "num_uses": 20, "ttl": "1h", "meta": {"k": "v"}});
    let made = told.as_root("create a token", "POST", "auth/token/create", Some(body));
    let token = text(&made, "auth.client_token");
    told.as_root("create a token of no policy", "POST", "auth/token/create", Some(json!({"policies": ["none"]})));
    told.step("look at itself", request(&token, "GET", "auth/token/lookup-self", None));
    told.step("granted", request(&token, "POST", "kv/data/ok", Some(json!({"data": {"a": "c"}}))));
    told.step("denied", request(&token, "GET", "kv/data/no", None));
    told.step("not granted", request(&token, "GET", "kv/data/write", None));
    told.step("no rule", request(&token, "GET", "kv/data/elsewhere", None));
    told.as_root("renew", "POST", "auth/token/renew", Some(json!({"token": token})));
    told.as_root("revoke", "POST", "auth/token/revoke", Some(json!({"token": token})));
    told.step("a token that is over", request(&token, "GET", "kv/data/ok", None));
    told.step("a token that is none", request("nonsense", "GET", "kv/data/ok", None));
    told.step("no token", request("", "GET", "kv/data/ok", None));
    let root = told.node.token.clone();
    let wrapped = request(&root, "GET", "sys/mounts", None).header("X-Vault-Wrap-TTL", "60");
    let wrapping = text(&told.step("wrapped", wrapped), "wrap_info.token");
    told.step("unwrap", request(&wrapping, "POST", "sys/wrapping/unwrap", None));
    told.step("unwrap again", request(&wrapping, "POST", "sys/wrapping/unwrap", None));
    told.as_root("mounts", "GET", "sys/mounts", None);
    told.as_root("nothing mounted", "GET", "nowhere/x", None);
    told.as_root("a mount of no type", "POST", "sys/mounts/x", Some(json!({"type": "nosuch"})));
    told.as_root("hash", "POST", "sys/audit-hash/to-file", Some(json!({"input": "x"})));
    told.as_root("cubbyhole", "POST", "cubbyhole/x", Some(json!({"k": "v"})));
    told.as_root("free for any token", "GET", "sys/internal/ui/mounts", None);
    told.as_root("health", "GET", "sys/health", None);
    told
}

/// Names of members, dotted. What is in bodies is another test's matter.
fn members(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            let whole = [
                "request.data",
                "response.data",
                "auth.policy_results.denied_by",
                "auth.policy_results.granting_policies",
            ];
            let is_whole = whole.contains(&at.as_str());
            if !is_whole {
                members(value, &at, found);
            }
            found.insert(at);
        }
    }
    if let Value::Array(items) = value {
        items.iter().for_each(|item| members(item, at, found));
    }
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["type"].as_str()).collect()
}

#[test]
fn lines_have_the_members_of_the_peers_lines_but_for_what_is_listed() {
    if programs::bao().is_none() {
        return;
    }
    let (peer, ours) = (walk(Program::Bao), walk(Program::Bulkhead));
    let (mut faults, mut used) = (Vec::new(), BTreeSet::new());
    for ((step, theirs), (_, lines)) in peer.steps.iter().zip(&ours.steps) {
        if OTHER_LINES.iter().any(|(other, _)| other == step) {
            assert_ne!(kinds(theirs), kinds(lines), "{step} is listed without need");
            continue;
        }
        if kinds(theirs) != kinds(lines) {
            faults.push(format!("{step}: {:?} and {:?}", kinds(theirs), kinds(lines)));
        }
        for (their, our) in theirs.iter().zip(lines) {
            let (mut one, mut other) = (BTreeSet::new(), BTreeSet::new());
            members(their, "", &mut one);
            members(our, "", &mut other);
            for name in one.symmetric_difference(&other) {
                let listed = UNLIKE.iter().position(|(at, of, _)| (at.is_empty() || at == step) && of == name);
                match listed {
                    Some(place) => drop(used.insert(place)),
                    None => faults.push(format!(
                        "{step}, {}: only {} has {name}",
                        their["type"],
                        if one.contains(name) { "the peer" } else { "Bulkhead" }
                    )),
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(used.len(), UNLIKE.len(), "a difference is listed without need");
}

#[test]
fn a_lines_plain_facts_are_the_peers() {
    if programs::bao().is_none() {
        return;
    }
    let (peer, ours) = (walk(Program::Bao), walk(Program::Bulkhead));
    let plain = [
        "/auth/display_name",
        "/auth/policies",
        "/auth/policy_results/allowed",
        "/auth/policy_results/granting_policies",
        "/auth/remaining_uses",
        "/auth/token_ttl",
        "/auth/token_type",
        "/request/client_id",
        "/request/mount_class",
        "/request/mount_point",
        "/request/mount_type",
        "/request/namespace",
        "/request/operation",
        "/request/remote_address",
        "/request/wrap_ttl",
        "/response/auth/display_name",
        "/response/auth/num_uses",
        "/response/auth/policies",
        "/response/auth/token_ttl",
        "/response/wrap_info/ttl",
    ];
    let alike = |step: &str| OTHER_LINES.iter().all(|(other, _)| *other != step);
    for ((step, theirs), (_, lines)) in peer.steps.iter().zip(&ours.steps).filter(|((step, _), _)| alike(step)) {
        for (their, our) in theirs.iter().zip(lines) {
            for at in plain {
                let is_listed = match *step {
                    // Whoever may create and update is not asked which of the two it is.
                    "write" => at == "/request/operation",
                    // Ours are those left, the peer's those there were.
                    "renew" => at == "/response/auth/num_uses",
                    "unwrap" => at == "/auth/policy_results/granting_policies",
                    _ => false,
                };
                let differs = their.pointer(at) != our.pointer(at);
                assert!(!is_listed || differs || their.pointer(at).is_none(), "{step}: {at} is listed without need");
                if is_listed {
                    continue;
                }
                assert_eq!(their.pointer(at), our.pointer(at), "{step}: {at}");
            }
        }
    }
}

#[test]
fn a_denied_requests_line_tells_which_rule_of_which_policy_denied_it() {
    let told = walk(Program::Bulkhead);
    let by = |step: &str| {
        let (_, lines) = told.steps.iter().find(|(name, _)| *name == step).unwrap();
        assert_eq!(lines[0]["auth"]["policy_results"]["allowed"], false);
        assert_eq!(lines[0]["error"], "permission denied");
        lines[0]["auth"]["policy_results"]["denied_by"].clone()
    };
    let hashed = |pattern: &str| told.node.put("sys/audit-hash/to-file", &json!({"input": pattern})).at("data.hash");
    let (no, write) = (hashed("kv/data/no"), hashed("kv/data/write"));
    assert_eq!(by("denied"), json!({"reason": "the rule denies everything", "policies": ["some"], "rule": no}));
    assert_eq!(
        by("not granted"),
        json!({"reason": "the rule does not grant \"read\"", "policies": ["some"], "rule": write})
    );
    assert_eq!(by("no rule"), json!({"reason": "no rule matches"}));
}

#[test]
fn a_name_that_counts_without_case_is_told_in_one_form() {
    let mut told = Told::start(Program::Bulkhead);
    told.node.put("sys/auth/userpass", &json!({"type": "userpass"}));
    told.new_lines();
    let mut path = |path: &str| {
        told.as_root("read", "GET", path, None);
        let (_, lines) = told.steps.last().unwrap();
        lines[0]["request"]["path"].clone()
    };
    let ann = path("auth/userpass/users/ann");
    assert!(ann.as_str().unwrap().starts_with("auth/userpass/users/hmac-"), "{ann}");
    assert_eq!(path("auth/userpass/users/ANN"), ann);
    assert_ne!(path("auth/userpass/users/bob"), ann);
    assert_ne!(path("kv/data/ok"), path("kv/data/OK"));
}

/// A node whose audit device has these options besides its file.
fn with_options(options: &str) -> Node {
    let mut node = Node::prepare(bulkhead_tests::node::Start::config(Program::Bulkhead));
    let config = node.raft_config();
    let file = format!("file_path = \"{}\"", node.path("audit.log").display());
    node.write_config(&format!(
        "allow_audit_log_prefixing = true\n{}",
        config.replace(&file, &format!("{file}\n{options}"))
    ));
    node.spawn();
    node.until_up();
    node.initialise(1, 1);
    node.unseal();
    node
}

#[test]
fn lists_are_counted_where_asked_and_every_line_has_the_prefix() {
    let node = with_options("elide_list_responses = true\nprefix = \"@cee: \"");
    node.put("sys/mounts/kv", &json!({"type": "kv"}));
    node.put("kv/a", &json!({"k": "v"}));
    node.put("kv/b", &json!({"k": "v"}));
    node.call("LIST", "kv/", None);
    let log = fs::read_to_string(node.path("audit.log")).unwrap();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line.strip_prefix("@cee: ").unwrap()).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["response"]["data"], json!({"keys": 2}));
}

#[test]
fn members_that_the_mount_exempts_are_legible_at_any_depth() {
    let node = with_options("hmac_accessor = false");
    let keys = json!({"audit_non_hmac_request_keys": ["a", "l"], "audit_non_hmac_response_keys": ["a"]});
    node.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    node.put("sys/mounts/kv/tune", &keys);
    let secret = json!({"a": "one", "l": ["two", {"z": "three"}], "o": {"a": "four", "z": "five"}});
    node.put("kv/data/x", &json!({"data": secret}));
    let written = fs::read_to_string(node.path("audit.log")).unwrap();
    let line: Value = serde_json::from_str(written.lines().last().unwrap()).unwrap();
    let sent = &line["request"]["data"]["data"];
    assert_eq!((&sent["a"], &sent["l"][0]), (&json!("one"), &json!("two")));
    for legible in ["\"one\"", "\"two\"", "\"four\""] {
        assert!(written.contains(legible), "{legible}");
    }
    for hidden in ["\"three\"", "\"five\""] {
        assert!(!written.contains(hidden), "{hidden}");
    }
    node.get("kv/data/x");
    let all = fs::read_to_string(node.path("audit.log")).unwrap();
    let read = &all[written.len()..];
    assert!(read.contains("\"one\"") && !read.contains("\"two\""), "{read}");
    let accessor = line["auth"]["accessor"].as_str().unwrap();
    assert!(!accessor.starts_with("hmac-"), "{accessor}");
}

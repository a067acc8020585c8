//! Who may do what, held against OpenBao: policies and requests by chance, asked of both. What must
//! not live here: what single rules mean (that is `host/model`'s and `tests/api`'s).

mod made;

use bulkhead_tests::http::Request;
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

use self::made::{Asked, Chance, asked, policy};

/// Sets of policies, and requests under each.
const SETS: u64 = 160;
const REQUESTS: usize = 25;

/// Policies of a token at most.
const POLICIES: u64 = 3;

/// Two servers with a mount that keeps whatever is written.
fn both() -> Option<[Node; 2]> {
    programs::bao()?;
    let nodes = [Program::Bulkhead, Program::Bao].map(Node::dev);
    for node in &nodes {
        node.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "1"}}));
    }
    Some(nodes)
}

/// A token with these policies alone.
fn token(node: &Node, name: &str, policies: &[String]) -> String {
    let names: Vec<String> = (0..policies.len()).map(|at| format!("{name}{at}")).collect();
    for (name, text) in names.iter().zip(policies) {
        let reply = node.call("PUT", &format!("sys/policies/acl/{name}"), Some(&json!({"policy": text})));
        assert!(reply.status < 300, "{}: {text}", reply.text());
    }
    let made = node.put("auth/token/create", &json!({"policies": names, "no_default_policy": true}));
    made.at("auth.client_token").as_str().unwrap().to_owned()
}

/// Whether the server let it be done, and the names that it showed.
fn allows(node: &Node, token: &str, asked: &Asked) -> (bool, Vec<String>) {
    let mut request = Request::new(asked.method, &format!("/v1/{}", asked.path)).token(token);
    if let Some(wrap) = asked.wrap {
        request = request.header("X-Vault-Wrap-TTL", wrap);
    }
    if let Some(body) = &asked.body {
        request = request.json(body);
    }
    let reply = request.send(node.port).unwrap();
    assert!(reply.status < 500, "{asked:?}: {}", reply.text());
    let keys = reply.at("data.keys");
    let mut keys: Vec<String> =
        keys.as_array().into_iter().flatten().map(|key| key.as_str().unwrap().to_owned()).collect();
    keys.sort();
    (reply.status != 403, keys)
}

fn capabilities(node: &Node, token: &str, path: &str) -> Value {
    node.put("sys/capabilities", &json!({"token": token, "paths": [path]})).at("data")[path].clone()
}

/// Whether a difference is the one that docs/differences.md has: a wildcard's deny holds for a folder with
/// and without its slash.
fn is_listed(asked: &Asked, policies: &[String], (told, did): (&Value, bool)) -> bool {
    let lists = matches!(asked.method, "LIST" | "SCAN");
    lists && !did && *told == json!(["deny"]) && policies.iter().any(|policy| policy.contains("\"deny\""))
}

#[test]
fn what_policies_allow_is_what_the_peer_allows() {
    let Some(nodes) = both() else { return };
    let first = std::env::var("BULKHEAD_ACL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(1..=SETS, |first: u64| first..=first);
    let (mut differences, mut listed, mut allowed, mut filtered, mut all) = (Vec::new(), 0, 0, 0, 0);
    for seed in seeds {
        let mut chance = Chance::of(seed);
        let policies: Vec<String> = (0..=seed % POLICIES).map(|_| policy(&mut chance)).collect();
        let has = |what: &str| policies.iter().any(|policy| policy.contains(what));
        // Where a list ends within a page, and what a wildcard's deny does to a folder, the two differ.
        let shows_the_same = !has("pagination_limit") && !has("\"deny\"");
        let tokens = nodes.each_ref().map(|node| token(node, "p", &policies));
        for _ in 0..REQUESTS {
            let asked = asked(&mut chance);
            let path = asked.path.split('?').next().unwrap_or_default();
            let told = [0, 1].map(|at| capabilities(&nodes[at], &tokens[at], path));
            let [ours, theirs] = [0, 1].map(|at| allows(&nodes[at], &tokens[at], &asked));
            let did = [ours.0, theirs.0];
            allowed += usize::from(did[1]);
            all += 1;
            if shows_the_same && !asked.path.contains('?') && asked.wrap.is_none() {
                filtered += usize::from(has("keys_filter_path") && !theirs.1.is_empty());
                if ours.1 != theirs.1 {
                    differences.push(format!("seed {seed}: {asked:?}: {:?} here, {:?} there", ours.1, theirs.1));
                }
            }
            if told[0] != told[1] || did[0] != did[1] {
                if is_listed(&asked, &policies, (&told[0], did[0])) {
                    listed += 1;
                    continue;
                }
                let [ours, theirs] = told;
                differences.push(format!(
                    "seed {seed}: {asked:?}: allowed {} here, {} there; capabilities {ours} here, {theirs} there",
                    did[0], did[1]
                ));
            }
        }
    }
    assert!(allowed > all / 10 && allowed < all * 9 / 10, "{allowed} of {all} were allowed: that proves little");
    assert!(filtered > 20 || first.is_some(), "{filtered} lists were filtered: that proves little");
    assert!(listed * 100 < all, "{listed} of {all} differ as documented: that is more than there should be");
    assert!(differences.is_empty(), "{} of {all} differ:\n{}", differences.len(), differences.join("\n"));
}

// nor does one over HTTP.
#[test]
fn a_list_shows_no_more_names_than_its_policies_have_it() {
    let node = Node::dev(Program::Bulkhead);
    for name in ["a", "b", "c", "d", "e"] {
        node.put(&format!("secret/data/{name}"), &json!({"data": {}}));
    }
    let few = "path \"secret/metadata/*\" { capabilities = [\"list\"] pagination_limit = 2 }".to_owned();
    let ended = few.replace("pagination_limit = 2", "expiration = \"2020-01-01T00:00:00Z\"");
    let (few, ended) = (token(&node, "few", &[few]), token(&node, "ended", &[ended]));
    let list = |token: &str, query: &str| {
        let request = Request::new("LIST", &format!("/v1/secret/metadata/{query}")).token(token);
        let reply = request.send(node.port).unwrap();
        (reply.status, reply.at("data.keys"))
    };
    for (query, keys) in [
        ("", json!(["a", "b"])),
        ("?limit=max", json!(["a", "b"])),
        ("?limit=0", json!(["a", "b"])),
        ("?limit=1", json!(["a"])),
        ("?after=b", json!(["c", "d"])),
        ("?after=b&limit=max", json!(["c", "d"])),
    ] {
        assert_eq!(list(&few, query), (200, keys), "{query}");
    }
    assert_eq!((list(&few, "?limit=3").0, list(&few, "?limit=-1").0), (403, 403));
    assert_eq!(list(&ended, "").0, 403, "a rule that has ended grants nothing");
    assert_eq!(list("root", "?limit=3").1, json!(["a", "b", "c"]));
}

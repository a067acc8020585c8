//! Who gets in where: paths that hand out credentials, strangers, tokens in odd places.

use std::collections::BTreeSet;

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::Program;
use serde_json::{Value, json};

/// Paths of an engine at which a request hands out a credential: a token, a secret id, a user of a database.
const MINTS: &[&str] = &[
    "/auth/approle/login",
    "/auth/approle/role/{role_name}/custom-secret-id",
    "/auth/approle/role/{role_name}/secret-id",
    "/auth/userpass/login/{username}",
    "/database/creds/{name}",
    "/database/static-creds/{name}",
];

/// All others, at which none does.
const OTHERS: &[&str] = &[
    "/auth/approle/role/",
    "/auth/approle/role/{role_name}",
    "/auth/approle/role/{role_name}/bind-secret-id",
    "/auth/approle/role/{role_name}/bound-cidr-list",
    "/auth/approle/role/{role_name}/local-secret-ids",
    "/auth/approle/role/{role_name}/period",
    "/auth/approle/role/{role_name}/policies",
    "/auth/approle/role/{role_name}/role-id",
    "/auth/approle/role/{role_name}/secret-id-accessor/destroy",
    "/auth/approle/role/{role_name}/secret-id-accessor/lookup",
    "/auth/approle/role/{role_name}/secret-id-bound-cidrs",
    "/auth/approle/role/{role_name}/secret-id-num-uses",
    "/auth/approle/role/{role_name}/secret-id-ttl",
    "/auth/approle/role/{role_name}/secret-id/",
    "/auth/approle/role/{role_name}/secret-id/destroy",
    "/auth/approle/role/{role_name}/secret-id/lookup",
    "/auth/approle/role/{role_name}/token-bound-cidrs",
    "/auth/approle/role/{role_name}/token-max-ttl",
    "/auth/approle/role/{role_name}/token-num-uses",
    "/auth/approle/role/{role_name}/token-ttl",
    "/auth/approle/tidy/secret-id",
    "/auth/userpass/users/",
    "/auth/userpass/users/{username}",
    "/auth/userpass/users/{username}/password",
    "/auth/userpass/users/{username}/policies",
    "/database/config/",
    "/database/config/{name}",
    "/database/reload/{plugin_name}",
    "/database/reset/{name}",
    "/database/roles/",
    "/database/roles/{name}",
    "/database/rotate-role/{name}",
    "/database/rotate-root/{name}",
    "/database/static-roles/",
    "/database/static-roles/{name}",
];

/// The engines that hand out credentials, each with something configured.
fn furnished() -> Node {
    let node = Node::dev(Program::Bulkhead);
    for method in ["approle", "userpass"] {
        node.put(&format!("sys/auth/{method}"), &json!({"type": method}));
    }
    node.put("sys/mounts/database", &json!({"type": "database"}));
    node.put("auth/approle/role/web", &json!({"token_policies": "strong", "role_id": "web"}));
    node.put("auth/userpass/users/ann", &json!({"password": "right", "token_policies": "strong"}));
    let url = "postgresql://{{username}}:{{password}}@127.0.0.1:1/postgres";
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "connection_url": url, "allowed_roles": "*",
        "verify_connection": false, "username": "u", "password": "kept-from-all",
    });
    node.put("database/config/db", &config);
    node.put("database/roles/app", &json!({"db_name": "db", "creation_statements": "CREATE ROLE \"{{name}}\""}));
    node
}

/// A token with this policy alone.
fn holder(node: &Node, policy: &str) -> String {
    node.put("sys/policies/acl/narrow", &json!({"policy": policy}));
    let made = node.put("auth/token/create", &json!({"policies": ["narrow"], "no_default_policy": true}));
    made.at("auth.client_token").as_str().unwrap().to_owned()
}

// R-08: who may see to the configuration of an engine, by whatever pattern, gets no credential out of it.
#[test]
fn r08_no_rule_about_configuration_reaches_what_hands_out_credentials() {
    let node = furnished();
    let all = r#"capabilities = ["create", "read", "update", "patch", "delete", "list", "scan"]"#;
    let paths = ["database/config/*", "database/roles/*", "database/static-roles/*", "auth/userpass/users/*"];
    let rules: String = paths.iter().map(|path| format!("path \"{path}\" {{ {all} }}\n")).collect();
    let seen = "path \"auth/approle/role/*\" { capabilities = [\"read\", \"list\"] }";
    let token = holder(&node, &format!("{rules}{seen}"));
    let ask = |method: &str, path: &str| {
        let request = Request::new(method, &format!("/v1/{path}")).token(&token);
        request.json(&json!({"ttl": "1h", "secret_id": "chosen"})).send(node.port).unwrap()
    };
    for path in ["database/config/db", "database/roles/app", "auth/userpass/users/ann", "auth/approle/role/web"] {
        let seen = ask("GET", path);
        assert_eq!(seen.status, 200, "{path}: {}", seen.text());
        assert!(!seen.text().contains("kept-from-all"), "{}", seen.text());
    }
    let accessors = node.call("LIST", "auth/token/accessors", None).at("data.keys");
    let minting = ["database/creds/app", "database/static-creds/app", "auth/approle/role/web/secret-id"];
    let minting = minting.iter().chain(&["auth/approle/role/web/custom-secret-id", "auth/token/create"]);
    for path in minting {
        let (front, name) = path.rsplit_once('/').unwrap();
        let config = front.split('/').next().unwrap();
        for spelling in [
            (*path).to_owned(),
            format!("{path}/"),
            format!("{front}//{name}"),
            format!("{front}/./{name}"),
            format!("{front}%2f{name}"),
            format!("{front}/%2e/{name}"),
            format!("{config}/config/../{path}"),
            format!("database/roles/..%2f..%2f{path}"),
            format!("{}/{name}", front.to_uppercase()),
        ] {
            for method in ["GET", "PUT", "LIST", "PATCH", "DELETE"] {
                let reply = ask(method, &spelling);
                assert!((300..500).contains(&reply.status), "{method} {spelling}: {} {}", reply.status, reply.text());
            }
        }
    }
    assert_eq!(node.call("LIST", "auth/approle/role/web/secret-id", None).status, 404, "no secret id was made");
    assert_eq!(node.call("LIST", "auth/token/accessors", None).at("data.keys"), accessors, "nor a token");
}

// R-08: a path that is new says on which list it is.
#[test]
fn r08_of_every_path_it_is_known_whether_it_hands_out_credentials() {
    let node = furnished();
    let document = node.get("sys/internal/specs/openapi").json();
    let of_engine =
        |path: &&String| ["/auth/approle/", "/auth/userpass/", "/database/"].iter().any(|e| path.starts_with(e));
    let found: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().filter(of_engine).map(String::as_str).collect();
    let listed: BTreeSet<&str> = MINTS.iter().chain(OTHERS).copied().collect();
    assert_eq!(found, listed);
}

/// All of an answer that a stranger could compare, without what changes from one to the next.
fn told(reply: &Reply) -> (u16, String, Vec<(String, String)>) {
    let changes = |name: &str| name.eq_ignore_ascii_case("date");
    let headers = reply.headers.iter().filter(|(name, _)| !changes(name)).cloned().collect();
    (reply.status, reply.text(), headers)
}

/// Whether a text has an address of a private network in it.
fn has_private_address(text: &str) -> bool {
    let numbers = |word: &str| -> Option<Vec<u8>> { word.split('.').map(|part| part.parse().ok()).collect() };
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(numbers);
    words
        .filter(|numbers| numbers.len() == 4)
        .any(|n| matches!((n[0], n[1]), (10 | 127, _) | (192, 168) | (172, 16..=31) | (169, 254)))
}

// R-18: who has no token is told of no mount, and of no address behind the one that was asked.
#[test]
fn r18_a_stranger_learns_of_no_mount_and_no_address() {
    let node = furnished();
    let mounted =
        ["secret/data/a", "secret/metadata/a/b", "database/creds/app", "auth/approle/role/web", "cubbyhole/x"];
    let absent = ["sicret/data/a", "sicret/metadata/a/b", "datibase/creds/app", "auth/opprole/role/web", "cibbyhole/x"];
    let tokens = [None, Some("s.nobodys"), Some("not a token"), Some("b.AAAA")];
    for (there, not_there) in mounted.iter().zip(absent) {
        for method in ["GET", "LIST", "PUT", "DELETE", "PATCH", "HEAD", "SCAN"] {
            for token in tokens {
                let ask = |path: &str| {
                    let request = Request::new(method, &format!("/v1/{path}"));
                    let request = token.map_or(request.clone(), |token| request.token(token));
                    request.header("Content-Type", "application/merge-patch+json").send(node.port).unwrap()
                };
                assert_eq!(told(&ask(there)), told(&ask(not_there)), "{method} {there} {token:?}");
            }
        }
    }
    // Whatever is asked, however odd.
    let odd =
        ["", "v1", "v1/", "v1/sys", "v1/%zz", "v2/x", "ui/", "v1/auth/approle/login", "v1/sys/seal", "v1/sys/init"];
    let many = (0..1000).map(|n| format!("v1/path-{n}/{}", n % 7));
    for path in odd.iter().map(|&path| path.to_owned()).chain(many) {
        let reply = Request::new("GET", &format!("/{path}")).send(node.port).unwrap();
        let shown = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
        assert!(!has_private_address(&(shown + &reply.text())), "{path}: {}", reply.text());
        if path.starts_with("v1/path-") {
            assert_eq!((reply.status, reply.at("errors")), (403, json!(["permission denied"])), "{path}");
        }
    }
    assert!(has_private_address("at 192.168.1.7:8200") && !has_private_address("1.2.3.4 and 2.7.2"));
}

// R-50: nothing but the two headers brings a token: a link that somebody is made to follow does nothing.
#[test]
fn r50_a_link_with_a_token_in_it_does_nothing() {
    let node = Node::dev(Program::Bulkhead);
    node.put("secret/data/a", &json!({"data": {"k": "v"}}));
    for name in ["token", "X-Vault-Token", "client_token", "access_token", "id"] {
        for target in ["secret/data/a", "sys/mounts", "auth/token/lookup-self"] {
            let link =
                Request::new("GET", &format!("/v1/{target}?{name}=root")).header("Cookie", &format!("{name}=root"));
            assert_eq!(link.send(node.port).unwrap().status, 403, "{target} {name}");
            let form = Request::new("POST", &format!("/v1/{target}")).json(&json!({ name: "root" }));
            assert_eq!(form.send(node.port).unwrap().status, 403, "{target} {name}");
        }
    }
    let wrapped = Request::new("GET", "/v1/secret/data/a").token("root").header("X-Vault-Wrap-TTL", "60s");
    let token = wrapped.send(node.port).unwrap().at("wrap_info.token");
    let token = token.as_str().unwrap();
    for method in ["GET", "HEAD", "LIST", "DELETE"] {
        let link = Request::new(method, &format!("/v1/sys/wrapping/unwrap?token={token}")).send(node.port).unwrap();
        assert!(link.status >= 400 && link.at("data") == Value::Null, "{method}: {} {}", link.status, link.text());
    }
    let opened = Request::new("POST", "/v1/sys/wrapping/unwrap").token(token).send(node.port).unwrap();
    assert_eq!(opened.at("data.data.k"), json!("v"), "it was still there: {}", opened.text());
}

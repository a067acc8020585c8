//! Policies that are tested and explained, as whoever writes them sees it.

use std::fs;
use std::process::{Command, Output};

use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{Program, bulkhead};
use serde_json::{Value, json};

fn cli(node: &Node, args: &[&str]) -> Output {
    let mut command = Command::new(bulkhead());
    command.args(args).env_clear().env("VAULT_ADDR", format!("http://127.0.0.1:{}", node.port));
    command.env("VAULT_TOKEN", &node.token).env("HOME", node.dir()).current_dir(node.dir()).output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const APP: &str = r#"
path "secret/data/app/*" { capabilities = ["read", "create"] }
path "secret/data/app/admin" { capabilities = ["deny"] }
path "sys/audit" { capabilities = ["read"] }
"#;

#[test]
fn a_server_says_which_rule_of_which_policy_decides() {
    let node = Node::dev(Program::Bulkhead);
    node.put("sys/policies/acl/app", &json!({"policy": APP}));
    node.put("sys/policies/acl/more", &json!({"policy": "path \"secret/data/app/*\" { capabilities = [\"list\"] }"}));
    let explain = |body: Value| node.put("sys/policies/explain", &body).at("data");
    let told = explain(json!({"policies": ["app", "more"], "operation": "read", "path": "secret/data/app/db"}));
    assert_eq!((&told["allowed"], &told["rule"]["path"]), (&json!(true), &json!("secret/data/app/*")));
    assert_eq!(told["rule"]["policies"][0], json!({"name": "app", "capabilities": ["create", "read"]}));
    assert_eq!(told["rule"]["policies"][1]["name"], json!("more"));
    for (operation, path, reason) in [
        ("read", "secret/data/app/admin", "the rule denies everything"),
        ("delete", "secret/data/app/db", "the rule does not grant \"delete\""),
        ("read", "secret/data/other", "no rule matches the path"),
        ("read", "sys/audit", "the path demands \"sudo\", which the rule does not grant"),
    ] {
        let told = explain(json!({"policies": "app", "operation": operation, "path": path}));
        assert_eq!((&told["allowed"], &told["reason"]), (&json!(false), &json!(reason)), "{path}");
    }
    let open = explain(json!({"policies": "app", "operation": "read", "path": "sys/health"}));
    assert_eq!((&open["allowed"], &open["unauthenticated"]), (&json!(true), &json!(true)));

    // What is told of a token is what happens to it.
    let token = node.put("auth/token/create", &json!({"policies": ["app"], "no_default_policy": true}));
    let (token, accessor) = (token.at("auth.client_token"), token.at("auth.accessor"));
    for (path, operation, allowed) in [("secret/data/app/x", "create", true), ("secret/data/no", "create", false)] {
        for whose in [json!({"token": token}), json!({"accessor": accessor})] {
            let mut body = whose;
            (body["operation"], body["path"]) = (operation.into(), path.into());
            assert_eq!(explain(body)["allowed"], json!(allowed));
        }
        let reply = bulkhead_tests::http::Request::new("POST", &format!("/v1/{path}"))
            .token(token.as_str().unwrap())
            .json(&json!({"data": {"a": "b"}}))
            .send(node.port)
            .unwrap();
        assert_eq!(reply.status, if allowed { 200 } else { 403 });
    }
    for (body, text) in [
        (json!({"policies": "nope", "operation": "read", "path": "a"}), "there is no policy"),
        (json!({"policies": "app", "operation": "fly", "path": "a"}), "operation must be one of"),
        (json!({"policies": "app", "operation": "read", "path": "a/../b"}), "path is not one of this API"),
        (json!({"policies": "app", "token": token, "operation": "read", "path": "a"}), "give one of"),
    ] {
        let refused = node.call("PUT", "sys/policies/explain", Some(&body));
        assert!(refused.status == 400 && refused.text().contains(text), "{}", refused.text());
    }
}

#[test]
fn the_client_explains_in_words_and_by_its_exit_code() {
    let node = Node::dev(Program::Bulkhead);
    node.put("sys/policies/acl/app", &json!({"policy": APP}));
    let allowed = cli(&node, &["policy", "explain", "app", "read", "secret/data/app/db"]);
    assert_eq!(allowed.status.code(), Some(0), "{}", printed(&allowed));
    let text = printed(&allowed);
    assert!(
        text.starts_with("allowed: the rule grants \"read\"\npath \"secret/data/app/*\" [create, read]\n"),
        "{text}"
    );
    assert!(text.contains("in policy \"app\""), "{text}");
    let denied = cli(&node, &["policy", "explain", "-format=json", "app", "list", "secret/data/app"]);
    assert_eq!(denied.status.code(), Some(2));
    let told: Value = serde_json::from_str(&printed(&denied)).unwrap();
    assert_eq!(told["allowed"], json!(false));
    let templated = cli(&node, &["policy", "explain", "default,app", "read", "secret/data/app/db"]);
    let text = printed(&templated);
    assert!(templated.status.success() && text.contains("depend on who asks, in default"), "{text}");
    // 2 is the answer "denied" alone.
    for wrong in [&["nope", "read", "a"][..], &["app", "fly", "a"], &["app", "read"][..1], &["app", "read", "a/../b"]] {
        let failed = cli(&node, &[&["policy", "explain"], wrong].concat());
        assert_eq!(failed.status.code(), Some(1), "{wrong:?}: {}", printed(&failed));
    }
    let unreached = cli(&node, &["policy", "explain", "-address=http://127.0.0.1:1", "read", "a"]);
    assert_eq!(unreached.status.code(), Some(1), "{}", printed(&unreached));
    let own = cli(&node, &["policy", "explain", "delete", "anything/at/all"]);
    assert!(own.status.success() && printed(&own).contains("full power"), "{}", printed(&own));
}

#[test]
fn policies_are_held_against_the_cases_beside_them_without_a_server() {
    let node = Node::prepare(bulkhead_tests::node::Start::dev(Program::Bulkhead));
    let folder = node.path("policies");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("app.hcl"), APP).unwrap();
    fs::write(folder.join("base.hcl"), "path \"secret/data/app/*\" { capabilities = [\"update\"] }").unwrap();
    let case = |name: &str, rest: &str| format!("case \"{name}\" {{\n  policies = [\"app\", \"base\"]\n{rest}\n}}\n");
    let right = [
        case("reads", "operation = \"read\"\npath = \"secret/data/app/db\"\nallowed = true"),
        case("no admin", "operation = \"read\"\npath = \"secret/data/app/admin\"\nallowed = false"),
        case("no audit", "operation = \"read\"\npath = \"sys/audit\"\nsudo = true\nallowed = false"),
    ]
    .concat();
    fs::write(folder.join("app_test.hcl"), &right).unwrap();
    let test = || cli(&node, &["policy", "test", "policies"]);
    let passed = test();
    assert!(passed.status.success(), "{}", printed(&passed));
    assert!(printed(&passed).ends_with("3 passed, 0 failed\n"), "{}", printed(&passed));
    let wrong = case("deletes", "operation = \"delete\"\npath = \"secret/data/app/db\"\nallowed = true");
    fs::write(folder.join("app_test.hcl"), format!("{right}{wrong}")).unwrap();
    let failed = cli(&node, &["policy", "test", "-format=json", "policies"]);
    assert_eq!(failed.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((&told["passed"], &told["failed"]), (&json!(3), &json!(1)));
    assert_eq!((&told["cases"][0]["case"], &told["cases"][0]["passed"]), (&json!("reads"), &json!(true)));
    let last = &told["cases"][3];
    assert_eq!((&last["expected"], &last["allowed"], &last["passed"]), (&json!(true), &json!(false), &json!(false)));
    let failed = test();
    assert_eq!(failed.status.code(), Some(1));
    let text = printed(&failed);
    for part in [
        "FAILED  deletes",
        "app_test.hcl:",
        "expected allowed, was denied: the rule does not grant \"delete\"",
        "path \"secret/data/app/*\" [create, read, update] in app, base",
        "3 passed, 1 failed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for (broken, text) in [
        (
            "case \"a\" { policies = [\"nope\"] operation = \"read\" path = \"a\" allowed = true }",
            "there is no nope.hcl",
        ),
        ("case \"a\" { policies = [\"app\"] operation = \"read\" path = \"a\" }", "a case needs"),
        (
            "case \"a\" { policies = [\"app\"] operation = \"deny\" path = \"a\" allowed = true }",
            "expected an operation",
        ),
        ("case \"a\" { polices = [\"app\"] }", "unknown key \"polices\""),
        ("cases {}", "expected case"),
        ("", "there are no cases"),
    ] {
        fs::write(folder.join("app_test.hcl"), broken).unwrap();
        let refused = test();
        assert!(
            refused.status.code() == Some(1) && printed(&refused).contains(text),
            "{broken}: {}",
            printed(&refused)
        );
    }
}

const TEAM: &str = r#"
path "secret/data/plain" { capabilities = ["read"] }
path "secret/data/{{identity.entity.name}}/*" { capabilities = ["read"] }
path "secret/data/{{identity.entity.metadata.team}}/*" { capabilities = ["update"] }
path "auth/{{identity.entity.aliases.auth_userpass_1.name}}" { capabilities = ["list"] }
path "secret/data/of-{{identity.groups.names.ops.name}}" { capabilities = ["delete"] }
"#;

#[test]
fn cases_say_who_asks_where_a_path_depends_on_it_and_need_not_elsewhere() {
    let node = Node::prepare(bulkhead_tests::node::Start::dev(Program::Bulkhead));
    let folder = node.path("policies");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("team.hcl"), TEAM).unwrap();
    let case = |rest: &str| format!("case \"one\" {{\n  policies = [\"team\"]\n{rest}\n}}\n");
    let entity =
        "entity = { name = \"ann\", metadata = { team = \"web\" }, aliases = { auth_userpass_1 = { name = \"a\" } } }";
    let ann = |operation: &str, path: &str, allowed: bool| {
        case(&format!(
            "operation = \"{operation}\"\npath = \"{path}\"\nallowed = {allowed}\n{entity}\ngroups = [\"ops\"]"
        ))
    };
    let without = |path: &str, allowed: bool, more: &str| {
        case(&format!("operation = \"read\"\npath = \"{path}\"\nallowed = {allowed}\n{more}"))
    };
    let right = [
        ann("read", "secret/data/ann/db", true),
        ann("read", "secret/data/bob/db", false),
        ann("update", "secret/data/web/db", true),
        ann("list", "auth/a", true),
        ann("delete", "secret/data/of-ops", true),
        ann("read", "secret/data/plain", true),
        without("secret/data/plain", true, ""),
        without("secret/other", false, ""),
        without("secret/data/ann/db", false, "entity = false"),
        without("secret/data/ann/db", false, "entity = { name = \"bob\" }"),
        // A name that would widen the path: nothing of the policy is left.
        without("secret/data/plain", false, "entity = { name = \"*\" }"),
        without("secret/data/plain", true, "groups = [{ name = \"ops\", id = \"7\", metadata = { a = \"b\" } }]"),
    ]
    .concat();
    let test = |cases: &str| {
        fs::write(folder.join("team_test.hcl"), cases).unwrap();
        cli(&node, &["policy", "test", "policies"])
    };
    let passed = test(&right);
    assert!(passed.status.success(), "{}", printed(&passed));
    assert!(printed(&passed).ends_with("12 passed, 0 failed\n"), "{}", printed(&passed));
    for (broken, text) in [
        (without("secret/data/ann/db", true, ""), "of team depends on who asks"),
        (without("a", true, "entity = true"), "expected entity"),
        (without("a", true, "entity = { nam = \"ann\" }"), "unknown key \"nam\" in an entity"),
        (without("a", true, "entity = false\ngroups = [\"ops\"]"), "groups are those of an entity"),
        (without("a", true, "groups = \"ops\""), "expected groups"),
    ] {
        let refused = test(&broken);
        let said = printed(&refused);
        assert!(refused.status.code() == Some(1) && said.contains(text), "{broken}: {said}");
    }
}

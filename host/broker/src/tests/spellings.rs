//! A name that is one name in any case is one name to policies, quotas and plugins too.

use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Kit, ROOT};

/// A token with a policy of these rules: pattern and capability.
async fn holder(kit: &Kit, rules: &[(&str, &str)]) -> String {
    let rule = |(path, word): &(&str, &str)| format!(r#"path "{path}" {{ capabilities = ["{word}"] }}"#);
    let body = json!({ "policy": rules.iter().map(rule).collect::<String>() });
    assert_eq!(kit.ask(Verb::Write, "sys/policies/acl/p", ROOT, body).await.failed, None);
    let body = json!({ "policies": ["p"], "no_default_policy": true });
    kit.ask(Verb::Write, "auth/token/create", ROOT, body).await.token()
}

/// Whether these paths are refused to the token, each in turn.
async fn are_denied(kit: &Kit, verb: Verb, paths: &[&str], token: &str) -> Vec<bool> {
    let mut denied = Vec::new();
    for path in paths {
        denied.push(kit.ask(verb, path, token, Value::Null).await.kind() == Some(FailureKind::Denied));
    }
    denied
}

// R-02: a name that a plugin folds is one name to the policies too, so no spelling evades a ban.
#[tokio::test]
async fn a_ban_holds_for_every_spelling_of_a_name_whichever_of_them_it_has() {
    let kit = Kit::new().await;
    kit.mount("m").await;
    let paths = ["m/creds/ann", "m/creds/Ann", "m/creds/ANN", "m/creds/bob", "m/CREDS/ann"];
    for ban in ["m/creds/ann", "m/creds/aNN", "m/creds/AN*", "+/creds/ANN"] {
        let token = holder(&kit, &[("m/*", "read"), ("+/+/+", "read"), (ban, "deny")]).await;
        let banned = !ban.starts_with('+');
        assert_eq!(are_denied(&kit, Verb::Read, &paths, &token).await, [banned, banned, banned, false, false], "{ban}");
    }
    let token = holder(&kit, &[("+/+/+", "read"), ("+/creds/ANN", "deny")]).await;
    assert_eq!(are_denied(&kit, Verb::Read, &paths, &token).await, [true, true, true, false, false]);
}

#[tokio::test]
async fn a_grant_holds_for_every_spelling_too_and_case_counts_where_nobody_says_otherwise() {
    let kit = Kit::new().await;
    kit.mount("m").await;
    let token = holder(&kit, &[("m/creds/Ann", "read"), ("m/job/Ann", "read")]).await;
    let paths = ["m/creds/ann", "m/creds/ANN", "m/creds/bob", "m/job/Ann", "m/job/ann"];
    assert_eq!(are_denied(&kit, Verb::Read, &paths, &token).await, [false, false, true, false, true]);
}

#[tokio::test]
async fn a_plugin_sees_the_name_that_was_decided_about() {
    let kit = Kit::new().await;
    kit.mount("m").await;
    let lease = kit.ask(Verb::Read, "m/creds/ANN", ROOT, Value::Null).await.envelope.lease.expect("a lease").id;
    assert!(lease.starts_with("m/creds/ann/"), "{lease}");
}

#[tokio::test]
async fn capabilities_are_told_as_they_are_decided() {
    let kit = Kit::new().await;
    kit.mount("m").await;
    let token = holder(&kit, &[("sys/*", "update"), ("m/*", "read"), ("m/creds/Ann", "deny")]).await;
    let body = json!({ "paths": ["m/creds/ANN", "m/creds/bob", "m/job/ANN"] });
    let told = kit.ask(Verb::Write, "sys/capabilities-self", &token, body).await.data();
    assert_eq!(told["m/creds/ANN"], json!(["deny"]));
    assert_eq!(told["m/creds/bob"], json!(["read"]));
    assert_eq!(told["m/job/ANN"], json!(["read"]));
}

#[tokio::test]
async fn a_limit_counts_every_spelling_of_its_path() {
    let kit = Kit::new().await;
    kit.mount("m").await;
    let body = json!({ "path": "m/creds/Ann", "rate": 2, "interval": "1h" });
    assert_eq!(kit.ask(Verb::Write, "sys/quotas/rate-limit/q", ROOT, body).await.failed, None);
    let mut kinds = Vec::new();
    for path in ["m/creds/ann", "m/creds/ANN", "m/creds/Ann", "m/creds/bob"] {
        kinds.push(kit.ask(Verb::Read, path, ROOT, Value::Null).await.kind());
    }
    assert_eq!(kinds, [None, None, Some(FailureKind::Limited), None]);
}

// R-02: nor does one of a name that the host folds.
#[tokio::test]
async fn names_of_the_hosts_own_have_one_form_too() {
    let kit = Kit::new().await;
    let bans = [
        ("sys/policies/acl/kept", ["sys/policies/acl/KEPT", "sys/policies/acl/ kept"]),
        ("sys/policies/acl/Kept", ["sys/policies/acl/kept", "sys/policies/acl/kepT "]),
        ("sys/policy/kept", ["sys/policy/Kept", "sys/policy/ KEPT"]),
        ("identity/entity/name/Ann", ["identity/entity/name/ann", "identity/entity/name/ANN"]),
        ("identity/group/name/ops", ["identity/group/name/Ops", "identity/group/name/oPS"]),
        ("sys/config/ui/headers/x-a", ["sys/config/ui/headers/X-A", "sys/config/ui/headers/X-a"]),
        (
            "sys/config/auditing/request-headers/x-a",
            ["sys/config/auditing/request-headers/X-A", "sys/config/auditing/request-headers/x-A"],
        ),
    ];
    for (ban, spellings) in bans {
        let token = holder(&kit, &[("sys/*", r#"delete", "sudo"#), ("identity/*", "delete"), (ban, "deny")]).await;
        let other = format!("{ban}-b");
        let paths = [spellings[0], spellings[1], &other];
        assert_eq!(are_denied(&kit, Verb::Delete, &paths, &token).await, [true, true, false], "{ban}");
    }
    // What is shown is what was written.
    let body = json!({ "metadata": { "a": "b" } });
    kit.ask(Verb::Write, "identity/entity/name/Ann", ROOT, body).await;
    let told = kit.ask(Verb::Read, "identity/entity/name/ANN", ROOT, Value::Null).await.data();
    assert_eq!(told["name"], "Ann");
}

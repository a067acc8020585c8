//! `roles/:name`.

use super::*;

fn role() -> Value {
    json!({
        "creation_statements": [], "credential_type": "password", "db_name": "x", "default_ttl": 0, "max_ttl": 0,
        "renew_statements": [], "revocation_statements": [], "rollback_statements": [],
    })
}

#[test]
fn a_role_is_written_read_listed_and_removed() {
    let mut bench = bare();
    assert_eq!(refusal(&bench.write("roles/a", json!({}))), (400, "database name is required"));
    assert_eq!(bench.write("roles/a", json!({ "db_name": "x" })).status(), 204);
    assert_eq!(bench.read("roles/a").data(), role());
    assert_eq!(bench.list("roles/").data(), json!({ "keys": ["a"] }));
    assert_eq!(bench.delete("roles/a").status(), 204);
    assert_eq!(bench.read("roles/a").status(), 404);
    assert_eq!(bench.list("roles/").status(), 404);
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let mut bench = bare();
    let statements = json!({
        "db_name": "x", "creation_statements": ["a;b, c", "d"], "revocation_statements": ["", "r"],
        "rollback_statements": "o", "renew_statements": "n", "default_ttl": "2h", "max_ttl": 3600,
    });
    bench.write("roles/a", statements).ok();
    bench.write("roles/a", json!({ "max_ttl": "5m" })).ok();
    let mut all = role();
    all["creation_statements"] = json!(["a;b, c", "d"]);
    all["revocation_statements"] = json!(["r"]);
    all["rollback_statements"] = json!(["o"]);
    all["renew_statements"] = json!(["n"]);
    all["default_ttl"] = json!(7200);
    all["max_ttl"] = json!(300);
    assert_eq!(bench.read("roles/a").data(), all);
    assert_eq!(refusal(&bench.write("roles/a", json!({ "db_name": "" }))), (400, "database name is required"));
}

#[test]
fn kinds_of_credentials_are_configured() {
    let mut bench = bare();
    let mut put = |body: Value| {
        let answer = bench.write("roles/a", body);
        (answer.status(), answer.error().to_owned(), bench.read("roles/a"))
    };
    let config = |answer: &Answer| answer.data().get("credential_config").cloned();
    put(json!({ "db_name": "x" }));
    let (status, text, _) = put(json!({ "credential_type": "zork" }));
    assert_eq!((status, text.as_str()), (400, "invalid credential_type \"zork\""));
    let (status, text, _) = put(json!({ "credential_type": "" }));
    assert_eq!((status, text.as_str()), (400, "invalid credential_type \"\""));
    let (_, _, role) = put(json!({ "credential_type": "rsa_private_key" }));
    assert_eq!(config(&role), Some(json!({ "format": "pkcs8", "key_bits": 2048 })));
    let (_, text, _) = put(json!({ "credential_config": { "key_bits": 1024 } }));
    assert_eq!(text, "credential_config validation failed: invalid key_bits: 1024");
    let (_, text, _) = put(json!({ "credential_config": { "format": "pkcs1" } }));
    assert_eq!(text, "credential_config validation failed: invalid format: pkcs1");
    let (_, _, role) = put(json!({ "credential_config": { "key_bits": 3072, "zork": 1 } }));
    assert_eq!(config(&role), Some(json!({ "format": "pkcs8", "key_bits": 3072 })));
    let (_, _, role) = put(json!({ "credential_type": "password" }));
    assert_eq!(config(&role), None);
    let (_, _, role) = put(json!({ "credential_config": { "password_policy": "p" } }));
    assert_eq!(config(&role), Some(json!({ "password_policy": "p" })));
    let (_, _, role) = put(json!({ "credential_type": "password", "credential_config": {} }));
    assert_eq!(config(&role), Some(json!({ "password_policy": "p" })));
}

#[test]
fn roles_and_static_roles_have_different_names() {
    let mut bench = with_static_role();
    let text = "Role and Static Role names must be unique";
    assert_eq!(refusal(&bench.write("roles/batch", json!({ "db_name": "pg" }))), (400, text));
    let body = json!({ "db_name": "pg", "username": "worker", "rotation_period": "1h" });
    assert_eq!(refusal(&bench.write("static-roles/app", body)), (400, text));
}

//! `creds/:name`: users on demand, renewed and revoked.

use super::*;

/// The mount's time, in milliseconds.
const NOW_MS: u64 = 1_767_225_600_000;
const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_user_is_made_with_a_lease() {
    let mut bench = bench();
    let answer = bench.read("creds/app");
    let data = answer.data();
    let name = data["username"].as_str().unwrap();
    assert!(name.starts_with("v-token-app-"), "{name}");
    assert_eq!(data["password"], password(&mut bench, name));
    assert_eq!(data.as_object().unwrap().len(), 2);
    assert_eq!((answer.lease().ttl, answer.lease().max_ttl), (Some(3600), Some(7200)));
    assert!(answer.lease().renewable);
    assert_eq!(bench.databases().take_calls(), [format!("create {name}")]);
    assert_eq!(bench.databases().server(SERVER).accounts[name].expires_at, Some(NOW_MS + HOUR_MS + 5_000));
    assert_eq!(bench.intents(), []);
}

#[test]
fn a_user_costs_one_read_of_the_role_and_one_of_the_connection() {
    let mut bench = bench();
    for other in 0..50 {
        bench.write(&format!("config/other{other}"), details()).ok();
        bench.write(&format!("roles/other{other}"), json!({ "db_name": "pg" })).ok();
    }
    bench.read("creds/app").ok();
    assert_eq!(bench.gets(), 2);
}

#[test]
fn each_answer_is_another_user() {
    let mut bench = bench();
    let (first, second) = (bench.read("creds/app").data(), bench.read("creds/app").data());
    assert_ne!(first["username"], second["username"]);
    assert_ne!(first["password"], second["password"]);
    assert_eq!(users(&mut bench).len(), 2);
}

#[test]
fn no_lease_has_a_password_in_it() {
    let mut bench = bench();
    let answer = bench.read("creds/app");
    let internal: Value = serde_json::from_slice(&answer.lease().internal).unwrap();
    let name = answer.data()["username"].clone();
    assert_eq!(internal, json!({ "username": name, "role": "app", "lane": "pg", "revocation_statements": [] }));
}

#[test]
fn who_may_not_be_made_is_told_why() {
    let mut bench = bench();
    assert_eq!(refusal(&bench.read("creds/none")), (400, "unknown role: none"));
    bench.write("roles/lost", json!({ "db_name": "none" })).ok();
    let text = "failed to find entry for connection with name: \"none\"";
    assert_eq!(refusal(&bench.read("creds/lost")), (400, text));
    bench.write("roles/empty", json!({ "db_name": "pg" })).ok();
    assert_eq!(refusal(&bench.read("creds/empty")), (400, "empty creation statements"));
    bench.write("roles/keys", json!({ "db_name": "pg", "credential_type": "rsa_private_key" })).ok();
    assert_eq!(refusal(&bench.read("creds/keys")), (400, "unsupported credential_type: \"rsa_private_key\""));
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn a_connection_is_for_the_roles_that_it_names() {
    let mut bench = bench();
    let mut allowed = |patterns: &str| {
        bench.write("config/pg", json!({ "allowed_roles": patterns })).ok();
        let answer = bench.read("creds/app");
        assert!(answer.status() == 200 || answer.error() == "\"app\" is not an allowed role", "{answer:?}");
        answer.status() == 200
    };
    for patterns in ["*", "app", "a*", "*p", "*p*", "other,app", "**", "a*p", "a*p*p"] {
        assert!(allowed(patterns), "{patterns}");
    }
    for patterns in ["", "ap", "pp", "b*", "*a", "a*a", "a*p*p*p", "APP", "*x*", "other"] {
        assert!(!allowed(patterns), "{patterns}");
    }
}

#[test]
fn passwords_are_by_the_policy_of_the_role_or_else_of_the_connection() {
    let mut bench = bench();
    bench.add_password_policy("long", 40);
    bench.add_password_policy("longer", 50);
    let length = |bench: &mut Bench<Database>| bench.read("creds/app").data()["password"].as_str().unwrap().len();
    assert_eq!(length(&mut bench), 20);
    bench.write("config/pg", json!({ "password_policy": "long" })).ok();
    assert_eq!(length(&mut bench), 40);
    bench.write("roles/app", json!({ "credential_config": { "password_policy": "longer" } })).ok();
    assert_eq!(length(&mut bench), 50);
    bench.write("roles/app", json!({ "credential_config": { "password_policy": "none" } })).ok();
    assert!(bench.read("creds/app").error().starts_with("failed to generate password: "));
}

// a user of a database lives no longer than role and mount both allow.
#[test]
fn a_user_ends_with_its_lease_within_the_bounds_of_role_and_mount() {
    for (default_ttl, max_ttl, secs) in [(0, 0, 2_764_800), (0, 60, 60), (120, 60, 60), (99_999_999, 0, 2_764_800)] {
        let mut bench = bench();
        bench.write("roles/app", json!({ "default_ttl": default_ttl, "max_ttl": max_ttl })).ok();
        let answer = bench.read("creds/app");
        let name = answer.data()["username"].as_str().unwrap().to_owned();
        let ends_ms = bench.databases().server(SERVER).accounts[&name].expires_at;
        assert_eq!(ends_ms, Some(NOW_MS + secs * 1000 + 5_000), "{default_ttl} {max_ttl}");
    }
}

#[test]
fn a_renewal_prolongs_the_user_too() {
    let mut bench = bench();
    bench.write("roles/app", json!({ "renew_statements": "ALTER" })).ok();
    let answer = bench.read("creds/app");
    let name = answer.data()["username"].as_str().unwrap().to_owned();
    bench.databases().take_statements();
    let ends_ms = |bench: &mut Bench<Database>| bench.databases().server(SERVER).accounts[&name].expires_at.unwrap();
    for (asked, ttl, secs) in
        [(None, 3600, 3600), (Some(60), 60, 60), (Some(0), 3600, 3600), (Some(99_999), 99_999, 7200)]
    {
        let renewal = bench.renew(answer.lease(), asked).unwrap();
        assert_eq!((renewal.ttl, renewal.max_ttl), (Some(ttl), Some(7200)));
        assert_eq!(ends_ms(&mut bench), NOW_MS + secs * 1000 + 5_000, "{asked:?}");
    }
    assert_eq!(bench.databases().take_statements(), ["ALTER"; 4]);
    assert_eq!(bench.read("creds/app").status(), 200, "renewing changed no password of the root");
}

#[test]
fn a_renewal_needs_role_and_connection() {
    let mut bench = bench();
    let answer = bench.read("creds/app");
    let mut refused = |path: &str| {
        bench.delete(path).ok();
        match bench.renew(answer.lease(), None) {
            Err(Error::InvalidRequest(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("config/pg"), "failed to find entry for connection with name: \"pg\"");
    assert_eq!(refused("roles/app"), "error during renew: could not find role with name \"app\"");
}

#[test]
fn a_revoked_user_is_gone_however_often_it_is_revoked() {
    let mut bench = bench();
    let answer = bench.read("creds/app");
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
    bench.revoke(answer.lease()).unwrap();
}

#[test]
fn a_user_is_revoked_without_its_role_by_the_statements_it_was_made_with() {
    let mut bench = bench();
    bench.write("roles/app", json!({ "revocation_statements": "DROP old" })).ok();
    let answer = bench.read("creds/app");
    bench.databases().take_statements();
    bench.write("roles/app", json!({ "revocation_statements": "keep new" })).ok();
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(users(&mut bench).len(), 1, "the role as it is now says how");
    bench.delete("roles/app").ok();
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
    assert_eq!(bench.databases().take_statements(), ["keep new", "DROP old"]);
}

#[test]
fn a_user_is_revoked_where_it_was_made_wherever_the_role_points_now() {
    let mut bench = bench();
    bench.databases().add_account("other:1", "root", "rootpw");
    let mut other = details();
    other["connection_url"] = json!("other:1");
    bench.write("config/other", other).ok();
    let answer = bench.read("creds/app");
    bench.write("roles/app", json!({ "db_name": "other", "revocation_statements": "fail" })).ok();
    bench.renew(answer.lease(), None).unwrap();
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn no_lease_ends_while_its_user_cannot_be_removed() {
    let mut bench = bench();
    let answer = bench.read("creds/app");
    bench.delete("config/pg").ok();
    bench.revoke(answer.lease()).unwrap_err();
    bench.write("config/pg", details()).ok();
    bench.databases().server(SERVER).is_down = true;
    bench.revoke(answer.lease()).unwrap_err();
    assert_eq!(users(&mut bench).len(), 1);
    bench.databases().server(SERVER).is_down = false;
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn a_dead_database_costs_only_its_own_requests() {
    let mut bench = bench();
    bench.databases().add_account("other:1", "root", "rootpw");
    let mut other = details();
    other["connection_url"] = json!("other:1");
    bench.write("config/other", other).ok();
    bench.write("roles/other", json!({ "db_name": "other", "creation_statements": "CREATE" })).ok();
    bench.databases().server(SERVER).is_down = true;
    assert_eq!(refusal(&bench.read("creds/app")), (502, "connection refused"));
    bench.hold_lock("connection/pg");
    assert_eq!(bench.read("creds/other").status(), 200);
}

/// A mount whose driver takes keys too.
fn with_keys() -> Bench<Database> {
    let mut bench = bench();
    bench.databases().add_driver(DRIVER, &["password", "rsa-private-key"]);
    let config = json!({ "credential_type": "rsa_private_key", "credential_config": { "key_bits": 3072 } });
    bench.write("roles/app", config).ok();
    bench
}

#[test]
fn the_config_of_keys_is_sent_whole_or_not_at_all() {
    let mut bench = with_keys();
    let mut bits = |config: Value| {
        bench.write("roles/app", json!({ "credential_config": { "key_bits": 3072 } })).ok();
        bench.write("roles/app", json!({ "credential_config": config })).ok();
        bench.read("roles/app").data()["credential_config"]["key_bits"].clone()
    };
    assert_eq!((bits(json!({})), bits(json!({ "format": "pkcs8" }))), (json!(2048), json!(2048)));
    assert_eq!((bits(json!({ "key_bits": 4096 })), bits(Value::Null)), (json!(4096), json!(2048)));
    bench.write("roles/app", json!({ "credential_config": { "key_bits": 3072 } })).ok();
    bench.write("roles/app", json!({ "max_ttl": "1h" })).ok();
    assert_eq!(bench.read("roles/app").data()["credential_config"]["key_bits"], 3072);
}

#[test]
fn the_database_gets_the_public_key_and_the_caller_the_private_one() {
    let mut bench = with_keys();
    let answer = bench.read("creds/app");
    let data = answer.data();
    let private = data["rsa_private_key"].as_str().unwrap();
    assert!(private.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{private}");
    assert_eq!(data.get("password"), None);
    let name = data["username"].as_str().unwrap();
    let public = bench.databases().server(SERVER).accounts[name].credential.clone();
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n") && public.ends_with("\n-----END PUBLIC KEY-----\n"));
    let lease = String::from_utf8(answer.lease().internal.clone()).unwrap();
    assert!(!lease.contains("KEY"), "{lease}");
    let pair = bulkhead_sdk::key_pair::KeyPair::from_pem(private).unwrap();
    assert_eq!(pair.public_key_pem().unwrap(), public);
    assert_eq!(pair.algorithm(), "rsa-3072");
}

#[test]
fn a_static_role_may_have_a_key_as_well() {
    let mut bench = with_keys();
    bench.databases().add_account(SERVER, "worker", "from before");
    let body = json!({
        "db_name": "pg", "username": "worker", "rotation_period": "1h", "credential_type": "rsa_private_key",
    });
    bench.write("static-roles/batch", body).ok();
    let first = bench.read("static-creds/batch").data();
    assert!(first["rsa_private_key"].as_str().unwrap().contains("PRIVATE KEY"));
    bench.advance(3600).unwrap();
    assert_ne!(bench.read("static-creds/batch").data()["rsa_private_key"], first["rsa_private_key"]);
    assert!(password(&mut bench, "worker").contains("PUBLIC KEY"));
}

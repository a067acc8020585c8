//! Roles as a whole.

use super::*;

#[test]
fn a_role_is_written_read_listed_and_removed() {
    let mut bench = Bench::<Approle>::new();
    assert_eq!(bench.write("role/Web", json!({})).status(), 204);
    let shown = json!({
        "bind_secret_id": true, "local_secret_ids": false, "secret_id_bound_cidrs": null, "secret_id_num_uses": 0,
        "secret_id_ttl": 0, "token_bound_cidrs": [], "token_explicit_max_ttl": 0, "token_max_ttl": 0,
        "token_no_default_policy": false, "token_num_uses": 0, "token_period": 0, "token_policies": [],
        "token_strictly_bind_ip": false, "token_ttl": 0, "token_type": "default",
    });
    assert_eq!(bench.read("role/WEB").data(), shown);
    assert_eq!(bench.list("role/").data(), json!({ "keys": ["web"] }));
    assert_eq!(bench.read("role/web/role-id").data()["role_id"].as_str().unwrap().len(), 36);
    assert_eq!(bench.delete("role/wEb").status(), 204);
    assert_eq!(bench.delete("role/web").status(), 204);
    assert_eq!((bench.read("role/web").status(), bench.list("role/").status()), (404, 404));
    assert_eq!(bench.keys(), Vec::<String>::new());
}

#[test]
fn names_are_one_role_in_any_case_on_every_path() {
    let mut bench = bench();
    bench.write("role/WEB", json!({ "token_ttl": 60 })).ok();
    bench.write("role/Web/policies", json!({ "token_policies": "q" })).ok();
    bench.delete("role/WeB/token-ttl").ok();
    bench.write("role/wEB/role-id", json!({ "role_id": "other" })).ok();
    let made = bench.write("role/WEb/secret-id", json!({})).data();
    assert_eq!(bench.list("role/").data(), json!({ "keys": ["web"] }));
    let answer = bench.write("login", json!({ "role_id": "other", "secret_id": made["secret_id"] }));
    assert_eq!(answer.auth().metadata, [("role_name".to_owned(), "web".to_owned())]);
    let found = bench.write("role/WEB/secret-id/lookup", json!({ "secret_id": made["secret_id"] }));
    assert_eq!(found.data()["secret_id_accessor"], made["secret_id_accessor"]);
}

#[test]
fn what_is_no_name_is_no_path() {
    let mut bench = bench();
    for name in ["-a", "a b", "..", "a@b"] {
        assert_eq!(bench.write(&format!("role/{name}"), json!({})).status(), 404, "{name}");
        assert_eq!(bench.write(&format!("role/{name}/secret-id"), json!({})).status(), 404, "{name}");
    }
    let text = invalid("role_name is longer than maximum of 1024 bytes");
    assert_eq!(refusal(&mut bench, &format!("role/{}", "n".repeat(1025)), json!({})), text);
}

#[test]
fn a_role_id_is_of_one_role_only() {
    let mut bench = bench();
    let taken = invalid("role_id already in use");
    assert_eq!(refusal(&mut bench, "role/other", json!({ "role_id": "rid" })), taken);
    assert_eq!(bench.read("role/other").status(), 404);
    bench.write("role/other", json!({ "role_id": "second" })).ok();
    assert_eq!(refusal(&mut bench, "role/other/role-id", json!({ "role_id": "rid" })), taken);
    bench.write("role/web/role-id", json!({ "role_id": "third" })).ok();
    assert_eq!(bench.write("role/other/role-id", json!({ "role_id": "rid" })).status(), 204, "it is free again");
    let empty = invalid("invalid role_id supplied, or failed to generate a role_id");
    assert_eq!(refusal(&mut bench, "role/web", json!({ "role_id": "" })), empty);
    assert_eq!(refusal(&mut bench, "role/web/role-id", json!({})), invalid("missing role_id"));
}

#[test]
fn a_former_role_id_leads_nowhere() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({}));
    bench.write("role/web/role-id", json!({ "role_id": "new" })).ok();
    assert_eq!(told(&log_in(&mut bench, "s")), invalid("invalid role or secret ID"));
    assert_eq!(bench.write("login", json!({ "role_id": "new", "secret_id": "s" })).status(), 200);
}

#[test]
fn a_role_asks_for_something_beside_its_id() {
    let mut bench = bench();
    let text = invalid("at least one constraint should be enabled on the role");
    assert_eq!(refusal(&mut bench, "role/web", json!({ "bind_secret_id": false })), text);
    assert_eq!(refusal(&mut bench, "role/new", json!({ "bind_secret_id": false })), text);
    bench.write("role/web", json!({ "bind_secret_id": false, "secret_id_bound_cidrs": "10.0.0.0/8" })).ok();
    assert_eq!(told(&bench.delete("role/web/secret-id-bound-cidrs")), text);
    assert_eq!(refusal(&mut bench, "role/web", json!({ "secret_id_bound_cidrs": "" })), text);
}

#[test]
fn where_secret_ids_are_kept_is_said_at_the_creation_only() {
    let mut bench = bench();
    let text = invalid("local_secret_ids can only be modified during role creation");
    assert_eq!(refusal(&mut bench, "role/web", json!({ "local_secret_ids": false })), text);
    bench.write("role/near", json!({ "role_id": "n", "local_secret_ids": true })).ok();
    assert_eq!(bench.read("role/near/local-secret-ids").data(), json!({ "local_secret_ids": true }));
    bench.write("role/near/secret-id", json!({ "ttl": 60 })).ok();
    let local = bench.descriptor().local.clone();
    assert_eq!(traces(&bench).len(), 3);
    for key in traces(&bench) {
        assert!(local.iter().any(|folder| key.starts_with(folder.as_str())), "{key} leaves the cluster");
    }
}

#[test]
fn former_names_are_taken_and_shown_until_the_new_one_is_used() {
    let mut bench = bench();
    bench.write("role/web", json!({ "policies": "b,A", "period": "1h", "bound_cidr_list": "10.0.0.0/8" })).ok();
    let data = bench.read("role/web").data();
    assert_eq!((&data["policies"], &data["token_policies"]), (&json!(["a", "b"]), &json!(["a", "b"])));
    assert_eq!((&data["period"], &data["token_period"]), (&json!(3600), &json!(3600)));
    assert_eq!(data["secret_id_bound_cidrs"], json!(["10.0.0.0/8"]));
    bench.write("role/web", json!({ "token_policies": "c", "token_period": 60 })).ok();
    let data = bench.read("role/web").data();
    assert_eq!((data.get("policies"), data.get("period")), (None, None));
}

#[test]
fn kinds_of_tokens_that_mean_nothing_here_are_adjusted_with_a_warning() {
    let mut bench = bench();
    let answer = bench.write("role/web", json!({ "token_type": "default-service", "token_max_ttl": "99999h" }));
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.warnings()[0], "default-service has no useful meaning; adjusting to service");
    assert!(answer.warnings()[1].starts_with("token_max_ttl is greater than the backend mount's maximum TTL value"));
    assert_eq!(bench.read("role/web").data()["token_type"], "service");
    assert_eq!(
        refusal(&mut bench, "role/web", json!({ "token_type": "zz" })),
        invalid("invalid 'token_type' value \"zz\"")
    );
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let mut bench = bench();
    let mut sent = |body| refusal(&mut bench, "role/web", body);
    assert_eq!(sent(json!({ "secret_id_num_uses": -1 })), invalid("secret_id_num_uses cannot be negative"));
    let cidr = invalid("failed to validate CIDR blocks: invalid CIDR address: 10.0.0.1");
    assert_eq!(sent(json!({ "secret_id_bound_cidrs": "10.0.0.1" })), cidr);
    let period = "period of \"99999h0m0s\" is greater than the backend's maximum lease TTL of \"768h0m0s\"";
    assert_eq!(sent(json!({ "period": "99999h" })), invalid(period));
    assert_eq!(sent(json!({ "token_period": "99999h" })).0, 204);
}

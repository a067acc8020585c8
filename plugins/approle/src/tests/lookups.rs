//! Secret ids looked up and destroyed.

use super::*;

#[test]
fn a_secret_id_is_looked_up_by_itself_and_by_its_accessor() {
    let mut bench = with_role(json!({ "secret_id_num_uses": 2 }));
    let settings = json!({
        "metadata": "{\"k\":\"v\"}", "cidr_list": ["127.0.0.0/8"], "token_bound_cidrs": ["127.0.0.1/32"], "ttl": 3600,
    });
    let made = issue(&mut bench, "mine", settings);
    let expected = json!({
        "cidr_list": ["127.0.0.0/8"], "creation_time": "2026-01-01T00:00:00Z", "expiration_time": "2026-01-01T01:00:00Z",
        "last_updated_time": "2026-01-01T00:00:00Z", "metadata": { "k": "v" },
        "secret_id_accessor": made["secret_id_accessor"], "secret_id_num_uses": 2, "secret_id_ttl": 3600,
        "token_bound_cidrs": ["127.0.0.1/32"],
    });
    assert_eq!(bench.write("role/web/secret-id/lookup", json!({ "secret_id": "mine" })).data(), expected);
    let by_accessor = json!({ "secret_id_accessor": made["secret_id_accessor"] });
    assert_eq!(bench.write("role/web/secret-id-accessor/lookup", by_accessor).data(), expected);
    bench.advance(60).unwrap();
    log_in(&mut bench, "mine").ok();
    let found = bench.write("role/web/secret-id/lookup", json!({ "secret_id": "mine" })).data();
    assert_eq!(
        (&found["secret_id_num_uses"], &found["last_updated_time"]),
        (&json!(1), &json!("2026-01-01T00:01:00Z"))
    );
}

#[test]
fn one_without_an_end_says_so_as_vault_does() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({}));
    let found = bench.write("role/web/secret-id/lookup", json!({ "secret_id": "s" })).data();
    assert_eq!(found["expiration_time"], "0001-01-01T00:00:00Z");
    assert_eq!((&found["cidr_list"], &found["metadata"]), (&json!([]), &json!({})));
}

#[test]
fn what_is_not_there_is_answered_as_vault_does() {
    let mut bench = bench();
    let mut sent = |path: &str, body| refusal(&mut bench, path, body);
    let (id, accessor) = (json!({ "secret_id": "x" }), json!({ "secret_id_accessor": "x" }));
    assert_eq!(sent("role/web/secret-id/lookup", id.clone()), (204, String::new()));
    assert_eq!(sent("role/web/secret-id/destroy", id.clone()), (204, String::new()));
    let unknown = invalid("failed to find accessor entry for secret_id_accessor: \"x\"");
    assert_eq!(sent("role/web/secret-id-accessor/destroy", accessor.clone()), unknown);
    let role = invalid("role \"none\" does not exist");
    for action in ["lookup", "destroy"] {
        assert_eq!(sent(&format!("role/none/secret-id/{action}"), id.clone()), role);
        assert_eq!(sent(&format!("role/none/secret-id-accessor/{action}"), accessor.clone()), role);
        assert_eq!(sent(&format!("role/web/secret-id/{action}"), json!({})), invalid("missing secret_id"));
        let missing = invalid("missing secret_id_accessor");
        assert_eq!(sent(&format!("role/web/secret-id-accessor/{action}"), json!({})), missing);
    }
    let answer = bench.write("role/web/secret-id-accessor/lookup", accessor);
    let text = "failed to find accessor entry for secret_id_accessor: \"x\"";
    assert_eq!((answer.status(), answer.data()), (404, json!({ "error": text })));
}

#[test]
fn a_destroyed_secret_id_leaves_nothing_behind() {
    for by_accessor in [false, true] {
        let mut bench = bench();
        let made = issue(&mut bench, "s", json!({ "ttl": 60 }));
        let answer = match by_accessor {
            true => bench.write(
                "role/web/secret-id-accessor/destroy",
                json!({ "secret_id_accessor": made["secret_id_accessor"] }),
            ),
            false => bench.write("role/web/secret-id/destroy", json!({ "secret_id": "s" })),
        };
        assert_eq!(answer.status(), 204);
        assert_eq!(traces(&bench), Vec::<String>::new());
        assert_eq!(told(&log_in(&mut bench, "s")), invalid("invalid role or secret ID"));
    }
}

// CVE-2023-24999: with an accessor of another role its secret id could be destroyed.
// an accessor is of use for secret ids of its own role only.
#[test]
fn an_accessor_of_another_role_leads_nowhere() {
    let mut bench = bench();
    let made = issue(&mut bench, "s", json!({}));
    let accessor = json!({ "secret_id_accessor": made["secret_id_accessor"] });
    bench.write("role/other", json!({ "role_id": "o" })).ok();
    assert_eq!(bench.write("role/other/secret-id-accessor/lookup", accessor.clone()).status(), 404);
    assert_eq!(bench.write("role/other/secret-id-accessor/destroy", accessor.clone()).status(), 400);
    assert_eq!(bench.write("role/other/secret-id/lookup", json!({ "secret_id": "s" })).status(), 204);
    assert_eq!(bench.write("role/other/secret-id/destroy", json!({ "secret_id": "s" })).status(), 204);
    assert_eq!(bench.list("role/other/secret-id/").status(), 404);
    assert_eq!(log_in(&mut bench, "s").status(), 200, "it is as it was");
}

#[test]
fn an_accessor_is_no_path_to_other_records() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({}));
    for accessor in ["../../role/web", "a/b", "", "é"] {
        let answer = bench.write("role/web/secret-id-accessor/lookup", json!({ "secret_id_accessor": accessor }));
        assert!(matches!(answer.status(), 400 | 404), "{accessor}");
    }
}

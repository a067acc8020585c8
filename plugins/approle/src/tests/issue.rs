//! New secret ids.

use super::*;

#[test]
fn a_secret_id_has_what_its_role_says_unless_less_is_asked() {
    let mut bench = with_role(json!({ "secret_id_num_uses": 2, "secret_id_ttl": "1h" }));
    let mut made = |body| bench.write("role/web/secret-id", body).data();
    let first = made(json!({}));
    assert_eq!((&first["secret_id_num_uses"], &first["secret_id_ttl"]), (&json!(2), &json!(3600)));
    assert_eq!(first["secret_id"].as_str().unwrap().len(), 36);
    assert_ne!(first["secret_id"], first["secret_id_accessor"]);
    let less = made(json!({ "num_uses": 1, "ttl": 60 }));
    assert_eq!((&less["secret_id_num_uses"], &less["secret_id_ttl"]), (&json!(1), &json!(60)));
    let mut refused = |body| refusal(&mut bench, "role/web/secret-id", body);
    for count in [0, 3] {
        let text = invalid("num_uses cannot be higher than the role's secret_id_num_uses");
        assert_eq!(refused(json!({ "num_uses": count })), text, "{count}");
    }
    for ttl in [0, 7200] {
        assert_eq!(
            refused(json!({ "ttl": ttl })),
            invalid("ttl cannot be longer than the role's secret_id_ttl"),
            "{ttl}"
        );
    }
    assert_eq!(refused(json!({ "num_uses": -1 })), invalid("num_uses cannot be negative"));
    let format = "failed to parse metadata: failed to parse the input: invalid <key,value> format";
    assert_eq!(refused(json!({ "metadata": "nonsense" })), invalid(format));
}

#[test]
fn a_secret_id_lives_no_longer_than_the_mount_lets_it() {
    let mut bench = bench();
    let made = issue(&mut bench, "s", json!({ "ttl": "9999h" }));
    assert_eq!(made["secret_id_ttl"], json!(2_764_800));
    let found = bench.write("role/web/secret-id/lookup", json!({ "secret_id": "s" })).data();
    assert_eq!(
        (&found["secret_id_ttl"], &found["expiration_time"]),
        (&json!(35_996_400), &json!("2026-02-02T00:00:00Z"))
    );
}

#[test]
fn a_custom_secret_id_is_taken_once_and_not_empty() {
    let mut bench = bench();
    issue(&mut bench, "mine", json!({}));
    let mut sent = |id: &str| refusal(&mut bench, "role/web/custom-secret-id", json!({ "secret_id": id }));
    assert_eq!(sent("mine"), invalid("failed to store secret_id: SecretID is already registered"));
    assert_eq!(sent(""), invalid("missing secret_id"));
    assert_eq!(sent(&"m".repeat(4097)), invalid("secret_id is longer than maximum of 4096 bytes"));
}

#[test]
fn there_are_no_secret_ids_of_no_role() {
    let mut bench = bench();
    let text = "role \"none\" does not exist";
    assert_eq!(refusal(&mut bench, "role/none/secret-id", json!({})), (404, text.to_owned()));
    assert_eq!(refusal(&mut bench, "role/none/custom-secret-id", json!({ "secret_id": "x" })), (404, text.to_owned()));
    assert_eq!(told(&bench.list("role/none/secret-id/")), invalid(text));
}

#[test]
fn accessors_are_listed_page_by_page() {
    let mut bench = bench();
    assert_eq!(bench.list("role/web/secret-id/").status(), 404);
    let mut accessors: Vec<Value> =
        ["a", "b", "c"].iter().map(|id| issue(&mut bench, id, json!({}))["secret_id_accessor"].clone()).collect();
    accessors.sort_by_key(ToString::to_string);
    assert_eq!(bench.list("role/web/secret-id/").data()["keys"], json!(accessors));
    let page = bench.list_with("role/web/secret-id/", json!({ "after": accessors[0], "limit": "1" }));
    assert_eq!(page.data()["keys"], json!([accessors[1]]));
}

#[test]
fn neither_secret_ids_nor_role_ids_are_stored_as_they_are() {
    let mut bench = bench();
    issue(&mut bench, "correct-horse", json!({ "ttl": 60 }));
    for key in bench.keys() {
        let value = String::from_utf8_lossy(bench.stored(&key).unwrap()).into_owned();
        assert!(!key.contains("horse") && !value.contains("horse"), "{key}");
        assert!(!key.contains("rid"), "{key}");
    }
}

#[test]
fn the_same_secret_id_is_stored_under_another_name_in_another_role() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({}));
    bench.write("role/other", json!({ "role_id": "o" })).ok();
    bench.write("role/other/custom-secret-id", json!({ "secret_id": "s" })).ok();
    let hmacs: Vec<String> =
        traces(&bench).iter().filter(|key| key.starts_with("secret-id/")).map(|key| key[43..].to_owned()).collect();
    assert_eq!(hmacs.len(), 2);
    assert_ne!(hmacs[0], hmacs[1]);
}

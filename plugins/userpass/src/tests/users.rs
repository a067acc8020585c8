//! Users: writing, reading, listing, removing.

use super::*;

#[test]
fn a_user_is_written_read_listed_and_removed() {
    let mut bench = bench();
    let shown = json!({
        "token_bound_cidrs": [], "token_explicit_max_ttl": 0, "token_max_ttl": 0, "token_no_default_policy": false,
        "token_num_uses": 0, "token_period": 0, "token_policies": ["a", "b"], "token_strictly_bind_ip": false,
        "token_ttl": 0, "token_type": "default",
    });
    assert_eq!(bench.read("users/ann").data(), shown);
    assert_eq!(bench.list("users/").data(), json!({ "keys": ["ann"] }));
    assert_eq!(bench.delete("users/ann").status(), 204);
    assert_eq!(bench.delete("users/ann").status(), 204);
    assert_eq!((bench.read("users/ann").status(), bench.list("users/").status()), (404, 404));
}

#[test]
fn names_are_one_user_in_any_case_on_every_path() {
    let mut bench = bench();
    bench.write("users/ANN", json!({ "token_policies": "c" })).ok();
    bench.write("users/Ann/password", json!({ "password": "new" })).ok();
    bench.write("users/aNN/policies", json!({ "token_policies": "d" })).ok();
    assert_eq!(bench.list("users/").data(), json!({ "keys": ["ann"] }));
    assert_eq!(bench.read("users/AnN").data()["token_policies"], json!(["d"]));
    assert_eq!(bench.write("login/aNn", json!({ "password": "new" })).auth().metadata[0].1, "ann");
    bench.delete("users/ANN").ok();
    assert_eq!(bench.read("users/ann").status(), 404);
    assert_eq!(bench.keys(), Vec::<String>::new());
}

#[test]
fn what_is_no_name_is_no_path() {
    let mut bench = bench();
    for name in ["-a", "a b", "a@b", "a.", "ä", ".."] {
        for path in [format!("users/{name}"), format!("users/{name}/password"), format!("login/{name}")] {
            assert_eq!(bench.write(&path, json!({ "password": "x" })).status(), 404, "{path}");
        }
    }
}

#[test]
fn a_write_changes_what_it_says_and_nothing_else() {
    let mut bench = bench();
    bench.write("users/ann", json!({ "token_ttl": "1h", "token_max_ttl": 7200 })).ok();
    bench.write("users/ann", json!({ "token_num_uses": "3" })).ok();
    let data = bench.read("users/ann").data();
    assert_eq!(
        (&data["token_ttl"], &data["token_max_ttl"], &data["token_num_uses"]),
        (&json!(3600), &json!(7200), &json!(3))
    );
    assert_eq!(data["token_policies"], json!(["a", "b"]));
    assert_eq!(bench.write("login/ann", json!({ "password": "pw" })).status(), 200);
}

#[test]
fn a_refused_write_changes_nothing() {
    let mut bench = bench();
    let before = bench.read("users/ann").data();
    let body = json!({ "password": "new", "token_ttl": 10, "token_max_ttl": 5 });
    assert_eq!(refusal(&mut bench, "users/ann", body), invalid("'token_ttl' cannot be greater than 'token_max_ttl'"));
    assert_eq!(bench.read("users/ann").data(), before);
    assert_eq!(bench.write("login/ann", json!({ "password": "pw" })).status(), 200);
}

#[test]
fn former_names_are_taken_and_shown_until_the_new_one_is_used() {
    let mut bench = bench();
    let body = json!({ "policies": "B, c,c", "ttl": "5m", "max_ttl": 600, "bound_cidrs": "10.0.0.0/8,127.0.0.1/32" });
    bench.write("users/ann", body).ok();
    let data = bench.read("users/ann").data();
    for (former, now, value) in [
        ("policies", "token_policies", json!(["b", "c"])),
        ("ttl", "token_ttl", json!(300)),
        ("max_ttl", "token_max_ttl", json!(600)),
        ("bound_cidrs", "token_bound_cidrs", json!(["10.0.0.0/8", "127.0.0.1"])),
    ] {
        assert_eq!((&data[former], &data[now]), (&value, &value));
    }
    let body = json!({ "token_ttl": 60, "token_policies": "x", "policies": "y", "token_bound_cidrs": "" });
    bench.write("users/ann", body).ok();
    let data = bench.read("users/ann").data();
    assert_eq!((&data["token_ttl"], data.get("ttl")), (&json!(60), None));
    assert_eq!((&data["token_policies"], &data["policies"]), (&json!(["x"]), &json!(["x"])));
    assert_eq!((&data["token_bound_cidrs"], data.get("bound_cidrs")), (&json!([]), None));
    assert_eq!((&data["token_max_ttl"], &data["max_ttl"]), (&json!(600), &json!(600)));
}

#[test]
fn policies_are_replaced_by_themselves() {
    let mut bench = bench();
    bench.write("users/ann/policies", json!({ "policies": "x,,Y,default" })).ok();
    let data = bench.read("users/ann").data();
    assert_eq!(
        (&data["policies"], &data["token_policies"]),
        (&json!(["default", "x", "y"]), &json!(["default", "x", "y"]))
    );
    bench.write("users/ann/policies", json!({ "token_policies": "Z" })).ok();
    bench.write("users/ann/policies", json!({})).ok();
    let data = bench.read("users/ann").data();
    assert_eq!((data.get("policies"), &data["token_policies"]), (None, &json!(["z"])));
    let text = invalid("username does not exist");
    assert_eq!(refusal(&mut bench, "users/bob/policies", json!({ "policies": "x" })), text);
}

#[test]
fn what_a_login_could_not_carry_is_refused_when_it_is_written() {
    let mut bench = bench();
    let many = |text: &str| (0..1001).map(|index| text.replace('#', &index.to_string())).collect::<Vec<_>>().join(",");
    let long = "one of the policies is longer than 16384 bytes";
    for (policies, text) in [(many("p#"), "more than 1000 policies"), ("p".repeat(16_385), long)] {
        for path in ["users/ann", "users/ann/policies"] {
            assert_eq!(refusal(&mut bench, path, json!({ "token_policies": policies })), invalid(text), "{path}");
        }
    }
    let networks = json!({ "token_bound_cidrs": many("10.0.0.0/8") });
    assert_eq!(refusal(&mut bench, "users/ann", networks), invalid("more than 1000 networks"));
    let answer = bench.write("login/ann", json!({ "password": "pw" }));
    assert_eq!(answer.auth().policies, ["a", "b"]);
}

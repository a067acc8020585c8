//! Settings of a role by themselves.

use super::*;

const NO_ROLE: &str = "1 error occurred:\n\t* unsupported path\n\n";

#[test]
fn each_setting_is_read_written_and_set_back_by_itself() {
    for (part, field, sent, shown, reset) in [
        ("policies", "token_policies", json!("B,a"), json!(["a", "b"]), json!([])),
        ("period", "token_period", json!("1h"), json!(3600), json!(0)),
        ("secret-id-num-uses", "secret_id_num_uses", json!("5"), json!(5), json!(0)),
        ("secret-id-ttl", "secret_id_ttl", json!("1h"), json!(3600), json!(0)),
        ("secret-id-bound-cidrs", "secret_id_bound_cidrs", json!("10.0.0.0/8"), json!(["10.0.0.0/8"]), json!(null)),
        ("token-bound-cidrs", "token_bound_cidrs", json!("10.0.0.1/32"), json!(["10.0.0.1"]), json!(null)),
        ("token-num-uses", "token_num_uses", json!(4), json!(4), json!(0)),
        ("token-ttl", "token_ttl", json!("30m"), json!(1800), json!(0)),
        ("token-max-ttl", "token_max_ttl", json!("1h"), json!(3600), json!(0)),
    ] {
        let (mut bench, path) = (bench(), format!("role/web/{part}"));
        assert_eq!(bench.write(&path, json!({ field: sent })).status(), 204, "{part}");
        assert_eq!(bench.read(&path).data(), json!({ field: shown }), "{part}");
        assert_eq!(bench.read("role/web").data()[field], shown, "{part}");
        assert_eq!(bench.delete(&path).status(), 204, "{part}");
        assert_eq!(bench.read(&path).data(), json!({ field: reset }), "{part}");
    }
}

#[test]
fn a_write_that_says_nothing_is_refused_but_where_vault_takes_it() {
    let mut bench = bench();
    for (part, text) in [
        ("policies", "missing token_policies"),
        ("period", "missing period"),
        ("bind-secret-id", "missing bind_secret_id"),
        ("secret-id-num-uses", "missing secret_id_num_uses"),
        ("secret-id-ttl", "missing secret_id_ttl"),
        ("token-num-uses", "missing token_num_uses"),
        ("token-ttl", "missing token_ttl"),
        ("token-max-ttl", "missing token_max_ttl"),
        ("role-id", "missing role_id"),
    ] {
        assert_eq!(refusal(&mut bench, &format!("role/web/{part}"), json!({})), invalid(text));
    }
    for part in ["bound-cidr-list", "secret-id-bound-cidrs", "token-bound-cidrs"] {
        assert_eq!(refusal(&mut bench, &format!("role/web/{part}"), json!({})).0, 204, "{part}");
    }
}

#[test]
fn settings_of_no_role_are_not_there() {
    let mut bench = bench();
    for part in ["policies", "period", "bind-secret-id", "token-ttl", "secret-id-bound-cidrs", "role-id"] {
        let path = format!("role/none/{part}");
        assert_eq!(told(&bench.read(&path)), (404, String::new()));
        assert_eq!(refusal(&mut bench, &path, json!({})), (404, NO_ROLE.to_owned()));
        let deleted = bench.delete(&path).status();
        assert!(deleted == 204 || part == "role-id", "{part}");
    }
}

#[test]
fn a_setting_that_does_not_go_with_the_rest_is_refused() {
    let mut bench = with_role(json!({ "token_ttl": "30m", "token_max_ttl": "1h" }));
    let mut sent = |part: &str, body| refusal(&mut bench, &format!("role/web/{part}"), body);
    let longer = invalid("token_ttl should not be greater than token_max_ttl");
    assert_eq!(sent("token-ttl", json!({ "token_ttl": "2h" })), longer);
    let shorter = invalid("token_max_ttl should be greater than or equal to token_ttl");
    assert_eq!(sent("token-max-ttl", json!({ "token_max_ttl": "10m" })), shorter);
    assert_eq!(sent("token-num-uses", json!({ "token_num_uses": -4 })), invalid("'token_num_uses' cannot be negative"));
    assert_eq!(
        sent("secret-id-bound-cidrs", json!({ "secret_id_bound_cidrs": "" })),
        invalid("missing bound_cidr_list")
    );
    let cidr = "failed to validate CIDR blocks: invalid CIDR address: zz";
    assert_eq!(sent("bound-cidr-list", json!({ "bound_cidr_list": "zz" })), invalid(cidr));
    assert!(
        sent("token-bound-cidrs", json!({ "token_bound_cidrs": "zz" }))
            .1
            .starts_with("failed to parse token_bound_cidrs: error")
    );
    assert_eq!(sent("period", json!({ "period": "9999h" })).0, 400);
}

#[test]
fn the_former_list_of_networks_is_written_but_neither_shown_nor_removed() {
    let mut bench = bench();
    bench.write("role/web/bound-cidr-list", json!({ "bound_cidr_list": "127.0.0.0/8" })).ok();
    let read = bench.read("role/web/bound-cidr-list");
    assert_eq!((read.data(), read.warnings().len()), (json!({ "bound_cidr_list": null }), 1));
    bench.delete("role/web/bound-cidr-list").ok();
    assert_eq!(bench.read("role/web/secret-id-bound-cidrs").data()["secret_id_bound_cidrs"], json!(["127.0.0.0/8"]));
}

#[test]
fn a_login_needs_a_secret_id_unless_the_role_says_otherwise() {
    let mut bench = with_role(json!({ "token_bound_cidrs": "127.0.0.0/8" }));
    bench.write("role/web/bind-secret-id", json!({ "bind_secret_id": false })).ok();
    assert_eq!(bench.read("role/web/bind-secret-id").data(), json!({ "bind_secret_id": false }));
    assert_eq!(bench.write("login", json!({ "role_id": "rid" })).status(), 200);
    let text = invalid("bind_secret_id is not set on the role");
    assert_eq!(refusal(&mut bench, "role/web/secret-id", json!({})), text);
    bench.delete("role/web/bind-secret-id").ok();
    assert_eq!(bench.write("login", json!({ "role_id": "rid" })).status(), 400);
}

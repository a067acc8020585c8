//! Where logins and tokens may come from.

use super::*;

const TEN: &str = "10.0.0.0/8";

#[test]
fn a_secret_ids_networks_are_within_its_roles() {
    let mut bench =
        with_role(json!({ "secret_id_bound_cidrs": "127.0.0.0/8,10.0.0.0/8,fd00::1/128", "token_bound_cidrs": TEN }));
    let subset = |role: &str, secret_id: &str| {
        invalid(&format!(
            "failed to verify subset relationship between CIDR blocks on the role [{role}] and CIDR blocks on the secret ID [\"{secret_id}\"]"
        ))
    };
    let role = "\"127.0.0.0/8\" \"10.0.0.0/8\" \"fd00::1/128\"";
    let mut sent = |body| refusal(&mut bench, "role/web/secret-id", body);
    for inside in ["10.1.0.0/16", "127.0.0.1/32", "fd00::1/128"] {
        assert_eq!(sent(json!({ "cidr_list": inside })).0, 200, "{inside}");
    }
    for outside in ["11.1.0.0/16", "10.0.0.0/7", "0.0.0.0/0", "::/0", "fd00::/32"] {
        assert_eq!(sent(json!({ "cidr_list": outside })), subset(role, outside), "{outside}");
    }
    assert_eq!(sent(json!({ "token_bound_cidrs": "10.1.0.0/16" })).0, 200);
    assert_eq!(sent(json!({ "token_bound_cidrs": "0.0.0.0/0" })), subset("\"10.0.0.0/8\"", "0.0.0.0/0"));
    let cidr = invalid("failed to validate CIDR blocks: invalid CIDR address: nonsense");
    assert_eq!(sent(json!({ "cidr_list": "nonsense" })), cidr);
    let cidr = invalid("failed to validate token CIDR blocks: invalid CIDR address: nonsense");
    assert_eq!(sent(json!({ "token_bound_cidrs": "nonsense" })), cidr);
}

// There, an IPv6 address of a role was taken for a network of 32 bits.
#[test]
fn a_single_ipv6_address_of_a_role_is_no_wider_network() {
    let mut bench = with_role(json!({ "token_bound_cidrs": "fd00::1" }));
    let body = json!({ "token_bound_cidrs": "fd00::2/128" });
    assert_eq!(bench.write("role/web/secret-id", body).status(), 400);
    assert_eq!(bench.write("role/web/secret-id", json!({ "token_bound_cidrs": "fd00::1/128" })).status(), 200);
}

#[test]
fn logins_come_from_the_networks_of_role_and_secret_id_only() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({ "cidr_list": "10.1.0.0/16" }));
    issue(&mut bench, "free", json!({}));
    let refused = |by: &str, address: &str| {
        invalid(&format!("source address {address:?} unauthorized by CIDR restrictions on the {by}"))
    };
    assert_eq!(told(&log_in(&mut bench, "s")), refused("secret ID", "127.0.0.1"));
    bench.write("role/web", json!({ "secret_id_bound_cidrs": TEN })).ok();
    assert_eq!(told(&log_in(&mut bench, "free")), refused("role", "127.0.0.1"));
    bench.caller().remote_address = "10.2.0.1".to_owned();
    assert_eq!(told(&log_in(&mut bench, "s")), refused("secret ID", "10.2.0.1"));
    assert_eq!(log_in(&mut bench, "free").status(), 200);
    bench.caller().remote_address = "::ffff:10.1.0.1".to_owned();
    assert_eq!(log_in(&mut bench, "s").status(), 200);
    bench.caller().remote_address = String::new();
    assert_eq!(log_in(&mut bench, "free").status(), 400, "from nowhere is from none of them");
}

#[test]
fn a_role_that_is_narrowed_later_narrows_its_secret_ids() {
    let mut bench = bench();
    issue(&mut bench, "logins", json!({ "cidr_list": "127.0.0.0/8" }));
    issue(&mut bench, "tokens", json!({ "token_bound_cidrs": "0.0.0.0/0" }));
    assert_eq!(log_in(&mut bench, "tokens").auth().bound_cidrs, ["0.0.0.0/0"]);
    bench.write("role/web", json!({ "token_bound_cidrs": "127.0.0.1" })).ok();
    assert!(log_in(&mut bench, "tokens").error().starts_with("failed to verify subset relationship"));
    bench.write("role/web", json!({ "secret_id_bound_cidrs": "127.0.0.1/32", "token_bound_cidrs": "" })).ok();
    assert!(log_in(&mut bench, "logins").error().starts_with("failed to verify subset relationship"));
}

#[test]
fn a_token_is_bound_to_the_networks_of_its_secret_id_or_else_its_role() {
    let mut bench = with_role(json!({ "token_bound_cidrs": "127.0.0.0/8" }));
    issue(&mut bench, "own", json!({ "token_bound_cidrs": "127.0.0.1/32" }));
    issue(&mut bench, "roles", json!({}));
    assert_eq!(log_in(&mut bench, "own").auth().bound_cidrs, ["127.0.0.1"]);
    assert_eq!(log_in(&mut bench, "roles").auth().bound_cidrs, ["127.0.0.0/8"]);
}

// There, the binding to the address was overwritten by the role's empty list.
#[test]
fn a_strictly_bound_token_works_from_where_its_login_came_only() {
    let mut bench = with_role(json!({ "token_strictly_bind_ip": true }));
    issue(&mut bench, "s", json!({}));
    issue(&mut bench, "wide", json!({ "token_bound_cidrs": "0.0.0.0/0" }));
    issue(&mut bench, "apart", json!({ "token_bound_cidrs": TEN }));
    assert_eq!(log_in(&mut bench, "s").auth().bound_cidrs, ["127.0.0.1"]);
    assert_eq!(log_in(&mut bench, "wide").auth().bound_cidrs, ["127.0.0.1"]);
    assert_eq!(log_in(&mut bench, "apart").status(), 400, "its token would be good for nothing");
}

//! `config/:name`, `reset/:name` and `reload/:plugin_name`.

use super::*;

#[test]
fn a_connection_is_written_read_listed_and_removed() {
    let mut bench = bare();
    assert_eq!(bench.list("config/").status(), 404);
    assert_eq!(bench.read("config/pg").status(), 404);
    let mut body = details();
    body["allowed_roles"] = json!("a, b*");
    body["max_open_connections"] = json!("7");
    body["private_key"] = json!("k");
    body["name"] = json!("other");
    body["root_rotation_statements"] = json!("ALTER a, b");
    assert_eq!(bench.write("config/pg", body).status(), 204);
    assert_eq!(
        bench.read("config/pg").data(),
        json!({
            "allowed_roles": ["a", "b*"],
            "connection_details": { "connection_url": SERVER, "max_open_connections": "7", "username": "root" },
            "password_policy": "",
            "plugin_name": DRIVER,
            "plugin_version": "",
            "root_credentials_rotate_statements": ["ALTER a, b"],
        })
    );
    assert_eq!(bench.list("config/").data(), json!({ "keys": ["pg"] }));
    assert_eq!(bench.delete("config/pg").status(), 204);
    assert_eq!(bench.delete("config/pg").status(), 204);
    assert_eq!(bench.read("config/pg").status(), 404);
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let mut bench = bench();
    bench.write("config/pg", json!({ "allowed_roles": "x", "sslmode": "disable" })).ok();
    let data = bench.read("config/pg").data();
    assert_eq!(data["allowed_roles"], json!(["x"]));
    assert_eq!(
        data["connection_details"],
        json!({ "connection_url": SERVER, "sslmode": "disable", "username": "root" })
    );
    assert_eq!(bench.databases().take_calls(), ["verify root"]);
}

#[test]
fn a_config_is_tried_unless_that_is_not_wanted() {
    let mut bench = bare();
    let mut body = details();
    body["password"] = json!("wrong");
    let text = "error creating database object: error verifying connection: password authentication failed";
    assert_eq!(refusal(&bench.write("config/pg", body.clone())), (400, text));
    assert_eq!(bench.read("config/pg").status(), 404);
    body["verify_connection"] = json!(false);
    bench.databases().take_calls();
    bench.write("config/pg", body).ok();
    assert_eq!(bench.databases().take_calls(), Vec::<String>::new());
    assert_eq!(bench.read("config/pg").data()["connection_details"].get("verify_connection"), None);
}

#[test]
fn a_config_needs_a_driver_that_takes_it() {
    let mut bench = bare();
    assert_eq!(refusal(&bench.write("config/pg", json!({}))), (400, "empty plugin name"));
    let text = "error creating database object: the driver \"nope\" is not in the catalog";
    assert_eq!(refusal(&bench.write("config/pg", json!({ "plugin_name": "nope" }))), (400, text));
    let text = "error creating database object: connection_url cannot be empty";
    assert_eq!(refusal(&bench.write("config/pg", json!({ "plugin_name": DRIVER }))), (400, text));
}

#[test]
fn a_version_is_asked_of_the_host_beside_the_name() {
    let mut bench = bare();
    let mut body = details();
    body["plugin_version"] = json!("v1.2.3");
    bench.write("config/pg", body).ok();
    assert_eq!(bench.read("config/pg").data()["plugin_version"], "v1.2.3");
    let text = "error creating database object: the driver \"nope@v1.2.3\" is not in the catalog";
    assert_eq!(refusal(&bench.write("config/pg", json!({ "plugin_name": "nope" }))), (400, text));
}

#[test]
fn a_password_in_the_url_is_warned_of_and_never_shown() {
    let mut bench = bare();
    let url = "postgresql://root:topsecret@h/db";
    bench.databases().add_account(url, "root", "rootpw");
    let mut body = details();
    body["connection_url"] = json!(url);
    let answer = bench.write("config/pg", body);
    assert_eq!(answer.status(), 200);
    assert!(answer.warnings()[0].starts_with("Password found in connection_url"));
    assert!(!bench.read("config/pg").text().contains("topsecret"));
}

// reading a configuration gives no key and no password back.
#[test]
fn nothing_secret_of_any_driver_is_shown() {
    let mut bench = bare();
    let mut body = details();
    for name in ["private_key", "tls_certificate_key", "pem_bundle", "service_account_json"] {
        body[name] = json!("topsecret");
    }
    bench.write("config/pg", body).ok();
    assert!(!bench.read("config/pg").text().contains("topsecret"));
    assert!(!bench.read("config/pg").text().contains("rootpw"));
}

#[test]
fn a_reset_begins_a_session_and_says_if_it_cannot() {
    let mut bench = bench();
    let shown = bench.read("config/pg").text().to_owned();
    assert_eq!(bench.write("reset/pg", json!({})).status(), 204);
    assert_eq!(bench.databases().take_calls(), ["verify root"]);
    bench.databases().add_account(SERVER, "root", "another");
    assert_eq!(refusal(&bench.write("reset/pg", json!({}))), (502, "password authentication failed"));
    bench.databases().add_account(SERVER, "root", "rootpw");
    assert_eq!(bench.databases().take_calls(), ["verify root"]);
    assert_eq!(bench.read("config/pg").text(), shown);
    // What the engine notes for itself is nobody's to set.
    bench.write("config/pg", json!({ "reset_at_ms": "x", "verify_connection": false })).ok();
    assert_eq!(bench.read("config/pg").text(), shown);
    let text = "failed to find entry for connection with name: \"none\"";
    assert_eq!(refusal(&bench.write("reset/none", json!({}))), (400, text));
    let answer = bench.write(&format!("reload/{DRIVER}"), json!({}));
    assert_eq!(answer.data(), json!({ "connections": ["pg"], "count": 1 }));
    let answer = bench.write("reload/other", json!({}));
    assert_eq!(answer.data(), json!({ "connections": [], "count": 0 }));
    assert_eq!(answer.warnings(), ["no connections were found with plugin_name \"other\""]);
    assert_eq!(bench.databases().take_calls(), Vec::<String>::new());
}

#[test]
fn a_config_waits_for_a_change_of_the_root() {
    let mut bench = bench();
    bench.hold_lock("connection/pg");
    assert_eq!(bench.write("config/pg", json!({ "allowed_roles": "x" })).status(), 503);
    assert_eq!(bench.delete("config/pg").status(), 503);
    bench.release_lock("connection/pg");
    assert_eq!(bench.delete("config/pg").status(), 204);
}

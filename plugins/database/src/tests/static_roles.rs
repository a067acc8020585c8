//! `static-roles/:name` and `static-creds/:name`.

use super::*;

const START: &str = "2026-01-01T00:00:00Z";

#[test]
fn a_static_role_is_written_read_listed_and_removed() {
    let mut bench = bench();
    assert_eq!(bench.list("static-roles/").status(), 404);
    bench.databases().add_account(SERVER, "worker", "from before");
    let body =
        json!({ "db_name": "pg", "username": "worker", "rotation_period": "1h", "rotation_statements": ["a, b"] });
    assert_eq!(bench.write("static-roles/s", body).status(), 204);
    assert_eq!(bench.databases().take_statements(), ["a, b"]);
    assert_eq!(
        bench.read("static-roles/s").data(),
        json!({
            "credential_type": "password", "db_name": "pg", "last_vault_rotation": START, "rotation_period": 3600,
            "rotation_statements": ["a, b"], "username": "worker",
        })
    );
    let data = bench.read("static-creds/s").data();
    let known = password(&mut bench, "worker");
    assert_ne!(known, "from before");
    let shown = json!({
        "last_vault_rotation": START, "password": known, "rotation_period": 3600, "ttl": 3600, "username": "worker",
    });
    assert_eq!(data, shown);
    assert_eq!(bench.list("static-roles/").data(), json!({ "keys": ["s"] }));
    assert_eq!(bench.jobs(), [("rotate", "s")]);
    assert_eq!(bench.delete("static-roles/s").status(), 204);
    assert_eq!(bench.read("static-roles/s").status(), 404);
    assert_eq!(bench.jobs(), []);
    assert_eq!(password(&mut bench, "worker"), known);
}

#[test]
fn a_new_static_role_says_what_it_lacks() {
    let mut bench = bench();
    let full = json!({ "db_name": "pg", "username": "worker", "rotation_period": "1h" });
    let mut refused = |change: Value, text: &str| {
        let mut body = full.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(refusal(&bench.write("static-roles/s", body)), (400, text));
    };
    refused(json!({ "db_name": "" }), "database name is a required field");
    refused(json!({ "username": "" }), "username is a required field to create a static account");
    refused(json!({ "rotation_period": null }), "rotation_period is required to create static accounts");
    refused(json!({ "rotation_period": 4 }), "rotation_period must be 5 seconds or more");
    refused(json!({ "db_name": "none" }), "failed to find entry for connection with name: \"none\"");
    refused(json!({ "credential_type": "rsa_private_key" }), "unsupported credential_type: \"rsa_private_key\"");
    refused(json!({ "rotation_window": "1h" }), "rotation_window is invalid with use of rotation_period");
    let text = "mutually exclusive fields rotation_period and rotation_schedule were both specified; only one of them \
                can be provided";
    refused(json!({ "rotation_schedule": "0 0 * * *" }), text);
    let schedule = |cron: &str| json!({ "rotation_period": null, "rotation_schedule": cron });
    refused(
        schedule("nonsense"),
        "could not parse rotation_schedule: five fields of cron are expected, each within its bounds, in UTC",
    );
    refused(
        schedule(&"*/1,".repeat(100)),
        "could not parse rotation_schedule: five fields of cron are expected, each within its bounds, in UTC",
    );
    let text = "rotation_window must be 3600 seconds or more";
    refused(json!({ "rotation_period": null, "rotation_schedule": "0 0 * * *", "rotation_window": 60 }), text);
}

#[test]
fn a_user_that_is_not_there_gets_no_role() {
    let mut bench = bench();
    let body = json!({ "db_name": "pg", "username": "nobody", "rotation_period": "1h" });
    let text = "error setting credentials: role \"nobody\" does not exist";
    assert_eq!(refusal(&bench.write("static-roles/s", body)), (502, text));
    assert_eq!(bench.read("static-roles/s").status(), 404);
    assert_eq!((bench.jobs().len(), bench.intents().len()), (0, 0));
}

#[test]
fn a_schedule_without_a_time_is_refused_before_anything_is_changed() {
    let mut bench = bench();
    bench.databases().add_account(SERVER, "worker", "from before");
    let body = json!({ "db_name": "pg", "username": "worker", "rotation_schedule": "0 0 30 2 *" });
    let text = "rotation_schedule has no time that will ever come";
    assert_eq!(refusal(&bench.write("static-roles/s", body)), (400, text));
    assert_eq!(password(&mut bench, "worker"), "from before");
}

#[test]
fn a_change_touches_no_database_and_keeps_the_user() {
    let mut bench = with_static_role();
    let text = "cannot update static account username";
    assert_eq!(refusal(&bench.write("static-roles/batch", json!({ "rotation_period": "1h" }))), (400, text));
    assert_eq!(refusal(&bench.write("static-roles/batch", json!({ "username": "root" }))), (400, text));
    bench.write("static-roles/batch", json!({ "username": "worker", "rotation_period": "1h" })).ok();
    assert_eq!(bench.read("static-creds/batch").data()["ttl"], 3600);
    bench.write("static-roles/batch", json!({ "username": "worker", "rotation_statements": "x" })).ok();
    let data = bench.read("static-roles/batch").data();
    assert_eq!((&data["rotation_period"], &data["rotation_statements"]), (&json!(3600), &json!(["x"])));
    assert_eq!(bench.databases().take_calls(), Vec::<String>::new());
}

#[test]
fn a_secret_of_another_kind_than_the_roles_is_not_told() {
    let mut bench = with_static_role();
    bench.databases().add_driver(DRIVER, &["password", "rsa-private-key"]);
    let known = bench.read("static-creds/batch").data()["password"].clone();
    let changed = |bench: &mut Bench<Database>, kind: &str| {
        bench.write("static-roles/batch", json!({ "username": "worker", "credential_type": kind })).ok();
        bench.read("static-creds/batch").data()
    };
    let data = changed(&mut bench, "rsa_private_key");
    assert_eq!((data.get("password"), &data["rsa_private_key"]), (None, &json!("")));
    assert_eq!(changed(&mut bench, "password")["password"], known, "nothing was changed in the database");
    changed(&mut bench, "rsa_private_key");
    bench.write("rotate-role/batch", json!({})).ok();
    let data = bench.read("static-creds/batch").data();
    assert!(data["rsa_private_key"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let data = changed(&mut bench, "password");
    assert_eq!((&data["password"], data.get("rsa_private_key")), (&json!(""), None));
}

#[test]
fn a_schedule_takes_the_place_of_a_period_and_the_other_way_round() {
    let mut bench = with_static_role();
    let body = json!({ "username": "worker", "rotation_schedule": "30 6 * * *", "rotation_window": "1h" });
    bench.write("static-roles/batch", body).ok();
    let data = bench.read("static-creds/batch").data();
    assert_eq!(data.get("rotation_period"), None);
    assert_eq!((&data["rotation_schedule"], &data["rotation_window"]), (&json!("30 6 * * *"), &json!(3600)));
    assert_eq!(data["ttl"], 6 * 3600 + 1800);
    bench.write("static-roles/batch", json!({ "username": "worker", "rotation_period": "2h" })).ok();
    let data = bench.read("static-creds/batch").data();
    assert_eq!(data.get("rotation_schedule"), None);
    assert_eq!((&data["rotation_period"], &data["ttl"]), (&json!(7200), &json!(7200)));
}

#[test]
fn static_credentials_are_for_roles_that_the_connection_names() {
    let mut bench = with_static_role();
    assert_eq!(refusal(&bench.read("static-creds/none")), (400, "unknown role: none"));
    bench.write("config/pg", json!({ "allowed_roles": "other" })).ok();
    let text = "\"batch\" is not an allowed role";
    assert_eq!(refusal(&bench.read("static-creds/batch")), (400, text));
    assert_eq!(refusal(&bench.write("rotate-role/batch", json!({}))), (400, text));
    bench.delete("config/pg").ok();
    let text = "failed to find entry for connection with name: \"pg\"";
    assert_eq!(refusal(&bench.read("static-creds/batch")), (400, text));
    assert_eq!(bench.intents(), []);
}

#[test]
fn a_user_who_is_to_keep_the_password_is_not_given_another() {
    let mut bench = bench();
    bench.databases().add_account(SERVER, "worker", "from before");
    let role = json!({ "db_name": "pg", "username": "worker", "rotation_period": "24h" });
    for (name, value) in
        [("skip_import_rotation", json!(true)), ("self_managed_password", json!("p")), ("password", json!("p"))]
    {
        let mut asked = role.clone();
        asked[name] = value;
        let text = format!("{name} is not supported: the password is changed when the role is made");
        assert_eq!(refusal(&bench.write("static-roles/batch", asked)), (400, text.as_str()));
    }
    assert_eq!(password(&mut bench, "worker"), "from before");
    let mut asked = role;
    (asked["skip_import_rotation"], asked["self_managed_password"]) = (json!(false), json!(""));
    bench.write("static-roles/batch", asked).ok();
}

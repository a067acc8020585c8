//! Users who log in by certificates. What is in one is read in `certificate/issue/tests.rs`.

use bulkhead_sdk::bench::{Failure, within};

use super::*;
use crate::certificate::tests::{authority, read};

/// A mount whose driver takes certificates, with the role `certified`, and the key of its authority.
fn certified() -> (Bench<Database>, Secret<String>) {
    let mut bench = bench();
    bench.databases().add_driver(DRIVER, &["password", "client-certificate"]);
    let (ca, key) = within(|cx| authority(cx, "ecdsa-p256", true));
    let role = json!({
        "db_name": "pg", "creation_statements": "CREATE {{name}}", "default_ttl": "1h",
        "credential_type": "client_certificate",
        "credential_config": {
            "common_name_template": "named", "ca_cert": ca,
            "ca_private_key": key.expose(), "key_type": "rsa",
        },
    });
    bench.write("roles/certified", role).ok();
    bench.databases().take_calls();
    (bench, key)
}

const TAKEN: &str = "username_template makes the name of a user that has a lease already, or a certificate still";

/// How many names are reserved.
fn reserved(bench: &Bench<Database>) -> usize {
    bench.keys().iter().filter(|key| key.starts_with("user/")).count()
}

/// A role's config of certificates, as it is shown.
fn shown(bench: &mut Bench<Database>) -> Value {
    bench.read("roles/certified").data()["credential_config"].clone()
}

#[test]
fn a_user_gets_a_certificate_to_its_name_that_ends_with_its_lease() {
    let (mut bench, key) = certified();
    let answer = bench.read("creds/certified");
    let data = answer.data();
    let members: Vec<&str> = data.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["client_certificate", "private_key", "private_key_type", "username"]);
    let name = data["username"].as_str().unwrap();
    assert!(name.starts_with("v-token-certified-"), "{name}");
    let certificate = read(data["client_certificate"].as_str().unwrap());
    let tbs = certificate.tbs_certificate();
    assert_eq!(tbs.subject().to_string(), format!("CN={name}"));
    // Vault's five seconds more than the lease.
    assert_eq!(tbs.validity().not_after.to_string(), "2026-01-01T01:00:05Z");
    assert_eq!(data["private_key_type"], "rsa");
    assert_ne!(data["private_key"], key.expose().trim_end());
    assert_eq!(bench.databases().server(SERVER).accounts[name].credential, format!("CN={name}"));
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn a_name_of_a_certificate_is_one_users_at_a_time() {
    let (mut bench, _) = certified();
    bench.write("roles/certified", json!({ "credential_config": { "common_name_template": "fixed" } })).ok();
    let first = bench.read("creds/certified");
    assert_eq!(refusal(&bench.read("creds/certified")), (400, TAKEN));
    // Its holder could log in as the next user of the name.
    bench.advance(600).unwrap();
    bench.revoke(first.lease()).unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
    assert_eq!(refusal(&bench.read("creds/certified")), (400, TAKEN));
    bench.advance(3000 + 4).unwrap();
    assert_eq!(refusal(&bench.read("creds/certified")), (400, TAKEN), "five seconds more than the lease");
    assert_eq!(reserved(&bench), 1);
    bench.advance(1).unwrap();
    assert_eq!((reserved(&bench), bench.jobs()), (0, Vec::new()));
    bench.databases().fail_next(&[Failure::AnswerLost]);
    assert_eq!(bench.read("creds/certified").status(), 502);
    bench.roll_back().unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
    bench.read("creds/certified").ok();
}

#[test]
fn a_name_is_free_at_once_where_the_certificate_is_over_or_nobody_got_one() {
    let (mut bench, _) = certified();
    bench.write("roles/certified", json!({ "credential_config": { "common_name_template": "fixed" } })).ok();
    let first = bench.read("creds/certified");
    bench.advance(3605).unwrap();
    bench.revoke(first.lease()).unwrap();
    assert_eq!((reserved(&bench), bench.jobs()), (0, Vec::new()));
    // Somebody else's user.
    bench.databases().add_account(SERVER, "fixed", "x");
    assert_eq!(bench.read("creds/certified").status(), 400);
    assert_eq!((reserved(&bench), bench.jobs()), (0, Vec::new()));
}

#[test]
fn a_name_that_has_been_taken_again_is_not_forgotten_for_its_last_user() {
    let (mut bench, _) = certified();
    bench.write("roles/certified", json!({ "credential_config": { "common_name_template": "fixed" } })).ok();
    let first = bench.read("creds/certified");
    bench.revoke(first.lease()).unwrap();
    bench.lose_next_commit();
    bench.advance(3605).unwrap_err();
    assert_eq!((reserved(&bench), bench.jobs().len()), (1, 1), "it is over, and not forgotten yet");
    let second = bench.read("creds/certified");
    bench.advance(0).unwrap();
    assert_eq!(refusal(&bench.read("creds/certified")), (400, TAKEN));
    bench.revoke(second.lease()).unwrap();
    assert_eq!(refusal(&bench.read("creds/certified")), (400, TAKEN));
    bench.advance(3605).unwrap();
    bench.read("creds/certified").ok();
}

#[test]
fn a_template_that_makes_no_name_makes_no_user() {
    let (mut bench, _) = certified();
    let text = "common_name_template makes no name of 1 to 64 signs that can be printed";
    for name in ["a".repeat(65).as_str(), "a\nb", "a\u{0}", "\u{7f}"] {
        // As the bench's driver has it, what is asked for by that name.
        let template = format!("fixed {name}");
        bench.write("roles/certified", json!({ "credential_config": { "common_name_template": template } })).ok();
        assert_eq!(refusal(&bench.read("creds/certified")), (400, text), "{name:?}");
    }
    let wrong = json!({ "credential_config": { "common_name_template": "wrong" } });
    let text = "credential_config validation failed: invalid common_name_template: unable to parse the template";
    assert_eq!(refusal(&bench.write("roles/certified", wrong.clone())), (400, text));
    bench.write("roles/certified", json!({ "db_name": "later" })).ok();
    bench.write("roles/certified", wrong).ok();
    assert_eq!((bench.databases().take_calls().len(), bench.intents().len()), (0, 0));
}

#[test]
fn the_key_of_the_authority_is_never_shown() {
    let (mut bench, key) = certified();
    let secret = key.expose().lines().nth(1).unwrap().to_owned();
    let mut texts = vec![bench.read("roles/certified").text().to_owned()];
    texts.push(bench.write("roles/certified", json!({ "credential_config": { "ca_cert": "x" } })).error().to_owned());
    let wrong = json!({ "credential_config": { "ca_private_key": format!("{}x", key.expose()) } });
    texts.push(bench.write("roles/certified", wrong).error().to_owned());
    texts.push(bench.read("creds/certified").text().to_owned());
    texts.extend(bench.log().iter().map(|line| format!("{line:?}")));
    assert!(texts.iter().all(|text| !text.is_empty() && !text.contains(&secret)), "{texts:?}");
    let stored = bench.stored("role/certified").unwrap();
    assert!(String::from_utf8_lossy(stored).contains(&secret), "it is kept, which shows that the text is the key's");
}

#[test]
fn a_config_is_checked_as_a_whole_and_keeps_what_is_not_sent() {
    let (mut bench, _) = certified();
    let before = shown(&mut bench);
    assert_eq!((&before["key_bits"], &before["signature_bits"]), (&json!(2048), &json!(256)));
    let put = |bench: &mut Bench<Database>, config: Value| {
        let answer = bench.write("roles/certified", json!({ "credential_config": config }));
        answer.error().strip_prefix("credential_config validation failed: ").map(str::to_owned)
    };
    for (config, told) in [
        (json!({ "key_type": "dsa" }), "invalid key_type"),
        (json!({ "key_bits": 1024 }), "invalid key_bits"),
        (json!({ "key_bits": "many" }), "invalid key_bits"),
        (json!({ "key_type": "ec", "key_bits": 224 }), "invalid key_bits"),
        (json!({ "signature_bits": 160 }), "invalid signature_bits"),
        (json!({ "common_name_template": "" }), "missing required common_name_template"),
        (json!({ "ca_cert": "" }), "missing required ca_cert"),
        (json!({ "ca_private_key": "" }), "missing required ca_private_key"),
        (json!({ "ca_cert": "x" }), "the authority cannot be used: ca_cert is no certificate in PEM"),
        (
            json!({ "ca_private_key": "x" }),
            "the authority cannot be used: the key cannot be read, or not be used for this",
        ),
    ] {
        assert_eq!(put(&mut bench, config.clone()).as_deref(), Some(told), "{config}");
    }
    let (other, _) = within(|cx| {
        let _ = cx.random(1);
        authority(cx, "ed25519", true)
    });
    let told = "the authority cannot be used: ca_private_key is not the key of ca_cert";
    assert_eq!(put(&mut bench, json!({ "ca_cert": other })).as_deref(), Some(told));
    assert_eq!(shown(&mut bench), before);
    assert_eq!(put(&mut bench, json!({ "key_type": "ec", "key_bits": 384, "signature_bits": 512 })), None);
    let after = shown(&mut bench);
    assert_eq!(
        (&after["key_type"], &after["key_bits"], &after["ca_cert"]),
        (&json!("ec"), &json!(384), &before["ca_cert"])
    );
    assert_eq!(bench.read("creds/certified").data()["private_key_type"], "ec");
    assert_eq!(put(&mut bench, json!({ "key_type": "ed25519" })), None);
    assert_eq!(bench.read("creds/certified").data()["private_key_type"], "ed25519");
    bench.write("roles/certified", json!({ "credential_type": "password" })).ok();
    assert_eq!(bench.read("roles/certified").data().get("credential_config"), None);
}

#[test]
fn certificates_are_for_drivers_that_take_them_and_for_users_on_demand() {
    let (mut bench, key) = certified();
    bench.databases().add_driver(DRIVER, &["password", "rsa-private-key"]);
    let text = "unsupported credential_type: \"client_certificate\"";
    assert_eq!(refusal(&bench.read("creds/certified")), (400, text));
    let mut config = shown(&mut bench);
    config["ca_private_key"] = json!(key.expose());
    let body = json!({
        "db_name": "pg", "username": "root", "rotation_period": "1h", "credential_type": "client_certificate",
        "credential_config": config,
    });
    assert_eq!(refusal(&bench.write("static-roles/s", body)), (400, text));
    assert_eq!(bench.databases().take_calls(), Vec::<String>::new());
}

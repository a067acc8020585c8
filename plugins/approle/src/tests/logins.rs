//! Logins, and who is turned away.

use super::*;

const WRONG: &str = "invalid role or secret ID";

#[test]
fn a_login_gives_a_token_with_the_roles_settings_and_the_secret_ids_metadata() {
    let settings = json!({
        "token_ttl": 600, "token_max_ttl": 1200, "token_period": 60, "token_num_uses": 3, "token_type": "service",
        "token_explicit_max_ttl": 1300, "token_no_default_policy": true,
    });
    let mut bench = with_role(settings);
    issue(&mut bench, "s", json!({ "metadata": "{\"k\":\"v\",\"role_name\":\"root\"}" }));
    let answer = log_in(&mut bench, "s");
    let grant = answer.auth();
    let metadata = [("k".to_owned(), "v".to_owned()), ("role_name".to_owned(), "web".to_owned())];
    assert_eq!(grant.metadata, metadata, "the role's name is not the secret id's to say");
    let alias = grant.alias.as_ref().unwrap();
    assert_eq!((alias.name.as_str(), alias.metadata.as_slice()), ("rid", &metadata[..]));
    assert_eq!((grant.display_name.as_str(), grant.policies.as_slice()), ("", &["p".to_owned()][..]));
    assert_eq!((grant.ttl, grant.max_ttl, grant.period), (Some(600), Some(1200), Some(60)));
    assert_eq!((grant.explicit_max_ttl, grant.num_uses, grant.no_default_policy), (Some(1300), 3, true));
    assert_eq!((grant.token_type, grant.renewable), (TokenType::Service, true));
}

#[test]
fn spaces_around_both_ids_do_not_count() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({}));
    assert_eq!(bench.write("login", json!({ "role_id": " rid ", "secret_id": "\ts\n" })).status(), 200);
}

// an unknown role and a wrong secret id get the same answer.
#[test]
fn an_unknown_role_is_answered_as_a_wrong_secret_id() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({}));
    for (role_id, secret_id, text) in [
        ("rid", "bad", WRONG),
        ("unknown", "bad", WRONG),
        ("unknown", "s", WRONG),
        ("rid", "", "missing secret_id"),
        ("unknown", "", "missing secret_id"),
        ("", "s", "missing role_id"),
        ("RID", "s", WRONG),
    ] {
        let body = json!({ "role_id": role_id, "secret_id": secret_id });
        let answer = bench.write("login", body);
        assert_eq!(told(&answer), invalid(text), "{role_id} {secret_id}");
        assert_eq!(answer.is_wrong_login(), text == WRONG, "only guesses count: {role_id} {secret_id}");
    }
}

// The class of CVE-2025-6011: an answer that comes sooner tells that there is no role.
#[test]
fn an_unknown_role_costs_as_many_steps_as_a_wrong_secret_id() {
    let mut bench = bench();
    let mut steps = |role_id: &str| {
        bench.write("login", json!({ "role_id": role_id, "secret_id": "bad" }));
        bench.gets()
    };
    // The role itself is one record more, read in the time of a hash.
    assert_eq!(steps("rid"), steps("unknown") + 1);
}

#[test]
fn a_secret_id_is_good_for_as_many_logins_as_it_says() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({ "num_uses": 3, "ttl": 60 }));
    for _ in 0..3 {
        assert_eq!(log_in(&mut bench, "s").status(), 200);
    }
    assert_eq!(told(&log_in(&mut bench, "s")), invalid(WRONG));
    assert_eq!(traces(&bench), Vec::<String>::new(), "used up, it leaves nothing behind");
}

#[test]
fn a_login_that_is_refused_uses_nothing_up() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({ "num_uses": 1, "cidr_list": "10.0.0.0/8" }));
    for _ in 0..3 {
        assert_eq!(log_in(&mut bench, "s").status(), 400);
    }
    bench.caller().remote_address = "10.0.0.1".to_owned();
    assert_eq!(log_in(&mut bench, "s").status(), 200);
    assert_eq!(log_in(&mut bench, "s").status(), 400);
}

#[test]
fn a_login_whose_commit_is_lost_uses_nothing_up() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({ "num_uses": 1 }));
    bench.lose_next_commit();
    assert_eq!(log_in(&mut bench, "s").status(), 503);
    assert_eq!(log_in(&mut bench, "s").status(), 200);
}

// a secret id that has ended is none, cleared away or not.
#[test]
fn a_secret_id_that_has_ended_is_none_before_it_is_cleared_away() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({ "ttl": 60 }));
    bench.advance(59).unwrap();
    assert_eq!(log_in(&mut bench, "s").status(), 200);
    bench.advance(1).unwrap();
    assert_eq!(traces(&bench).len(), 3);
    assert_eq!(told(&log_in(&mut bench, "s")), invalid(WRONG));
    assert_eq!(bench.write("role/web/secret-id/lookup", json!({ "secret_id": "s" })).status(), 204);
    assert_eq!(bench.write("role/web/custom-secret-id", json!({ "secret_id": "s" })).status(), 200, "its text is free");
}

#[test]
fn the_alias_and_the_role_of_a_login_can_be_asked_before_it() {
    let mut bench = bench();
    let body = json!({ "role_id": " rid ", "secret_id": "x" }).to_string();
    let ahead = bench.request(Operation::AliasLookahead, "login", &body);
    assert_eq!(ahead.auth().alias.as_ref().unwrap().name, "rid");
    assert_eq!(bench.request(Operation::ResolveRole, "login", &body).data(), json!({ "role": "web" }));
    assert_eq!(bench.request(Operation::ResolveRole, "login", "{\"role_id\":\"x\"}").status(), 400);
}

#[test]
fn a_token_is_renewed_while_its_role_is_there() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({}));
    let grant = log_in(&mut bench, "s").auth().clone();
    bench.write("role/web", json!({ "token_ttl": 60, "token_policies": "other" })).ok();
    let renewed = bench.renew_token(&grant, None).unwrap();
    assert_eq!((renewed.ttl, renewed.policies), (Some(60), vec!["p".to_owned()]));
    bench.delete("role/web").ok();
    let Err(Error::InvalidRequest(text)) = bench.renew_token(&grant, None) else { panic!("it was renewed") };
    assert_eq!(text, "role \"web\" does not exist during renewal");
}

#[test]
fn secret_ids_go_with_their_role_even_if_another_takes_its_name_and_id() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({}));
    bench.delete("role/web").ok();
    assert_eq!(told(&log_in(&mut bench, "s")), invalid(WRONG));
    bench.write("role/web", json!({ "role_id": "rid" })).ok();
    assert_eq!(told(&log_in(&mut bench, "s")), invalid(WRONG));
    assert_eq!(bench.list("role/web/secret-id/").status(), 404);
}

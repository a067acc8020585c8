//! Logging in, and who may not.

use bulkhead_sdk::bench::Answer;

use super::*;

fn log_in(bench: &mut Bench<Userpass>, name: &str, password: &str) -> Answer {
    bench.write(&format!("login/{name}"), json!({ "password": password }))
}

#[test]
fn the_right_password_gives_a_token_with_the_users_settings() {
    let mut bench = bench();
    let settings = json!({
        "token_ttl": 600, "token_max_ttl": 1200, "token_explicit_max_ttl": 1300, "token_period": 60,
        "token_num_uses": 3, "token_no_default_policy": true, "token_type": "service",
        "token_bound_cidrs": "127.0.0.0/8,10.0.0.1",
    });
    bench.write("users/ann", settings).ok();
    let answer = log_in(&mut bench, "Ann", "pw");
    let grant = answer.auth();
    assert_eq!(grant.alias.as_ref().unwrap().name, "ann");
    assert_eq!(
        (grant.display_name.as_str(), grant.policies.as_slice()),
        ("ann", &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!(grant.metadata, [("username".to_owned(), "ann".to_owned())]);
    assert_eq!((grant.ttl, grant.max_ttl, grant.explicit_max_ttl), (Some(600), Some(1200), Some(1300)));
    assert_eq!((grant.period, grant.num_uses, grant.no_default_policy), (Some(60), 3, true));
    assert_eq!((grant.token_type, grant.renewable), (TokenType::Service, true));
    assert_eq!(grant.bound_cidrs, ["127.0.0.0/8", "10.0.0.1"]);
}

// an unknown user and a wrong password get the same answer.
#[test]
fn a_wrong_password_and_an_unknown_user_get_one_answer() {
    let mut bench = bench();
    for name in ["ann", "bob"] {
        let answer = log_in(&mut bench, name, "bad");
        assert_eq!((answer.status(), answer.error()), (400, "invalid username or password"), "{name}");
        assert!(answer.is_wrong_login(), "{name}: what is locked would tell who there is");
        let answer = log_in(&mut bench, name, "");
        assert_eq!((answer.status(), answer.error()), (400, "missing password"), "{name}");
        assert!(!answer.is_wrong_login(), "{name}: nothing was guessed");
    }
}

// CVE-2025-6011, CVE-2025-54999: for unknown users nothing was hashed, and the time told.
// an unknown user costs as much work as a known one.
#[test]
fn for_an_unknown_user_a_hash_of_the_same_cost_is_compared_with() {
    let mut bench = bench();
    for name in ["ann", "bob"] {
        log_in(&mut bench, name, "bad");
        assert_eq!(bench.password_work(), ["10"], "{name}");
    }
}

// CVE-2025-6004, CVE-2025-54998: failures were counted by the name as it was typed.
// failures are counted by the name that the login is for.
#[test]
fn the_alias_that_failures_are_counted_by_is_that_of_the_login() {
    let mut bench = bench();
    let login = log_in(&mut bench, "ANN", "pw").auth().alias.clone().unwrap().name;
    for name in ["ann", "ANN", "aNn"] {
        let ahead = bench.request(Operation::AliasLookahead, &format!("login/{name}"), "{}");
        assert_eq!(ahead.auth().alias.as_ref().unwrap().name, login);
    }
    for name in ["ann%20", " ann", "\u{ff41}nn"] {
        assert_eq!(bench.request(Operation::AliasLookahead, &format!("login/{name}"), "{}").status(), 404, "{name}");
    }
}

#[test]
fn from_outside_of_the_users_networks_nobody_logs_in() {
    let mut bench = bench();
    bench.write("users/ann", json!({ "token_bound_cidrs": "10.0.0.0/8" })).ok();
    let answer = log_in(&mut bench, "ann", "pw");
    assert_eq!((answer.status(), answer.error()), (403, "permission denied"));
    assert!(!answer.is_wrong_login());
    assert_eq!(log_in(&mut bench, "ann", "bad").error(), "invalid username or password");
    bench.caller().remote_address = "10.1.2.3".to_owned();
    assert_eq!(log_in(&mut bench, "ann", "pw").status(), 200);
    bench.caller().remote_address = String::new();
    assert_eq!(log_in(&mut bench, "ann", "pw").status(), 403);
}

#[test]
fn a_strictly_bound_token_works_from_where_its_login_came_only() {
    let mut bench = bench();
    bench.write("users/ann", json!({ "token_strictly_bind_ip": true })).ok();
    bench.caller().remote_address = "fd00::1".to_owned();
    assert_eq!(log_in(&mut bench, "ann", "pw").auth().bound_cidrs, ["fd00::1"]);
    bench.caller().remote_address = String::new();
    assert_eq!(log_in(&mut bench, "ann", "pw").status(), 403, "an unknown address must not leave the token unbound");
}

//! The method on the bench, route by route. Texts and statuses were read off OpenBao 2.7.2.

use bulkhead_sdk::bench::Bench;
use bulkhead_sdk::prelude::*;

use crate::Userpass;

mod logins;
mod passwords;
mod renewals;
mod users;

/// A mount with the user `ann`, whose password is `pw` and whose policies are `a` and `b`.
fn bench() -> Bench<Userpass> {
    let mut bench = Bench::new();
    bench.write("users/ann", json!({ "password": "pw", "token_policies": "a,b" })).ok();
    bench
}

/// Status and text of a refusal.
fn refusal(bench: &mut Bench<Userpass>, path: &str, body: Value) -> (u16, String) {
    let answer = bench.write(path, body);
    (answer.status(), answer.error().to_owned())
}

fn invalid(text: &str) -> (u16, String) {
    (400, text.to_owned())
}

#[test]
fn only_the_login_is_open_to_callers_without_a_token() {
    let bench = bench();
    let routes = &bench.descriptor().routes;
    let open: Vec<_> = routes.iter().filter(|route| route.unauthenticated).map(|route| &route.pattern).collect();
    assert_eq!(open, ["login/{username}"]);
    assert_eq!(routes.len(), 5);
}

#[test]
fn passwords_are_marked_as_sensitive_wherever_they_are_sent() {
    let bench = bench();
    for route in &bench.descriptor().routes {
        for field in route.fields.iter().filter(|field| field.name.starts_with("password")) {
            assert!(field.sensitive, "{} of {}", field.name, route.pattern);
        }
    }
}

#[test]
fn the_host_is_told_wherever_a_name_has_more_than_one_spelling() {
    let fact = ("folded-captures".to_owned(), br#"["username"]"#.to_vec());
    for route in &bench().descriptor().routes {
        assert_eq!(route.extra.contains(&fact), route.pattern.contains("{username}"), "{}", route.pattern);
    }
}

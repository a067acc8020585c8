//! The method on the bench, route by route. Texts and statuses were read off OpenBao 2.7.2.

use bulkhead_sdk::bench::{Answer, Bench};
use bulkhead_sdk::prelude::*;

use crate::Approle;

mod issue;
mod logins;
mod lookups;
mod networks;
mod parts;
mod roles;
mod tidy;

/// A mount with the role `web`, whose id is `rid`.
fn bench() -> Bench<Approle> {
    with_role(json!({}))
}

/// The same with more settings of the role.
fn with_role(settings: Value) -> Bench<Approle> {
    let mut bench = Bench::new();
    bench.write("role/web", json!({ "role_id": "rid", "token_policies": "p" })).ok();
    bench.write("role/web", settings).ok();
    bench
}

/// Makes a secret id of this text.
fn issue(bench: &mut Bench<Approle>, secret_id: &str, settings: Value) -> Value {
    let mut body = settings;
    body["secret_id"] = json!(secret_id);
    let answer = bench.write("role/web/custom-secret-id", body);
    answer.ok();
    answer.data()
}

fn log_in(bench: &mut Bench<Approle>, secret_id: &str) -> Answer {
    bench.write("login", json!({ "role_id": "rid", "secret_id": secret_id }))
}

/// Status and text of a refusal.
fn refusal(bench: &mut Bench<Approle>, path: &str, body: Value) -> (u16, String) {
    told(&bench.write(path, body))
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status(), answer.error().to_owned())
}

fn invalid(text: &str) -> (u16, String) {
    (400, text.to_owned())
}

/// Keys of what belongs to secret ids.
fn traces(bench: &Bench<Approle>) -> Vec<String> {
    let folders = ["secret-id", "accessor", "expiry"];
    bench.keys().into_iter().filter(|key| folders.iter().any(|folder| key.starts_with(folder))).collect()
}

#[test]
fn only_the_login_is_open_to_callers_without_a_token() {
    let bench = bench();
    let routes = &bench.descriptor().routes;
    let open: Vec<_> = routes.iter().filter(|route| route.unauthenticated).map(|route| &route.pattern).collect();
    assert_eq!(open, ["login"]);
    assert_eq!(routes.len(), 24);
}

#[test]
fn every_field_that_takes_a_secret_id_is_sensitive() {
    for route in &bench().descriptor().routes {
        for field in route.fields.iter().filter(|field| field.name == "secret_id") {
            assert!(field.sensitive, "{}", route.pattern);
        }
    }
}

#[test]
fn the_host_is_told_wherever_a_name_has_more_than_one_spelling() {
    let fact = ("folded-captures".to_owned(), br#"["role_name"]"#.to_vec());
    for route in &bench().descriptor().routes {
        assert_eq!(route.extra.contains(&fact), route.pattern.contains("{role_name}"), "{}", route.pattern);
    }
}

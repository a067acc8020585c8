use bulkhead_sdk::bench::Bench;

use super::*;

fn bench() -> Bench<Phrases> {
    let mut bench = Bench::new();
    bench.write("users/ann", json!({ "phrase": "open sesame", "policies": "a,b", "ttl": "30m" })).ok();
    bench
}

#[test]
fn the_right_phrase_logs_in() {
    let mut bench = bench();
    let answer = bench.write("login/ann", json!({ "phrase": "open sesame" }));
    let grant = answer.auth();
    assert_eq!((grant.policies.as_slice(), grant.ttl), (&["a".to_owned(), "b".to_owned()][..], Some(1800)));
    assert_eq!(grant.alias.as_ref().unwrap().name, "ann");
    assert_eq!(grant.metadata, [("user".to_owned(), "ann".to_owned())]);
}

#[test]
fn a_wrong_phrase_and_an_unknown_user_get_one_answer() {
    let mut bench = bench();
    let wrong = bench.write("login/ann", json!({ "phrase": "x" }));
    let unknown = bench.write("login/bob", json!({ "phrase": "x" }));
    assert_eq!((wrong.status(), wrong.error()), (unknown.status(), unknown.error()));
    assert_eq!(wrong.status(), 400);
}

#[test]
fn a_token_is_renewed_as_long_as_its_user_is_the_same() {
    let mut bench = bench();
    let answer = bench.write("login/ann", json!({ "phrase": "open sesame" }));
    assert_eq!(bench.renew_token(answer.auth(), None).unwrap().ttl, Some(1800));
    bench.write("users/ann", json!({ "phrase": "x", "policies": "c" })).ok();
    assert!(bench.renew_token(answer.auth(), None).is_err());
    bench.delete("users/ann").ok();
    assert!(bench.renew_token(answer.auth(), None).is_err());
}

#[test]
fn reading_a_user_does_not_show_the_phrase() {
    assert_eq!(bench().read("users/ann").data(), json!({ "policies": ["a", "b"], "ttl": 1800 }));
}

#[test]
fn only_the_login_is_open_to_callers_without_a_token() {
    let bench = bench();
    let open: Vec<_> = bench.descriptor().routes.iter().filter(|route| route.unauthenticated).collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].pattern, "login/{name}");
}

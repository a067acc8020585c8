use bulkhead_sdk::bench::Bench;

use super::*;

fn bench() -> Bench<Hello> {
    let mut bench = Bench::new();
    bench.write("roles/a", json!({ "prefix": "x", "ttl": "10m" })).ok();
    bench
}

#[test]
fn a_role_is_written_read_and_listed() {
    let mut bench = bench();
    assert_eq!(bench.read("roles/a").data(), json!({ "prefix": "x", "ttl": 600 }));
    assert_eq!(bench.list("roles/").data(), json!({ "keys": ["a"] }));
    assert_eq!(bench.write("roles/b", json!({})).status(), 400);
}

#[test]
fn a_code_lives_as_long_as_its_lease() {
    let mut bench = bench();
    let answer = bench.read("codes/a");
    let key = format!("code/{}", answer.data()["code"].as_str().unwrap());
    assert_eq!(answer.lease().ttl, Some(600));
    assert!(bench.stored(&key).is_some());
    bench.revoke(answer.lease()).unwrap();
    assert!(bench.stored(&key).is_none());
    bench.revoke(answer.lease()).unwrap();
}

#[test]
fn a_lease_is_renewed_by_what_was_asked() {
    let mut bench = bench();
    let answer = bench.read("codes/a");
    assert_eq!(bench.renew(answer.lease(), Some(60)).unwrap().ttl, Some(60));
}

#[test]
fn without_a_role_there_is_no_code() {
    assert_eq!(bench().read("codes/none").status(), 404);
}

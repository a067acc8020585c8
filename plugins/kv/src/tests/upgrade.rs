//! From version 1 to version 2.

use super::*;

const UNAVAILABLE: &str = "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period \
and will resume service shortly.";

/// A mount with plain secrets that was just tuned to version 2.
fn tuned(secrets: usize) -> Bench<Kv> {
    let mut bench = plain();
    for number in 0..secrets {
        bench.write(&format!("d/s{number}"), json!({ "n": number })).ok();
    }
    bench.set_option("version", "2");
    bench.initialize(Reason::Reconfigured).unwrap();
    bench
}

#[test]
fn plain_secrets_become_first_versions() {
    let mut bench = tuned(2);
    bench.advance(0).unwrap();
    assert_eq!(bench.read("data/d/s1").data()["data"], json!({ "n": 1 }));
    let metadata = bench.read("metadata/d/s1").data();
    assert_eq!((&metadata["current_version"], &metadata["oldest_version"]), (&json!(1), &json!(1)));
    assert_eq!(bench.list("metadata/d/").data(), json!({ "keys": ["s0", "s1"] }));
    assert!(bench.keys().iter().all(|key| !key.starts_with("plain/")));
}

#[test]
fn the_mount_refuses_service_until_all_are_moved() {
    let mut bench = tuned(1);
    for answer in [
        bench.read("data/d/s0"),
        bench.write("data/x", json!({ "data": {} })),
        bench.patch("data/d/s0", json!({ "data": {} })),
        bench.list("metadata/"),
        bench.read("config"),
        bench.delete("metadata/d/s0"),
        bench.write("delete/d/s0", json!({ "versions": [1] })),
    ] {
        assert_eq!((answer.status(), answer.error()), (400, UNAVAILABLE));
    }
    bench.advance(0).unwrap();
    assert_eq!(bench.write("data/x", json!({ "data": {} })).status(), 200);
}

#[test]
fn many_secrets_are_moved_in_slices() {
    let mut bench = tuned(1_100);
    assert_eq!(bench.advance(0).unwrap(), 3 + 1, "the last finds nothing left");
    assert_eq!(bench.list("metadata/d/").data()["keys"].as_array().unwrap().len(), 1_100);
    assert!(bench.keys().iter().all(|key| !key.starts_with("plain/")));
}

#[test]
fn a_slice_goes_on_where_the_one_before_ended() {
    let mut bench = tuned(1_100);
    assert!(bench.run_due_job().unwrap());
    let left = |bench: &Bench<Kv>| bench.keys().iter().filter(|key| key.starts_with("plain/")).count();
    assert_eq!(left(&bench), 600);
    // In front of the second slice: it is not looked for there, but before the end.
    bench.store("plain/zz", br#"{"x":1}"#);
    assert!(bench.run_due_job().unwrap());
    assert!(bench.run_due_job().unwrap());
    assert_eq!(bench.stored("plain/zz"), Some(&br#"{"x":1}"#[..]));
    bench.advance(0).unwrap();
    assert_eq!(left(&bench), 0);
    assert_eq!(bench.read("data/zz").data()["data"], json!({ "x": 1 }));
}

#[test]
fn an_interrupted_upgrade_begins_again() {
    let mut bench = tuned(1_100);
    assert!(bench.run_due_job().unwrap());
    bench.initialize(Reason::Unsealed).unwrap();
    bench.advance(0).unwrap();
    assert_eq!(bench.list("metadata/d/").data()["keys"].as_array().unwrap().len(), 1_100);
    assert!(bench.keys().iter().all(|key| !key.starts_with("plain/")));
}

#[test]
fn names_that_need_escaping_are_moved_too() {
    let mut bench = plain();
    for name in ["q\"uote", "back\\slash", "ü", "a b"] {
        bench.store(&format!("plain/{name}"), br#"{"x":1}"#);
    }
    bench.set_option("version", "2");
    bench.initialize(Reason::Reconfigured).unwrap();
    while bench.run_due_job().unwrap() {}
    assert!(bench.keys().iter().all(|key| !key.starts_with("plain/")));
}

#[test]
fn long_names_make_smaller_slices() {
    let mut bench = plain();
    let folder = "a/".repeat(1_000);
    for number in 0..60 {
        bench.store(&format!("plain/{folder}{number}"), b"{}");
    }
    bench.set_option("version", "2");
    bench.initialize(Reason::Reconfigured).unwrap();
    assert_eq!(bench.advance(0).unwrap(), 3 + 1);
}

#[test]
fn large_secrets_make_smaller_slices() {
    let mut bench = plain();
    for number in 0..12 {
        bench.write(&format!("s{number}"), json!({ "x": "y".repeat(900_000) })).ok();
    }
    bench.set_option("version", "2");
    bench.initialize(Reason::Reconfigured).unwrap();
    assert_eq!(bench.advance(0).unwrap(), 3 + 1);
}

#[test]
fn an_empty_or_fresh_mount_needs_no_upgrade() {
    let mut bench = tuned(0);
    assert_eq!(bench.advance(0).unwrap(), 0);
    assert_eq!(bench.write("data/x", json!({ "data": {} })).status(), 200);
}

#[test]
fn starting_twice_does_no_harm() {
    let mut bench = tuned(3);
    bench.initialize(Reason::BecameActive).unwrap();
    assert_eq!(bench.advance(0).unwrap(), 1 + 1);
    bench.initialize(Reason::Unsealed).unwrap();
    assert_eq!(bench.advance(0).unwrap(), 0);
    assert_eq!(bench.read("data/d/s2").status(), 200);
}

#[test]
fn the_mounts_settings_survive_the_upgrade() {
    let mut bench = versioned();
    bench.write("config", json!({ "max_versions": 3 })).ok();
    bench.store("plain/old", br#"{"x":1}"#);
    bench.initialize(Reason::Reconfigured).unwrap();
    bench.advance(0).unwrap();
    assert_eq!(bench.read("config").data()["max_versions"], 3);
}

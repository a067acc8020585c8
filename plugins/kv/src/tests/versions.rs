//! Version 2: documents, and marks on their versions.

use super::*;

#[test]
fn a_write_makes_a_version_and_a_read_gives_the_latest() {
    let mut bench = versioned();
    let written = bench.write("data/a", json!({ "data": { "x": 1 } }));
    let wanted = json!({
        "created_time": "2026-01-01T00:00:00Z", "custom_metadata": null, "deletion_time": "", "destroyed": false, "version": 1
    });
    assert_eq!(written.data(), wanted);
    bench.write("data/a", json!({ "data": { "x": 2 } })).ok();
    let read = bench.read("data/a").data();
    assert_eq!((&read["data"], &read["metadata"]["version"]), (&json!({ "x": 2 }), &json!(2)));
}

#[test]
fn a_document_is_kept_letter_by_letter() {
    let mut bench = versioned();
    bench.write_text("data/a", r#"{"data":{ "z": 1.10,"a":12345678901234567890.123 }}"#).ok();
    assert!(
        bench.read("data/a").text().starts_with(r#"{"data":{ "z": 1.10,"a":12345678901234567890.123 },"metadata":"#)
    );
}

#[test]
fn the_latest_version_is_read_with_two_gets() {
    let mut bench = with_versions(3);
    bench.read("data/a").ok();
    assert_eq!(bench.gets(), 2);
    bench.write("data/a", json!({ "data": {} })).ok();
    assert_eq!(bench.gets(), 2);
}

#[test]
fn an_old_version_is_read_by_its_number_and_zero_means_the_latest() {
    let mut bench = with_versions(3);
    let mut read = |number: &str| bench.read_with("data/a", json!({ "version": number }));
    assert_eq!(read("1").data()["data"], json!({ "n": 1 }));
    assert_eq!(read("0").data()["data"], json!({ "n": 3 }));
    assert_eq!(read("-1").data()["data"], json!({ "n": 3 }));
    assert_eq!(read("99").status(), 404);
    assert_eq!(read("x").status(), 400);
}

#[test]
fn a_write_needs_data_and_a_name() {
    let mut bench = versioned();
    assert_eq!(bench.write("data/a", json!({ "x": 2 })).error(), "no data provided");
    assert_eq!(bench.write("data/", json!({ "data": {} })).error(), "cannot write to a path ending in '/'");
    assert_eq!(bench.write("data/t/", json!({})).error(), "cannot write to a path ending in '/'");
    assert_eq!(bench.write("data/a", json!({ "data": "text" })).status(), 400);
}

#[test]
fn null_data_is_a_version_too() {
    let mut bench = versioned();
    bench.write("data/a", json!({ "data": null })).ok();
    assert_eq!(bench.read("data/a").data()["data"], Value::Null);
}

#[test]
fn check_and_set_names_the_version_it_replaces() {
    let mut bench = with_versions(1);
    let mut write = |cas: Value| bench.write("data/a", json!({ "data": {}, "options": { "cas": cas } }));
    let mismatch = "check-and-set parameter did not match the current version";
    for (cas, error) in [
        (json!(0), mismatch),
        (json!(2), mismatch),
        (json!(-1), mismatch),
        (json!(null), mismatch),
        (json!("x"), "error parsing check-and-set parameter"),
        (json!(1.5), "error parsing check-and-set parameter"),
    ] {
        let answer = write(cas.clone());
        assert_eq!((answer.status(), answer.error()), (400, error), "{cas}");
    }
    assert_eq!(write(json!(1)).data()["version"], 2);
    assert_eq!(write(json!("2")).data()["version"], 3);
}

#[test]
fn check_and_set_zero_writes_only_what_is_not_there() {
    let mut bench = versioned();
    let body = json!({ "data": {}, "options": { "cas": 0 } });
    assert_eq!(bench.write("data/a", body.clone()).status(), 200);
    assert_eq!(bench.write("data/a", body).status(), 400);
}

#[test]
fn mount_or_secret_may_require_check_and_set() {
    let mut bench = versioned();
    bench.write("metadata/a", json!({ "cas_required": true })).ok();
    let required = "check-and-set parameter required for this call";
    assert_eq!(bench.write("data/a", json!({ "data": {} })).error(), required);
    bench.write("data/a", json!({ "data": {}, "options": { "cas": 0 } })).ok();
    bench.write("config", json!({ "cas_required": true })).ok();
    assert_eq!(bench.write("data/b", json!({ "data": {} })).error(), required);
}

#[test]
fn a_deleted_version_is_404_with_its_metadata() {
    let mut bench = with_versions(2);
    assert_eq!(bench.delete("data/a").status(), 204);
    let answer = bench.read("data/a");
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.data()["data"], Value::Null);
    assert_eq!(answer.data()["metadata"]["deletion_time"], "2026-01-01T00:00:00Z");
    assert_eq!(bench.read_with("data/a", json!({ "version": "1" })).status(), 200);
}

#[test]
fn deleting_what_is_deleted_or_absent_changes_nothing() {
    let mut bench = with_versions(1);
    bench.delete("data/a").ok();
    bench.advance(60).unwrap();
    assert_eq!(bench.delete("data/a").status(), 204);
    assert_eq!(bench.read("data/a").data()["metadata"]["deletion_time"], "2026-01-01T00:00:00Z");
    assert_eq!(bench.delete("data/none").status(), 204);
    assert_eq!(bench.delete("data/").status(), 204);
}

#[test]
fn versions_are_deleted_and_undeleted_by_number() {
    let mut bench = with_versions(3);
    assert_eq!(bench.write("delete/a", json!({ "versions": [1, 2, 77] })).status(), 204);
    assert_eq!(bench.read_with("data/a", json!({ "version": "1" })).status(), 404);
    assert_eq!(bench.read("data/a").status(), 200);
    assert_eq!(bench.write("undelete/a", json!({ "versions": "1" })).status(), 204);
    assert_eq!(bench.read_with("data/a", json!({ "version": "1" })).status(), 200);
    assert_eq!(bench.read_with("data/a", json!({ "version": "2" })).status(), 404);
}

#[test]
fn a_destroyed_version_is_gone_for_good() {
    let mut bench = with_versions(2);
    assert_eq!(bench.write("destroy/a", json!({ "versions": [1, 99] })).status(), 204);
    assert!(bench.stored("data/a/1").is_none());
    bench.write("undelete/a", json!({ "versions": [1] })).ok();
    let answer = bench.read_with("data/a", json!({ "version": "1" }));
    assert_eq!((answer.status(), &answer.data()["metadata"]["destroyed"]), (404, &json!(true)));
}

#[test]
fn marks_need_versions_and_ignore_absent_secrets() {
    let mut bench = with_versions(1);
    assert_eq!(bench.write("delete/a", json!({})).error(), "No version number provided");
    assert_eq!(bench.write("undelete/a", json!({ "versions": [] })).error(), "No version number provided");
    assert_eq!(bench.write("destroy/a", json!({})).error(), "no version number provided");
    for path in ["delete/none", "undelete/none", "destroy/none"] {
        assert_eq!(bench.write(path, json!({ "versions": [1] })).status(), 204);
    }
}

#[test]
fn only_so_many_versions_are_kept() {
    let mut bench = with_versions(12);
    assert_eq!(bench.read("metadata/a").data()["oldest_version"], 3);
    assert_eq!(bench.read_with("data/a", json!({ "version": "2" })).status(), 404);
    assert!(bench.stored("data/a/2").is_none() && bench.stored("data/a/3").is_some());
}

#[test]
fn the_larger_of_the_mounts_and_the_secrets_number_is_kept() {
    for (mount, secret) in [(5, 2), (2, 5)] {
        let mut bench = versioned();
        bench.write("config", json!({ "max_versions": mount })).ok();
        bench.write("metadata/a", json!({ "max_versions": secret })).ok();
        for _ in 0..7 {
            bench.write("data/a", json!({ "data": {} })).ok();
        }
        assert_eq!(bench.read("metadata/a").data()["oldest_version"], 3);
    }
}

#[test]
fn a_version_ends_by_itself_after_the_time_set() {
    let mut bench = versioned();
    bench.write("metadata/a", json!({ "delete_version_after": "3h" })).ok();
    let written = bench.write("data/a", json!({ "data": { "x": 1 } }));
    assert_eq!(written.data()["deletion_time"], "2026-01-01T03:00:00Z");
    bench.advance(3 * 3600 - 1).unwrap();
    assert_eq!(bench.read("data/a").status(), 200);
    bench.advance(1).unwrap();
    assert_eq!(bench.read("data/a").status(), 404);
}

#[test]
fn what_is_undeleted_ends_as_if_it_were_written_then() {
    let mut bench = versioned();
    let mut undeleted = |mount: &str, secret: &str| {
        bench.write("config", json!({ "delete_version_after": mount })).ok();
        bench.write("metadata/a", json!({ "delete_version_after": secret })).ok();
        if bench.read("data/a").status() == 404 {
            bench.write("data/a", json!({ "data": {} })).ok();
        }
        bench.delete("data/a").ok();
        bench.advance(60).unwrap();
        bench.write("undelete/a", json!({ "versions": [1] })).ok();
        bench.read("data/a").data()["metadata"]["deletion_time"].clone()
    };
    assert_eq!(undeleted("0s", "1h"), "2026-01-01T01:01:00Z");
    assert_eq!(undeleted("30m", "1h"), "2026-01-01T00:32:00Z");
    assert_eq!(undeleted("-1s", "1h"), "");
    assert_eq!(undeleted("0s", "0s"), "");
}

#[test]
fn the_mounts_time_bounds_the_secrets() {
    let mut bench = versioned();
    let mut written = |mount: &str| {
        bench.write("config", json!({ "delete_version_after": mount })).ok();
        bench.write("metadata/a", json!({ "delete_version_after": "3h" })).ok();
        bench.write("data/a", json!({ "data": {} })).data()["deletion_time"].clone()
    };
    assert_eq!(written("2h"), "2026-01-01T02:00:00Z");
    assert_eq!(written("4h"), "2026-01-01T03:00:00Z");
    assert_eq!(written("-1s"), "");
}

#[test]
fn a_patch_merges_into_the_latest_version() {
    let mut bench = versioned();
    bench.write("data/a", json!({ "data": { "a": 1, "b": { "c": 2, "d": [1] }, "e": "x" } })).ok();
    let patch = json!({ "data": { "a": null, "b": { "c": 3 }, "n": { "q": null, "r": 1 } } });
    assert_eq!(bench.patch("data/a", patch).data()["version"], 2);
    let wanted = json!({ "b": { "c": 3, "d": [1] }, "e": "x", "n": { "r": 1 } });
    assert_eq!(bench.read("data/a").data()["data"], wanted);
}

#[test]
fn a_patch_keeps_numbers_digit_for_digit() {
    let mut bench = versioned();
    bench.write_text("data/a", r#"{"data":{"n":1.10,"big":12345678901234567890.123}}"#).ok();
    bench.patch("data/a", json!({ "data": { "x": 1 } })).ok();
    assert!(bench.read("data/a").text().starts_with(r#"{"data":{"n":1.10,"big":12345678901234567890.123,"x":1}"#));
}

#[test]
fn a_patch_needs_a_version_that_can_be_read() {
    let mut bench = with_versions(1);
    let missing = bench.patch("data/none", json!({ "data": {} }));
    assert_eq!((missing.status(), missing.raw()), (404, Some(&b""[..])));
    assert_eq!(bench.patch("data/a", json!({})).error(), "no data provided");
    let stale = bench.patch("data/a", json!({ "data": {}, "options": { "cas": 7 } }));
    assert_eq!(stale.error(), "check-and-set parameter did not match the current version");
    bench.delete("data/a").ok();
    let deleted = bench.patch("data/a", json!({ "data": {} }));
    assert_eq!((deleted.status(), &deleted.data()["version"]), (404, &json!(1)));
}

#[test]
fn subkeys_show_the_shape_without_the_values() {
    let mut bench = versioned();
    bench.write("data/a", json!({ "data": { "m": {}, "l": [1], "d": { "e": { "f": 1 } }, "s": "x" } })).ok();
    let mut subkeys = |depth: &str| bench.read_with("subkeys/a", json!({ "depth": depth })).data()["subkeys"].clone();
    assert_eq!(subkeys("0"), json!({ "m": null, "l": null, "d": { "e": { "f": null } }, "s": null }));
    assert_eq!(subkeys("1"), json!({ "m": null, "l": null, "d": null, "s": null }));
    assert_eq!(subkeys("2"), json!({ "m": null, "l": null, "d": { "e": null }, "s": null }));
}

#[test]
fn subkeys_of_a_deleted_version_are_404_with_its_metadata() {
    let mut bench = with_versions(1);
    assert_eq!(bench.read("subkeys/none").status(), 404);
    bench.delete("data/a").ok();
    let answer = bench.read("subkeys/a");
    assert_eq!((answer.status(), &answer.data()["subkeys"]), (404, &Value::Null));
    assert_eq!(answer.data()["metadata"]["version"], 1);
}

#[test]
fn other_paths_say_which_to_use() {
    let mut bench = versioned();
    let answer = bench.read("nope");
    assert_eq!((answer.status(), answer.data()), (404, Value::Null));
    assert!(answer.warnings()[0].ends_with("use 'bao kv get' for this operation."), "{:?}", answer.warnings());
    assert!(bench.write("nope", json!({ "a": 1 })).warnings()[0].contains("'bao kv put'"));
    assert!(bench.list("config/").warnings()[0].contains("'bao kv list'"));
    for path in ["data", "metadata", "delete", "undelete", "destroy"] {
        assert!(bench.read(path).warnings()[0].starts_with("Non-listing operations on the root"), "{path}");
    }
    assert_eq!(bench.list("data/").status(), 405);
    assert_eq!(bench.read("delete/a").status(), 405);
}

#[test]
fn unknown_members_are_ignored_with_a_warning() {
    let answer = versioned().write("data/a", json!({ "data": {}, "foo": 1, "zoo": 2 }));
    assert_eq!(answer.warnings(), ["Endpoint ignored these unrecognized parameters: [foo zoo]"]);
}

#[test]
fn rewriting_a_deleted_secret_is_a_create() {
    let mut bench = with_versions(1);
    let request =
        |bench: &mut Bench<Kv>| bench.write("data/a", json!({ "data": {}, "options": { "cas": 1 } })).status();
    bench.delete("data/a").ok();
    assert_eq!(request(&mut bench), 200);
}

//! Version 1.

use super::*;

#[test]
fn a_body_is_kept_letter_by_letter() {
    let mut bench = plain();
    let body = r#"{ "z":1, "path": "kept", "n": 12345678901234567890.123, "a":{"b":[1,2, 3]} }"#;
    assert_eq!(bench.write_text("d/a", body).status(), 204);
    assert_eq!(bench.read("d/a").text(), body);
}

#[test]
fn a_write_replaces_and_a_delete_removes() {
    let mut bench = plain();
    bench.write("a", json!({ "x": 1 })).ok();
    bench.write("a", json!({ "y": 2 })).ok();
    assert_eq!(bench.read("a").data(), json!({ "y": 2 }));
    assert_eq!(bench.delete("a").status(), 204);
    assert_eq!(bench.read("a").status(), 404);
    assert_eq!(bench.delete("a").status(), 204);
}

#[test]
fn a_lifetime_is_told_but_nothing_is_leased() {
    let table = [
        (json!({ "x": 1 }), 2_764_800),
        (json!({ "ttl": "90s" }), 90),
        (json!({ "ttl": 60 }), 60),
        (json!({ "ttl": "60" }), 60),
        (json!({ "lease": "1h" }), 3600),
        (json!({ "ttl": "x", "lease": "5m" }), 2_764_800),
        (json!({ "ttl": "bogus" }), 2_764_800),
        (json!({ "ttl": true }), 2_764_800),
        (json!({ "ttl": 1.5 }), 2_764_800),
        (json!({ "ttl": "" }), 0),
        (json!({ "ttl": null }), 0),
    ];
    let mut bench = plain();
    for (body, secs) in table {
        bench.write("a", body.clone()).ok();
        assert_eq!(bench.read("a").lifetime(), Some(secs), "{body}");
    }
}

#[test]
fn a_write_needs_fields_and_a_name() {
    let mut bench = plain();
    assert_eq!(bench.write("a", json!({})).error(), "missing data fields");
    assert_eq!(bench.write("d/", json!({ "x": 1 })).error(), "cannot write to a path ending in '/'");
    assert_eq!(bench.write("", json!({ "x": 1 })).status(), 400);
}

#[test]
fn secrets_are_listed_by_folder_and_scanned_through() {
    let mut bench = plain();
    for path in ["a", "d/b", "d/e/f"] {
        bench.write(path, json!({ "x": 1 })).ok();
    }
    assert_eq!(bench.list("").data(), json!({ "keys": ["a", "d/"] }));
    assert_eq!(bench.list("d/").data(), json!({ "keys": ["b", "e/"] }));
    assert_eq!(bench.scan("").data(), json!({ "keys": ["a", "d/b", "d/e/f"] }));
    assert_eq!(bench.list("zz/").status(), 404);
    assert_eq!(bench.scan("zz/").data(), json!({}), "a scan that finds nothing is an answer");
}

#[test]
fn a_folder_cannot_be_read_and_deleting_it_does_nothing() {
    let mut bench = plain();
    bench.write("d/a", json!({ "x": 1 })).ok();
    assert_eq!(bench.read("d/").status(), 404);
    assert_eq!(bench.delete("d/").status(), 204);
    assert_eq!(bench.read("d/a").status(), 200);
}

#[test]
fn parameters_of_a_read_are_ignored_with_a_warning() {
    let mut bench = plain();
    bench.write("a", json!({ "x": 1 })).ok();
    let answer = bench.read_with("a", json!({ "foo": "1" }));
    assert_eq!(answer.warnings(), ["Endpoint ignored these unrecognized parameters: [foo]"]);
}

#[test]
fn there_is_no_patch() {
    assert_eq!(plain().patch("a", json!({ "x": 1 })).status(), 405);
}

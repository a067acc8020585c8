use serde_json::json;

use super::place::with_family;
use super::show::heading_for;

#[test]
fn the_family_goes_behind_the_mount() {
    assert_eq!(with_family("secret/foo/bar", "secret/", "data"), "secret/data/foo/bar");
    assert_eq!(with_family("secret", "secret/", "metadata"), "secret/metadata");
    assert_eq!(with_family("secret/", "secret/", "metadata"), "secret/metadata");
    assert_eq!(with_family("a/b/c", "a/b/", "data"), "a/b/data/c");
}

#[test]
fn a_mount_known_by_its_namespace_too_is_found_by_its_end() {
    assert_eq!(with_family("secret/foo", "ns1/secret/", "data"), "secret/data/foo");
}

#[test]
fn headings_are_as_wide_as_their_table() {
    let map = json!({ "created_time": 1, "version": 2 });
    assert_eq!(heading_for("Metadata", map.as_object().expect("an object")), "====== Metadata ======");
    assert_eq!(heading_for("Data", &serde_json::Map::new()), "== Data ==");
}

//! Version 2: settings, metadata and lists.

use super::*;

#[test]
fn settings_of_the_mount_stay_where_a_write_leaves_them_out() {
    let mut bench = versioned();
    let fresh = json!({
        "cas_required": false, "delete_version_after": "0s", "max_versions": 0, "metadata_cas_required": false
    });
    assert_eq!(bench.read("config").data(), fresh);
    bench.write("config", json!({ "max_versions": 3, "cas_required": true, "delete_version_after": "2h" })).ok();
    bench.write("config", json!({ "cas_required": "false" })).ok();
    let changed = json!({
        "cas_required": false, "delete_version_after": "2h0m0s", "max_versions": 3, "metadata_cas_required": false
    });
    assert_eq!(bench.read("config").data(), changed);
}

#[test]
fn a_negative_time_disables_and_zero_clears() {
    let mut bench = versioned();
    for (sent, shown) in [("-1s", "-1s"), ("0s", "0s")] {
        bench.write("config", json!({ "delete_version_after": sent })).ok();
        assert_eq!(bench.read("config").data()["delete_version_after"], shown);
    }
}

#[test]
fn the_config_cannot_be_patched_or_deleted() {
    let mut bench = versioned();
    assert_eq!(bench.patch("config", json!({ "max_versions": 1 })).status(), 405);
    assert_eq!(bench.delete("config").status(), 405);
}

#[test]
fn metadata_may_be_there_before_the_first_version() {
    let mut bench = versioned();
    let body = json!({ "max_versions": 2, "cas_required": true, "custom_metadata": { "o": "me" }, "delete_version_after": "3h" });
    assert_eq!(bench.write("metadata/a", body).status(), 204);
    let wanted = json!({
        "cas_required": true, "created_time": "2026-01-01T00:00:00Z", "current_metadata_version": 1, "current_version": 0,
        "custom_metadata": { "o": "me" }, "delete_version_after": "3h0m0s", "max_versions": 2,
        "metadata_cas_required": false, "oldest_version": 0, "updated_time": "2026-01-01T00:00:00Z", "versions": {}
    });
    assert_eq!(bench.read("metadata/a").data(), wanted);
    assert_eq!(bench.read("data/a").status(), 404);
}

#[test]
fn metadata_lists_the_versions() {
    let mut bench = with_versions(2);
    let versions = bench.read("metadata/a").data()["versions"].clone();
    let version = json!({ "created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": false });
    assert_eq!(versions, json!({ "1": version, "2": version }));
}

#[test]
fn a_write_without_settings_makes_nothing() {
    let mut bench = versioned();
    assert_eq!(bench.write("metadata/a", json!({})).status(), 204);
    assert_eq!(bench.read("metadata/a").status(), 404);
}

#[test]
fn custom_metadata_is_shown_with_every_version() {
    let mut bench = with_versions(1);
    bench.write("metadata/a", json!({ "custom_metadata": { "b": true, "a": 1 } })).ok();
    assert_eq!(bench.read("data/a").data()["metadata"]["custom_metadata"], json!({ "a": "1", "b": "1" }));
    bench.write("metadata/a", json!({ "custom_metadata": {} })).ok();
    assert_eq!(bench.read("metadata/a").data()["custom_metadata"], Value::Null);
}

#[test]
fn custom_metadata_keeps_to_vaults_limits() {
    let mut bench = versioned();
    let long = "v".repeat(600);
    let answer = bench.write("metadata/a", json!({ "custom_metadata": { "x": long } }));
    let wanted = "1 error occurred:\n\t* custom_metadata validation failed: length of value for key \"x\" is 600 but must be \
                  0 < len(value) <= 512\n\n";
    assert_eq!((answer.status(), answer.error()), (400, wanted));
    let many: Value = (0..65).map(|n| (format!("k{n}"), json!("v"))).collect();
    let answer = bench.write("metadata/a", json!({ "custom_metadata": many }));
    assert!(answer.error().contains("payload must contain at most 64 keys, provided 65"), "{}", answer.error());
    let answer = bench.write("metadata/a", json!({ "custom_metadata": { "": "x", "ct\u{1}": "a", "v": "\u{1}" } }));
    assert!(answer.error().starts_with("3 errors occurred:"), "{}", answer.error());
    assert!(answer.error().contains("key \"ct\\x01\" (ct\u{1}) contains unprintable characters"), "{}", answer.error());
}

#[test]
fn custom_metadata_is_flat() {
    let answer = versioned().write("metadata/a", json!({ "custom_metadata": { "a": { "b": 1 } } }));
    let wanted = "custom_metadata validation failed: '' expected type 'string', got unconvertible type 'map[string]interface {}'";
    assert_eq!(answer.error(), wanted);
}

#[test]
fn a_patch_changes_what_it_names_and_null_clears() {
    let mut bench = versioned();
    let body = json!({ "max_versions": 2, "cas_required": true, "custom_metadata": { "o": "me", "k": "v" } });
    bench.write("metadata/a", body).ok();
    assert_eq!(bench.patch("metadata/a", json!({ "custom_metadata": { "o": null, "x": "y" } })).status(), 204);
    let data = bench.read("metadata/a").data();
    assert_eq!((&data["custom_metadata"], &data["max_versions"]), (&json!({ "k": "v", "x": "y" }), &json!(2)));
    bench.patch("metadata/a", json!({ "max_versions": null, "cas_required": null, "custom_metadata": null })).ok();
    let data = bench.read("metadata/a").data();
    assert_eq!((&data["max_versions"], &data["cas_required"]), (&json!(0), &json!(false)));
    assert_eq!((&data["custom_metadata"], &data["current_metadata_version"]), (&Value::Null, &json!(3)));
}

#[test]
fn a_patch_of_nothing_is_404_without_a_body_and_an_empty_one_does_nothing() {
    let mut bench = versioned();
    assert_eq!(bench.patch("metadata/none", json!({ "max_versions": 5 })).raw(), Some(&b""[..]));
    bench.write("metadata/a", json!({ "max_versions": 1 })).ok();
    assert_eq!(bench.patch("metadata/a", json!({})).status(), 204);
    assert_eq!(bench.read("metadata/a").data()["current_metadata_version"], 1);
}

#[test]
fn metadata_has_a_check_and_set_of_its_own() {
    let mut bench = versioned();
    bench.write("config", json!({ "metadata_cas_required": true })).ok();
    let required = "metadata check-and-set parameter required for this call";
    assert_eq!(bench.write("metadata/a", json!({ "max_versions": 3 })).error(), required);
    let is_new = "metadata_cas must be 0 when creating new metadata";
    assert_eq!(bench.write("metadata/a", json!({ "max_versions": 3, "metadata_cas": 1 })).error(), is_new);
    assert_eq!(bench.write("metadata/a", json!({ "metadata_cas": 1 })).status(), 204, "nothing is changed");
    bench.write("metadata/a", json!({ "max_versions": 3, "metadata_cas": 0 })).ok();
    let mismatch = "metadata check-and-set parameter does not match the current version";
    assert_eq!(bench.write("metadata/a", json!({ "max_versions": 4, "metadata_cas": 0 })).error(), mismatch);
    assert_eq!(bench.patch("metadata/a", json!({ "max_versions": 4, "metadata_cas": 1 })).status(), 204);
}

#[test]
fn removing_metadata_removes_every_version() {
    let mut bench = with_versions(3);
    bench.write("config", json!({ "max_versions": 4 })).ok();
    assert_eq!(bench.delete("metadata/a").status(), 204);
    assert_eq!(bench.keys(), ["config"]);
    assert_eq!(bench.delete("metadata/a").status(), 204);
}

fn forest() -> Bench<Kv> {
    let mut bench = versioned();
    for path in ["c", "d/a", "d/b", "d/e/f", "d/e/g/h", "m"] {
        bench.write(&format!("data/{path}"), json!({ "data": {} })).ok();
    }
    bench
}

#[test]
fn secrets_are_listed_by_folder_without_reading_them() {
    let mut bench = forest();
    assert_eq!(bench.list("metadata/").data(), json!({ "keys": ["c", "d/", "m"] }));
    assert_eq!(bench.gets(), 1, "the mount's settings only");
    assert_eq!(bench.list("metadata/d/").data(), json!({ "keys": ["a", "b", "e/"] }));
    assert_eq!(bench.list("metadata/d/a/").status(), 404);
}

#[test]
fn a_list_comes_in_pages() {
    let mut bench = forest();
    let mut page = |after: &str, limit: &str| bench.list_with("metadata/", json!({ "after": after, "limit": limit }));
    assert_eq!(page("", "2").data(), json!({ "keys": ["c", "d/"] }));
    assert_eq!(page("d/", "2").data(), json!({ "keys": ["m"] }));
    assert_eq!(page("", "-1").data(), json!({ "keys": ["c", "d/", "m"] }));
    assert_eq!(page("zzz", "").status(), 404);
}

#[test]
fn a_scan_gives_everything_below() {
    let mut bench = forest();
    assert_eq!(bench.scan("metadata/d/").data(), json!({ "keys": ["a", "b", "e/f", "e/g/h"] }));
    assert_eq!(bench.scan("metadata/zz/").data(), json!({}), "a scan that finds nothing is an answer");
    assert_eq!(bench.scan("detailed-metadata/zz/").data(), json!({}));
}

#[test]
fn a_detailed_list_carries_the_metadata() {
    let mut bench = forest();
    let data = bench.list("detailed-metadata/d/").data();
    assert_eq!(data["keys"], json!(["a", "b", "e/"]));
    assert_eq!(data["key_info"]["e/"], json!({}));
    assert_eq!(data["key_info"]["a"], bench.read("metadata/d/a").data());
    assert_eq!(bench.list("detailed-metadata/zz/").status(), 404);
    assert_eq!(bench.read("detailed-metadata/d").status(), 405);
    assert_eq!(bench.scan("detailed-metadata/d/").data()["keys"], json!(["a", "b", "e/f", "e/g/h"]));
}

#[test]
fn metadata_cannot_be_written_to_a_folder() {
    let mut bench = versioned();
    let refused = "cannot write to a path ending in '/'";
    assert_eq!(bench.write("metadata/q/", json!({ "max_versions": 1 })).error(), refused);
    assert_eq!(bench.patch("metadata/q/", json!({ "max_versions": 1 })).error(), refused);
    assert_eq!(bench.read("metadata/").status(), 404);
}

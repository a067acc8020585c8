//! The engine on the bench, route by route. Texts and statuses were read off OpenBao 2.7.2.

use bulkhead_sdk::bench::Bench;
use bulkhead_sdk::prelude::*;

use crate::Kv;

mod metadata;
mod plain;
mod upgrade;
mod versions;

/// A version 2 mount.
fn versioned() -> Bench<Kv> {
    Bench::new().option("version", "2")
}

/// A version 1 mount.
fn plain() -> Bench<Kv> {
    Bench::new()
}

/// A version 2 mount whose secret `a` has this many versions: `{"n":1}`, `{"n":2}`, …
fn with_versions(count: u64) -> Bench<Kv> {
    let mut bench = versioned();
    for number in 1..=count {
        bench.write("data/a", json!({ "data": { "n": number } })).ok();
    }
    bench
}

#[test]
fn the_descriptor_declares_both_versions() {
    let bench = versioned();
    let descriptor = bench.descriptor();
    assert_eq!(descriptor.name, "kv");
    let conditional = descriptor.routes.iter().filter(|route| !route.extra.is_empty()).count();
    assert_eq!((descriptor.routes.len(), conditional), (10, 9));
    let patterns: Vec<_> = descriptor.routes.iter().map(|route| route.pattern.as_str()).collect();
    assert_eq!(patterns.iter().filter(|pattern| **pattern == "{path...}").count(), 2);
}

#[test]
fn a_mount_is_of_one_version_only() {
    let mut plain = plain();
    plain.write("data/a", json!({ "data": { "x": 1 } })).ok();
    assert_eq!(plain.read("data/a").data(), json!({ "data": { "x": 1 } }));
    let mut versioned = versioned();
    assert_eq!(versioned.write("a", json!({ "x": 1 })).status(), 404);
}

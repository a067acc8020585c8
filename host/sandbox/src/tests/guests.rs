//! Builds the components the tests and the bench run: the probe with cargo, others as
//! dummies that have a world's imports and exports and trap in every function.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::ComponentEncoder;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The probe's core module.
pub(crate) fn probe_module() -> Vec<u8> {
    module("probe")
}

/// The core module of a guest of the tests. Cargo builds it once; later calls find it fresh.
pub(crate) fn module(name: &str) -> Vec<u8> {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name);
    let target = root().join("target/guests-test");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-unknown-unknown", "--target-dir"]);
    cargo.arg(&target).current_dir(crate_dir);
    // Flags meant for the host's build would end up in the guest's.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(name);
    }
    let built = cargo.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "building {name} (is the wasm32-unknown-unknown target installed?): {said}");
    let built = format!("wasm32-unknown-unknown/release/{}.wasm", name.replace('-', "_"));
    std::fs::read(target.join(built)).unwrap()
}

/// A core module with its WIT inside, as a component.
pub(crate) fn component(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().validate(true).module(module).unwrap().encode().unwrap()
}

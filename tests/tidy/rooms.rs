//! Which package may depend on which, and where vendor crates stay.

use crate::holds;
use crate::text::{HOSTILE, read, relative, root, tracked_files};

/// Which of our packages a package may depend on. The direction is cli → server →
/// the others → model; only the server meets the ledger and the sandbox; what
/// runs in the sandbox knows nothing of the host.
const ROOMS: &[(&str, &[&str])] = &[
    ("host/model", &[]),
    ("host/barrier", &["bulkhead-model"]),
    ("host/ledger", &["bulkhead-model"]),
    ("host/ledger/histogram", &[]),
    ("host/sandbox", &["bulkhead-model"]),
    ("host/broker", &["bulkhead-barrier", "bulkhead-model"]),
    ("host/api", &["bulkhead-model"]),
    (
        "host/server",
        &[
            "bulkhead-api",
            "bulkhead-barrier",
            "bulkhead-broker",
            "bulkhead-ledger",
            "bulkhead-model",
            "bulkhead-sandbox",
        ],
    ),
    ("host/cli", &["bulkhead-model", "bulkhead-server"]),
    // The model in its tests alone: a law of its own.
    ("sdk", &["bulkhead-model", "bulkhead-sdk-derive"]),
    ("sdk/derive", &[]),
    ("tests", &["bulkhead-server", "bulkhead-test-servers"]),
    ("tests/servers", &[]),
    ("xtask", &["bulkhead-test-servers"]),
];

/// What a guest may depend on.
const GUEST: &[&str] = &["bulkhead-sdk", "bulkhead-test-servers"];

/// Crates that stay in their rooms, so that replacing one is the work of one room.
const VENDORS: &[(&str, &[&str])] = &[
    ("aes-siv", &["host/barrier"]),
    ("argon2", &["host/sandbox"]),
    ("bcrypt", &["host/sandbox"]),
    ("cap-std", &["host/sandbox", "host/server"]),
    ("clap", &["host/cli", "xtask"]),
    ("clap_complete", &["host/cli"]),
    ("hyper", &["host/api", "host/cli", "tests", "xtask"]),
    ("hyper-util", &["host/api", "host/cli", "tests", "xtask"]),
    ("lsm-tree", &["host/ledger"]),
    ("openraft", &["host/ledger"]),
    ("rcgen", &["host/ledger", "host/server", "tests", "tests/servers"]),
    ("rustls", &["host/api", "host/cli", "host/ledger", "host/server", "tests"]),
    ("tokio-rustls", &["host/api", "host/cli", "host/ledger", "host/server"]),
    ("vsss-rs", &["host/barrier"]),
    ("wasmtime", &["host/sandbox"]),
    ("wit-bindgen", &["sdk"]),
    ("wit-component", &["host/sandbox", "xtask"]),
    ("x509-cert", &["plugins/database"]),
    ("x509-parser", &["host/api", "host/server"]),
];

#[test]
fn rooms_depend_only_in_their_direction() {
    let mut broken = Vec::new();
    for manifest in manifests() {
        let allowed = allowed_rooms(&manifest.folder);
        for name in manifest.dependencies.iter().filter(|name| name.starts_with("bulkhead")) {
            if !allowed.contains(&name.as_str()) {
                broken.push(format!("{} must not depend on {name}", manifest.folder));
            }
        }
    }
    holds(&broken);
}

#[test]
fn the_sdk_knows_the_model_in_its_tests_alone() {
    let manifest = read(&root().join("sdk/Cargo.toml"));
    let (shipped, _) = manifest.split_once("[dev-dependencies]").unwrap_or((&manifest, ""));
    assert!(!shipped.contains("bulkhead-model"), "a plugin would carry parts of the host");
}

#[test]
fn vendor_crates_stay_in_their_rooms() {
    let mut broken = Vec::new();
    for manifest in manifests().into_iter().filter(|manifest| !manifest.folder.starts_with(HOSTILE)) {
        for name in &manifest.dependencies {
            let rooms = VENDORS.iter().find(|(vendor, _)| vendor == name).map(|(_, rooms)| rooms);
            if rooms.is_some_and(|rooms| !rooms.contains(&manifest.folder.as_str())) {
                broken.push(format!("{} must not depend on {name}", manifest.folder));
            }
        }
    }
    holds(&broken);
}

fn allowed_rooms(folder: &str) -> &'static [&'static str] {
    if ["plugins/", "examples/", "tests/guests/", HOSTILE].iter().any(|guests| folder.starts_with(guests)) {
        return GUEST;
    }
    let room = ROOMS.iter().find(|(room, _)| *room == folder);
    room.unwrap_or_else(|| panic!("{folder} is a package without a place in ROOMS")).1
}

/// A package of ours.
pub(crate) struct Manifest {
    pub(crate) folder: String,
    /// Of every kind: build and test dependencies point in the same direction.
    pub(crate) dependencies: Vec<String>,
}

pub(crate) fn manifests() -> Vec<Manifest> {
    let files = tracked_files().into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let inner = files.filter(|path| path.parent() != Some(&root()) && !path.starts_with(root().join("fuzz")));
    let manifests: Vec<Manifest> = inner
        .map(|path| {
            let folder = path.parent().expect("a manifest is in a folder");
            Manifest { folder: relative(folder, &root()), dependencies: dependencies(&read(&path)) }
        })
        .collect();
    assert!(manifests.len() > 10, "only {} manifests found", manifests.len());
    manifests
}

fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section.ends_with("dependencies");
            // The long form: one table a dependency.
            if let Some((_, name)) = section.split_once("dependencies.") {
                names.push(name.to_owned());
            }
        } else if inside && line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            names.push(name.to_owned());
        }
    }
    names
}

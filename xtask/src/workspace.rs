//! Where things are in the repository, and which packages are guests.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::shell::{Done, Failed, Tried, cargo, read};

/// A profile of the host build: its cargo flag and the folder of its binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Profile {
    pub(crate) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }

    /// A program that this profile built.
    pub(crate) fn binary(self, name: &str) -> PathBuf {
        let folder = match self {
            Self::Dev => "debug",
            Self::Release => "release",
        };
        target_dir().join(folder).join(name)
    }
}

/// Builds one program of the workspace.
///
/// Always for `--workspace`, with the program as a filter: the features of shared
/// dependencies follow from the selected packages, so that a narrower selection would
/// compile wasmtime a second time (minutes).
///
/// # Errors
/// The build failed.
pub(crate) fn build_program(profile: Profile, name: &str) -> Done {
    let mut build = cargo();
    build.args(["build", "--locked", "--workspace", "--bin", name]).args(profile.flags());
    if matches!(profile, Profile::Dev) {
        // What tests depend on switches features of other crates on. Without a test among what is built, the tests
        // would have half of the host compiled a second time.
        build.args(["--test", "tidy"]);
    }
    crate::shell::run(&mut build)
}

/// A guest package.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The cargo package.
    pub(crate) package: String,
    /// The name of its files: `kv` for `bulkhead-plugin-kv`.
    pub(crate) short: String,
    /// The file cargo writes.
    pub(crate) module: String,
    /// Whether it is one of `plugins/`, to be embedded in the host's binary.
    pub(crate) official: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// Every guest of the workspace: the packages in plugins/, and the examples and guests
/// of the tests that build a component.
///
/// # Errors
/// cargo cannot read the workspace, or it has no guest.
pub(crate) fn guests() -> Done<Vec<Guest>> {
    let text = read(cargo().args(["metadata", "--no-deps", "--format-version", "1"]).stdin(Stdio::null()))?;
    let metadata: Metadata = serde_json::from_str(&text).tried("reading cargo metadata")?;
    let guests: Vec<Guest> = metadata.packages.into_iter().filter_map(guest_of).collect();
    if guests.is_empty() {
        return Err(Failed::new("no guest found in plugins/ or examples/"));
    }
    Ok(guests)
}

fn guest_of(package: Package) -> Option<Guest> {
    let folder = package.manifest_path.parent()?.strip_prefix(root()).ok()?.to_path_buf();
    let official = folder.starts_with("plugins");
    if !official && !folder.starts_with("examples") && !folder.starts_with("tests/guests") {
        return None;
    }
    let library = package.targets.iter().find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))?;
    let short = package.name.strip_prefix("bulkhead-plugin-").unwrap_or(&package.name).to_owned();
    Some(Guest { short, module: format!("{}.wasm", library.name.replace('-', "_")), package: package.name, official })
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    // cargo says where the package is now; a binary that is run by itself looks upwards.
    if let Some(xtask) = std::env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = Path::new(&xtask).parent()
        && root.join("xtask").is_dir()
    {
        return root.to_path_buf();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let found = here.ancestors().find(|dir| dir.join("xtask/Cargo.toml").is_file());
    found.map_or(here.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Where guests end up: `<short>.wasm`, and `<short>.plugin` for official ones.
pub(crate) fn guests_dir() -> PathBuf {
    root().join("target/guests")
}

/// Writes a file unless it already says just that, so that nothing is rebuilt for it.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Done<bool> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    std::fs::write(path, bytes).tried(format_args!("writing {}", path.display()))?;
    Ok(true)
}

/// All files below a folder (or the file itself), in one order on every machine.
pub(crate) fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| files_below(path)).collect()
}

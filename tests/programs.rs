//! Where the programs under test are found. What lives here: paths. What must
//! not: starting them (`node`).

use std::env;
use std::path::{Path, PathBuf};

/// A server these tests can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ours.
    Bulkhead,
    /// The real peer, OpenBao: the oracle.
    Bao,
}

impl Program {
    /// The executable.
    ///
    /// # Panics
    /// If it is not there: a test that cannot run must not pass.
    pub fn path(self) -> PathBuf {
        match self {
            Program::Bulkhead => bulkhead(),
            Program::Bao => bao().expect("nobody starts the peer where it was asked to be left out"),
        }
    }

    /// The name used in reports and in case files.
    pub fn name(self) -> &'static str {
        match self {
            Program::Bulkhead => "bulkhead",
            Program::Bao => "bao",
        }
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

/// The file `name` of this folder.
pub fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The `bulkhead` executable: `BULKHEAD_BIN`, or the last release or debug build.
///
/// # Panics
/// If there is none.
pub fn bulkhead() -> PathBuf {
    let built = ["target/release/bulkhead", "target/debug/bulkhead"];
    let found =
        from_env("BULKHEAD_BIN").or_else(|| built.iter().map(|path| root().join(path)).find(|path| path.is_file()));
    found.expect("no bulkhead executable: build it (`cargo xtask build`) or set BULKHEAD_BIN")
}

/// The real peer: `BAO_BIN`, or target/peer/bin/bao, or `bao` on the PATH. `None` only
/// where the caller asked for that with `BULKHEAD_WITHOUT_PEER=1`.
///
/// # Panics
/// If it is not there: a comparison with nobody must not pass.
pub fn bao() -> Option<PathBuf> {
    if env::var_os("BULKHEAD_WITHOUT_PEER").is_some() {
        return None;
    }
    let installed = root().join("target/peer/bin/bao");
    let found =
        from_env("BAO_BIN").or_else(|| Some(installed).filter(|path| path.is_file())).or_else(|| on_path("bao"));
    Some(found.expect(
        "the real `bao` is not there: `cargo xtask test` installs it, or set BAO_BIN, \
         or BULKHEAD_WITHOUT_PEER=1 to test Bulkhead alone",
    ))
}

/// Python with `hvac`: `BULKHEAD_TEST_PYTHON`, or beside the peer. `None` where there is no peer.
///
/// # Panics
/// If it is not there, likewise.
pub fn python() -> Option<PathBuf> {
    let beside_peer = bao()?.parent().map(|folder| folder.join("python"));
    let found = from_env("BULKHEAD_TEST_PYTHON").or(beside_peer).filter(|path| path.exists());
    Some(found.expect("no Python with hvac: `cargo xtask test` installs it, or set BULKHEAD_TEST_PYTHON"))
}

/// A program of the system.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The folder of guest components built by `cargo xtask`.
pub fn guests() -> PathBuf {
    from_env("BULKHEAD_GUESTS").unwrap_or_else(|| root().join("target/guests"))
}

fn from_env(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from)
}

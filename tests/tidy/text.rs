//! What the laws are about: the files of the repository, as text and as code.

use std::fs;
use std::path::{Path, PathBuf};

use crate::blank::code_only;

/// Guests that misbehave on purpose: laws about sound code do not hold in them.
pub(crate) const HOSTILE: &str = "host/sandbox/tests/guests/";

/// A Rust file.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked out.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(place, line)| (place + 1, line))
    }

    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || ["tests/", "fuzz/"].iter().any(|folder| self.path.starts_with(folder))
    }
}

pub(crate) fn sources() -> Vec<Source> {
    let files = tracked_files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let sources: Vec<Source> = files
        .map(|path| {
            let text = read(&path);
            Source { path: relative(&path, &root()), code: code_only(&text), text }
        })
        .collect();
    assert!(sources.len() > 20, "only {} sources found: the laws would hold for nothing", sources.len());
    sources
}

/// Every text of the repository that somebody wrote by hand.
pub(crate) fn texts() -> Vec<(String, String)> {
    const ENDINGS: [&str; 9] = ["rs", "toml", "md", "sh", "wit", "yaml", "yml", "py", "hcl"];
    let written = |path: &PathBuf| match path.extension() {
        Some(end) => ENDINGS.iter().any(|ending| end == *ending),
        None => path.starts_with(root().join(".ci")),
    };
    tracked_files().into_iter().filter(written).map(|path| (relative(&path, &root()), read(&path))).collect()
}

pub(crate) fn tracked_files() -> Vec<PathBuf> {
    const FOLDERS: [&str; 11] =
        [".cargo", ".ci", "docs", "examples", "fuzz", "host", "plugins", "sdk", "tests", "wit", "xtask"];
    let folders = FOLDERS.iter().flat_map(|folder| files_below(&root().join(folder)));
    let top = ["Cargo.toml", "README.md", "deny.toml", "rust-toolchain.toml"].iter().map(|file| root().join(file));
    folders.chain(top.filter(|path| path.is_file())).collect()
}

/// Whether a line uses a name that is not the end of a longer one.
pub(crate) fn uses(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let open_start = !name.starts_with(|first: char| first.is_alphanumeric());
        let open_end = !name.ends_with(|last: char| last.is_alphanumeric());
        (open_start || !inside(before)) && (open_end || !inside(after))
    })
}

pub(crate) fn has_word(line: &str, word: &str) -> bool {
    uses(line, word)
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository").to_path_buf()
}

pub(crate) fn relative(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned()
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

/// All files below a folder, without what cargo and Python leave behind.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    paths.retain(|path| !path.ends_with("target") && !path.ends_with("__pycache__"));
    paths.sort();
    let deeper = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    paths.into_iter().flat_map(deeper).collect()
}

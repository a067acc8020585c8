//! Reads config files and folders, in the order they were named.

use std::path::{Path, PathBuf};

use bulkhead_model::hcl::{self, Item};

use super::error::ConfigError;

/// Parsed files; by default none.
#[derive(Default)]
pub(super) struct Sources(Vec<(PathBuf, Vec<Item>)>);

/// A top-level item and the file it is from.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) path: &'a Path,
    pub(super) item: &'a Item,
}

impl Sources {
    /// Reads every file, and every `*.hcl` and `*.json` of every folder, by name.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, ConfigError> {
        if paths.is_empty() {
            return Err(ConfigError::Missing(
                "no config: give one with -config=FILE, or use -dev to try things out".to_owned(),
            ));
        }
        let mut sources = Vec::new();
        for path in paths {
            if path.is_dir() {
                for file in files_in(path)? {
                    sources.push(read(&file)?);
                }
            } else {
                sources.push(read(path)?);
            }
        }
        Ok(Self(sources))
    }

    /// All top-level items.
    pub(super) fn placed(&self) -> Vec<Placed<'_>> {
        self.0.iter().flat_map(|(path, items)| items.iter().map(move |item| Placed { path, item })).collect()
    }
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |source| ConfigError::Read { path: folder.to_owned(), source };
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder).map_err(failed)?.collect();
    let is_config = |path: &PathBuf| path.extension().is_some_and(|e| e == "hcl" || e == "json") && path.is_file();
    let mut files: Vec<PathBuf> =
        entries.map_err(failed)?.iter().map(std::fs::DirEntry::path).filter(is_config).collect();
    files.sort();
    if files.is_empty() { Err(ConfigError::EmptyFolder { path: folder.to_owned() }) } else { Ok(files) }
}

fn read(path: &Path) -> Result<(PathBuf, Vec<Item>), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let items =
        hcl::parse(&text).map_err(|e| ConfigError::At { path: path.to_owned(), line: e.line, message: e.message })?;
    Ok((path.to_owned(), items))
}

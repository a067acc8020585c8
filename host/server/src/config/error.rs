//! What is wrong with a config, and where.

use std::path::PathBuf;

/// A config that cannot be used. Its text is for whoever wrote the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without any config file.
    #[error("{path} holds no .hcl or .json file")]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Something in a file is wrong.
    #[error("{path}:{line}: {message}")]
    At {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// What is wrong, and what to do.
        message: String,
    },
    /// Something is missing altogether.
    #[error("{0}")]
    Missing(String),
}

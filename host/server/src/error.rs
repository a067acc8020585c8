//! Why a server did not start, or stopped.

use std::io;
use std::path::PathBuf;

use bulkhead_api::ApiError;

use crate::config::error::ConfigError;

/// A sentence for whoever started the server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The config cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A listener could not be made.
    #[error(transparent)]
    Listener(#[from] ApiError),
    /// The data directory could not be opened.
    #[error("opening storage: {0}")]
    Storage(String),
    /// The node could not be made ready for others.
    #[error("{doing}: {why}")]
    Cluster {
        /// What was tried.
        doing: String,
        /// What stood against it.
        why: String,
    },
    /// A key that is to unseal the node cannot be read.
    #[error("the key of the static seal, {place}: {why}")]
    Seal {
        /// Where it should be.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The WebAssembly engine could not be set up.
    #[error("setting up the sandbox: {0}")]
    Sandbox(String),
    /// An official plugin in this binary is unusable.
    #[error("loading the {name} plugin: {why}")]
    Plugin {
        /// Which one.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A file of the server's own could not be written.
    #[error("{doing} {path}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process could not be set up.
    #[error("{doing}")]
    Process {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The dev server could not be furnished.
    #[error("preparing the dev server: {0}")]
    Dev(String),
}

/// An error and all that caused it, on one line, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

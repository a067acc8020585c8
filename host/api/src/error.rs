//! What can go wrong while a listener is made. Faults of single connections and
//! requests are answered or logged, and never end a listener.

use std::io;
use std::path::PathBuf;

/// A listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address could not be bound.
    #[error("listening on {address}")]
    Bind {
        /// As configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A PEM file could not be read.
    #[error("reading {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A PEM file holds something else than it should.
    #[error("{path} {what}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Certificate and key do not make a working pair.
    #[error("setting up TLS with {path}: {cause}")]
    Tls {
        /// The certificate, or the file of client authorities.
        path: PathBuf,
        /// What the TLS library said.
        cause: String,
    },
}

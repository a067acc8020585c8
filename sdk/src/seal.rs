//! What a seal implements: it wraps the node's seal key by a key outside. There is no mount, so
//! of a [`Cx`] it has time, randomness, digests and the log; a guest that uses more of it imports
//! what the host does not offer to seals.

use serde::de::DeserializeOwned;

use crate::{Cx, Error, Result, Status, Wrapped};

/// A key outside. End the crate with `export_seal!(Type);`.
pub trait Seal: 'static {
    /// Its name.
    const NAME: &'static str;

    /// Its version.
    const VERSION: &'static str;

    /// What it is for.
    const HELP: &'static str;

    /// What the server's config says of it, in JSON.
    type Config: DeserializeOwned;

    /// Tells which key wraps now, and keeps alive what must be, such as a token. Asked at times.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and [`Error::Upstream`] if trying again may help; any other if not.
    fn check(cx: &Cx, config: &Self::Config) -> Result<Status>;

    /// Wraps a secret, bound to a label: with another one it must not be unwrapped.
    ///
    /// # Errors
    /// As for [`Seal::check`].
    fn wrap(cx: &Cx, config: &Self::Config, secret: &[u8], label: &[u8]) -> Result<Wrapped>;

    /// What was wrapped.
    ///
    /// # Errors
    /// As for [`Seal::check`].
    fn unwrap(cx: &Cx, config: &Self::Config, wrapped: &Wrapped, label: &[u8]) -> Result<Vec<u8>>;
}

/// Reads a config. What is wrong with it is told by its place: the value there may be a token.
pub(crate) fn config<C: DeserializeOwned>(json: &[u8]) -> Result<C> {
    let unread = |error: serde_json::Error| format!("the seal's config cannot be read at column {}", error.column());
    serde_json::from_slice(json).map_err(|error| Error::InvalidRequest(unread(error)))
}

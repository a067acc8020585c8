//! What the server's config says, in the words of OpenBao's stanza `seal "transit"`.

use bulkhead_sdk::Secret;
use serde::Deserialize;

/// The config. The host has read the files that it names.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Where the other cluster is.
    pub(crate) address: String,
    /// A token of it.
    pub(crate) token: Secret<String>,
    /// The key of the engine.
    pub(crate) key_name: String,
    /// Where the engine is mounted.
    #[serde(default)]
    pub(crate) mount_path: String,
    /// The namespace of token and engine.
    #[serde(default)]
    pub(crate) namespace: String,
    /// The authorities that are believed, PEM.
    #[serde(default)]
    pub(crate) tls_ca_cert: String,
    /// The name that the certificate must have.
    #[serde(default)]
    pub(crate) tls_server_name: String,
    /// Takes any certificate.
    #[serde(default)]
    pub(crate) tls_skip_verify: bool,
    /// Leaves the token as it is.
    #[serde(default)]
    pub(crate) disable_renewal: bool,
}

//! An address on the web, taken apart.

use bulkhead_model::seam::egress::Origin;

/// Where to post to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Whether TLS is spoken.
    pub(crate) tls: bool,
    /// As in the `Host` header.
    pub(crate) authority: String,
    /// The host alone, as in its certificate.
    pub(crate) host: String,
    /// Host and port.
    pub(crate) address: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Target {
    /// Reads an address of the form `https://host:port/path`.
    pub(crate) fn parse(uri: &str) -> Option<Self> {
        let (origin, path) = Origin::split(uri)?;
        let (authority, address) = (origin.authority(), origin.address());
        Some(Self { tls: origin.tls, authority, host: origin.host, address, path })
    }
}

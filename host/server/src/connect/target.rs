//! An address on the web, taken apart.

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
        let (scheme, rest) = uri.split_once("://")?;
        let (tls, port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        // Credentials in an address would be shown wherever the address is.
        if authority.is_empty() || !uri.bytes().all(|byte| byte.is_ascii_graphic()) || authority.contains('@') {
            return None;
        }
        let colon = authority.rfind(':').filter(|at| authority.rfind(']').is_none_or(|end| end < *at));
        let (host, port) = match colon {
            Some(at) => (&authority[..at], authority[at + 1..].parse::<u16>().ok()?),
            None => (authority, port),
        };
        if host.is_empty() {
            return None;
        }
        let (authority, address) = (authority.to_owned(), format!("{host}:{port}"));
        Some(Self { tls, authority, host: host.to_owned(), address, path })
    }
}

//! Where the server is: parsing addresses and building request targets.

use super::ClientError;

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Whether TLS is spoken.
    pub(crate) is_tls: bool,
    /// Where to connect.
    pub(crate) endpoint: Endpoint,
    /// Path in front of `/v1/`, without a slash at its end.
    base_path: String,
    /// What stands between the slashes, for messages and the Host header.
    pub(crate) authority: String,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A host name or IP address, and a port.
    Tcp(String, u16),
    /// The path of a socket file.
    Unix(String),
}

impl Address {
    /// Reads `http://host:port/base`, `https://…` or `unix:///path`.
    ///
    /// # Errors
    /// [`ClientError::Settings`] with what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        let unusable = |why: &str| ClientError::Settings(format!("address {text:?} cannot be used: {why}"));
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| unusable("write it with its scheme, such as http://127.0.0.1:8200"))?;
        if scheme == "unix" {
            if rest.is_empty() {
                return Err(unusable("it names no socket, as unix:///run/bulkhead.sock does"));
            }
            let endpoint = Endpoint::Unix(rest.to_owned());
            return Ok(Self { is_tls: false, endpoint, base_path: String::new(), authority: "localhost".to_owned() });
        }
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(unusable("its scheme must be http, https or unix")),
        };
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let default_port = if is_tls { 443 } else { 80 };
        let (host, port) = split_port(authority, default_port).ok_or_else(|| unusable("its port must be a number"))?;
        if host.is_empty() {
            return Err(unusable("it names no host"));
        }
        let base_path = clean(path);
        Ok(Self { is_tls, endpoint: Endpoint::Tcp(host, port), base_path, authority: authority.to_owned() })
    }

    /// The URL of a request target, for messages. Of a socket's file it tells nothing, as with
    /// the peers.
    pub(crate) fn url(&self, target: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{target}", self.authority)
    }

    /// Whether it names a port.
    pub(crate) fn has_port(&self) -> bool {
        self.authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    }

    /// Where a `Location` header points, from here.
    ///
    /// # Errors
    /// A location that is no address, or that gives up TLS.
    pub(crate) fn redirect(&self, location: &str) -> Result<(Self, String), ClientError> {
        if location.starts_with('/') {
            return Ok((self.clone(), location.to_owned()));
        }
        let next = Self::parse(location)?;
        if self.is_tls && !next.is_tls {
            return Err(ClientError::Downgrade { location: location.to_owned() });
        }
        let after_scheme = location.find("://").map_or(0, |at| at + 3);
        let target = location[after_scheme..].find('/').map_or("/", |at| &location[after_scheme + at..]);
        Ok((next, target.to_owned()))
    }
}

/// Host and port, brackets of an IPv6 address taken off.
fn split_port(authority: &str, default_port: u16) -> Option<(String, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        let port = match tail.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None => default_port,
        };
        return Some((host.to_owned(), port));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((authority.to_owned(), default_port)),
    }
}

/// Path and query of a request for `path` (behind `/v1/`, not encoded).
pub(crate) fn target(base: &Address, path: &str, query: &[(String, String)]) -> String {
    let joined = clean(&format!("{}/v1/{path}", base.base_path));
    let mut target = escape_path(&joined);
    let mut query: Vec<_> = query.iter().collect();
    // Stable by key alone: the values of one key keep their order.
    query.sort_by(|(left, _), (right, _)| left.cmp(right));
    for (position, (key, value)) in query.into_iter().enumerate() {
        target.push(if position == 0 { '?' } else { '&' });
        target.push_str(&format!("{}={}", escape_query(key), escape_query(value)));
    }
    target
}

/// The path with single slashes, without `.` and `..`, from the root, no slash at its
/// end; the empty path for the root itself.
pub(crate) fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    segments.iter().map(|segment| format!("/{segment}")).collect()
}

fn escape_path(path: &str) -> String {
    escape(path, |byte| {
        matches!(byte, b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@')
    })
}

fn escape_query(text: &str) -> String {
    escape(text, |byte| matches!(byte, b'-' | b'_' | b'.' | b'~' | b' ')).replace(' ', "+")
}

fn escape(text: &str, is_kept: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || is_kept(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

//! What a guest may ask of servers outside, and of which: it is checked and granted here, before
//! the node opens any connection for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_model::grants::Grants;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{Egress, EgressError, EgressRequest, EgressTls, Origin, Verification};
use bulkhead_model::seam::net::{ClientIdentity, Dialer, NetAddress, NetTls};
use wasmtime::component::ResourceTable;

use crate::limits::{HTTP_BODY_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_TEXT_BYTES_MAX, RESOURCES_MAX};
use crate::outlets::{Line, Outlets};

/// Headers that frame the message, or speak of the connection and not of the request.
const HEADERS_KEPT_BACK: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How the node gets to servers outside.
#[derive(Clone)]
pub struct Ways {
    /// Requests over HTTP.
    pub egress: Arc<dyn Egress>,
    /// Connections.
    pub dialer: Arc<dyn Dialer>,
}

/// The way out of one call.
pub(crate) struct WayOut {
    pub(crate) grants: Arc<Grants>,
    pub(crate) ways: Ways,
    pub(crate) outlets: Arc<Outlets>,
    /// Whose connections they are: the mount.
    pub(crate) mount: String,
    /// The component, by the digest of its bytes.
    pub(crate) component: String,
    /// What the guest holds: TLS settings, connections, keys.
    pub(crate) held: ResourceTable,
}

/// TLS settings in the making.
#[derive(Clone, Default)]
pub(crate) struct TlsConfig {
    pub(crate) asked: EgressTls,
    pub(crate) identity: Option<Arc<ClientIdentity>>,
    pub(crate) only_tls13: bool,
    /// What was asked for that is not offered; a request with these settings fails by it.
    pub(crate) lacking: Option<&'static str>,
}

/// A request as a guest makes it.
pub(crate) struct Draft {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Hidden<String>)>,
    pub(crate) body: Hidden<Vec<u8>>,
    pub(crate) tls: TlsConfig,
    /// Zero: as long as the call has.
    pub(crate) within: Duration,
    pub(crate) body_bytes_max: u64,
}

/// Why a request is not sent, or a connection not made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// It needs this grant.
    Denied(String),
    /// It asks for TLS in a way that is not offered.
    Tls(String),
    /// It is no request that could be sent.
    Wrong(String),
}

impl From<Unsent> for EgressError {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Denied(grant) => Self::Denied(grant),
            Unsent::Tls(text) => Self::Tls(text),
            Unsent::Wrong(text) => Self::Other(text),
        }
    }
}

impl WayOut {
    pub(crate) fn new(
        grants: Arc<Grants>,
        ways: &Ways,
        outlets: &Arc<Outlets>,
        (mount, component): (&str, &str),
    ) -> Self {
        let mut held = ResourceTable::new();
        held.set_max_capacity(RESOURCES_MAX);
        Self {
            grants,
            ways: ways.clone(),
            outlets: Arc::clone(outlets),
            mount: mount.to_owned(),
            component: component.to_owned(),
            held,
        }
    }

    /// Checks a request, and that it is granted. `left` is what the call has of its time.
    ///
    /// # Errors
    /// [`Unsent`].
    pub(crate) fn admit(&self, draft: Draft, left: Duration) -> Result<EgressRequest, Unsent> {
        let wrong = |why: &str| Err(Unsent::Wrong(why.to_owned()));
        let (origin, path) = match Origin::split(&draft.url) {
            Some(found) if draft.url.len() <= HTTP_TEXT_BYTES_MAX => found,
            _ => return wrong("the address is not of the form https://host:port/path"),
        };
        if !self.grants.admits_origin(&origin) {
            return Err(Unsent::Denied(format!("http {origin}")));
        }
        self.admit_tls(&draft.tls)?;
        if draft.tls.identity.is_some() {
            return Err(Unsent::Tls("a client certificate for requests is not offered in this version".to_owned()));
        }
        let method = draft.method;
        // What follows the head of a CONNECT is no HTTP any more.
        if method.is_empty()
            || method.len() > 16
            || method == "CONNECT"
            || !method.bytes().all(|b| b.is_ascii_uppercase())
        {
            return wrong("the method is not one that can be sent");
        }
        if draft.headers.len() > HTTP_HEADERS_MAX {
            return wrong("there are more than 64 headers");
        }
        draft.headers.iter().try_for_each(|(name, value)| header(name, value))?;
        Ok(EgressRequest {
            origin,
            tls: draft.tls.asked,
            method,
            path,
            headers: draft.headers,
            body: draft.body,
            within: if draft.within.is_zero() { left } else { draft.within.min(left) },
            body_bytes_max: usize::try_from(draft.body_bytes_max).unwrap_or(usize::MAX).min(HTTP_BODY_BYTES_MAX),
        })
    }

    fn admit_tls(&self, tls: &TlsConfig) -> Result<(), Unsent> {
        if tls.asked.verification != Verification::Full && !self.grants.insecure_tls() {
            return Err(Unsent::Denied("insecure-tls".to_owned()));
        }
        match tls.lacking {
            Some(lacking) => Err(Unsent::Tls(format!("{lacking} is not offered in this version"))),
            None => Ok(()),
        }
    }

    /// TLS settings for a connection, if they are granted.
    ///
    /// # Errors
    /// [`Unsent`].
    pub(crate) fn granted_tls(&self, tls: TlsConfig) -> Result<NetTls, Unsent> {
        self.admit_tls(&tls)?;
        Ok(NetTls { asked: tls.asked, identity: tls.identity, only_tls13: tls.only_tls13 })
    }

    /// What it takes to connect, where that can be granted.
    ///
    /// # Errors
    /// [`Unsent`].
    pub(crate) fn dialing(&self, address: &str) -> Result<Dialing, Unsent> {
        let wrong = || Unsent::Wrong("the address is not of the form tcp://host:port or unix:///path".to_owned());
        let address = NetAddress::parse(address).ok_or_else(wrong)?;
        if !self.grants.may_connect(&address) {
            return Err(Unsent::Denied(format!("net {address}")));
        }
        Ok(Dialing {
            address,
            grants: Arc::clone(&self.grants),
            dialer: Arc::clone(&self.ways.dialer),
            outlets: Arc::clone(&self.outlets),
            mount: self.mount.clone(),
        })
    }

    /// A connection that was left, if what it took is granted still.
    pub(crate) fn unpark(&self, pool: String) -> Option<(Line, Hidden<Vec<u8>>)> {
        let whose = (self.component.clone(), pool);
        loop {
            let (line, state) = self.outlets.unpark(&self.mount, &whose)?;
            // Where its name led was admitted when it was made; a grant may be gone since.
            if self.grants.may_connect(&line.address) && (!line.unverified || self.grants.insecure_tls()) {
                return Some((line, state));
            }
        }
    }
}

/// A connection about to be made.
pub(crate) struct Dialing {
    address: NetAddress,
    grants: Arc<Grants>,
    dialer: Arc<dyn Dialer>,
    outlets: Arc<Outlets>,
    mount: String,
}

impl Dialing {
    /// Connects, if where the name leads is granted too.
    ///
    /// # Errors
    /// [`EgressError`].
    pub(crate) async fn connect(self, within: Duration) -> Result<Line, EgressError> {
        let begun = Instant::now();
        let place = self.outlets.place(&self.mount, &self.address, within).await;
        let place = place.ok_or_else(|| EgressError::Other("all connections of the mount are in use".to_owned()))?;
        let admits = |ip: IpAddr| match &self.address {
            NetAddress::Tcp { host, port } => self.grants.admits(host, *port, ip),
            NetAddress::Unix { .. } => false,
        };
        let left = within.saturating_sub(begun.elapsed());
        let wire = self.dialer.connect(&self.address, &admits, left).await?;
        Ok(Line::new(wire, self.address, place))
    }
}

fn header(name: &str, value: &Hidden<String>) -> Result<(), Unsent> {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let sound = !name.is_empty() && name.len() <= 256 && name.bytes().all(of_name);
    if !sound || HEADERS_KEPT_BACK.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
        let shown: String = name.chars().take(32).collect();
        return Err(Unsent::Wrong(format!("header {shown:?} cannot be set")));
    }
    let value = value.expose();
    // What could end the header would begin another one, or another request.
    if value.len() > HTTP_TEXT_BYTES_MAX || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(Unsent::Wrong(format!("the value of header {name:?} is over 8 KiB or not printable ASCII")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

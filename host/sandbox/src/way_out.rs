//! What a guest may send to servers outside, and to which: a request is checked and granted here,
//! before the node opens any connection for it.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{Egress, EgressRequest, EgressTls, Origin, Verification};
use wasmtime::component::ResourceTable;

use crate::limits::{HTTP_BODY_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_TEXT_BYTES_MAX, TLS_CONFIGS_MAX};

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

/// What of the way out is granted. The operator named each origin, so none is forbidden for the
/// address that it has.
#[derive(Clone, Debug, Default)]
pub struct EgressGrants {
    /// Origins that may be asked.
    pub origins: Vec<Origin>,
    /// Whether the guest may leave their certificates unverified, in part or in whole.
    pub unverified_tls: bool,
}

/// The way out of one call.
pub(crate) struct WayOut {
    pub(crate) grants: Arc<EgressGrants>,
    pub(crate) egress: Arc<dyn Egress>,
    /// TLS settings that the guest has made.
    pub(crate) tls: ResourceTable,
}

/// TLS settings in the making.
#[derive(Clone, Default)]
pub(crate) struct TlsConfig {
    pub(crate) asked: EgressTls,
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

/// Why a request is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// It needs this grant.
    Denied(String),
    /// It asks for TLS in a way that is not offered.
    Tls(String),
    /// It is no request that could be sent.
    Wrong(String),
}

impl WayOut {
    pub(crate) fn new(grants: &Arc<EgressGrants>, egress: &Arc<dyn Egress>) -> Self {
        let mut tls = ResourceTable::new();
        tls.set_max_capacity(TLS_CONFIGS_MAX);
        Self { grants: Arc::clone(grants), egress: Arc::clone(egress), tls }
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
        if !self.grants.origins.contains(&origin) {
            return Err(Unsent::Denied(origin.to_string()));
        }
        if draft.tls.asked.verification != Verification::Full && !self.grants.unverified_tls {
            return Err(Unsent::Denied(format!("{origin} insecure")));
        }
        if let Some(lacking) = draft.tls.lacking {
            return Err(Unsent::Tls(format!("{lacking} is not offered in this version")));
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

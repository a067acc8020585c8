//! `identity/oidc/config`: who tokens are said to come from.

use bulkhead_barrier::StoreError;
use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use bulkhead_model::request::Verb;
use serde_json::json;

use crate::book::oidc;
use crate::fault::Fault;
use crate::sys::leader;
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit, enveloped, warning};

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    HostRoute::new("oidc/config", &[Verb::Read], Handler::Now(read), "Tell who identity tokens come from."),
    HostRoute::new("oidc/config", &[Verb::Write], Handler::Now(write), "Set who identity tokens come from.")
        .fields(&["issuer"]),
];

/// What tokens have in `iss`: below the address that was set, or below the one at which the node
/// that leads is reached, whichever node is asked.
pub(super) fn issuer(visit: &mut Visit) -> Result<String, StoreError> {
    let mut address = oidc::issuer(&mut visit.tx)?;
    if address.is_empty() {
        address = leader::api_address(&visit.open);
    }
    Ok(format!("{address}/v1/{}identity/oidc", visit.namespace.path()))
}

fn read(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let issuer = oidc::issuer(&mut visit.tx)?;
    let mut warnings = Vec::new();
    if issuer.is_empty() && visit.open.parts.facts.api_addr.is_empty() {
        let text = r#"Both "issuer" and Bulkhead's "api_addr" are empty. The issuer claim in generated tokens will not be network reachable."#;
        warnings.push(text.to_owned());
    }
    let data = Some(hidden_json(&json!({ "issuer": issuer })));
    Ok(enveloped(Envelope { data, warnings, ..Envelope::default() }))
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let Some(issuer) = ask.fields.text("issuer")? else { return Ok(Reply::Empty) };
    if !issuer.is_empty() && !is_origin(&issuer) {
        return Err(Fault::invalid(
            "invalid issuer, which must include only a scheme, host, and optional port (e.g. https://example.com:8200)",
        ));
    }
    oidc::save_issuer(&mut visit.tx, &issuer)?;
    if issuer.is_empty() {
        return Ok(Reply::Empty);
    }
    Ok(warning(
        "If \"issuer\" is set explicitly, all tokens must be validated against that address, including those issued \
         by secondary clusters. Setting issuer to \"\" will restore the default behavior of using the cluster's \
         api_addr as the issuer.",
    ))
}

/// Whether it is a scheme, a host, perhaps a port, and nothing else.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_graphic() && !"/?#@\\\"<>^`{|}%".contains(c);
    let Some(host) = host.filter(|host| host.chars().all(plain)) else { return false };
    // A colon that no bracket follows is before a port.
    let (name, port) = match host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((name, port)) => (name, port),
        None => (host, ""),
    };
    let bracketed = name.strip_prefix('[').map(|name| name.strip_suffix(']'));
    let named = match bracketed {
        Some(inside) => inside.is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !name.is_empty() && !name.contains([':', '[', ']']),
    };
    named && port.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_issuer_is_a_scheme_a_host_and_perhaps_a_port() {
        for good in ["https://a.example", "http://a:8200", "https://[::1]:8200", "https://[::1]", "http://10.0.0.1"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "a",
            "https://",
            "https://:80",
            "ftp://a",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://a:b",
            "https://::1",
            "https://[a]",
            "https://a b",
            "//a",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}

//! Certificates of the listeners: whether they can be used, until when, and for which names.

use std::path::Path;

use bulkhead_api::{ClientCertificates, Tls, TlsFiles};
use bulkhead_model::seam::clock::Clock;
use bulkhead_model::seam::egress::Origin;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::access::exposed;
use super::report::Check;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::connect::tls::trust::may_serve;
use crate::error::chain;

/// How long before its end a certificate is warned of, in seconds: 30 days. Source: OpenBao's.
const SOON_SECS: i64 = 30 * 24 * 3600;

pub(super) fn examine(config: &Config) -> Vec<Check> {
    let secured: Vec<(&str, &TlsFiles)> =
        config.listeners.iter().filter_map(|listener| Some((listener.address.as_str(), listener.tls()?))).collect();
    if secured.is_empty() {
        return vec![Check::skipped("tls", "no listener has TLS")];
    }
    let mut checks: Vec<Check> = secured.iter().flat_map(|(address, files)| of_listener(address, files)).collect();
    if !config.is_api_addr_vague() {
        checks.extend(api_addr(&config.api_addr(), &secured));
    }
    checks
}

fn of_listener(address: &str, files: &TlsFiles) -> Vec<Check> {
    let name = |what: &str| format!("{address} {what}");
    let certificate = files.certificate.display();
    let mut checks = vec![match Tls::load(files.clone()) {
        Ok(_) => Check::ok(name("files"), format!("{certificate} and its key can be read, and fit")),
        Err(error) => {
            let advice = "PEM, the server's own certificate first, with the key to that one, not encrypted";
            Check::failure(name("files"), chain(&error), advice)
        }
    }];
    if let Some(mode) = exposed(&files.key) {
        let message = format!("{} has mode {mode:04o}: others may read or replace it", files.key.display());
        checks.push(Check::warning(name("key"), message, format!("chmod 0600 {}", files.key.display())));
    }
    let given = shown(&files.certificate);
    let parsed: Vec<X509Certificate<'_>> =
        given.iter().filter_map(|der| Some(x509_parser::parse_x509_certificate(der).ok()?.1)).collect();
    checks.extend(parsed.iter().map(|certificate| validity(name("validity"), certificate)));
    checks.extend(order(&parsed).map(|(message, advice)| Check::warning(name("chain"), message, advice)));
    if let (Some(leaf), Some(der)) = (parsed.first(), given.first()) {
        checks.push(names(name("names"), leaf));
        if !may_serve(der) {
            let message = "says that it is not for servers: clients refuse it";
            checks.push(Check::failure(
                name("usage"),
                message,
                "have it issued for server authentication (serverAuth)",
            ));
        }
    }
    if let ClientCertificates::Required(path) = &files.clients {
        checks.extend(authorities(&name("client authorities"), path));
    }
    checks
}

/// The certificates of a file; none where it cannot be read.
fn shown(path: &Path) -> Vec<CertificateDer<'static>> {
    let pem = std::fs::read(path).unwrap_or_default();
    CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect()
}

fn validity(name: String, certificate: &X509Certificate<'_>) -> Check {
    let now = i64::try_from(SystemClock.now_ms() / 1000).unwrap_or(i64::MAX);
    let (from, until) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let subject = certificate.subject();
    let advice = "have it renewed, and send SIGHUP to a server that runs";
    if now > until {
        return Check::failure(name, format!("{subject}: ended on {}", day(until)), advice);
    }
    if now < from {
        let advice = "wait, or see whether the clock is right";
        return Check::failure(name, format!("{subject}: begins only on {}", day(from)), advice);
    }
    let message = format!("{subject}: until {}", day(until));
    if until - now < SOON_SECS { Check::warning(name, message, advice) } else { Check::ok(name, message) }
}

fn day(secs: i64) -> String {
    OffsetDateTime::from_unix_timestamp(secs).map_or_else(|_| secs.to_string(), |time| time.date().to_string())
}

/// What is odd about the order of a chain: each must be followed by the one that issued it.
fn order(chain: &[X509Certificate<'_>]) -> Option<(String, &'static str)> {
    let [first, .., last] = chain else {
        let alone = chain.first()?;
        // What is its own authority, and what its authority issued directly, need no other: only who
        // knows the authority can tell the second.
        return (alone.is_ca() && alone.subject() != alone.issuer()).then(|| {
            (format!("{} is an authority's, without the one above it", alone.subject()), "add it to the file")
        });
    };
    if first.is_ca() && !last.is_ca() {
        return Some(("begins with an authority".to_owned(), "put the server's own certificate first"));
    }
    chain.windows(2).find(|pair| pair[0].issuer() != pair[1].subject()).map(|pair| {
        let message =
            format!("{} was issued by {}, and {} follows", pair[0].subject(), pair[0].issuer(), pair[1].subject());
        (message, "put behind each certificate the one that issued it: clients may not find the way to their authority")
    })
}

fn names(name: String, leaf: &X509Certificate<'_>) -> Check {
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    let told: Vec<String> = alternatives.iter().flat_map(|names| &names.value.general_names).filter_map(told).collect();
    if told.is_empty() {
        let advice = "have it issued with subject alternative names: clients look at nothing else";
        return Check::failure(name, format!("{} has none that clients look at", leaf.subject()), advice);
    }
    Check::ok(name, told.join(", "))
}

fn told(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// Those whose certificates clients must show.
fn authorities(name: &str, path: &Path) -> Vec<Check> {
    let given = shown(path);
    let parsed = given.iter().filter_map(|der| Some(x509_parser::parse_x509_certificate(der).ok()?.1));
    parsed.map(|certificate| validity(name.to_owned(), &certificate)).collect()
}

/// Whether clients that go where they are told to find a certificate for that name.
fn api_addr(address: &str, secured: &[(&str, &TlsFiles)]) -> Option<Check> {
    let (origin, _) = Origin::split(address).filter(|(origin, _)| origin.tls)?;
    let bare = origin.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).ok()?;
    let covers = |der: &CertificateDer<'_>| {
        ParsedCertificate::try_from(der).is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
    };
    if secured.iter().any(|(_, files)| shown(&files.certificate).first().is_some_and(covers)) {
        return Some(Check::ok("api_addr", format!("a certificate has the name {}", origin.host)));
    }
    let message = format!("clients are told {address}, and no certificate has that name");
    Some(Check::warning("api_addr", message, "have it added to the certificate, or correct api_addr"))
}

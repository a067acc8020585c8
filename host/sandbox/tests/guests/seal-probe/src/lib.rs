//! A seal whose behaviour is chosen by its config: what it asks of servers outside, and the ways
//! in which it can be a bad one.

use bulkhead::plugin::http::{self, Options, Request};
use bulkhead::plugin::net::{TlsConfig, Verification};
use bulkhead::plugin::types::{Descriptor, Error};
use bulkhead::plugin::{digest, system};
use exports::bulkhead::plugin::sealer::{Status, Wrapped};
use exports::bulkhead::plugin::{metadata, sealer};

wit_bindgen::generate!({ path: "../../../../../wit/v1", world: "seal" });
export!(Probe);

struct Probe;

impl metadata::Guest for Probe {
    fn describe() -> Descriptor {
        Descriptor {
            name: "seal-probe".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            help: String::new(),
            data_version: 0,
            oldest_readable_data: 0,
            routes: vec![],
            seal_wrapped: vec![],
            local: vec![],
            lease_kinds: vec![],
            jobs: vec![],
            extra: vec![],
        }
    }
}

impl sealer::Guest for Probe {
    fn check(config: Vec<u8>) -> Result<Status, Error> {
        let text = String::from_utf8(config).unwrap();
        let (what, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let told = |message: String| Ok(Status { key_id: "probe-1".into(), healthy: true, message });
        match what {
            "honest" => told(String::new()),
            "ask" => told(ask(rest, None, 1 << 20)),
            "ask-little" => told(ask(rest, None, 8)),
            "header" => told(ask("https://a.example/", Some((rest, "x")), 8)),
            "insecure" => told(tls(rest, |config| config.verification(Verification::Insecure))),
            "name" => told(tls(rest, |config| config.server_name("b.example"))),
            "alpn" => told(tls(rest, |config| config.alpn(&["h2".to_owned()]))),
            "ask-storm" => told((0..100).map(|_| ask(rest, None, 8)).collect()),
            "settings" => {
                (0..100).for_each(|_| core::mem::forget(TlsConfig::new()));
                told(String::new())
            }
            "means" => told(format!("{} {} {}", system::now(), digest::random(4).len(), system::cluster_id().len())),
            "log" => {
                system::log(system::Level::Info, "a line", &[]);
                told("first\n\u{1b}[31msecond".into())
            }
            "sick" => Ok(Status { key_id: "probe-1".into(), healthy: false, message: "the key is away".into() }),
            "key" => Ok(Status { key_id: rest.repeat(300), healthy: true, message: String::new() }),
            "odd-key" => Ok(Status { key_id: "a b".into(), healthy: true, message: String::new() }),
            "loop" => loop {
                core::hint::black_box(0);
            },
            "trap" => core::arch::wasm32::unreachable(),
            "panic" => panic!("a secret in a panic"),
            other => Err(error(other)),
        }
    }

    /// Turned around, with the label beside it.
    fn wrap(config: Vec<u8>, plaintext: Vec<u8>, aad: Vec<u8>) -> Result<Wrapped, Error> {
        let (mut ciphertext, mut extra) = (plaintext, vec![("label".to_owned(), aad)]);
        ciphertext.reverse();
        match config.as_slice() {
            b"empty" => ciphertext.clear(),
            b"large" => ciphertext = vec![0; 65_537],
            b"extras" => extra = vec![("x".to_owned(), vec![]); 17],
            b"large-extra" => extra = vec![("x".to_owned(), vec![0; 65_536])],
            _ => {}
        }
        Ok(Wrapped { key_id: "probe-1".into(), ciphertext, extra })
    }

    fn unwrap(config: Vec<u8>, wrapped: Wrapped, aad: Vec<u8>) -> Result<Vec<u8>, Error> {
        if config == b"large" {
            return Ok(vec![0; 65_537]);
        }
        if wrapped.key_id != "probe-1" || wrapped.extra != [("label".to_owned(), aad)] {
            return Err(Error::InvalidRequest("another label".into()));
        }
        let mut secret = wrapped.ciphertext;
        secret.reverse();
        Ok(secret)
    }
}

fn error(name: &str) -> Error {
    match name {
        "permission" => Error::PermissionDenied("no".into()),
        "precondition" => Error::PreconditionFailed("no".into()),
        "internal" => Error::Internal("no".into()),
        "not-found" => Error::NotFound,
        "unsupported" => Error::UnsupportedOperation,
        "rate" => Error::RateLimited("later".into()),
        "upstream" => Error::Upstream("later".into()),
        "unavailable" => Error::Unavailable("later".into()),
        _ => Error::InvalidRequest("no".into()),
    }
}

fn ask(url: &str, header: Option<(&str, &str)>, max_body: u64) -> String {
    send(url, header, None, max_body)
}

fn tls(url: &str, set: impl FnOnce(&TlsConfig)) -> String {
    let config = TlsConfig::new();
    set(&config);
    send(url, None, Some(&config), 8)
}

/// The status and body, or the error, of a request.
fn send(url: &str, header: Option<(&str, &str)>, tls: Option<&TlsConfig>, max_body: u64) -> String {
    let request = Request {
        method: "POST".into(),
        url: url.into(),
        headers: header.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        body: b"asked".to_vec(),
    };
    match http::send(&request, tls, Options { timeout_ms: 0, max_body, follow_redirects: 3 }) {
        Ok(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
        Err(error) => format!("{error:?}"),
    }
}

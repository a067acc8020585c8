//! Whether an address is free, and who is at one that is not.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{EgressTls, Verification};
use serde_json::Value;
use tokio::net::TcpSocket;

use crate::connect::http::{Question, ask};
use crate::connect::stream::{Stream, resolved};
use crate::connect::tls::{Channel, Tls};

/// Longest wait for another server. Source: ours.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Longest answer read, in bytes. Source: ours.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What a server of this API says of itself, with 200 in every state.
const HEALTH: &str = "/v1/sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200";

/// Binds an address and lets it go, without anybody being able to connect meanwhile. One without
/// a host is every address of both families, or of the older one on a machine that has no other.
///
/// # Errors
/// What the system says against it.
pub(super) fn bind(address: &str) -> io::Result<()> {
    let Some(port) = address.strip_prefix(':') else { return bind_first(address) };
    match bind_first(&format!("[::]:{port}")) {
        Err(error) if error.kind() != ErrorKind::AddrInUse => bind_first(&format!("0.0.0.0:{port}")),
        bound => bound,
    }
}

fn bind_first(address: &str) -> io::Result<()> {
    let mut last = Ok(());
    for address in resolved(address)? {
        last = bind_one(address);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn bind_one(address: SocketAddr) -> io::Result<()> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

/// Whether somebody takes connections there.
///
/// # Errors
/// What the system says against it.
pub(super) fn reach(address: &str) -> io::Result<()> {
    Stream::tcp(address, Instant::now() + WAIT_MAX).map(drop)
}

/// Who answers at an address that is taken, in words.
pub(super) fn who_answers(address: &str) -> String {
    let address = if address.starts_with(':') { format!("127.0.0.1{address}") } else { address.to_owned() };
    let told = [false, true].into_iter().find_map(|tls| health(&address, tls));
    let Some(told) = told else { return "something that is no such server has it".to_owned() };
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or("unknown");
    let is = |name: &str| told.get(name).and_then(Value::as_bool) == Some(true);
    let state = match (is("initialized"), is("sealed")) {
        (false, _) => "not initialised",
        (true, true) => "sealed",
        (true, false) => "unsealed",
    };
    format!("a server of this API answers there: {}, version {}", state, text("version"))
}

fn health(address: &str, tls: bool) -> Option<Value> {
    let deadline = Instant::now() + WAIT_MAX;
    let stream = Stream::tcp(address, deadline).ok()?;
    let mut channel = if tls {
        // Nothing is told to it, and nothing it says is acted on.
        let anyone = EgressTls { verification: Verification::Insecure, ..EgressTls::default() };
        Tls::asked(&anyone).ok()?.over(stream, "localhost").ok()?
    } else {
        Channel::Plain(stream)
    };
    let body = Hidden::new(Vec::new());
    let question = Question { method: "GET", path: HEALTH, authority: address, headers: &[], body: &body };
    let answer = ask(&mut channel, &question, deadline, ANSWER_BYTES_MAX).ok()?;
    let told: Value = serde_json::from_slice(answer.body.expose()).ok()?;
    told.get("initialized").is_some().then_some(told)
}

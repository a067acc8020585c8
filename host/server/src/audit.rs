//! Audit devices: where lines go. Which requests make lines, and what is in them, is the
//! broker's matter.

mod file;
mod http;
mod queue;
mod socket;
mod syslog;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::duration;
use bulkhead_model::seam::audit::{AuditSink, AuditSinkMaker};
use tokio::sync::oneshot;

use crate::config::check_audit_options;
use crate::connect::target::Target;
use crate::room::Room;

/// Longest that opening a device may take. Source: ours. Why: a file system that hangs does
/// not answer at all, and whoever asked for the device waits.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest a remote device may take for a line, unless the option `write_timeout` says
/// otherwise. Source: Vault's socket device, 2 s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// Most that `write_timeout` may say. Source: ours. Why: every request waits for it.
const WRITE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Makes audit devices: `file`, `http`, `socket` and `syslog`.
#[derive(Clone, Debug, Default)]
pub struct AuditSinks {
    room: Arc<Room>,
}

impl AuditSinks {
    /// Whose files are looked after.
    pub(crate) fn new(room: Arc<Room>) -> Self {
        Self { room }
    }
}

#[async_trait]
impl AuditSinkMaker for AuditSinks {
    async fn make(&self, kind: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
        check_audit_options(kind, options)?;
        let (made, answer) = oneshot::channel();
        let (kind, options, room) = (kind.to_owned(), options.clone(), Arc::clone(&self.room));
        // A thread of its own: those of the runtime have requests to answer, and the end of
        // the process waits for its blocking ones. A device that nobody waits for any more is dropped.
        let opening = move || drop(made.send(make(&kind, &options, &room)));
        named("audit open").spawn(opening).map_err(|error| format!("starting a thread: {error}"))?;
        match tokio::time::timeout(OPEN_TIMEOUT, answer).await {
            Ok(Ok(made)) => made,
            Ok(Err(_)) => Err("opening it ended without a result".to_owned()),
            Err(_) => Err(format!("it did not open within {} s", OPEN_TIMEOUT.as_secs())),
        }
    }
}

/// Where the lines of a device go, as far as that is on this machine or can be reached from it.
pub(crate) enum Outlet {
    /// Nowhere, or to standard output.
    Always,
    /// To a file, or what stands in its place, and the permissions that a file is given.
    File(PathBuf, Option<u32>),
    /// To `host:port`, over a connection.
    Tcp(String),
    /// To a socket of this machine, over a connection or as datagrams.
    Unix(PathBuf),
    /// Where nobody says whether they arrive.
    Unknown(String),
}

/// Where the lines of a device would go. Nothing is opened.
///
/// # Errors
/// A sentence for the operator: no device can be made of these options.
pub(crate) fn outlet(kind: &str, options: &BTreeMap<String, String>) -> Result<Outlet, String> {
    check_audit_options(kind, options)?;
    if kind == "file" {
        return Ok(match file::place(options)? {
            Some(file::Place::Path(path, mode)) => Outlet::File(path, mode),
            Some(file::Place::Stdout) | None => Outlet::Always,
        });
    }
    // The others connect when there is a line.
    drop(make(kind, options, &Room::default())?);
    let text = |name: &str| given(options, name).unwrap_or_default().to_owned();
    Ok(match kind {
        "http" => {
            Target::parse(&text("uri")).map_or_else(|| Outlet::Unknown(text("uri")), |to| Outlet::Tcp(to.address))
        }
        "syslog" => match syslog::SOCKETS.iter().map(PathBuf::from).find(|path| path.exists()) {
            Some(path) => Outlet::Unix(path),
            None => Outlet::Unix(PathBuf::from(syslog::SOCKETS[0])),
        },
        _ => match text("socket_type").as_str() {
            "unix" | "unixgram" => Outlet::Unix(text("address").into()),
            "udp" => Outlet::Unknown(text("address")),
            _ => Outlet::Tcp(text("address")),
        },
    })
}

fn make(kind: &str, options: &BTreeMap<String, String>, room: &Room) -> Result<Arc<dyn AuditSink>, String> {
    match kind {
        "file" => file::make(options, room),
        "http" => http::make(options),
        "socket" => socket::make(options),
        "syslog" => syslog::make(options),
        _ => Err(format!("unknown backend type: {kind:?}")),
    }
}

/// A thread that is found by its name in what the system tells of the process.
fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

/// An option that is given and not empty.
fn given<'a>(options: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    options.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

fn write_timeout(options: &BTreeMap<String, String>) -> Result<Duration, String> {
    let Some(text) = given(options, "write_timeout") else { return Ok(WRITE_TIMEOUT) };
    let parsed = duration::parse(text).map_err(|_| format!("write_timeout {text:?} is not a duration such as 2s"))?;
    if parsed.is_zero() || parsed > WRITE_TIMEOUT_MAX {
        return Err(format!("write_timeout {text:?} is not between 0s and {}s", WRITE_TIMEOUT_MAX.as_secs()));
    }
    Ok(parsed)
}

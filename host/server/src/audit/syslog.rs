//! The `syslog` audit device: lines to the machine's own log daemon.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::seam::audit::AuditSink;
use time::OffsetDateTime;
use time::macros::format_description;

use super::queue::{Carrier, Queue};
use super::{WRITE_TIMEOUT, given};
use crate::connect::stream::left;

/// Where daemons listen; the first that is there counts.
pub(super) const SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Facilities by number. Source: RFC 5424, section 6.2.1.
const FACILITIES: [&str; 24] = [
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP", "NTP",
    "AUDIT", "ALERT", "CLOCK", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
];

/// All lines are of this severity: informational.
const INFO: usize = 6;

/// A `syslog` device with these options.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn make(options: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
    make_for(options, SOCKETS.map(PathBuf::from).to_vec())
}

fn make_for(options: &BTreeMap<String, String>, paths: Vec<PathBuf>) -> Result<Arc<dyn AuditSink>, String> {
    let asked = given(options, "facility").unwrap_or("AUTH");
    let facility = FACILITIES.iter().position(|name| name.eq_ignore_ascii_case(asked));
    let facility = facility.ok_or_else(|| format!("invalid syslog facility: {asked}"))?;
    // What collects the lines of a Vault looks for its name.
    let tag = given(options, "tag").unwrap_or("vault");
    if tag.len() > 32 || !tag.bytes().all(|byte| byte.is_ascii_graphic() && !b":[]".contains(&byte)) {
        return Err(format!("tag {tag:?} is not a name of at most 32 letters"));
    }
    let head = format!("<{}>", facility * 8 + INFO);
    let tag = format!("{tag}[{}]: ", std::process::id());
    Queue::start("syslog".to_owned(), WRITE_TIMEOUT, Syslog { paths, head, tag, socket: None })
}

struct Syslog {
    paths: Vec<PathBuf>,
    /// Priority.
    head: String,
    tag: String,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    fn connect(&self) -> io::Result<UnixDatagram> {
        let mut last = io::Error::other("no log daemon listens");
        for path in &self.paths {
            let socket = UnixDatagram::unbound()?;
            match socket.connect(path) {
                Ok(()) => return Ok(socket),
                Err(error) => last = io::Error::new(error.kind(), format!("{}: {error}", path.display())),
            }
        }
        Err(last)
    }

    /// In the form that daemons take on this machine's own socket (RFC 3164 without a host).
    fn message(&self, line: &[u8]) -> Hidden<Vec<u8>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = i64::try_from(now).ok().and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok());
        let stamp = format_description!("[month repr:short] [day padding:space] [hour]:[minute]:[second] ");
        let stamp = now.and_then(|now| now.format(stamp).ok()).unwrap_or_default();
        let mut message = HiddenBuffer::with_capacity(line.len() + 128);
        for part in [self.head.as_bytes(), stamp.as_bytes(), self.tag.as_bytes(), line] {
            message.push(part);
        }
        message.into_hidden()
    }
}

impl Carrier for Syslog {
    fn carry(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
        let message = self.message(line);
        let send = |socket: &UnixDatagram| {
            socket.set_write_timeout(Some(left(deadline)?))?;
            socket.send(message.expose()).map(|_| ())
        };
        // A daemon that was started anew has a new socket.
        if let Some(socket) = &self.socket
            && send(socket).is_ok()
        {
            return Ok(());
        }
        let socket = self.connect()?;
        send(self.socket.insert(socket))
    }

    fn close(&mut self) {
        self.socket = None;
    }
}

#[cfg(test)]
mod tests;

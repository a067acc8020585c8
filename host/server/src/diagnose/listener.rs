//! Whether the addresses of the API can be had.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::address::{bind, who_answers};
use super::report::Check;
use crate::config::{ListenerConfig, ListenerKind};

pub(super) fn examine(listeners: &[ListenerConfig]) -> Vec<Check> {
    let checks = |listener: &ListenerConfig| match &listener.kind {
        ListenerKind::Tcp { .. } => [Some(address(&listener.address)), plain(listener)],
        ListenerKind::Unix(file) => [Some(socket(&file.path)), None],
    };
    listeners.iter().flat_map(checks).flatten().collect()
}

/// Whether a Unix socket can be made at a file.
fn socket(path: &Path) -> Check {
    let name = path.display().to_string();
    let at_folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Check::failure(name, "is a file that is no socket", "remove it, or choose another address")
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                Check::ok(name, "was left behind by a server that ended, and is replaced at the start")
            }
            _ => Check::failure(
                name,
                "is taken: another process listens there",
                "if that is this node's own server, all is well: leave this check out with -skip=listener,storage; else \
                 end the other one, or choose another address",
            ),
        },
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Check::failure(name, format!("cannot be looked at: {error}"), "let the server's user into its folder")
        }
        Err(_) if at_folder.is_dir() => Check::ok(name, "can be made"),
        Err(_) => Check::failure(name, "is in a folder that does not exist", "make the folder, for the server's user"),
    }
}

/// Whether an address can be listened on.
pub(super) fn address(address: &str) -> Check {
    let Err(error) = bind(address) else { return Check::ok(address, "can be listened on") };
    let (why, advice) = match error.kind() {
        ErrorKind::AddrInUse => (
            format!("is taken: {}", who_answers(address)),
            "if that is this node's own server, all is well: leave this check out with -skip=listener,storage; else end \
             the other one, or choose another address",
        ),
        ErrorKind::PermissionDenied => (
            format!("cannot be listened on: {error}"),
            "ports below 1024 take the capability CAP_NET_BIND_SERVICE; choose a higher one, or grant it",
        ),
        ErrorKind::AddrNotAvailable => {
            (format!("cannot be listened on: {error}"), "use an address of this machine, or 0.0.0.0 for all of them")
        }
        _ => (format!("cannot be listened on: {error}"), "correct the address"),
    };
    Check::failure(address, why, advice)
}

/// Whether what clients send can be read on the way.
fn plain(listener: &ListenerConfig) -> Option<Check> {
    let is_local = |address: &str| {
        let given: Result<SocketAddr, _> = address.parse();
        given.map_or_else(|_| address.starts_with("localhost:"), |address| address.ip().is_loopback())
    };
    let is_open = listener.tls().is_none() && !is_local(&listener.address);
    is_open.then(|| {
        let message = "is without TLS: tokens and secrets can be read on the way";
        let advice = "set tls_cert_file and tls_key_file, unless all before it is a proxy on this machine";
        Check::warning(&listener.address, message, advice)
    })
}

//! Whether the audit devices of the config can be written to. While none can, every request is
//! refused.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

use rustix::process::geteuid;

use super::access::{can_fill, can_write, mode, nearest};
use super::address::reach;
use super::report::Check;
use crate::audit::{Outlet, outlet};
use crate::config::AuditConfig;

pub(super) fn examine(audits: &[AuditConfig]) -> Vec<Check> {
    if audits.is_empty() {
        let why = "the config has no audit device; those enabled over the API are not known before the node is open";
        return vec![Check::skipped("audit", why)];
    }
    audits.iter().map(one).collect()
}

fn one(audit: &AuditConfig) -> Check {
    let name = format!("{} {:?}", audit.kind, audit.path);
    let advice = "requests are refused while no audit device takes their lines: put that right first";
    let found = outlet(&audit.kind, &audit.options).and_then(|outlet| match outlet {
        Outlet::Always => Ok("needs nothing".to_owned()),
        Outlet::File(path, mode) => file(&path, mode),
        Outlet::Tcp(address) => match reach(&address) {
            Ok(()) => Ok(format!("{address} takes connections")),
            Err(error) => Err(format!("{address} takes no connection: {error}")),
        },
        Outlet::Unix(path) => socket(&path),
        Outlet::Unknown(place) => Ok(format!("{place}; nobody says whether lines arrive there")),
    });
    match found {
        Ok(message) => Check::ok(name, message),
        Err(message) => Check::failure(name, message, advice),
    }
}

fn file(path: &Path, given: Option<u32>) -> Result<String, String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        let above = nearest(folder);
        let made = can_fill(&above).map(|()| format!("{} can be made, and its folder", path.display()));
        return made.map_err(|error| format!("{} cannot be made in {}: {error}", folder.display(), above.display()));
    }
    can_write(path)?;
    let Ok(about) = fs::metadata(path) else { return Ok(format!("{} can be made", path.display())) };
    if about.file_type().is_fifo() {
        return Ok(format!("{} is a pipe: somebody must read it when the server starts", path.display()));
    }
    let is_ours = geteuid().is_root() || geteuid().as_raw() == about.uid();
    match given {
        Some(given) if about.is_file() && !is_ours && given != mode(&about) => {
            let owner = about.uid();
            Err(format!("{} is user {owner}'s, so its mode cannot be made {given:04o}", path.display()))
        }
        None if about.is_file() && mode(&about) & 0o111 != 0 => Err(format!("{} is executable", path.display())),
        _ => Ok(format!("{} can be written", path.display())),
    }
}

fn socket(path: &Path) -> Result<String, String> {
    let datagrams = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    match datagrams.or_else(|_| UnixStream::connect(path).map(drop)) {
        Ok(()) => Ok(format!("{} is listened on", path.display())),
        Err(error) => Err(format!("nobody listens on {}: {error}", path.display())),
    }
}

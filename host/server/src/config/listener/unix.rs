//! `listener "unix"`: a socket's file, and whose it is.

use std::fs;
use std::path::PathBuf;

use bulkhead_api::{ListenerLimits, SocketFile};

use super::super::error::ConfigError;
use super::super::stanza::Stanza;
use super::{ListenerConfig, ListenerKind};

/// Where users and groups of the machine are listed.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

pub(super) fn read(stanza: &Stanza<'_>, limits: ListenerLimits) -> Result<ListenerConfig, ConfigError> {
    let address = stanza.string("address")?.filter(|address| !address.is_empty());
    let example = "address = \"/run/bulkhead/bulkhead.sock\"";
    let address = address.ok_or_else(|| stanza.error(format!("listener \"unix\" needs a file, as in {example}")))?;
    if address.starts_with('@') {
        return Err(stanza.wrong("address", "is no file: whoever is on the machine could connect to such a socket"));
    }
    let file = SocketFile {
        path: PathBuf::from(&address),
        mode: mode(stanza)?,
        user: number(stanza, "socket_user", USERS)?,
        group: number(stanza, "socket_group", GROUPS)?,
    };
    Ok(ListenerConfig { address, cluster_address: None, kind: ListenerKind::Unix(file), limits })
}

fn mode(stanza: &Stanza<'_>) -> Result<Option<u32>, ConfigError> {
    let Some(text) = stanza.string("socket_mode")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.map(Some).ok_or_else(|| stanza.wrong("socket_mode", "is no mode of a file, as in \"0660\""))
}

/// The number of a user or group that is given by name or number.
fn number(stanza: &Stanza<'_>, key: &str, list: &str) -> Result<Option<u32>, ConfigError> {
    let Some(name) = stanza.string(key)?.filter(|name| !name.is_empty()) else { return Ok(None) };
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let text = fs::read_to_string(list)
        .map_err(|error| stanza.wrong(key, &format!("cannot be looked up: {list}: {error}")))?;
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? == name { fields.nth(1)?.parse().ok() } else { None }
    });
    found.map(Some).ok_or_else(|| stanza.wrong(key, &format!("is not in {list}: give its number")))
}

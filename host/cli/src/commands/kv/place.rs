//! Where a secret is: which mount, which version of the store, which API path.

use serde_json::Value;

use crate::client::{Call, Client, ClientError, Secret};
use crate::fault::Fault;
use crate::paths::{joined, sanitized};
use crate::session::Session;

/// A secret's place.
pub(super) struct Place {
    mount: String,
    path: String,
    is_behind_flag: bool,
    /// Whether the store keeps versions.
    pub(super) is_v2: bool,
}

impl Place {
    /// Asks the server what is mounted where `path`, or else `-mount`, says.
    ///
    /// # Errors
    /// The request's.
    pub(super) fn find(session: &Session, client: &Client, path: &str) -> Result<Self, Fault> {
        let path = sanitized(path);
        let flag = session.flags.text("mount").map(sanitized);
        let asked = flag.as_deref().unwrap_or(&path);
        let (mount, is_v2) = preflight(client, asked)?;
        // Behind the flag the path is relative to the mount, and made absolute for v2.
        let path = if flag.is_some() && is_v2 { joined(&[&mount, &path]) } else { path };
        Ok(Self { mount, path, is_behind_flag: flag.is_some(), is_v2 })
    }

    /// The API path in a store with versions: `data`, `metadata` and so on come in
    /// between.
    pub(super) fn versioned(&self, family: &str) -> String {
        with_family(&self.path, &self.mount, family)
    }

    /// The API path for reading and writing: [`Place::versioned`] or the plain path.
    pub(super) fn full(&self, family: &str) -> String {
        match (self.is_v2, self.is_behind_flag) {
            (true, _) => self.versioned(family),
            (false, true) => joined(&[&self.mount, &self.path]),
            (false, false) => self.path.clone(),
        }
    }
}

/// The mount that a path belongs to and whether its store keeps versions. A server that
/// does not know the question is taken to have the old store.
fn preflight(client: &Client, path: &str) -> Result<(String, bool), Fault> {
    let url = format!("sys/internal/ui/mounts/{path}");
    match client.plainly(|client| client.secret(&Call::new("GET", &url))) {
        Ok(Some(secret)) => {
            let mount = secret.get("path").and_then(Value::as_str).unwrap_or_default().to_owned();
            let version = secret.get("options").and_then(|options| options.get("version"));
            Ok((mount, version.and_then(Value::as_str) == Some("2")))
        }
        Ok(None) => Err(Fault::Refused("nil response from pre-flight request".to_owned())),
        Err(error) if error.status() == Some(404) => Ok((String::new(), false)),
        Err(error) if error.status() == Some(403) && client.is_dry() => Err(Fault::Refused(format!(
            "This output flag requires the success of a preflight request \nto determine the version of a KV secrets engine. Please \n\
             re-run this command with a token with read access to {path}. "
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Puts the family behind the mount's part of the path. Inside a namespace the mount may
/// be known by a longer path than the user gave, so its front parts are tried off.
pub(super) fn with_family(path: &str, mount: &str, family: &str) -> String {
    if path == mount || Some(path) == mount.strip_suffix('/') {
        return joined(&[mount, family]);
    }
    let mut mount = mount;
    loop {
        if let Some(rest) = path.strip_prefix(mount).filter(|_| !mount.is_empty()) {
            return joined(&[mount, family, rest]);
        }
        match mount.split_once('/') {
            Some((_, rest)) if !rest.is_empty() => mount = rest.trim_end_matches('/'),
            _ => return joined(&[mount, family, path]),
        }
    }
}

/// Reads a secret or one version of it; none if there is nothing.
///
/// # Errors
/// The request's.
pub(super) fn read_version(client: &Client, path: &str, version: Option<i64>) -> Result<Option<Secret>, ClientError> {
    let query: Vec<(String, String)> =
        version.map(|version| ("version".to_owned(), version.to_string())).into_iter().collect();
    client.read(path, &query)
}

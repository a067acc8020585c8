//! The seal `transit`: its settings as the plugin wants them, and what the plugin is granted. How
//! a key is wrapped is the plugin's: `plugins/seal-transit`.

use std::path::PathBuf;
use std::sync::Arc;

use bulkhead_model::grants::Grants;
use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::seam::egress::Origin;
use bulkhead_model::seam::plugin::LogLevel;
use bulkhead_model::seam::seal::{SealKey, SealKind};
use bulkhead_sandbox::{Sandbox, SealParts};

use crate::clock::SystemClock;
use crate::connect::egress::HttpEgress;
use crate::entropy::SystemEntropy;
use crate::error::ServerError;
use crate::guests;

/// The plugin's name.
const PLUGIN: &str = "seal-transit";

/// What a stanza `seal "transit"` says, in Vault's words. An empty text was not given.
pub struct TransitSettings {
    /// Where the other cluster is: `https://host:port`.
    pub address: String,
    /// A token of it.
    pub token: Hidden<String>,
    /// The key of the transit engine.
    pub key_name: String,
    /// Where the engine is mounted.
    pub mount_path: String,
    /// The namespace of token and engine.
    pub namespace: String,
    /// A file of authorities that are believed, PEM, in place of the machine's.
    pub tls_ca_cert: Option<PathBuf>,
    /// The name that the certificate must have, if not that of the address.
    pub tls_server_name: String,
    /// Takes any certificate.
    pub tls_skip_verify: bool,
    /// Leaves the token as it is.
    pub disable_renewal: bool,
}

/// The seal of these settings. Nobody is asked yet. The plugin may reach the address, and
/// nothing else.
///
/// # Errors
/// [`ServerError::Plugin`] if the address is none, or the plugin is not in this binary;
/// [`ServerError::File`] if the authorities cannot be read.
pub fn seal(settings: &TransitSettings, sandbox: &Sandbox) -> Result<Arc<dyn SealKey>, ServerError> {
    let origin = origin(settings)?;
    let roots = roots(settings)?;
    let mut granted = vec![format!("http {origin}")];
    granted.extend(settings.tls_skip_verify.then(|| "insecure-tls".to_owned()));
    let grants = Grants::parse(&granted).map_err(wrong)?;
    let parts = SealParts {
        kind: SealKind::Transit,
        shown: format!("{origin}, key {} in {}", settings.key_name, settings.mount_path),
        config: json(settings, &origin, &roots),
        grants,
        egress: Arc::new(HttpEgress),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::new()),
        log,
    };
    guests::load_seal(sandbox, PLUGIN, parts)
}

/// Where the other cluster is.
///
/// # Errors
/// [`ServerError::Plugin`] if the address is none.
pub(crate) fn origin(settings: &TransitSettings) -> Result<Origin, ServerError> {
    let (origin, path) = Origin::split(&settings.address)
        .ok_or_else(|| wrong(format!("the address {:?} is not of the form https://host:port", settings.address)))?;
    if path != "/" {
        return Err(wrong(format!("the address {:?} has a path: give it as far as the port", settings.address)));
    }
    Ok(origin)
}

/// The authorities that are believed, PEM; empty: the machine's.
///
/// # Errors
/// [`ServerError::File`], or [`ServerError::Plugin`] if there is nothing in the file.
pub(crate) fn roots(settings: &TransitSettings) -> Result<String, ServerError> {
    let read = |path: &PathBuf| {
        let failed = |source| ServerError::File { doing: "reading the authorities", path: path.clone(), source };
        std::fs::read_to_string(path).map_err(failed)
    };
    let roots = settings.tls_ca_cert.as_ref().map(read).transpose()?;
    if roots.as_ref().is_some_and(|roots| roots.trim().is_empty()) {
        // The machine's authorities would be believed instead.
        return Err(wrong("the file of tls_ca_cert is empty".to_owned()));
    }
    Ok(roots.unwrap_or_default())
}

fn wrong(why: String) -> ServerError {
    ServerError::Plugin { name: PLUGIN, why }
}

/// The plugin's config, written without a copy of the token that nobody would wipe.
fn json(settings: &TransitSettings, origin: &Origin, roots: &str) -> Hidden<Vec<u8>> {
    let address = origin.to_string();
    let texts = [
        ("address", address.as_str()),
        ("token", settings.token.expose()),
        ("key_name", &settings.key_name),
        ("mount_path", &settings.mount_path),
        ("namespace", &settings.namespace),
        ("tls_ca_cert", roots),
        ("tls_server_name", &settings.tls_server_name),
    ];
    let mut json = HiddenBuffer::with_capacity(1024 + roots.len());
    json.push(b"{");
    for (name, value) in texts {
        json.push(format!("\"{name}\":").as_bytes());
        serde_json::to_writer(&mut json, value).expect("a text is JSON, and memory takes it");
        json.push(b",");
    }
    let (skip, keep) = (settings.tls_skip_verify, settings.disable_renewal);
    json.push(format!("\"tls_skip_verify\":{skip},\"disable_renewal\":{keep}}}").as_bytes());
    json.into_hidden()
}

impl std::fmt::Debug for TransitSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "transit at {}, key {} in {}", self.address, self.key_name, self.mount_path)
    }
}

fn log(level: LogLevel, message: &str, fields: &[(String, String)]) {
    match level {
        LogLevel::Trace => tracing::trace!(seal = "transit", ?fields, "plugin: {message}"),
        LogLevel::Debug => tracing::debug!(seal = "transit", ?fields, "plugin: {message}"),
        LogLevel::Info => tracing::info!(seal = "transit", ?fields, "plugin: {message}"),
        LogLevel::Warn => tracing::warn!(seal = "transit", ?fields, "plugin: {message}"),
        LogLevel::Error => tracing::error!(seal = "transit", ?fields, "plugin: {message}"),
    }
}

#[cfg(test)]
mod tests;

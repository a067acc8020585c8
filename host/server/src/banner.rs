//! What a starting server prints on standard output: Vault's form, because tools wait
//! for its lines and read the dev server's key and token out of it.

use bulkhead_api::Bound;
use bulkhead_model::duration::format_go;

use crate::config::{Config, ListenerConfig, ListenerKind, Storage};
use crate::{guests, version};

/// The table of what was configured.
pub(crate) fn configuration(config: &Config, addresses: &[Bound]) -> String {
    let mut rows = vec![("Api Address".to_owned(), config.api_addr())];
    if !config.addresses.cluster.is_empty() {
        rows.push(("Cluster Address".to_owned(), config.addresses.cluster.clone()));
    }
    for (index, (listener, address)) in config.listeners.iter().zip(addresses).enumerate() {
        rows.push((format!("Listener {}", index + 1), listener_row(listener, address)));
    }
    for (seal, is_disabled) in config.seals.all() {
        let state = if is_disabled { "disabled" } else { "in use" };
        rows.push(("Seal".to_owned(), format!("{} ({state})", seal.kind().name())));
    }
    rows.push(("Log Level".to_owned(), config.log.level.to_string().to_lowercase()));
    rows.push(("Plugins".to_owned(), plugins()));
    let storage = match &config.storage {
        Storage::InMemory => "inmem".to_owned(),
        Storage::Raft { path, .. } => format!("raft (path: {:?})", path.display().to_string()),
    };
    rows.push(("Storage".to_owned(), storage));
    rows.push(("Version".to_owned(), version::version_text()));
    rows.push(("Version Sha".to_owned(), version::COMMIT.to_owned()));
    rows.sort();
    let table: String = rows.iter().map(|(name, value)| format!("{name:>24}: {value}\n")).collect();
    format!("==> Bulkhead server configuration:\n\n{table}\n")
}

fn listener_row(listener: &ListenerConfig, address: &Bound) -> String {
    let (kind, tls) = match &listener.kind {
        ListenerKind::Tcp { tls: Some(_), .. } => ("tcp", ", tls: \"enabled\""),
        ListenerKind::Tcp { tls: None, .. } => ("tcp", ", tls: \"disabled\""),
        ListenerKind::Unix(_) => ("unix", ""),
    };
    let (size, duration) = (listener.limits.body_bytes_max, format_go(listener.limits.request_max.as_secs()));
    format!("{kind} (addr: \"{address}\", max_request_duration: \"{duration}\", max_request_size: \"{size}\"{tls})")
}

fn plugins() -> String {
    match guests::names() {
        names if names.is_empty() => "none: built without official plugins; run `cargo xtask build`".to_owned(),
        names => names.join(", "),
    }
}

/// The line after which the server answers.
pub(crate) const STARTED: &str = "==> Bulkhead server started! Log data will stream in below:\n";

/// The line when it begins to end.
pub(crate) const STOPPING: &str = "==> Bulkhead shutdown triggered";

/// What a dev server says about itself. Both values are meant to be seen here.
pub(crate) fn dev(address: &str, unseal_key: &str, root_token: &str) -> String {
    format!(
        "WARNING! dev mode is enabled! Everything is kept in memory and lost when this\n\
         process ends. The server is unsealed, with a single key share.\n\
         \n\
         Point clients at it with:\n\
         \n    $ export BULKHEAD_ADDR='{address}'\
         \n    $ export VAULT_ADDR='{address}'\n\
         \n\
         The unseal key and root token are shown in case you want to seal and unseal\n\
         the server, or log in again.\n\
         \n\
         Unseal Key: {unseal_key}\n\
         Root Token: {root_token}\n\
         \n\
         Development mode should NOT be used in production installations!\n"
    )
}

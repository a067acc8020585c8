//! What `-output-curl-string` and `-output-policy` print instead of sending a request.

use super::Call;
use super::address::{Address, Endpoint};
use super::http::Outgoing;
use super::settings::Settings;

/// Paths that need the `sudo` capability besides the one for the operation; a star
/// stands for anything behind it. From the peers' API reference.
const SUDO_PATHS: &[&str] = &[
    "auth/token/accessors",
    "auth/token/revoke-orphan",
    "sys/audit",
    "sys/audit/*",
    "sys/auth/*",
    "sys/config/auditing/*",
    "sys/config/cors",
    "sys/config/ui/headers*",
    "sys/internal/inspect/*",
    "sys/leases/lookup/*",
    "sys/leases/revoke-force/*",
    "sys/leases/revoke-prefix/*",
    "sys/plugins/catalog/*",
    "sys/raw*",
    "sys/remount",
    "sys/revoke-force/*",
    "sys/revoke-prefix/*",
    "sys/rotate",
    "sys/rotate/*",
    "sys/seal",
    "sys/step-down",
    "sys/storage/raft/snapshot-auto/config/*",
];

/// The request as a curl command. The token is not in it, but a command that prints it.
pub(super) fn curl(outgoing: &Outgoing, settings: &Settings, base: &Address) -> String {
    let mut words = vec!["curl".to_owned()];
    if let Endpoint::Unix(path) = &base.endpoint {
        words.push(format!("--unix-socket {}", quoted(path)));
    }
    if settings.tls.skip_verify {
        words.push("--insecure".to_owned());
    }
    if outgoing.method != "GET" {
        words.push(format!("-X {}", outgoing.method));
    }
    let tls = &settings.tls;
    for (option, path) in [
        ("--cacert", &tls.ca_cert),
        ("--capath", &tls.ca_path),
        ("--cert", &tls.client_cert),
        ("--key", &tls.client_key),
    ] {
        if let Some(path) = path {
            words.push(format!("{option} {}", quoted(path)));
        }
    }
    for (name, value) in &outgoing.headers {
        words.push(format!("-H \"{name}: {value}\""));
    }
    if !outgoing.token.expose().is_empty() {
        words.push("-H \"X-Vault-Token: $(bulkhead print token)\"".to_owned());
    }
    if !outgoing.body.expose().is_empty() {
        words.push(format!("-d {}", quoted(outgoing.body.expose())));
    }
    words.push(format!("{:?}", base.url(&outgoing.target)));
    words.join(" ")
}

/// In single quotes for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

/// The least policy that lets the request through.
pub(super) fn policy(call: &Call<'_>) -> String {
    let is_list = call.query.iter().any(|(key, value)| key == "list" && value == "true");
    let mut capabilities = match call.method {
        "GET" if is_list => vec!["list"],
        "GET" => vec!["read"],
        "POST" | "PUT" => vec!["create", "update"],
        "PATCH" => vec!["patch"],
        "DELETE" => vec!["delete"],
        "LIST" => vec!["list"],
        _ => Vec::new(),
    };
    // As the request has it: a rule for `sys/mounts/kv/` would not be one for `sys/mounts/kv`.
    let path = super::address::clean(call.path);
    let path = path.trim_start_matches('/');
    if needs_sudo(path) {
        capabilities.push("sudo");
    }
    format!("path \"{path}\" {{\n  capabilities = [\"{}\"]\n}}", capabilities.join("\", \""))
}

fn needs_sudo(path: &str) -> bool {
    SUDO_PATHS.iter().any(|known| match known.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == *known,
    })
}

//! What `secrets` and `auth` share: flags, request bodies and tables of mounts.

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::output::{sorted, table};
use crate::session::Session;

/// Flags that go into the request under the same name, as a list or a text.
const LISTS: [&str; 4] = [
    "audit-non-hmac-request-keys",
    "audit-non-hmac-response-keys",
    "passthrough-request-headers",
    "allowed-response-headers",
];
const TEXTS: [&str; 3] = ["listing-visibility", "token-type", "plugin-version"];

/// What can be tuned on any mount.
macro_rules! tune_flags {
    ($($more:expr),* $(,)?) => {
        &[
            Flag::list("allowed-response-headers", "Header that the plugin may set on answers; may be given many times."),
            Flag::list("audit-non-hmac-request-keys", "Request field that audit devices write in clear; may be given many times."),
            Flag::list("audit-non-hmac-response-keys", "Answer field that audit devices write in clear; may be given many times."),
            Flag::span("default-lease-ttl", "How long leases and tokens live if nobody says; \"system\" for the server's default."),
            Flag::text("description", "A description for people."),
            Flag::text("listing-visibility", "\"unauth\" shows the mount to callers without a token."),
            Flag::span("max-lease-ttl", "How long leases and tokens live at most; \"system\" for the server's default."),
            Flag::pairs("options", "Option of the mount, as key=value; may be given many times."),
            Flag::list("passthrough-request-headers", "Header of requests that the plugin sees; may be given many times."),
            Flag::text("plugin-version", "Version of the plugin to run, of those in the catalog."),
            Flag::int("version", "Version of the engine to run, where it has several."),
            $($more),*
        ]
    };
}

/// What can be said about a new mount besides.
macro_rules! enable_flags {
    ($($more:expr),* $(,)?) => {
        tune_flags![
            Flag::switch("external-entropy-access", "Let the plugin use the seal's source of randomness. A Bulkhead server notes it, without effect."),
            Flag::switch("local", "Keep the mount out of replication. A Bulkhead server notes it, without effect."),
            Flag::text("path", "Where to mount it; by default at its type."),
            Flag::text("plugin-name", "Name of the plugin, for the type \"plugin\"."),
            Flag::switch("seal-wrap", "Encrypt critical values with the seal's key too. A Bulkhead server notes it, without effect."),
            $($more),*
        ]
    };
}

pub(super) use {enable_flags, tune_flags};

/// The `config` of a new mount.
pub(super) fn enable_config(session: &Session) -> Value {
    let mut config = Map::new();
    config.insert("default_lease_ttl".to_owned(), json!(session.span("default-lease-ttl")));
    config.insert("max_lease_ttl".to_owned(), json!(session.span("max-lease-ttl")));
    config.insert("force_no_cache".to_owned(), json!(session.flags.switch("force-no-cache")));
    add_given(session, &mut config);
    Value::Object(config)
}

/// The body of a tune request: only what was given changes.
pub(super) fn tune_body(session: &Session) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("default_lease_ttl".to_owned(), json!(session.ttl("default-lease-ttl")));
    body.insert("max_lease_ttl".to_owned(), json!(session.ttl("max-lease-ttl")));
    body.insert("options".to_owned(), options(session));
    if session.flags.given("description") {
        body.insert("description".to_owned(), json!(session.flags.text("description").unwrap_or_default()));
    }
    add_given(session, &mut body);
    body
}

fn add_given(session: &Session, object: &mut Map<String, Value>) {
    for flag in LISTS.into_iter().filter(|flag| session.flags.given(flag)) {
        object.insert(flag.replace('-', "_"), json!(session.flags.list(flag)));
    }
    for flag in TEXTS {
        if let Some(text) = session.flags.text(flag) {
            object.insert(flag.replace('-', "_"), json!(text));
        }
    }
}

/// The options, `-version` among them; null if there are none.
pub(super) fn options(session: &Session) -> Value {
    let mut options = session.flags.pairs("options");
    if let Some(version) = session.flags.int("version").filter(|version| *version > 0) {
        options.insert("version".to_owned(), version.to_string());
    }
    if options.is_empty() { Value::Null } else { json!(options) }
}

/// The type to mount, and where: `TYPE`, or `plugin` with `-plugin-name`.
pub(super) fn kind_and_path(session: &Session, kind: &str) -> Result<(String, String), Fault> {
    let kind = match kind.trim() {
        "plugin" => session
            .flags
            .text("plugin-name")
            .ok_or_else(|| Fault::Usage("The type \"plugin\" needs -plugin-name".to_owned()))?,
        kind => kind,
    };
    let path = session.flags.text("path").unwrap_or(kind);
    Ok((kind.to_owned(), crate::paths::with_slash(path)))
}

/// ` version 1.2`, if one was asked for.
pub(super) fn version_suffix(session: &Session) -> String {
    session.flags.text("plugin-version").map_or_else(String::new, |version| format!(" version {version}"))
}

/// A mount's entry in the peers' order, whatever the server leaves out.
pub(super) fn entry(mount: &Value) -> Value {
    let of = |key: &str, absent: Value| mount.get(key).cloned().unwrap_or(absent);
    json!({
        "uuid": of("uuid", json!("")),
        "type": of("type", json!("")),
        "description": of("description", json!("")),
        "accessor": of("accessor", json!("")),
        "config": config_entry(mount.get("config").unwrap_or(&Value::Null)),
        "options": sorted(&of("options", Value::Null)),
        "local": of("local", json!(false)),
        "seal_wrap": of("seal_wrap", json!(false)),
        "external_entropy_access": of("external_entropy_access", json!(false)),
        "plugin_version": of("plugin_version", json!("")),
        "running_plugin_version": of("running_plugin_version", json!("")),
        "running_sha256": of("running_sha256", json!("")),
        "deprecation_status": of("deprecation_status", json!("")),
    })
}

fn config_entry(config: &Value) -> Value {
    let of = |key: &str, absent: Value| config.get(key).cloned().unwrap_or(absent);
    let mut entry = json!({
        "default_lease_ttl": of("default_lease_ttl", json!(0)),
        "max_lease_ttl": of("max_lease_ttl", json!(0)),
        "force_no_cache": of("force_no_cache", json!(false)),
    });
    let optional = [
        "audit_non_hmac_request_keys",
        "audit_non_hmac_response_keys",
        "listing_visibility",
        "passthrough_request_headers",
        "allowed_response_headers",
        "token_type",
        "allowed_managed_keys",
        "user_lockout_config",
    ];
    for key in optional {
        let value = of(key, Value::Null);
        let is_empty = value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
        if !is_empty {
            entry[key] = value;
        }
    }
    entry
}

/// Every mount by its path, in order.
pub(super) fn by_path(answer: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut mounts: Vec<_> = answer.iter().filter(|(_, mount)| mount.is_object()).collect();
    mounts.sort_by_key(|(path, _)| *path);
    mounts
}

/// The columns for people who want all of them.
pub(super) fn detailed(path: &str, mount: &Value, fourth: &str) -> Vec<String> {
    let text = |key: &str| mount.get(key).map_or_else(String::new, table::plain);
    let config =
        |key: &str| mount.get("config").and_then(|config| config.get(key)).map_or_else(String::new, table::plain);
    let has_no_ttl = matches!(text("type").as_str(), "system" | "cubbyhole");
    let ttl = |key: &str| match config(key).as_str() {
        _ if has_no_ttl => String::new(),
        "0" | "" => "system".to_owned(),
        secs => secs.to_owned(),
    };
    let options =
        mount.get("options").filter(|options| options.is_object()).map_or_else(|| "map[]".to_owned(), table::plain);
    let replication = if mount.get("local") == Some(&json!(true)) { "local" } else { "replicated" };
    let row = [
        path.to_owned(),
        text("type"),
        text("accessor"),
        ttl("default_lease_ttl"),
        ttl("max_lease_ttl"),
        config(fourth),
        replication.to_owned(),
        text("seal_wrap"),
        text("external_entropy_access"),
        options,
        text("description"),
        text("uuid"),
        text("plugin_version"),
        text("running_plugin_version"),
        text("running_sha256"),
        text("deprecation_status"),
    ];
    row.to_vec()
}

/// The names of [`detailed`]'s columns, the sixth of which differs.
pub(super) fn detailed_header(sixth: &'static str) -> [&'static str; 16] {
    [
        "Path",
        "Plugin",
        "Accessor",
        "Default TTL",
        "Max TTL",
        sixth,
        "Replication",
        "Seal Wrap",
        "External Entropy Access",
        "Options",
        "Description",
        "UUID",
        "Version",
        "Running Version",
        "Running SHA256",
        "Deprecation Status",
    ]
}

//! Mounts as answers show them.

use bulkhead_model::lockout::LockoutTuning;
use serde_json::{Map, Value, json};

use super::insert_strings;
use crate::book::mounts::{Engine, Mount, Table};
use crate::visit::Visit;

/// A whole table, by path.
pub(super) fn table_json(visit: &Visit, table: Table) -> Value {
    visit
        .config
        .mounts
        .of(&visit.namespace, table)
        .into_iter()
        .map(|m| (m.entry.path.clone(), mount_json(visit, m)))
        .collect()
}

/// One mount.
pub(crate) fn mount_json(visit: &Visit, mount: &Mount) -> Value {
    let entry = &mount.entry;
    let (version, sha256) = match &mount.engine {
        Engine::Plugin(plugin, _) => (format!("v{}", plugin.descriptor().version), plugin.sha256().to_owned()),
        Engine::Missing(_) | Engine::Loading(_) => (String::new(), String::new()),
        _ => (format!("v{}", visit.open.parts.facts.version), String::new()),
    };
    let is_plugin = matches!(mount.engine, Engine::Plugin(..) | Engine::Loading(_) | Engine::Missing(_));
    let mut shown = json!({
        "accessor": entry.accessor,
        "config": config_json(mount),
        "description": entry.description,
        "external_entropy_access": entry.flags.external_entropy_access,
        "local": entry.flags.local,
        "options": if is_plugin { json!(entry.options) } else { Value::Null },
        "plugin_version": entry.plugin_version,
        "running_plugin_version": version,
        "running_sha256": sha256,
        "seal_wrap": entry.flags.seal_wrap,
        "type": entry.kind,
        "uuid": entry.uuid,
    });
    if is_plugin && entry.kind != "generic" {
        shown["deprecation_status"] = "supported".into();
    }
    shown
}

fn config_json(mount: &Mount) -> Value {
    let tuning = &mount.entry.tuning;
    let mut config = Map::new();
    insert_strings(&mut config, "allowed_response_headers", &tuning.allowed_response_headers);
    insert_strings(&mut config, "audit_non_hmac_request_keys", &tuning.audit_non_hmac_request_keys);
    insert_strings(&mut config, "audit_non_hmac_response_keys", &tuning.audit_non_hmac_response_keys);
    config.insert("default_lease_ttl".into(), tuning.default_ttl_secs.into());
    config.insert("force_no_cache".into(), tuning.force_no_cache.into());
    if !tuning.listing_visibility.is_empty() {
        config.insert("listing_visibility".into(), tuning.listing_visibility.as_str().into());
    }
    config.insert("max_lease_ttl".into(), tuning.max_ttl_secs.into());
    insert_strings(&mut config, "passthrough_request_headers", &tuning.passthrough_request_headers);
    if let Some(token_type) = token_type(mount) {
        config.insert("token_type".into(), token_type.into());
    }
    if let Some(lockout) = &tuning.lockout {
        config.insert("user_lockout_config".into(), lockout_json(lockout).into());
    }
    config.into()
}

/// When aliases are locked out, as far as it was said for this mount.
pub(super) fn lockout_json(lockout: &LockoutTuning) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("user_lockout_counter_reset_duration".into(), lockout.counter_reset_secs.into());
    told.insert("user_lockout_disable".into(), lockout.is_disabled.into());
    told.insert("user_lockout_duration".into(), lockout.duration_secs.into());
    told.insert("user_lockout_threshold".into(), lockout.threshold.into());
    told
}

/// Which tokens logins below an auth mount get.
pub(super) fn token_type(mount: &Mount) -> Option<&str> {
    let set = mount.entry.tuning.token_type.as_str();
    (mount.entry.table == Table::Auth).then_some(if set.is_empty() { "default-service" } else { set })
}

//! `sys/key-status` and `sys/rotate`: the barrier's keyring.

use bulkhead_barrier::{KeyStatus, Transaction};
use bulkhead_model::duration::format_go;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::table::{Handler, HostRoute};
use crate::book::{opaque, space};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::visit::{After, Ask, Visit, data, flat};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("key-status", &[Verb::Read], Handler::Now(status), "Tell about the newest encryption key."),
    HostRoute::new("rotate", &[Verb::Write], Handler::Now(rotate), "Install a new encryption key.").sudo(),
    HostRoute::new("rotate/keyring", &[Verb::Write], Handler::Now(rotate), "Install a new encryption key.").sudo(),
    HostRoute::new("rotate/config", &[Verb::Read], Handler::Now(read_config), "Read when keys rotate by themselves."),
    HostRoute::new("rotate/config", &[Verb::Write], Handler::Now(write_config), "Set when keys rotate by themselves.")
        .fields(CONFIG_FIELDS),
    HostRoute::new("rotate/keyring/config", &[Verb::Read], Handler::Now(read_config), "Read when keys rotate."),
    HostRoute::new("rotate/keyring/config", &[Verb::Write], Handler::Now(write_config), "Set when keys rotate.")
        .fields(CONFIG_FIELDS),
];

const CONFIG_FIELDS: &[&str] = &["enabled", "max_operations", "interval"];

/// Vault's bounds for the number of encryptions under one key.
const OPERATIONS_MIN: u64 = 1_000_000;
const OPERATIONS_MAX: u64 = bulkhead_barrier::ENCRYPTIONS_MAX;

#[derive(Serialize, Deserialize)]
struct RotateConfig {
    enabled: bool,
    max_operations: u64,
    interval_secs: u64,
}

impl RotateConfig {
    fn is_due(&self, status: &KeyStatus, now_ms: u64) -> bool {
        let age_ms = now_ms.saturating_sub(status.install_time_ms);
        let old = self.interval_secs > 0 && age_ms >= self.interval_secs.saturating_mul(1000);
        self.enabled && (old || status.encryptions_bound >= self.max_operations)
    }
}

fn config(tx: &mut Transaction) -> Result<RotateConfig, Fault> {
    let stored = tx.get(&opaque(space::HOST, b"rotate-config"))?;
    let parsed = stored.and_then(|bytes| serde_json::from_slice(bytes.expose()).ok());
    Ok(parsed.unwrap_or(RotateConfig { enabled: true, max_operations: OPERATIONS_MAX, interval_secs: 0 }))
}

fn status(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    // Another node may have rotated them, and this one met no record under a newer key since.
    visit.open.learn_keys()?;
    let status = visit.open.barrier.key_status();
    Ok(flat(&json!({
        "encryptions": status.encryptions,
        "install_time": rfc3339(status.install_time_ms),
        "term": status.term,
    })))
}

fn rotate(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    prepare(visit)?;
    Ok(Reply::Empty)
}

fn prepare(visit: &mut Visit) -> Result<(), Fault> {
    let entropy = visit.open.parts.entropy.clone();
    let rotated = visit.open.barrier.prepare_rotation(&mut visit.tx, visit.now_ms, &*entropy)?;
    visit.after.push(After::Rotated(rotated));
    Ok(())
}

/// Rotates the key if it was used as often, or is as old, as the operator allows.
///
/// # Errors
/// [`Fault`] from the store.
pub(crate) fn rotate_if_due(visit: &mut Visit) -> Result<(), Fault> {
    let status = visit.open.barrier.key_status();
    if config(&mut visit.tx)?.is_due(&status, visit.now_ms) {
        tracing::info!(term = status.term, encryptions = status.encryptions, "rotating the encryption key");
        prepare(visit)?;
    }
    Ok(())
}

fn read_config(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let config = config(&mut visit.tx)?;
    // Vault tells none as a number, any other as a text.
    let interval = if config.interval_secs == 0 { json!(0) } else { format_go(config.interval_secs).into() };
    Ok(data(&json!({
        "enabled": config.enabled,
        "interval": interval,
        "max_operations": config.max_operations,
    })))
}

fn write_config(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut config = config(&mut visit.tx)?;
    if let Some(operations) = ask.fields.integer("max_operations")? {
        let operations = u64::try_from(operations).unwrap_or(0);
        if !(OPERATIONS_MIN..=OPERATIONS_MAX).contains(&operations) {
            let text = format!("max_operations must be in the range [{OPERATIONS_MIN},{OPERATIONS_MAX}]");
            return Err(Fault::invalid(text));
        }
        config.max_operations = operations;
    }
    if let Some(enabled) = ask.fields.flag("enabled")? {
        config.enabled = enabled;
    }
    if let Some(secs) = ask.fields.seconds_of_field("interval")? {
        if secs != 0 && secs < 86_400 {
            return Err(Fault::invalid("interval must be greater or equal to 24h0m0s"));
        }
        config.interval_secs = secs;
    }
    let bytes = serde_json::to_vec(&config).expect("the config is plain data");
    visit.tx.put(&opaque(space::HOST, b"rotate-config"), &bytes)?;
    Ok(Reply::Empty)
}

#[cfg(test)]
mod tests {
    use super::{KeyStatus, OPERATIONS_MIN, RotateConfig};

    fn is_due(enabled: bool, interval_secs: u64, encryptions_bound: u64, now_ms: u64) -> bool {
        let config = RotateConfig { enabled, max_operations: OPERATIONS_MIN, interval_secs };
        config.is_due(&KeyStatus { term: 1, install_time_ms: 1_000, encryptions: 0, encryptions_bound }, now_ms)
    }

    #[test]
    fn a_key_is_due_by_use_or_by_age_unless_that_is_switched_off() {
        assert!(!is_due(true, 0, OPERATIONS_MIN - 1, u64::MAX), "no interval, no age");
        assert!(is_due(true, 0, OPERATIONS_MIN, 0));
        assert!(!is_due(true, 86_400, 0, 86_400_999));
        assert!(is_due(true, 86_400, 0, 86_401_000));
        assert!(!is_due(false, 86_400, OPERATIONS_MIN, u64::MAX));
    }
}

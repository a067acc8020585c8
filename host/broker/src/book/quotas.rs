//! Rate limits by name, and what holds for all of them. With the counts of this node:
//! those are in memory alone, and every node has its own.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use bulkhead_model::quota::{Buckets, Limit, LimitRule, QuotaRules};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{opaque, space};

/// A stored rate limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LimitRecord {
    pub name: String,
    /// As [`LimitRule`] has it.
    pub path: String,
    /// Requests in an interval; more than 0, and finite.
    pub rate: f64,
    /// At least 1.
    pub interval_secs: u64,
    pub block_secs: u64,
    /// Of a namespace: whether it is for those below, too.
    pub inheritable: bool,
    /// As [`LimitRule`] has it, in lower case.
    #[serde(default)]
    pub role: String,
}

impl LimitRecord {
    fn rule(&self) -> LimitRule {
        // Vault rounds. What is beyond the type is no limit at all.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let requests = self.rate.round().max(1.0) as u64;
        let limit = Limit {
            requests,
            interval_ms: self.interval_secs.max(1).saturating_mul(1000),
            block_ms: self.block_secs.saturating_mul(1000),
        };
        LimitRule { path: self.path.clone(), limit, inheritable: self.inheritable, role: self.role.clone() }
    }
}

/// What holds for all limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct QuotaConfig {
    /// Whether answers tell how many requests are left.
    pub response_headers: bool,
    /// Whether what is turned away is recorded.
    pub audit_logging: bool,
    /// Beginnings of paths that no limit is for.
    pub exempt_paths: Vec<String>,
}

impl Default for QuotaConfig {
    /// Source of the paths: Vault, `sys/quotas/config`.
    fn default() -> Self {
        let exempt = [
            "sys/generate-recovery-token/attempt",
            "sys/generate-recovery-token/update",
            "sys/generate-root/attempt",
            "sys/generate-root/update",
            "sys/health",
            "sys/seal-status",
            "sys/unseal",
        ];
        let exempt_paths = exempt.map(str::to_owned).to_vec();
        Self { response_headers: false, audit_logging: false, exempt_paths }
    }
}

/// The limits of one epoch, with the counts of this node.
pub(crate) struct Quotas {
    pub config: QuotaConfig,
    pub rules: QuotaRules,
    pub counts: Mutex<Buckets>,
    records: Vec<LimitRecord>,
}

impl Quotas {
    /// Reads all limits.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &mut Transaction) -> Result<Self, StoreError> {
        let (config, records) = (config(tx)?, all(tx)?);
        let rules = QuotaRules::new(records.iter().map(LimitRecord::rule).collect(), config.exempt_paths.clone());
        Ok(Self { config, rules, counts: Mutex::default(), records })
    }

    /// Whether both say the same, so that the counts of one may go on.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.config == other.config && self.records == other.records
    }
}

fn key(name: &str) -> Option<Key> {
    Key::leaf(space::QUOTAS, name).ok()
}

fn config_key() -> Key {
    opaque(space::HOST, b"quota-config")
}

/// What holds for all limits.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn config(tx: &mut Transaction) -> Result<QuotaConfig, StoreError> {
    let Some(bytes) = tx.get(&config_key())? else { return Ok(QuotaConfig::default()) };
    serde_json::from_slice(bytes.expose()).map_err(|_| super::damaged(space::HOST, "the config of quotas"))
}

/// Sets what holds for all limits, and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn save_config(tx: &mut Transaction, config: &QuotaConfig) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(config).expect("the config is plain data");
    tx.put(&config_key(), &bytes)?;
    tx.put(&super::epoch_key(), &[])
}

/// The names of all limits.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn names(tx: &mut Transaction) -> Result<Vec<String>, StoreError> {
    Ok(tx.list(&Folder::root(space::QUOTAS), None, usize::MAX)?.keys)
}

/// All limits, by name.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn all(tx: &mut Transaction) -> Result<Vec<LimitRecord>, StoreError> {
    let mut records = Vec::new();
    for name in names(tx)? {
        records.extend(get(tx, &name)?);
    }
    Ok(records)
}

/// The limit of this name.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn get(tx: &mut Transaction, name: &str) -> Result<Option<LimitRecord>, StoreError> {
    let Some(key) = key(name) else { return Ok(None) };
    let Some(bytes) = tx.get(&key)? else { return Ok(None) };
    serde_json::from_slice(bytes.expose()).map(Some).map_err(|_| super::damaged(space::QUOTAS, "a rate limit"))
}

/// Writes a limit, and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier, or for a name that is no key.
pub(crate) fn save(tx: &mut Transaction, record: &LimitRecord) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(record).expect("a limit is plain data");
    tx.put(&Key::leaf(space::QUOTAS, &record.name)?, &bytes)?;
    tx.put(&super::epoch_key(), &[])
}

/// Removes a limit, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, name: &str) -> Result<(), StoreError> {
    let Some(key) = key(name) else { return Ok(()) };
    tx.delete(&key)?;
    tx.put(&super::epoch_key(), &[])
}

/// Removes the limits of a mount that goes.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn mount_gone(tx: &mut Transaction, full_path: &str) -> Result<(), StoreError> {
    for record in all(tx)?.iter().filter(|record| record.path.starts_with(full_path)) {
        remove(tx, &record.name)?;
    }
    Ok(())
}

/// Lets the limits of a mount follow it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn mount_moved(tx: &mut Transaction, from: &str, to: &str) -> Result<(), StoreError> {
    for record in all(tx)? {
        if let Some(rest) = record.path.strip_prefix(from) {
            let path = format!("{to}{rest}");
            save(tx, &LimitRecord { path, ..record })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bulkhead_barrier::SealConfig;
    use bulkhead_model::fake::entropy::FakeEntropy;
    use bulkhead_model::fake::ledger::FakeLedger;
    use bulkhead_model::seam::ledger::Ledger;

    use super::{LimitRecord, QuotaConfig, Quotas, Transaction, mount_gone, mount_moved, save, save_config};

    fn empty() -> Transaction {
        let config = SealConfig::new(1, 1).expect("is possible");
        let made = bulkhead_barrier::init(bulkhead_barrier::Sealing::Fresh(config), 0, &FakeEntropy::seeded(1));
        made.barrier.begin(FakeLedger::default().view().expect("a fake has one"))
    }

    fn record(name: &str, path: &str, rate: f64) -> LimitRecord {
        let path = path.to_owned();
        let (name, role) = (name.to_owned(), String::new());
        LimitRecord { name, path, rate, interval_secs: 1, block_secs: 0, inheritable: false, role }
    }

    fn paths(tx: &mut Transaction) -> Vec<String> {
        super::all(tx).expect("reads").into_iter().map(|record| record.path).collect()
    }

    #[test]
    fn a_node_without_quotas_has_vaults_exemptions_and_no_rule() {
        let quotas = Quotas::load(&mut empty()).expect("reads");
        assert!(quotas.rules.find("kv/x", "").is_none());
        assert!(quotas.config.exempt_paths.contains(&"sys/health".to_owned()));
    }

    #[test]
    fn counts_go_on_only_where_the_quotas_are_the_same() {
        let mut tx = empty();
        save(&mut tx, &record("a", "kv/", 1.5)).expect("writes");
        let first = Quotas::load(&mut tx).expect("reads");
        assert_eq!(
            first.rules.find("kv/x", "").map(|(_, limit)| limit.requests),
            Some(2),
            "half a request counts as one"
        );
        assert!(first.same(&Quotas::load(&mut tx).expect("reads")));
        save_config(&mut tx, &QuotaConfig { response_headers: true, ..QuotaConfig::default() }).expect("writes");
        assert!(!first.same(&Quotas::load(&mut tx).expect("reads")));
    }

    #[test]
    fn limits_follow_their_mount_and_end_with_it() {
        let mut tx = empty();
        for (name, path) in [("a", "kv/"), ("b", "kv/x"), ("c", "kvx/"), ("d", "")] {
            save(&mut tx, &record(name, path, 1.0)).expect("writes");
        }
        mount_moved(&mut tx, "kv/", "new/").expect("writes");
        assert_eq!(paths(&mut tx), ["new/", "new/x", "kvx/", ""]);
        mount_gone(&mut tx, "new/").expect("writes");
        assert_eq!(paths(&mut tx), ["kvx/", ""]);
    }
}

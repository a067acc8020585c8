//! Quotas of leases by name: how many there may be below a path. How many there are is in no
//! book: the node that leads counts them.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use bulkhead_model::quota::{LimitRule, QuotaRules};
use serde::{Deserialize, Serialize};

use super::{each_of, space};

/// A stored quota.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeaseQuotaRecord {
    pub name: String,
    /// As [`LimitRule`] has it.
    pub path: String,
    /// More than 0.
    pub max_leases: u64,
    /// Of a namespace: whether those below have it, too.
    pub inheritable: bool,
    /// As [`LimitRule`] has it.
    #[serde(default)]
    pub role: String,
}

impl LeaseQuotaRecord {
    fn rule(&self) -> LimitRule<u64> {
        let (path, limit, role) = (self.path.clone(), self.max_leases, self.role.clone());
        LimitRule { path, limit, inheritable: self.inheritable, role }
    }

    /// Whether both are for the same leases.
    fn is_for_same(&self, other: &Self) -> bool {
        let one = (&self.name, &self.path, self.inheritable, &self.role);
        one == (&other.name, &other.path, other.inheritable, &other.role)
    }
}

/// The quotas of one epoch.
pub(crate) struct LeaseQuotas {
    pub rules: QuotaRules<u64>,
    /// In the order of the rules.
    pub records: Vec<LeaseQuotaRecord>,
}

impl LeaseQuotas {
    /// Reads all of them.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &Transaction) -> Result<Self, StoreError> {
        let records = all(tx)?;
        Ok(Self { rules: QuotaRules::new(records.iter().map(LeaseQuotaRecord::rule).collect(), Vec::new()), records })
    }

    /// Whether each is for the same leases as the one in its place, so that what was counted by
    /// the others holds for these.
    pub(crate) fn is_for_same(&self, other: &Self) -> bool {
        self.records.len() == other.records.len()
            && self.records.iter().zip(&other.records).all(|(one, other)| one.is_for_same(other))
    }
}

/// The names of all quotas.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn names(tx: &mut Transaction) -> Result<Vec<String>, StoreError> {
    Ok(tx.list(&Folder::root(space::LEASE_QUOTAS), None, usize::MAX)?.keys)
}

/// All quotas by name, as the transaction found them.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn all(tx: &Transaction) -> Result<Vec<LeaseQuotaRecord>, StoreError> {
    each_of(tx, space::LEASE_QUOTAS, "a quota of leases")
}

/// Writes a quota, and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier, or for a name that is no key.
pub(crate) fn save(tx: &mut Transaction, record: &LeaseQuotaRecord) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(record).expect("a quota is plain data");
    tx.put(&Key::leaf(space::LEASE_QUOTAS, &record.name)?, &bytes)?;
    tx.put(&super::epoch_key(), &[])
}

/// Removes a quota, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, name: &str) -> Result<(), StoreError> {
    let Ok(key) = Key::leaf(space::LEASE_QUOTAS, name) else { return Ok(()) };
    tx.delete(&key)?;
    tx.put(&super::epoch_key(), &[])
}

/// Removes the quotas of a mount that goes.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn mount_gone(tx: &mut Transaction, full_path: &str) -> Result<(), StoreError> {
    for record in all(tx)?.iter().filter(|record| record.path.starts_with(full_path)) {
        remove(tx, &record.name)?;
    }
    Ok(())
}

/// Lets the quotas of a mount follow it.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn mount_moved(tx: &mut Transaction, from: &str, to: &str) -> Result<(), StoreError> {
    for record in all(tx)? {
        if let Some(rest) = record.path.strip_prefix(from) {
            let path = format!("{to}{rest}");
            save(tx, &LeaseQuotaRecord { path, ..record })?;
        }
    }
    Ok(())
}

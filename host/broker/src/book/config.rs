//! What the node has parsed of its slowly changing state: mounts, policies, quotas
//! and settings of one epoch. Requests share it and check the epoch's version, which is
//! exact: a change shows to the first request after its commit.

use std::collections::HashMap;
use std::sync::Arc;

use bulkhead_barrier::{StoreError, Transaction};
use bulkhead_model::acl::Acl;
use bulkhead_model::change::Version;
use bulkhead_model::policy::{Policy, PolicyName};
use parking_lot::RwLock;

use super::mounts::{self, Catalog, MountTable};
use super::quotas::Quotas;
use super::settings::Settings;
use super::{epoch_key, policies};

/// ACLs kept parsed at most; beyond this they are parsed anew. Source: ours.
const ACLS_MAX: usize = 4_096;

/// Everything parsed in one epoch.
pub(crate) struct Config {
    version: Option<Version>,
    pub mounts: MountTable,
    pub quotas: Arc<Quotas>,
    pub settings: Settings,
    acls: RwLock<HashMap<Vec<String>, Arc<Acl>>>,
}

impl Config {
    /// Reads the mount table of the transaction's snapshot.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &mut Transaction, catalog: &Catalog) -> Result<Self, StoreError> {
        let version = tx.version(&epoch_key())?;
        let (mounts, quotas) = (mounts::load(tx, catalog)?, Arc::new(Quotas::load(tx)?));
        let settings = Settings::load(tx)?;
        Ok(Self { version, mounts, quotas, settings, acls: RwLock::default() })
    }

    /// Takes over the counts of the epoch before, if its quotas were the same.
    pub(crate) fn go_on_from(&mut self, before: &Self) {
        if self.quotas.same(&before.quotas) {
            self.quotas = before.quotas.clone();
        }
    }

    /// Whether this is still what the transaction's snapshot says. Recorded in the read
    /// set, so that a change between here and the commit is a conflict.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn holds(&self, tx: &mut Transaction) -> Result<bool, StoreError> {
        Ok(tx.version(&epoch_key())? == self.version)
    }

    /// The rules of these policies together; a policy that does not exist grants nothing.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn acl(&self, tx: &mut Transaction, names: &[String], now_ms: u64) -> Result<Arc<Acl>, StoreError> {
        if names.iter().any(|n| n == "root") {
            return Ok(Arc::new(Acl::root()));
        }
        if let Some(acl) = self.acls.read().get(names) {
            return Ok(acl.clone());
        }
        let mut parsed = Vec::new();
        let mut ends = false;
        for name in names {
            let Ok(policy_name) = PolicyName::parse(name) else { continue };
            let Some(record) = policies::read(tx, &policy_name, now_ms)? else { continue };
            ends |= record.expires_ms != 0;
            // Checked when it was written; a rule that this version cannot read grants nothing.
            let policy = Policy::parse(&record.text).unwrap_or_default();
            parsed.push((name.as_str(), policy));
        }
        let acl = Arc::new(Acl::of(parsed.iter().map(|(name, policy)| (*name, policy))));
        if ends {
            // A policy that ends is looked at anew by every request.
            return Ok(acl);
        }
        let mut acls = self.acls.write();
        if acls.len() >= ACLS_MAX {
            acls.clear();
        }
        acls.insert(names.to_vec(), acl.clone());
        Ok(acl)
    }
}

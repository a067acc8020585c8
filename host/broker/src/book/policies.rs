//! Policy texts by name.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use bulkhead_model::policy::{PolicyName, TemplateValues};
use serde::{Deserialize, Serialize};

use super::space;

/// Written at initialisation, editable afterwards. The wording is ours; the paths are
/// those a Vault client may use with any token.
pub(crate) const DEFAULT_POLICY: &str = include_str!("default_policy.hcl");

/// What a wrapping token may do; no token can be given it by hand.
pub(crate) const WRAPPING_POLICY: &str = include_str!("wrapping_policy.hcl");

/// A stored policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    pub text: String,
    /// Counts writes, from 1.
    pub version: u64,
    pub modified_ms: u64,
    pub cas_required: bool,
    /// 0: never.
    pub expires_ms: u64,
    /// Whether values of templates may have a slash.
    #[serde(default)]
    pub allow_slashes: bool,
    /// Whether values of templates may have a wildcard.
    #[serde(default)]
    pub allow_wildcards: bool,
}

impl PolicyRecord {
    /// What values of templates may have.
    pub(crate) fn template_values(&self) -> TemplateValues {
        TemplateValues { slashes: self.allow_slashes, wildcards: self.allow_wildcards }
    }
}

fn key(name: &PolicyName) -> Key {
    Key::leaf(space::POLICIES, name.as_str()).expect("a policy name is a canonical path")
}

/// The policy of this name, unless its time is over.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn read(tx: &mut Transaction, name: &PolicyName, now_ms: u64) -> Result<Option<PolicyRecord>, StoreError> {
    let Some(bytes) = tx.get(&key(name))? else { return Ok(None) };
    let record: PolicyRecord =
        serde_json::from_slice(bytes.expose()).map_err(|_| super::damaged(space::POLICIES, "a policy"))?;
    let over = record.expires_ms != 0 && now_ms >= record.expires_ms;
    Ok((!over).then_some(record))
}

/// Writes a policy and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn write(tx: &mut Transaction, name: &PolicyName, record: &PolicyRecord) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(record).expect("a policy record is plain data");
    tx.put(&key(name), &bytes)?;
    tx.put(&super::epoch_key(), &[])
}

/// Removes a policy and starts a new epoch.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn delete(tx: &mut Transaction, name: &PolicyName) -> Result<(), StoreError> {
    tx.delete(&key(name))?;
    tx.put(&super::epoch_key(), &[])
}

/// All names: those without a slash first, as Vault lists them; without `root`, which
/// is no policy, and without the one for wrapping tokens.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn names(tx: &mut Transaction) -> Result<Vec<String>, StoreError> {
    let mut names = tx.scan(&Folder::root(space::POLICIES), None, usize::MAX)?.keys;
    names.retain(|name| name != "response-wrapping");
    names.sort_by_key(|name| (name.contains('/'), name.clone()));
    Ok(names)
}

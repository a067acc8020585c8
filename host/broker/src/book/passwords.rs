//! Texts of password policies by name. Whether a text is a policy was checked when it
//! was written.

use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use bulkhead_model::password::PasswordPolicy;

use super::space;

/// A name as a key; a name that is no canonical path names nothing.
fn key(name: &str) -> Option<Key> {
    Key::leaf(space::PASSWORD_POLICIES, name).ok()
}

/// The text of a policy. The reading is part of the transaction: a change meanwhile is a
/// conflict.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn text(tx: &mut Transaction, name: &str) -> Result<Option<String>, StoreError> {
    let Some(key) = key(name) else { return Ok(None) };
    let Some(bytes) = tx.get(&key)? else { return Ok(None) };
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| damaged())?;
    Ok(Some(text.to_owned()))
}

/// The policy of this name.
///
/// # Errors
/// [`StoreError`] from the barrier, or for a stored text that is no policy.
pub(crate) fn policy(tx: &mut Transaction, name: &str) -> Result<Option<PasswordPolicy>, StoreError> {
    let Some(text) = text(tx, name)? else { return Ok(None) };
    PasswordPolicy::parse(&text).map(Some).map_err(|_| damaged())
}

/// Keeps a text that is a policy.
///
/// # Errors
/// [`StoreError`] from the barrier, or for a name that is no key.
pub(crate) fn save(tx: &mut Transaction, name: &str, text: &str) -> Result<(), StoreError> {
    tx.put(&Key::leaf(space::PASSWORD_POLICIES, name)?, text.as_bytes())
}

/// Removes a policy, if it is there.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn remove(tx: &mut Transaction, name: &str) -> Result<(), StoreError> {
    key(name).map_or(Ok(()), |key| tx.delete(&key))
}

/// All names, those without a slash first, as Vault lists them.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn names(tx: &mut Transaction) -> Result<Vec<String>, StoreError> {
    let mut names = tx.scan(&Folder::root(space::PASSWORD_POLICIES), None, usize::MAX)?.keys;
    names.sort_by_key(|name| (name.contains('/'), name.clone()));
    Ok(names)
}

fn damaged() -> StoreError {
    super::damaged(space::PASSWORD_POLICIES, "a password policy")
}

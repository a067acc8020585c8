//! Taking what callers send about entities and groups: policies, metadata, accessors.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::framework::quoted;
use bulkhead_model::path::is_printable;
use bulkhead_model::template::Pairs;

use crate::fault::{Fault, wrapped, wrapped_all};
use crate::fields::Fields;
use crate::mint::sanitised;
use crate::visit::Visit;

/// Pairs of metadata at most. Source: Vault.
const PAIRS_MAX: usize = 64;
/// Longest name of metadata, in bytes. Source: Vault.
const KEY_BYTES_MAX: usize = 128;
/// Longest value of metadata, in bytes. Source: Vault.
const VALUE_BYTES_MAX: usize = 512;

/// What Vault answers where its store, not the handler, refuses: 500, though it is the
/// caller's doing.
pub(super) fn refused(text: &str) -> Fault {
    Failure::new(FailureKind::Internal, wrapped(text)).into()
}

/// Names of policies, normalised. What carries full power is no policy, in any spelling.
pub(super) fn policies(fields: &Fields) -> Result<Option<Vec<String>>, Fault> {
    let Some(asked) = fields.strings("policies", true)? else { return Ok(None) };
    let policies = sanitised(&asked, false);
    if policies == ["root"] {
        return Err(Fault::invalid("policies cannot contain root"));
    }
    Ok(Some(policies))
}

/// Metadata of an entity or a group, within Vault's limits.
pub(super) fn metadata(fields: &Fields, of: &str) -> Result<Option<Pairs>, Fault> {
    let Some(pairs) = fields.texts("metadata")? else { return Ok(None) };
    if pairs.len() > PAIRS_MAX {
        let text = format!("invalid {of} metadata: metadata cannot contain more than {PAIRS_MAX} key/value pairs");
        return Err(refused(&text));
    }
    for (name, value) in &pairs {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | '/' | '+' | '_' | '-');
        let fault = if name.is_empty() {
            "key cannot be blank".to_owned()
        } else if !name.chars().all(plain) {
            "key contains invalid characters".to_owned()
        } else if name.len() > KEY_BYTES_MAX {
            format!("key is too long (limit: {KEY_BYTES_MAX} characters)")
        } else if value.len() > VALUE_BYTES_MAX {
            format!("value is too long (limit: {VALUE_BYTES_MAX} characters)")
        } else {
            continue;
        };
        let text = format!("invalid {of} metadata: failed to load metadata pair ({name:?}, {value:?}): {fault}");
        return Err(refused(&text));
    }
    Ok(Some(pairs))
}

/// What an operator says of an alias, within Vault's limits.
pub(super) fn custom_metadata(fields: &Fields) -> Result<Option<Pairs>, Fault> {
    let Some(pairs) = fields.texts("custom_metadata")? else { return Ok(None) };
    let mut faults = Vec::new();
    if pairs.len() > PAIRS_MAX {
        faults.push(format!("payload must contain at most {PAIRS_MAX} keys, provided {}", pairs.len()));
    }
    for (name, value) in pairs.iter().take(PAIRS_MAX) {
        let quoted = quoted(name);
        if name.is_empty() || name.len() > KEY_BYTES_MAX {
            let len = name.len();
            faults.push(format!("length of key {quoted} is {len} but must be 0 < len(key) <= {KEY_BYTES_MAX}"));
        }
        if value.is_empty() || value.len() > VALUE_BYTES_MAX {
            let (len, most) = (value.len(), VALUE_BYTES_MAX);
            faults.push(format!("length of value for key {quoted} is {len} but must be 0 < len(value) <= {most}"));
        }
        if !name.chars().all(is_printable) {
            faults.push(format!("key {quoted} ({name}) contains unprintable characters"));
        }
        if !value.chars().all(is_printable) {
            faults.push(format!("value for key {quoted} contains unprintable characters"));
        }
    }
    if faults.is_empty() {
        return Ok(Some(pairs));
    }
    let told: Vec<_> = faults.iter().map(|fault| format!("custom_metadata validation failed: {fault}")).collect();
    Err(Failure::new(FailureKind::Internal, wrapped_all(&told)).into())
}

/// Ids of members, of which the empty ones count as not named.
pub(super) fn members(fields: &Fields, name: &str) -> Result<Option<Vec<String>>, Fault> {
    let mut ids = fields.strings(name, true)?;
    ids.iter_mut().for_each(|ids| ids.retain(|id| !id.is_empty()));
    Ok(ids)
}

/// Checks that a mount has this accessor.
pub(super) fn known_accessor(visit: &Visit, accessor: &str) -> Result<(), Fault> {
    match visit.mount_with(accessor) {
        Some(_) => Ok(()),
        None => Err(Fault::invalid(format!("invalid mount accessor {accessor:?}"))),
    }
}

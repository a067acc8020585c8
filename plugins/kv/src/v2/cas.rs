//! Check-and-set: a write that names the version it replaces.

use bulkhead_sdk::json;
use bulkhead_sdk::prelude::*;

/// The version that `options.cas` names, if it does; null names version 0, as in Vault.
pub(crate) fn named(options: Option<&Raw>) -> Result<Option<i64>> {
    for member in json::members(options.filter(|text| *text != "null").unwrap_or_default().as_bytes())? {
        let (name, value) = member?;
        if name == "cas" {
            let text = json::unquote(value).unwrap_or(value.into());
            let number = if text == "null" { Ok(0) } else { text.parse() };
            return number.map(Some).map_err(|_| Error::invalid("error parsing check-and-set parameter"));
        }
    }
    Ok(None)
}

/// Refuses a write that names another version than the current one, or none where it must.
pub(crate) fn check(named: Option<i64>, required: bool, current: u64) -> Result<()> {
    match named {
        None if required => Err(Error::invalid("check-and-set parameter required for this call")),
        Some(named) if u64::try_from(named) != Ok(current) => {
            Err(Error::invalid("check-and-set parameter did not match the current version"))
        }
        _ => Ok(()),
    }
}

/// The same for writes of metadata; those that there are not yet have no current version.
pub(crate) fn check_metadata(named: Option<i64>, required: bool, current: Option<u64>) -> Result<()> {
    match named {
        None if required => Err(Error::invalid("metadata check-and-set parameter required for this call")),
        Some(named) if u64::try_from(named) != Ok(current.unwrap_or_default()) => {
            let unfit = match current {
                None => "metadata_cas must be 0 when creating new metadata",
                Some(_) => "metadata check-and-set parameter does not match the current version",
            };
            Err(Error::invalid(unfit))
        }
        _ => Ok(()),
    }
}

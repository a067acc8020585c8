//! Settings of a version 2 mount.

use bulkhead_sdk::Stored;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::wire::{Reader, Writer};

/// How long versions live before they are deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DeleteAfter {
    /// No setting.
    #[default]
    Unset,
    /// Never, and no secret may say otherwise.
    Disabled,
    /// After so many seconds.
    Secs(u64),
}

impl DeleteAfter {
    /// From seconds as the API has them: negative disables.
    pub(crate) const fn from_secs(secs: i64) -> Self {
        match secs {
            0 => Self::Unset,
            secs if secs < 0 => Self::Disabled,
            secs => Self::Secs(secs.unsigned_abs()),
        }
    }

    /// As the API shows it.
    pub(crate) fn show(self) -> String {
        match self {
            Self::Unset => "0s".to_owned(),
            Self::Disabled => "-1s".to_owned(),
            Self::Secs(secs) => bulkhead_sdk::time::go_duration(i64::try_from(secs).unwrap_or(i64::MAX)),
        }
    }

    /// Seconds plus one; 0 is unset and 1 is disabled.
    pub(super) const fn encode(self) -> u64 {
        match self {
            Self::Unset => 0,
            Self::Disabled => 1,
            Self::Secs(secs) => secs.saturating_add(1),
        }
    }

    pub(super) const fn decode(number: u64) -> Self {
        match number {
            0 => Self::Unset,
            1 => Self::Disabled,
            number => Self::Secs(number - 1),
        }
    }
}

/// The mount's settings; a mount without the record has the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) max_versions: u32,
    pub(crate) cas_required: bool,
    pub(crate) metadata_cas_required: bool,
    pub(crate) delete_after: DeleteAfter,
    /// Version 1 secrets are being moved; nothing else may happen until then.
    pub(crate) upgrading: bool,
}

const MAX_VERSIONS: u32 = 1;
const CAS_REQUIRED: u32 = 2;
const METADATA_CAS_REQUIRED: u32 = 3;
const DELETE_AFTER: u32 = 4;
const UPGRADING: u32 = 5;

impl Stored for Config {
    const FOLDER: &'static str = "config";

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.number(MAX_VERSIONS, self.max_versions.into());
        writer.number(CAS_REQUIRED, self.cas_required.into());
        writer.number(METADATA_CAS_REQUIRED, self.metadata_cas_required.into());
        writer.number(DELETE_AFTER, self.delete_after.encode());
        writer.number(UPGRADING, self.upgrading.into());
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut config = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                MAX_VERSIONS => config.max_versions = value.number() as u32,
                CAS_REQUIRED => config.cas_required = value.number() != 0,
                METADATA_CAS_REQUIRED => config.metadata_cas_required = value.number() != 0,
                DELETE_AFTER => config.delete_after = DeleteAfter::decode(value.number()),
                UPGRADING => config.upgrading = value.number() != 0,
                _ => {}
            }
        }
        Ok(config)
    }
}

impl Config {
    /// The mount's settings, even while it is being upgraded.
    pub(crate) fn load_any(cx: &Cx) -> Result<Self> {
        Ok(cx.get("")?.unwrap_or_default())
    }

    /// The mount's settings; refuses while version 1 secrets are being moved.
    pub(crate) fn load(cx: &Cx) -> Result<Self> {
        let config = Self::load_any(cx)?;
        if config.upgrading {
            return Err(Error::invalid(
                "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and \
                 will resume service shortly.",
            ));
        }
        Ok(config)
    }

    pub(crate) fn save(&self, cx: &Cx) -> Result<()> {
        cx.put("", self)
    }
}

#[cfg(test)]
mod tests;

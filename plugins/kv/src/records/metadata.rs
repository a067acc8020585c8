//! A secret's settings and its versions.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::time::rfc3339;
use bulkhead_sdk::wire::{Reader, Writer};

use super::config::{Config, DeleteAfter};
use super::{METADATA, document_key};

/// Versions kept where neither mount nor secret says how many.
const KEPT_BY_DEFAULT: u32 = 10;

/// One version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) created_ms: u64,
    /// When it was or will be deleted; 0: never.
    pub(crate) deleted_ms: u64,
    pub(crate) destroyed: bool,
}

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) current: u64,
    pub(crate) oldest: u64,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) max_versions: u32,
    pub(crate) cas_required: bool,
    pub(crate) metadata_cas_required: bool,
    pub(crate) delete_after: DeleteAfter,
    /// Counts writes of the settings.
    pub(crate) revision: u64,
    /// JSON object of strings; empty: none.
    pub(crate) custom: String,
    /// Oldest first.
    pub(crate) versions: Vec<Version>,
}

impl Version {
    /// Whether its document may be read at this time.
    pub(crate) const fn readable(&self, now_ms: u64) -> bool {
        !self.destroyed && !self.deleted(now_ms)
    }

    /// Whether it counts as deleted at this time.
    pub(crate) const fn deleted(&self, now_ms: u64) -> bool {
        self.deleted_ms != 0 && self.deleted_ms <= now_ms
    }

    fn times(&self, object: Object) -> Object {
        let deleted = if self.deleted_ms == 0 { String::new() } else { rfc3339(self.deleted_ms) };
        object.text("deletion_time", &deleted).boolean("destroyed", self.destroyed)
    }

    /// As answers about one version show it.
    pub(crate) fn show(&self, custom: &str) -> String {
        let object = Object::with_room(160 + custom.len()).text("created_time", &rfc3339(self.created_ms));
        let custom = if custom.is_empty() { "null" } else { custom };
        self.times(object.json("custom_metadata", custom)).number("version", self.number).end()
    }

    /// As the metadata's map of versions shows it.
    fn show_listed(&self) -> String {
        self.times(Object::with_room(128).text("created_time", &rfc3339(self.created_ms))).end()
    }
}

impl Metadata {
    pub(crate) fn load(cx: &Cx, path: &str) -> Result<Option<Self>> {
        if super::names_a_secret(path) { cx.get(path) } else { Ok(None) }
    }

    pub(crate) fn save(&self, cx: &Cx, path: &str) -> Result<()> {
        cx.put(path, self)
    }

    pub(crate) fn version(&self, number: u64) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    pub(crate) fn version_mut(&mut self, number: u64) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.number == number)
    }

    /// When its versions end, where the mount has these settings.
    pub(crate) const fn ends(&self, config: &Config) -> Ends {
        Ends { mount: config.delete_after, secret: self.delete_after }
    }

    /// Adds a version, and removes what is now one too many.
    pub(crate) fn add_version(&mut self, cx: &Cx, path: &str, config: &Config) -> Result<Version> {
        let now_ms = cx.now_ms();
        self.current += 1;
        let deleted_ms = self.ends(config).of_version_written(now_ms);
        let version = Version { number: self.current, created_ms: now_ms, deleted_ms, destroyed: false };
        self.versions.push(version.clone());
        self.updated_ms = now_ms;
        if self.created_ms == 0 {
            self.created_ms = now_ms;
        }
        self.trim(cx, path, config)?;
        Ok(version)
    }

    /// Vault keeps the larger of what mount and secret say.
    fn trim(&mut self, cx: &Cx, path: &str, config: &Config) -> Result<()> {
        let kept = match self.max_versions.max(config.max_versions) {
            0 => KEPT_BY_DEFAULT,
            kept => kept,
        };
        if self.current - self.oldest < u64::from(kept) {
            return Ok(());
        }
        let last_dropped = self.current - u64::from(kept);
        for version in self.versions.iter().filter(|version| version.number <= last_dropped) {
            cx.delete_key(&document_key(path, version.number))?;
        }
        self.versions.retain(|version| version.number > last_dropped);
        self.oldest = last_dropped + 1;
        Ok(())
    }

    /// As the API shows it.
    pub(crate) fn show(&self) -> String {
        let versions =
            self.versions.iter().fold(Object::with_room(128 * self.versions.len() + 2), |object, version| {
                object.json(&version.number.to_string(), &version.show_listed())
            });
        let versions = versions.end();
        Object::with_room(512 + versions.len() + self.custom.len())
            .boolean("cas_required", self.cas_required)
            .text("created_time", &rfc3339(self.created_ms))
            .number("current_metadata_version", self.revision)
            .number("current_version", self.current)
            .json("custom_metadata", if self.custom.is_empty() { "null" } else { &self.custom })
            .text("delete_version_after", &self.delete_after.show())
            .number("max_versions", self.max_versions.into())
            .boolean("metadata_cas_required", self.metadata_cas_required)
            .number("oldest_version", self.oldest)
            .text("updated_time", &rfc3339(self.updated_ms))
            .json("versions", &versions)
            .end()
    }
}

/// When versions of a secret end by themselves.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    mount: DeleteAfter,
    secret: DeleteAfter,
}

impl Ends {
    /// The end of a version written then; 0: never. The mount's word bounds the secret's.
    pub(crate) fn of_version_written(&self, now_ms: u64) -> u64 {
        let secs = match (self.mount, self.secret) {
            (DeleteAfter::Disabled, _) | (_, DeleteAfter::Disabled) | (DeleteAfter::Unset, DeleteAfter::Unset) => {
                return 0;
            }
            (DeleteAfter::Secs(mount), DeleteAfter::Secs(secret)) => mount.min(secret),
            (DeleteAfter::Secs(secs), DeleteAfter::Unset) | (DeleteAfter::Unset, DeleteAfter::Secs(secs)) => secs,
        };
        now_ms.saturating_add(secs.saturating_mul(1000))
    }
}

const CURRENT: u32 = 1;
const OLDEST: u32 = 2;
const CREATED_MS: u32 = 3;
const UPDATED_MS: u32 = 4;
const MAX_VERSIONS: u32 = 5;
const CAS_REQUIRED: u32 = 6;
const METADATA_CAS_REQUIRED: u32 = 7;
const DELETE_AFTER: u32 = 8;
const REVISION: u32 = 9;
const CUSTOM: u32 = 10;
const VERSION: u32 = 11;

const VERSION_NUMBER: u32 = 1;
const VERSION_CREATED_MS: u32 = 2;
const VERSION_DELETED_MS: u32 = 3;
const VERSION_DESTROYED: u32 = 4;

impl Stored for Metadata {
    const FOLDER: &'static str = METADATA;

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.number(CURRENT, self.current);
        writer.number(OLDEST, self.oldest);
        writer.number(CREATED_MS, self.created_ms);
        writer.number(UPDATED_MS, self.updated_ms);
        writer.number(MAX_VERSIONS, self.max_versions.into());
        writer.number(CAS_REQUIRED, self.cas_required.into());
        writer.number(METADATA_CAS_REQUIRED, self.metadata_cas_required.into());
        writer.number(DELETE_AFTER, self.delete_after.encode());
        writer.number(REVISION, self.revision);
        if !self.custom.is_empty() {
            writer.bytes(CUSTOM, self.custom.as_bytes());
        }
        for version in &self.versions {
            writer.bytes(VERSION, &version.encode());
        }
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut metadata = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                CURRENT => metadata.current = value.number(),
                OLDEST => metadata.oldest = value.number(),
                CREATED_MS => metadata.created_ms = value.number(),
                UPDATED_MS => metadata.updated_ms = value.number(),
                MAX_VERSIONS => metadata.max_versions = value.number() as u32,
                CAS_REQUIRED => metadata.cas_required = value.number() != 0,
                METADATA_CAS_REQUIRED => metadata.metadata_cas_required = value.number() != 0,
                DELETE_AFTER => metadata.delete_after = DeleteAfter::decode(value.number()),
                REVISION => metadata.revision = value.number(),
                CUSTOM => metadata.custom = value.text()?.to_owned(),
                VERSION => metadata.versions.push(Version::decode(value.bytes())?),
                _ => {}
            }
        }
        Ok(metadata)
    }
}

impl Version {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.number(VERSION_NUMBER, self.number);
        writer.number(VERSION_CREATED_MS, self.created_ms);
        writer.number(VERSION_DELETED_MS, self.deleted_ms);
        writer.number(VERSION_DESTROYED, self.destroyed.into());
        writer.end()
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut version = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                VERSION_NUMBER => version.number = value.number(),
                VERSION_CREATED_MS => version.created_ms = value.number(),
                VERSION_DELETED_MS => version.deleted_ms = value.number(),
                VERSION_DESTROYED => version.destroyed = value.number() != 0,
                _ => {}
            }
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests;

//! Secret ids: what is stored of one, which is never the id itself, and how it is found,
//! used up and ended.

use bulkhead_sdk::Stored;
use bulkhead_sdk::cidr::Network;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::token_fields::stored_network;
use bulkhead_sdk::wire::{Reader, Value as Wire, Writer};

use crate::expiry::Entry;
use crate::metadata::Metadata;
use crate::records::{Place, Role, hex};

/// Longest secret id, in bytes. Source: OpenBao. Why: it is hashed for whoever asks.
const SECRET_ID_BYTES_MAX: usize = 4096;

/// A secret id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretId {
    pub(crate) accessor: String,
    /// Logins it is still good for; 0: any number.
    pub(crate) uses_left: u32,
    /// As asked for; the end is bounded by the mount.
    pub(crate) ttl: Seconds,
    pub(crate) created_ms: u64,
    /// 0: never.
    pub(crate) ends_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) metadata: Metadata,
    /// Networks that its logins may come from.
    pub(crate) cidrs: Vec<Network>,
    /// Networks that its tokens work from, in place of the role's.
    pub(crate) token_cidrs: Vec<Network>,
}

/// A secret id that was found, and the HMAC it is stored under.
pub(crate) struct Found {
    pub(crate) hmac: String,
    pub(crate) record: SecretId,
}

/// The HMAC of a secret id under the role's key.
pub(crate) fn hmac(cx: &Cx, role: &Role, secret_id: &str) -> Result<String> {
    if secret_id.len() > SECRET_ID_BYTES_MAX {
        return Err(Error::invalid(format!("secret_id is longer than maximum of {SECRET_ID_BYTES_MAX} bytes")));
    }
    cx.hmac("sha2-256", role.hmac_key.expose(), secret_id.as_bytes()).map(|hmac| hex(&hmac))
}

/// The secret id stored under an HMAC, unless it has ended.
pub(crate) fn find(cx: &Cx, place: &Place, hmac: String) -> Result<Option<Found>> {
    Ok(stored(cx, place, hmac)?.filter(|found| !found.has_ended(cx)))
}

/// Whether a new secret id can be stored under an HMAC. One that has ended makes room, and
/// takes what leads to it along: the index of ends would remove the new one in its place.
pub(crate) fn is_free(cx: &Cx, place: &Place, hmac: &str) -> Result<bool> {
    match stored(cx, place, hmac.to_owned())? {
        Some(found) if found.has_ended(cx) => found.end(cx, place).map(|()| true),
        found => Ok(found.is_none()),
    }
}

fn stored(cx: &Cx, place: &Place, hmac: String) -> Result<Option<Found>> {
    let Some(bytes) = cx.get_bytes(&key(place, &hmac))? else { return Ok(None) };
    Ok(Some(Found { hmac, record: SecretId::decode(&bytes)? }))
}

/// The secret id of an accessor; accessors of other roles lead nowhere.
pub(crate) fn find_by_accessor(cx: &Cx, place: &Place, accessor: &str) -> Result<Option<Found>> {
    if !is_accessor(accessor) {
        return Ok(None);
    }
    let Some(bytes) = cx.get_bytes(&[&place.accessors(), accessor].concat())? else { return Ok(None) };
    let hmac = String::from_utf8(bytes).map_err(|_| Error::internal("the index of accessors is damaged"))?;
    Ok(find(cx, place, hmac)?.filter(|found| found.record.accessor == accessor))
}

/// Whether a text can be an accessor, and so part of a key.
fn is_accessor(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
}

fn key(place: &Place, hmac: &str) -> String {
    [&place.secret_ids(), hmac].concat()
}

impl Found {
    fn has_ended(&self, cx: &Cx) -> bool {
        self.record.ends_ms != 0 && self.record.ends_ms <= cx.now_ms()
    }

    /// Writes a secret id that is new.
    pub(crate) fn enter(&self, cx: &Cx, place: &Place) -> Result<()> {
        let accessor = [&place.accessors(), self.record.accessor.as_str()].concat();
        cx.put_bytes(&accessor, self.hmac.as_bytes())?;
        self.entry(place).enter(cx)?;
        self.save(cx, place)
    }

    fn save(&self, cx: &Cx, place: &Place) -> Result<()> {
        cx.put_bytes(&key(place, &self.hmac), &self.record.encode()?)
    }

    /// Counts a login. The call is one transaction: two logins at once cannot both be the
    /// last.
    pub(crate) fn count_use(&mut self, cx: &Cx, place: &Place) -> Result<()> {
        match self.record.uses_left {
            0 => Ok(()),
            1 => self.end(cx, place),
            left => {
                self.record.uses_left = left - 1;
                self.record.updated_ms = cx.now_ms();
                self.save(cx, place)
            }
        }
    }

    /// Removes it and all that leads to it.
    pub(crate) fn end(&self, cx: &Cx, place: &Place) -> Result<()> {
        self.entry(place).end(cx)
    }

    fn entry(&self, place: &Place) -> Entry {
        Entry {
            ends_ms: self.record.ends_ms,
            place: place.clone(),
            hmac: self.hmac.clone(),
            accessor: self.record.accessor.clone(),
        }
    }
}

const ACCESSOR: u32 = 1;
const USES_LEFT: u32 = 2;
const TTL: u32 = 3;
const CREATED_MS: u32 = 4;
const ENDS_MS: u32 = 5;
const UPDATED_MS: u32 = 6;
/// A name; its value follows.
const METADATA_NAME: u32 = 7;
const METADATA_VALUE: u32 = 8;
const CIDR: u32 = 9;
const TOKEN_CIDR: u32 = 10;

impl Stored for SecretId {
    const FOLDER: &'static str = "secret-id/";

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.bytes(ACCESSOR, self.accessor.as_bytes());
        writer.number(USES_LEFT, self.uses_left.into());
        writer.number(TTL, self.ttl.0);
        writer.number(CREATED_MS, self.created_ms);
        writer.number(ENDS_MS, self.ends_ms);
        writer.number(UPDATED_MS, self.updated_ms);
        for (name, value) in &self.metadata {
            writer.bytes(METADATA_NAME, name.as_bytes());
            writer.bytes(METADATA_VALUE, value.as_bytes());
        }
        self.cidrs.iter().for_each(|network| writer.bytes(CIDR, network.block().as_bytes()));
        self.token_cidrs.iter().for_each(|network| writer.bytes(TOKEN_CIDR, network.block().as_bytes()));
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let (mut record, mut name) = (Self::default(), String::new());
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                METADATA_NAME => value.text()?.clone_into(&mut name),
                METADATA_VALUE => {
                    record.metadata.insert(std::mem::take(&mut name), value.text()?.to_owned());
                }
                _ => record.read(field, value)?,
            }
        }
        Ok(record)
    }
}

impl SecretId {
    fn read(&mut self, field: u32, value: Wire<'_>) -> Result<()> {
        match field {
            ACCESSOR => value.text()?.clone_into(&mut self.accessor),
            USES_LEFT => self.uses_left = u32::try_from(value.number()).unwrap_or(u32::MAX),
            TTL => self.ttl = Seconds(value.number()),
            CREATED_MS => self.created_ms = value.number(),
            ENDS_MS => self.ends_ms = value.number(),
            UPDATED_MS => self.updated_ms = value.number(),
            CIDR => self.cidrs.push(stored_network(value)?),
            TOKEN_CIDR => self.token_cidrs.push(stored_network(value)?),
            _ => {}
        }
        Ok(())
    }
}

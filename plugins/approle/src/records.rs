//! Every storage key of this plugin, and the records behind them.
//!
//! | key | record |
//! |---|---|
//! | `role/<name>` | a role ([`Role`]); the name is in lower case |
//! | `role-id/<hash of a role id>` | the name of the role that has this id |
//! | `secret-id/<space>/<HMAC of a secret id>` | a secret id ([`crate::secret_id::SecretId`]) |
//! | `accessor/<space>/<accessor>` | the HMAC of the secret id that has this accessor |
//! | `expiry/<ten minutes>/<entry>` | a secret id that ends then ([`crate::expiry`]) |
//!
//! A role's space is a random name. What is below it is reached through the role alone,
//! so no accessor or secret id of one role is ever taken for another's, and with the role
//! all of it is gone at once; it is cleared away later, in slices. The last three folders
//! end in `-local` for roles whose secret ids never leave the cluster.

use bulkhead_sdk::cidr::Network;
use bulkhead_sdk::describe::FieldDoc;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::token_fields::{TokenSettings, stored_network};
use bulkhead_sdk::wire::{Reader, Value as Wire, Writer};
use bulkhead_sdk::{Stored, names};

/// The role that the path names, in lower case: nothing else leads to a storage key.
#[derive(Debug)]
pub(crate) struct RoleName(pub(crate) String);

impl<'a> FromRequest<'a> for RoleName {
    const FIELDS: &'static [FieldDoc] = &[];
    const FOLDED: &'static [&'static str] = &["role_name"];

    fn from_request(request: &'a Request) -> Result<Self> {
        names::folded(request, Self::FOLDED[0]).map(Self)
    }
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    /// What a login names it by.
    pub(crate) role_id: String,
    pub(crate) place: Place,
    /// Key of the HMAC that secret ids are stored under.
    pub(crate) hmac_key: Secret<Vec<u8>>,
    /// Whether a login needs a secret id.
    pub(crate) bind_secret_id: bool,
    /// Networks that logins may come from, and secret ids may be narrowed to.
    pub(crate) bound_cidrs: Vec<Network>,
    /// Logins that a new secret id is good for; 0: any number.
    pub(crate) secret_id_uses: u32,
    /// Lifetime of a new secret id; 0: without end.
    pub(crate) secret_id_ttl: Seconds,
    pub(crate) tokens: TokenSettings,
    /// The policies were last written as `policies`, and are shown under both names.
    pub(crate) former_policies: bool,
    /// Likewise the period.
    pub(crate) former_period: bool,
}

/// Where a role's secret ids are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) is_local: bool,
    pub(crate) space: String,
}

impl Place {
    const fn suffix(&self) -> &'static str {
        if self.is_local { "-local/" } else { "/" }
    }

    /// Folder of the secret ids.
    pub(crate) fn secret_ids(&self) -> String {
        ["secret-id", self.suffix(), &self.space, "/"].concat()
    }

    /// Folder of their accessors.
    pub(crate) fn accessors(&self) -> String {
        ["accessor", self.suffix(), &self.space, "/"].concat()
    }

    /// Folder of what ends by itself.
    pub(crate) fn expiry(is_local: bool) -> &'static str {
        if is_local { "expiry-local/" } else { "expiry/" }
    }
}

const ROLE_ID: u32 = 1;
const SPACE: u32 = 2;
const IS_LOCAL: u32 = 3;
const HMAC_KEY: u32 = 4;
const BIND_SECRET_ID: u32 = 5;
const BOUND_CIDR: u32 = 6;
const SECRET_ID_USES: u32 = 7;
const SECRET_ID_TTL: u32 = 8;
const TOKENS: u32 = 9;
const FORMER_POLICIES: u32 = 10;
const FORMER_PERIOD: u32 = 11;

impl Stored for Role {
    const FOLDER: &'static str = "role/";

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.bytes(ROLE_ID, self.role_id.as_bytes());
        writer.bytes(SPACE, self.place.space.as_bytes());
        writer.number(IS_LOCAL, self.place.is_local.into());
        writer.bytes(HMAC_KEY, self.hmac_key.expose());
        writer.number(BIND_SECRET_ID, self.bind_secret_id.into());
        self.bound_cidrs.iter().for_each(|network| writer.bytes(BOUND_CIDR, network.block().as_bytes()));
        writer.number(SECRET_ID_USES, self.secret_id_uses.into());
        writer.number(SECRET_ID_TTL, self.secret_id_ttl.0);
        writer.bytes(TOKENS, &self.tokens.encode());
        writer.number(FORMER_POLICIES, self.former_policies.into());
        writer.number(FORMER_PERIOD, self.former_period.into());
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut role = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            role.read(field, value)?;
        }
        Ok(role)
    }
}

impl Role {
    fn read(&mut self, field: u32, value: Wire<'_>) -> Result<()> {
        match field {
            ROLE_ID => value.text()?.clone_into(&mut self.role_id),
            SPACE => value.text()?.clone_into(&mut self.place.space),
            IS_LOCAL => self.place.is_local = value.number() != 0,
            HMAC_KEY => self.hmac_key = Secret::new(value.bytes().to_vec()),
            BIND_SECRET_ID => self.bind_secret_id = value.number() != 0,
            BOUND_CIDR => self.bound_cidrs.push(stored_network(value)?),
            SECRET_ID_USES => self.secret_id_uses = u32::try_from(value.number()).unwrap_or(u32::MAX),
            SECRET_ID_TTL => self.secret_id_ttl = Seconds(value.number()),
            TOKENS => self.tokens = TokenSettings::decode(value.bytes())?,
            FORMER_POLICIES => self.former_policies = value.number() != 0,
            FORMER_PERIOD => self.former_period = value.number() != 0,
            _ => {}
        }
        Ok(())
    }
}

/// Key of the index from a role id to its role: ids are any text, keys are not.
fn role_id_key(cx: &Cx, role_id: &str) -> Result<String> {
    Ok(["role-id/", &hex(&cx.hash("sha2-256", role_id.as_bytes())?)].concat())
}

/// Name of the role that has this id.
pub(crate) fn named_by(cx: &Cx, role_id: &str) -> Result<Option<String>> {
    let Some(bytes) = cx.get_bytes(&role_id_key(cx, role_id)?)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|_| Error::internal("the index of role ids is damaged"))
}

/// Lets a role id lead to this role.
pub(crate) fn claim(cx: &Cx, role_id: &str, name: &RoleName) -> Result<()> {
    cx.put_bytes(&role_id_key(cx, role_id)?, name.0.as_bytes())
}

/// Lets a role id lead nowhere.
pub(crate) fn release(cx: &Cx, role_id: &str) -> Result<()> {
    cx.delete_key(&role_id_key(cx, role_id)?)
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}

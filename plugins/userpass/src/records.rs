//! Every storage key of this plugin, and the record behind it.
//!
//! | key | record |
//! |---|---|
//! | `user/<name>` | a user ([`User`]); the name is in lower case |

use bulkhead_sdk::describe::FieldDoc;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::token_fields::TokenSettings;
use bulkhead_sdk::wire::{Reader, Writer};
use bulkhead_sdk::{Stored, names};

/// The user that the path names, in lower case: nothing else leads to a storage key.
#[derive(Debug)]
pub(crate) struct UserName(pub(crate) String);

impl<'a> FromRequest<'a> for UserName {
    const FIELDS: &'static [FieldDoc] = &[];
    const FOLDED: &'static [&'static str] = &["username"];

    fn from_request(request: &'a Request) -> Result<Self> {
        names::folded(request, Self::FOLDED[0]).map(Self)
    }
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    /// In bcrypt's own form.
    pub(crate) password_hash: Secret<String>,
    pub(crate) tokens: TokenSettings,
    pub(crate) former: Former,
}

/// Which settings were last written under the names they had before `token_*`, and are
/// shown under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // one a field, none of them a state
pub(crate) struct Former {
    pub(crate) bound_cidrs: bool,
    pub(crate) max_ttl: bool,
    pub(crate) policies: bool,
    pub(crate) ttl: bool,
}

impl Former {
    fn bits(self) -> u64 {
        let flags = [self.bound_cidrs, self.max_ttl, self.policies, self.ttl];
        flags.iter().rev().fold(0, |bits, flag| bits << 1 | u64::from(*flag))
    }

    const fn from_bits(bits: u64) -> Self {
        Self { bound_cidrs: bits & 1 != 0, max_ttl: bits & 2 != 0, policies: bits & 4 != 0, ttl: bits & 8 != 0 }
    }
}

const PASSWORD_HASH: u32 = 1;
const TOKENS: u32 = 2;
const FORMER: u32 = 3;

impl Stored for User {
    const FOLDER: &'static str = "user/";

    fn encode(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.bytes(PASSWORD_HASH, self.password_hash.expose().as_bytes());
        writer.bytes(TOKENS, &self.tokens.encode());
        writer.number(FORMER, self.former.bits());
        Ok(writer.end())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut user = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            match field {
                PASSWORD_HASH => user.password_hash = Secret::new(value.text()?.to_owned()),
                TOKENS => user.tokens = TokenSettings::decode(value.bytes())?,
                FORMER => user.former = Former::from_bits(value.number()),
                _ => {}
            }
        }
        Ok(user)
    }
}

/// The user, who must be there.
pub(crate) fn known(cx: &Cx, name: &UserName) -> Result<User> {
    cx.get(&name.0)?.ok_or_else(|| Error::invalid("username does not exist"))
}

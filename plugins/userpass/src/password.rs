//! Passwords, which are never stored: what becomes of a new one.

use bulkhead_sdk::prelude::*;

use crate::records::{self, User, UserName};

/// How new passwords are hashed: as OpenBao and Vault do, whose users may move here and
/// back with their hashes.
const SCHEME: &str = "bcrypt:10";

/// Costs of bcrypt that a hash from outside may have. Below, a stolen hash is guessed too
/// soon; above, each login keeps a processor of the host busy for too long.
const COST_MIN: u32 = 5;
const COST_MAX: u32 = 12;

/// Characters of a bcrypt hash, after `$2b$10$`: salt and hash in an alphabet of its own.
const HASH_TAIL: usize = 53;

/// A new password, in one form or the other.
#[derive(Debug, Fields)]
pub(crate) struct NewPassword {
    /// Password for this user.
    password: Secret<String>,
    /// Password for this user, already hashed by bcrypt; excludes password.
    password_hash: Secret<String>,
}

impl NewPassword {
    /// Whether neither form was sent.
    pub(crate) fn is_absent(&self) -> bool {
        self.password.expose().is_empty() && self.password_hash.expose().is_empty()
    }

    /// The hash to store; exactly one form must have been sent.
    pub(crate) fn hash(&self, cx: &Cx) -> Result<Secret<String>> {
        match (self.password.expose().as_str(), self.password_hash.expose().as_str()) {
            ("", "") => Err(Error::invalid("must provide either password or password_hash")),
            ("", hash) => check(hash).map(|()| self.password_hash.clone()),
            (password, "") => cx.password_hash(SCHEME, password.as_bytes()).map(Secret::new),
            _ => Err(Error::invalid("only one of password or password_hash may be provided")),
        }
    }
}

/// Whether a hash from outside is one of bcrypt, and worth its cost.
fn check(hash: &str) -> Result<()> {
    let cost = cost(hash).ok_or_else(|| Error::invalid("password_hash is not a valid bcrypt hash"))?;
    let text = if cost < COST_MIN {
        format!("bcrypt cost of {cost} is too low, want {COST_MIN} at minimum")
    } else if cost > COST_MAX {
        format!("bcrypt cost of {cost} exceeds maximum cost of {COST_MAX}")
    } else {
        return Ok(());
    };
    Err(Error::invalid(text))
}

/// The cost in `$2a$`, `$2b$` or `$2y$`, two digits, `$` and the rest.
fn cost(hash: &str) -> Option<u32> {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| hash.strip_prefix(version))?;
    let (cost, tail) = rest.split_once('$')?;
    let letters = tail.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'.' || letter == b'/');
    let digits = cost.len() == 2 && cost.bytes().all(|digit| digit.is_ascii_digit());
    let cost = cost.parse().ok().filter(|cost| (4..=31).contains(cost))?;
    (letters && digits && tail.len() == HASH_TAIL).then_some(cost)
}

/// Gives a user another password.
pub(crate) fn reset(cx: &Cx, name: &UserName, password: &NewPassword) -> Result<()> {
    let user: User = records::known(cx, name)?;
    cx.put(&name.0, &User { password_hash: password.hash(cx)?, ..user })
}

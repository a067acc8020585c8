//! What a login grants.

use serde::Serialize;

use crate::bindings::mounted::bulkhead::plugin::types::{Alias, AuthGrant, TokenType};
use crate::{Error, IntoReply, Reply, Result, Seconds};

/// Answers a login. Start from [`Auth::named`] and set what the grant needs; what is not
/// set is as the mount's token settings have it. Zero seconds are "not set" throughout.
#[derive(Debug)]
pub struct Auth(pub AuthGrant);

impl Auth {
    /// A login under this alias name, which leads to the entity; also the display name.
    #[must_use]
    pub fn named(alias: &str) -> Self {
        let mut auth = Self::without_alias(alias);
        auth.0.alias = Some(Alias { name: alias.to_owned(), metadata: Vec::new() });
        auth
    }

    /// A login that is nobody's: without an alias its token has no entity.
    #[must_use]
    pub fn without_alias(display_name: &str) -> Self {
        Self(AuthGrant {
            alias: None,
            group_aliases: Vec::new(),
            display_name: display_name.to_owned(),
            policies: Vec::new(),
            no_default_policy: false,
            metadata: Vec::new(),
            ttl: None,
            max_ttl: None,
            explicit_max_ttl: None,
            period: None,
            num_uses: 0,
            token_type: TokenType::Default,
            bound_cidrs: Vec::new(),
            renewable: true,
            internal: b"{}".to_vec(),
            extra: Vec::new(),
        })
    }

    /// The token's policies.
    #[must_use]
    pub fn policies(mut self, policies: Vec<String>) -> Self {
        self.0.policies = policies;
        self
    }

    /// The token does without the policy `default`.
    #[must_use]
    pub const fn no_default_policy(mut self) -> Self {
        self.0.no_default_policy = true;
        self
    }

    /// The token's lifetime; zero: the mount's default.
    #[must_use]
    pub fn ttl(mut self, ttl: Seconds) -> Self {
        self.0.ttl = set(ttl);
        self
    }

    /// The longest life that renewals may come to; zero: the mount's.
    #[must_use]
    pub fn max_ttl(mut self, max: Seconds) -> Self {
        self.0.max_ttl = set(max);
        self
    }

    /// The longest life whatever else is said, of a period too.
    #[must_use]
    pub fn explicit_max_ttl(mut self, max: Seconds) -> Self {
        self.0.explicit_max_ttl = set(max);
        self
    }

    /// Each renewal gives this lifetime again, without an end.
    #[must_use]
    pub fn period(mut self, period: Seconds) -> Self {
        self.0.period = set(period);
        self
    }

    /// How often the token can be used; zero: without limit.
    #[must_use]
    pub const fn num_uses(mut self, uses: u32) -> Self {
        self.0.num_uses = uses;
        self
    }

    /// Service, batch, or as the mount has it.
    #[must_use]
    pub const fn token_type(mut self, token_type: TokenType) -> Self {
        self.0.token_type = token_type;
        self
    }

    /// The token works from these networks only; none: from everywhere.
    #[must_use]
    pub fn bound_cidrs(mut self, cidrs: Vec<String>) -> Self {
        self.0.bound_cidrs = cidrs;
        self
    }

    /// The token ends at its time, whatever the caller asks.
    #[must_use]
    pub const fn not_renewable(mut self) -> Self {
        self.0.renewable = false;
        self
    }

    /// How the token is called in lists and logs; the alias name if not set.
    #[must_use]
    pub fn display_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.0.display_name);
        self
    }

    /// Adds a fact that the alias carries, for templates of policies; without an alias it
    /// has no effect.
    #[must_use]
    pub fn alias_metadata(mut self, name: &str, value: &str) -> Self {
        if let Some(alias) = &mut self.0.alias {
            alias.metadata.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Adds a group that an outside directory says the caller is in.
    #[must_use]
    pub fn group_alias(mut self, name: &str) -> Self {
        self.0.group_aliases.push(Alias { name: name.to_owned(), metadata: Vec::new() });
        self
    }

    /// Adds a fact the token carries.
    #[must_use]
    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        self.0.metadata.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the `#[renew_token]` handler is handed back.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as JSON.
    pub fn internal(mut self, internal: &impl Serialize) -> Result<Self> {
        self.0.internal =
            serde_json::to_vec(internal).map_err(|error| Error::internal(format!("encoding a grant: {error}")))?;
        Ok(self)
    }
}

/// Zero is "not set" in the API.
fn set(secs: Seconds) -> Option<u64> {
    Some(secs.0).filter(|secs| *secs > 0)
}

/// By this name the host hears of it.
pub(crate) const WRONG_CREDENTIALS: &str = "wrong-credentials";

/// What becomes of a login. Where what it brought was wrong, say so by
/// [`WrongCredentials`](Self::WrongCredentials) rather than by an [`Error`]: the host counts it against
/// the alias that `#[alias_lookahead]` names, and locks that out after too many.
#[derive(Debug)]
#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::large_enum_variant, reason = "there is one a login, and it is taken apart at once")
)]
pub enum Verdict {
    /// It gets a token.
    Granted(Auth),
    /// 400: nobody could log in with this, and the text does not say why. Also for names that
    /// nobody has.
    WrongCredentials(String),
}

impl Verdict {
    /// A login whose credentials are wrong.
    pub fn wrong(text: impl Into<String>) -> Self {
        Self::WrongCredentials(text.into())
    }
}

impl IntoReply for Verdict {
    fn into_reply(self) -> Result<Reply> {
        match self {
            Self::Granted(auth) => auth.into_reply(),
            Self::WrongCredentials(text) => {
                let mut reply = Reply::failed(400, text);
                reply.response.extra.push((WRONG_CREDENTIALS.to_owned(), b"true".to_vec()));
                Ok(reply)
            }
        }
    }
}

impl IntoReply for Auth {
    fn into_reply(self) -> Result<Reply> {
        let mut reply = Reply::empty();
        reply.auth = Some(self.0);
        Ok(reply)
    }
}

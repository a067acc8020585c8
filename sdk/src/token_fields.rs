//! What every auth method lets an operator say about the tokens of its logins: the
//! fields `token_*` of a user or role, their checks, how they are stored and shown, and
//! how a grant gets them. A method takes [`TokenFields`] as an argument beside its own
//! fields, keeps [`TokenSettings`] in its record, and calls [`TokenSettings::grant`] at a
//! login and [`TokenSettings::renewed`] at a renewal.

use crate::cidr::{self, Network};
use crate::json::{self, Object};
use crate::names;
use crate::wire::{Reader, Value, Writer};
use crate::{Auth, AuthGrant, Caller, Error, Fields, Result, Seconds, TokenType};

/// The fields of a request; what it leaves out stays as it is.
#[derive(Debug, Default, Fields)]
pub struct TokenFields {
    /// Networks and addresses, as a list or separated by commas, that tokens can be used from. If empty, from everywhere.
    pub token_bound_cidrs: Option<Vec<String>>,
    /// Longest life of a token counted from its login, whatever the maxima of role and mount become afterwards. It
    /// ends periodic tokens too.
    pub token_explicit_max_ttl: Option<Seconds>,
    /// Longest life that renewals of a token may come to; not longer than the mount's.
    pub token_max_ttl: Option<Seconds>,
    /// If true, tokens do without the policy 'default'.
    pub token_no_default_policy: Option<bool>,
    /// How many requests a token is good for; 0 for any number.
    pub token_num_uses: Option<i64>,
    /// If set, tokens have no longest life: each renewal gives this time again, as seconds or a duration such as "24h".
    pub token_period: Option<Seconds>,
    /// Policies of the tokens, as a list or separated by commas.
    pub token_policies: Option<Vec<String>>,
    /// If true, a token can be used only from the address that logged in. Excludes token_bound_cidrs.
    pub token_strictly_bind_ip: Option<bool>,
    /// First lifetime of a token; the mount's default if not set.
    pub token_ttl: Option<Seconds>,
    /// Kind of the tokens: service, batch, or default for what the mount says.
    pub token_type: Option<String>,
}

/// Settings of the tokens that a user's or role's logins give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenSettings {
    /// Networks that a token works from.
    pub bound_cidrs: Vec<Network>,
    /// See [`TokenFields::token_explicit_max_ttl`].
    pub explicit_max_ttl: Seconds,
    /// See [`TokenFields::token_max_ttl`].
    pub max_ttl: Seconds,
    /// See [`TokenFields::token_no_default_policy`].
    pub no_default_policy: bool,
    /// Uses of a token; 0: without limit.
    pub num_uses: u32,
    /// See [`TokenFields::token_period`].
    pub period: Seconds,
    /// As sent; the host reads them without case.
    pub policies: Vec<String>,
    /// See [`TokenFields::token_strictly_bind_ip`].
    pub strictly_bind_ip: bool,
    /// Kind of the tokens.
    pub kind: Kind,
    /// See [`TokenFields::token_ttl`].
    pub ttl: Seconds,
}

/// Kind of a token, with its name in the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// As the mount has it.
    #[default]
    Default,
    /// Stored, can be renewed and revoked.
    Service,
    /// Carries all it is in itself.
    Batch,
}

impl Kind {
    /// Reads its name.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for an unknown one.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "" | "default" => Self::Default,
            "service" => Self::Service,
            "batch" => Self::Batch,
            other => return Err(Error::invalid(format!("invalid 'token_type' value {other:?}"))),
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Service => "service",
            Self::Batch => "batch",
        }
    }
}

/// A number of uses as it is stored.
///
/// # Errors
/// [`Error::InvalidRequest`] if it is negative, or more than a token can count.
pub fn uses(field: &str, sent: i64) -> Result<u32> {
    let wrong = if sent < 0 { "cannot be negative" } else { "is too large" };
    u32::try_from(sent).map_err(|_| Error::invalid(format!("{field} {wrong}")))
}

/// Takes what was sent under a field's former name for the field itself, unless both
/// were. Gives whether answers are to show the former name, as `shown` has it by now.
pub fn take_former<T>(field: &mut Option<T>, former: Option<T>, shown: bool) -> bool {
    match (&field, former) {
        (Some(_), former) => former.is_some(),
        (None, Some(former)) => {
            *field = Some(former);
            true
        }
        (None, None) => shown,
    }
}

impl TokenSettings {
    /// Takes over what a request says.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if it is wrong, or does not go with the rest.
    pub fn update(&mut self, sent: TokenFields) -> Result<()> {
        if let Some(cidrs) = sent.token_bound_cidrs {
            self.bound_cidrs = cidr::parse_all(&cidrs)?;
        }
        if let Some(count) = sent.token_num_uses {
            self.num_uses = uses("'token_num_uses'", count)?;
        }
        if let Some(kind) = sent.token_type {
            self.kind = Kind::parse(&kind)?;
        }
        set(&mut self.explicit_max_ttl, sent.token_explicit_max_ttl);
        set(&mut self.max_ttl, sent.token_max_ttl);
        set(&mut self.no_default_policy, sent.token_no_default_policy);
        set(&mut self.period, sent.token_period);
        set(&mut self.policies, sent.token_policies);
        set(&mut self.strictly_bind_ip, sent.token_strictly_bind_ip);
        set(&mut self.ttl, sent.token_ttl);
        self.check()
    }

    /// Checks what the settings are as a whole; call it after changing one by hand.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for the first contradiction.
    pub fn check(&self) -> Result<()> {
        names::carried("policies", &self.policies)?;
        let batch = self.kind == Kind::Batch;
        let text = if batch && self.period.0 != 0 {
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens"
        } else if batch && self.num_uses != 0 {
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count"
        } else if self.ttl > self.max_ttl && self.max_ttl.0 != 0 {
            "'token_ttl' cannot be greater than 'token_max_ttl'"
        } else if self.strictly_bind_ip && !self.bound_cidrs.is_empty() {
            "'token_strictly_bind_ip' conflicts with 'token_bound_cidrs'; set only one"
        } else {
            return Ok(());
        };
        Err(Error::invalid(text))
    }

    /// Adds all ten members to an answer.
    #[must_use]
    pub fn show(&self, answer: Object) -> Object {
        answer
            .json("token_bound_cidrs", &texts(&self.bound_cidrs))
            .number("token_explicit_max_ttl", self.explicit_max_ttl.0)
            .number("token_max_ttl", self.max_ttl.0)
            .boolean("token_no_default_policy", self.no_default_policy)
            .number("token_num_uses", self.num_uses.into())
            .number("token_period", self.period.0)
            .json("token_policies", &json::strings(self.policies.iter().map(String::as_str)))
            .boolean("token_strictly_bind_ip", self.strictly_bind_ip)
            .number("token_ttl", self.ttl.0)
            .text("token_type", self.kind.name())
    }

    /// Gives a login's token these settings.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] if the token is to be bound to an address that is not
    /// known: it must not be left unbound.
    pub fn grant(&self, auth: Auth, caller: &Caller) -> Result<Auth> {
        let bound = match self.strictly_bind_ip {
            true => {
                let address = caller.remote_address.parse().map_err(|_| Error::denied("permission denied"))?;
                vec![Network::address(address).to_string()]
            }
            false => self.bound_cidrs.iter().map(Network::to_string).collect(),
        };
        let auth = auth
            .policies(self.policies.clone())
            .ttl(self.ttl)
            .max_ttl(self.max_ttl)
            .explicit_max_ttl(self.explicit_max_ttl)
            .period(self.period)
            .num_uses(self.num_uses)
            .token_type(match self.kind {
                Kind::Default => TokenType::Default,
                Kind::Service => TokenType::Service,
                Kind::Batch => TokenType::Batch,
            })
            .bound_cidrs(bound);
        Ok(if self.no_default_policy { auth.no_default_policy() } else { auth })
    }

    /// A token's grant at its renewal: lifetimes are those of now, the rest stays.
    #[must_use]
    pub fn renewed(&self, grant: AuthGrant) -> AuthGrant {
        Auth(grant).ttl(self.ttl).max_ttl(self.max_ttl).period(self.period).0
    }
}

fn set<T>(setting: &mut T, sent: Option<T>) {
    if let Some(sent) = sent {
        *setting = sent;
    }
}

/// Networks as a JSON array.
#[must_use]
pub fn texts(networks: &[Network]) -> String {
    let texts: Vec<String> = networks.iter().map(Network::to_string).collect();
    json::strings(texts.iter().map(String::as_str))
}

const BOUND_CIDR: u32 = 1;
const EXPLICIT_MAX_TTL: u32 = 2;
const MAX_TTL: u32 = 3;
const NO_DEFAULT_POLICY: u32 = 4;
const NUM_USES: u32 = 5;
const PERIOD: u32 = 6;
const POLICY: u32 = 7;
const STRICTLY_BIND_IP: u32 = 8;
const KIND: u32 = 9;
const TTL: u32 = 10;

impl TokenSettings {
    /// The settings as bytes, to be a field of a record in the same encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.bound_cidrs.iter().for_each(|network| writer.bytes(BOUND_CIDR, network.block().as_bytes()));
        writer.number(EXPLICIT_MAX_TTL, self.explicit_max_ttl.0);
        writer.number(MAX_TTL, self.max_ttl.0);
        writer.number(NO_DEFAULT_POLICY, self.no_default_policy.into());
        writer.number(NUM_USES, self.num_uses.into());
        writer.number(PERIOD, self.period.0);
        self.policies.iter().for_each(|policy| writer.bytes(POLICY, policy.as_bytes()));
        writer.number(STRICTLY_BIND_IP, self.strictly_bind_ip.into());
        writer.number(KIND, self.kind as u64);
        writer.number(TTL, self.ttl.0);
        writer.end()
    }

    /// The settings from bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the bytes are no settings.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut settings = Self::default();
        let mut reader = Reader::new(bytes)?;
        while let Some((field, value)) = reader.field()? {
            settings.read(field, value)?;
        }
        Ok(settings)
    }

    fn read(&mut self, field: u32, value: Value<'_>) -> Result<()> {
        let secs = Seconds(value.number());
        match field {
            BOUND_CIDR => self.bound_cidrs.push(stored_network(value)?),
            EXPLICIT_MAX_TTL => self.explicit_max_ttl = secs,
            MAX_TTL => self.max_ttl = secs,
            NO_DEFAULT_POLICY => self.no_default_policy = value.number() != 0,
            NUM_USES => self.num_uses = u32::try_from(value.number()).unwrap_or(u32::MAX),
            PERIOD => self.period = secs,
            POLICY => self.policies.push(value.text()?.to_owned()),
            STRICTLY_BIND_IP => self.strictly_bind_ip = value.number() != 0,
            KIND => {
                self.kind = match value.number() {
                    1 => Kind::Service,
                    2 => Kind::Batch,
                    _ => Kind::Default,
                };
            }
            TTL => self.ttl = secs,
            _ => {}
        }
        Ok(())
    }
}

/// A network of a record, written by [`Network::block`].
///
/// # Errors
/// [`Error::Internal`] if it is none: a binding that cannot be read must not be lost.
pub fn stored_network(value: Value<'_>) -> Result<Network> {
    Network::parse_block(value.text()?).map_err(|_| Error::internal("a stored network is damaged"))
}

#[cfg(test)]
mod tests;

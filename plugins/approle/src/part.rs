//! `role/:role_name/:field`: one setting of a role, read, written or set back by itself.

use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::names;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::token_fields::{TokenFields, take_former, texts, uses};

use crate::records::{Role, RoleName};
use crate::role::{self, blocks};

/// What Vault answers where a setting of no role is written.
const NO_ROLE: &str = "1 error occurred:\n\t* unsupported path\n\n";

/// What can be done with one setting; `B` is what a write brings.
pub(crate) struct Part<B> {
    pub(crate) show: fn(&Role) -> Reply,
    pub(crate) change: fn(&Cx, &mut Role, B) -> Result<()>,
    pub(crate) reset: fn(&mut Role),
}

/// Answers the three operations of a setting.
pub(crate) fn answer<B>(cx: &Cx, name: &RoleName, request: &Request, body: B, part: &Part<B>) -> Result<Reply> {
    let role: Option<Role> = cx.get(&name.0)?;
    let Some(mut role) = role else {
        return match request.operation {
            Operation::Read => Err(Error::NotFound),
            Operation::Delete => Ok(Reply::empty()),
            _ => Ok(Reply::failed(404, NO_ROLE)),
        };
    };
    let previous = role.role_id.clone();
    match request.operation {
        Operation::Read => return Ok((part.show)(&role)),
        Operation::Delete => (part.reset)(&mut role),
        _ => (part.change)(cx, &mut role, body)?,
    }
    role::save(cx, name, &role, Some(&previous))?;
    Ok(Reply::empty())
}

fn data(answer: Object) -> Reply {
    Reply::text(answer.end())
}

fn missing(field: &str) -> Error {
    Error::invalid(format!("missing {field}"))
}

/// What a write of one setting brings.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field:meta])* $member:ident: $type:ty),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Fields)]
        pub(crate) struct $name {
            $($(#[$field])* $member: Option<$type>),*
        }
    )*};
}
bodies! {
    /// See [`POLICIES`].
    SetPolicies {
        /// Use "token_policies" instead. If both are sent, only "token_policies" counts.
        #[field(deprecated)]
        policies: Vec<String>,
        /// Policies of the tokens, as a list or separated by commas.
        token_policies: Vec<String>
    }
    /// See [`PERIOD`].
    SetPeriod {
        /// Use "token_period" instead. If both are sent, only "token_period" counts.
        #[field(deprecated)]
        period: Seconds,
        /// Time that each renewal of a token gives again.
        token_period: Seconds
    }
    /// See [`BIND_SECRET_ID`].
    SetBindSecretId {
        /// Whether a login with this role needs a secret_id.
        bind_secret_id: bool
    }
    /// See [`BOUND_CIDR_LIST`].
    SetBoundCidrList {
        /// Use "secret_id_bound_cidrs" instead.
        #[field(deprecated)]
        bound_cidr_list: Vec<String>
    }
    /// See [`SECRET_ID_BOUND_CIDRS`].
    SetSecretIdBoundCidrs {
        /// Networks, as a list or separated by commas, that logins may come from.
        secret_id_bound_cidrs: Vec<String>
    }
    /// See [`TOKEN_BOUND_CIDRS`].
    SetTokenBoundCidrs {
        /// Networks and addresses, as a list or separated by commas, that tokens can be used from.
        token_bound_cidrs: Vec<String>
    }
    /// See [`SECRET_ID_NUM_USES`].
    SetSecretIdNumUses {
        /// How many logins a secret_id of this role is good for; 0 for any number.
        secret_id_num_uses: i64
    }
    /// See [`SECRET_ID_TTL`].
    SetSecretIdTtl {
        /// Lifetime of a secret_id of this role; 0 for no end.
        secret_id_ttl: Seconds
    }
    /// See [`TOKEN_NUM_USES`].
    SetTokenNumUses {
        /// How many requests a token is good for; 0 for any number.
        token_num_uses: i64
    }
    /// See [`TOKEN_TTL`].
    SetTokenTtl {
        /// First lifetime of a token.
        token_ttl: Seconds
    }
    /// See [`TOKEN_MAX_TTL`].
    SetTokenMaxTtl {
        /// Longest life that renewals of a token may come to.
        token_max_ttl: Seconds
    }
    /// See [`ROLE_ID`].
    SetRoleId {
        /// What a login names the role by.
        role_id: String
    }
    /// What a setting that is only read brings: nothing.
    Nothing {}
}

pub(crate) const POLICIES: Part<SetPolicies> = Part {
    show: |role| {
        let policies = json::strings(role.tokens.policies.iter().map(String::as_str));
        let mut answer = Object::new();
        if role.former_policies && !role.tokens.policies.is_empty() {
            answer = answer.json("policies", &policies);
        }
        data(answer.json("token_policies", &policies))
    },
    change: |_, role, sent| {
        let mut policies = sent.token_policies;
        role.former_policies = take_former(&mut policies, sent.policies, role.former_policies);
        role.tokens.policies = names::policies(&policies.ok_or_else(|| missing("token_policies"))?);
        names::carried("policies", &role.tokens.policies)
    },
    reset: |role| role.tokens.policies.clear(),
};

pub(crate) const PERIOD: Part<SetPeriod> = Part {
    show: |role| {
        let mut answer = Object::new();
        if role.former_period && role.tokens.period.0 > 0 {
            answer = answer.number("period", role.tokens.period.0);
        }
        data(answer.number("token_period", role.tokens.period.0))
    },
    change: |cx, role, sent| {
        let mut period = sent.token_period;
        role.former_period = take_former(&mut period, sent.period, role.former_period);
        role.tokens.period = period.ok_or_else(|| missing("period"))?;
        role::within_mount(cx, role.tokens.period)?;
        role.tokens.check()
    },
    reset: |role| role.tokens.period = Seconds(0),
};

pub(crate) const BIND_SECRET_ID: Part<SetBindSecretId> = Part {
    show: |role| data(Object::new().boolean("bind_secret_id", role.bind_secret_id)),
    change: |_, role, sent| {
        role.bind_secret_id = sent.bind_secret_id.ok_or_else(|| missing("bind_secret_id"))?;
        Ok(())
    },
    reset: |role| role.bind_secret_id = true,
};

/// Under its former name the list is written, but neither shown nor removed, as in Vault.
pub(crate) const BOUND_CIDR_LIST: Part<SetBoundCidrList> = Part {
    show: |_| {
        let warning = "The \"bound_cidr_list\" field is deprecated and will be removed. Please use \"secret_id_bound_cidrs\" instead.";
        data(Object::new().json("bound_cidr_list", "null")).warn(warning)
    },
    change: |_, role, sent| bind(role, sent.bound_cidr_list),
    reset: |_| {},
};

pub(crate) const SECRET_ID_BOUND_CIDRS: Part<SetSecretIdBoundCidrs> = Part {
    show: |role| data(Object::new().json("secret_id_bound_cidrs", &role::shown(&role.bound_cidrs))),
    change: |_, role, sent| bind(role, sent.secret_id_bound_cidrs),
    reset: |role| role.bound_cidrs.clear(),
};

/// A write without a list changes nothing, as in Vault; an empty one is refused, lest a
/// role be opened by mistake.
fn bind(role: &mut Role, sent: Option<Vec<String>>) -> Result<()> {
    match sent {
        Some(cidrs) if cidrs.is_empty() => Err(missing("bound_cidr_list")),
        Some(cidrs) => {
            role.bound_cidrs = blocks(&cidrs)?;
            Ok(())
        }
        None => Ok(()),
    }
}

pub(crate) const TOKEN_BOUND_CIDRS: Part<SetTokenBoundCidrs> = Part {
    show: |role| {
        let cidrs = &role.tokens.bound_cidrs;
        let shown = if cidrs.is_empty() { "null".to_owned() } else { texts(cidrs) };
        data(Object::new().json("token_bound_cidrs", &shown))
    },
    change: |_, role, sent| {
        let sent = TokenFields { token_bound_cidrs: sent.token_bound_cidrs, ..TokenFields::default() };
        role.tokens.update(sent).map_err(|error| match error {
            Error::InvalidRequest(text) if text.starts_with("error parsing") => {
                Error::invalid(format!("failed to parse token_bound_cidrs: {text}"))
            }
            other => other,
        })
    },
    reset: |role| role.tokens.bound_cidrs.clear(),
};

pub(crate) const SECRET_ID_NUM_USES: Part<SetSecretIdNumUses> = Part {
    show: |role| data(Object::new().number("secret_id_num_uses", role.secret_id_uses.into())),
    change: |_, role, sent| {
        let count = sent.secret_id_num_uses.ok_or_else(|| missing("secret_id_num_uses"))?;
        role.secret_id_uses = uses("secret_id_num_uses", count)?;
        Ok(())
    },
    reset: |role| role.secret_id_uses = 0,
};

pub(crate) const SECRET_ID_TTL: Part<SetSecretIdTtl> = Part {
    show: |role| data(Object::new().number("secret_id_ttl", role.secret_id_ttl.0)),
    change: |_, role, sent| {
        role.secret_id_ttl = sent.secret_id_ttl.ok_or_else(|| missing("secret_id_ttl"))?;
        Ok(())
    },
    reset: |role| role.secret_id_ttl = Seconds(0),
};

pub(crate) const TOKEN_NUM_USES: Part<SetTokenNumUses> = Part {
    show: |role| data(Object::new().number("token_num_uses", role.tokens.num_uses.into())),
    change: |_, role, sent| {
        let count = sent.token_num_uses.ok_or_else(|| missing("token_num_uses"))?;
        role.tokens.num_uses = uses("'token_num_uses'", count)?;
        role.tokens.check()
    },
    reset: |role| role.tokens.num_uses = 0,
};

pub(crate) const TOKEN_TTL: Part<SetTokenTtl> = Part {
    show: |role| data(Object::new().number("token_ttl", role.tokens.ttl.0)),
    change: |_, role, sent| {
        role.tokens.ttl = sent.token_ttl.ok_or_else(|| missing("token_ttl"))?;
        if role.tokens.check().is_err() {
            return Err(Error::invalid("token_ttl should not be greater than token_max_ttl"));
        }
        Ok(())
    },
    reset: |role| role.tokens.ttl = Seconds(0),
};

pub(crate) const TOKEN_MAX_TTL: Part<SetTokenMaxTtl> = Part {
    show: |role| data(Object::new().number("token_max_ttl", role.tokens.max_ttl.0)),
    change: |_, role, sent| {
        role.tokens.max_ttl = sent.token_max_ttl.ok_or_else(|| missing("token_max_ttl"))?;
        if role.tokens.check().is_err() {
            return Err(Error::invalid("token_max_ttl should be greater than or equal to token_ttl"));
        }
        Ok(())
    },
    reset: |role| role.tokens.max_ttl = Seconds(0),
};

/// The route does not declare its deletion: a role without an id could not log in.
pub(crate) const ROLE_ID: Part<SetRoleId> = Part {
    show: |role| data(Object::new().text("role_id", &role.role_id)),
    change: |_, role, sent| {
        role.role_id = sent.role_id.filter(|id| !id.is_empty()).ok_or_else(|| missing("role_id"))?;
        Ok(())
    },
    reset: |_| {},
};

/// Only read: where the secret ids are is settled when the role is made.
pub(crate) const LOCAL_SECRET_IDS: Part<Nothing> = Part {
    show: |role| data(Object::new().boolean("local_secret_ids", role.place.is_local)),
    change: |_, _, _| Ok(()),
    reset: |_| {},
};

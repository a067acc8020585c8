//! `role/:role_name` as a whole: the settings of one application.

use bulkhead_sdk::cidr::{self, Network};
use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::names;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::time::go_duration;
use bulkhead_sdk::token_fields::{TokenFields, take_former, uses};

use crate::records::{self, Place, Role, RoleName};
use crate::tidy;

/// Bytes of the key that secret ids are hashed with.
const HMAC_KEY_BYTES: u32 = 32;

/// A role's own fields; what a write leaves out stays.
#[derive(Debug, Fields)]
pub(crate) struct PutRole {
    /// Whether a login with this role needs a secret_id; true if never said.
    bind_secret_id: Option<bool>,
    /// Use "secret_id_bound_cidrs" instead.
    #[field(deprecated)]
    bound_cidr_list: Option<Vec<String>>,
    /// Networks, as a list or separated by commas, that logins may come from.
    secret_id_bound_cidrs: Option<Vec<String>>,
    /// Use "token_policies" instead. If both are sent, only "token_policies" counts.
    #[field(deprecated)]
    policies: Option<Vec<String>>,
    /// How many logins a secret_id of this role is good for; 0 for any number.
    secret_id_num_uses: Option<i64>,
    /// Lifetime of a secret_id of this role; 0 for no end.
    secret_id_ttl: Option<Seconds>,
    /// Use "token_period" instead. If both are sent, only "token_period" counts.
    #[field(deprecated)]
    period: Option<Seconds>,
    /// What a login names the role by; a UUID if never said.
    role_id: Option<String>,
    /// Whether the secret_ids of this role never leave the cluster; to be said at its creation.
    local_secret_ids: Option<bool>,
}

pub(crate) fn exists(cx: &Cx, request: &Request) -> Result<bool> {
    let name = RoleName::from_request(request)?;
    Ok(cx.get::<Role>(&name.0)?.is_some())
}

pub(crate) fn put(cx: &Cx, name: &RoleName, mut sent: PutRole, mut tokens: TokenFields) -> Result<Reply> {
    // Whether the role is there is asked of storage, not of the operation: whoever may
    // both create and update is always said to update.
    let known: Option<Role> = cx.get(&name.0)?;
    if known.is_some() && sent.local_secret_ids.is_some() {
        return Err(Error::invalid("local_secret_ids can only be modified during role creation"));
    }
    let previous = known.as_ref().map(|role| role.role_id.clone());
    let mut role = known.unwrap_or_else(|| new(cx, sent.local_secret_ids.unwrap_or_default()));
    let mut reply = Reply::empty();
    if let Some((kind, warning)) = tokens.token_type.as_deref().and_then(meaningful) {
        tokens.token_type = Some(kind.to_owned());
        reply = reply.warn(warning);
    }
    renamed(&mut role, &mut sent, &mut tokens);
    check_period(cx, &role, &tokens)?;
    role.tokens.update(tokens)?;
    role.update(sent)?;
    if role.tokens.max_ttl.0 > cx.mount().max_ttl {
        reply = reply.warn(
            "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max TTL value will be truncated",
        );
    }
    save(cx, name, &role, previous.as_deref())?;
    Ok(reply)
}

fn new(cx: &Cx, is_local: bool) -> Role {
    Role {
        role_id: cx.uuid(),
        place: Place { is_local, space: cx.random_hex(16) },
        hmac_key: Secret::new(cx.random(HMAC_KEY_BYTES)),
        bind_secret_id: true,
        ..Role::default()
    }
}

/// Kinds of tokens that mean something for a mount alone, what they stand for here, and
/// what to tell the caller.
fn meaningful(kind: &str) -> Option<(&'static str, &'static str)> {
    match kind {
        "default-service" => Some(("service", "default-service has no useful meaning; adjusting to service")),
        "default-batch" => Some(("batch", "default-batch has no useful meaning; adjusting to batch")),
        _ => None,
    }
}

/// Moves what was sent under former names to where it belongs.
fn renamed(role: &mut Role, sent: &mut PutRole, tokens: &mut TokenFields) {
    let policies = sent.policies.take().map(|policies| names::policies(&policies));
    role.former_policies = take_former(&mut tokens.token_policies, policies, role.former_policies);
    role.former_period = take_former(&mut tokens.token_period, sent.period.take(), role.former_period);
    let former = sent.bound_cidr_list.take();
    sent.secret_id_bound_cidrs = sent.secret_id_bound_cidrs.take().or(former);
}

/// As in Vault, only a period under its former name is held to the mount's limit; the
/// host caps the other.
fn check_period(cx: &Cx, role: &Role, tokens: &TokenFields) -> Result<()> {
    match tokens.token_period {
        Some(period) if role.former_period => within_mount(cx, period),
        _ => Ok(()),
    }
}

/// Whether a period is within the mount's longest lifetime.
pub(crate) fn within_mount(cx: &Cx, period: Seconds) -> Result<()> {
    let longest = cx.mount().max_ttl;
    if period.0 <= longest {
        return Ok(());
    }
    let [period, longest] = [period.0, longest].map(|secs| go_duration(i64::try_from(secs).unwrap_or(i64::MAX)));
    Err(Error::invalid(format!("period of {period:?} is greater than the backend's maximum lease TTL of {longest:?}")))
}

impl Role {
    fn update(&mut self, sent: PutRole) -> Result<()> {
        if let Some(role_id) = sent.role_id {
            self.role_id = role_id;
        }
        if self.role_id.is_empty() {
            return Err(Error::invalid("invalid role_id supplied, or failed to generate a role_id"));
        }
        if let Some(bind) = sent.bind_secret_id {
            self.bind_secret_id = bind;
        }
        if let Some(cidrs) = sent.secret_id_bound_cidrs {
            self.bound_cidrs = blocks(&cidrs)?;
        }
        if let Some(count) = sent.secret_id_num_uses {
            self.secret_id_uses = uses("secret_id_num_uses", count)?;
        }
        if let Some(ttl) = sent.secret_id_ttl {
            self.secret_id_ttl = ttl;
        }
        Ok(())
    }

    /// Whether anything at all is asked of a login beside the role's id.
    fn is_bound(&self) -> bool {
        self.bind_secret_id || !self.bound_cidrs.is_empty() || !self.tokens.bound_cidrs.is_empty()
    }
}

/// Networks of a role or secret id, each with its length.
pub(crate) fn blocks(texts: &[String]) -> Result<Vec<Network>> {
    cidr::parse_blocks(texts).map_err(|error| match error {
        Error::InvalidRequest(text) => Error::invalid(format!("failed to validate CIDR blocks: {text}")),
        other => other,
    })
}

/// Stores a role and the way from its id to it. `previous`: the id it had; none for a new
/// role.
pub(crate) fn save(cx: &Cx, name: &RoleName, role: &Role, previous: Option<&str>) -> Result<()> {
    if !role.is_bound() {
        return Err(Error::invalid("at least one constraint should be enabled on the role"));
    }
    if previous != Some(role.role_id.as_str()) {
        if records::named_by(cx, &role.role_id)?.is_some_and(|owner| owner != name.0) {
            return Err(Error::invalid("role_id already in use"));
        }
        previous.map_or(Ok(()), |previous| records::release(cx, previous))?;
        records::claim(cx, &role.role_id, name)?;
    }
    cx.put(&name.0, role)
}

pub(crate) fn get(cx: &Cx, name: &RoleName) -> Result<Reply> {
    let role: Role = cx.require(&name.0)?;
    let mut answer = Object::with_room(512)
        .boolean("bind_secret_id", role.bind_secret_id)
        .boolean("local_secret_ids", role.place.is_local);
    if role.former_period && role.tokens.period.0 > 0 {
        answer = answer.number("period", role.tokens.period.0);
    }
    if role.former_policies && !role.tokens.policies.is_empty() {
        answer = answer.json("policies", &json::strings(role.tokens.policies.iter().map(String::as_str)));
    }
    let answer = answer
        .json("secret_id_bound_cidrs", &shown(&role.bound_cidrs))
        .number("secret_id_num_uses", role.secret_id_uses.into())
        .number("secret_id_ttl", role.secret_id_ttl.0);
    Ok(Reply::text(role.tokens.show(answer).end()))
}

/// Networks with their lengths as a JSON array; null for none.
pub(crate) fn shown(networks: &[Network]) -> String {
    if networks.is_empty() { "null".to_owned() } else { listed(networks) }
}

/// Networks with their lengths as a JSON array.
pub(crate) fn listed(networks: &[Network]) -> String {
    let texts: Vec<String> = networks.iter().map(Network::block).collect();
    json::strings(texts.iter().map(String::as_str))
}

/// Removes a role. Its secret ids are out of reach from then on, however many there are;
/// a job clears them away.
pub(crate) fn delete(cx: &Cx, name: &RoleName) -> Result<()> {
    let Some(role) = cx.get::<Role>(&name.0)? else { return Ok(()) };
    records::release(cx, &role.role_id)?;
    cx.delete::<Role>(&name.0)?;
    tidy::clear_later(cx, &role.place)
}

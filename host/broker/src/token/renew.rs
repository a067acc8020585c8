//! Renewing tokens.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{Alias, AuthGrant, IssuedAuth, TokenType};
use bulkhead_model::reply::{Envelope, Reply};
use bulkhead_model::request::Verb;
use bulkhead_model::seam::plugin::{Call, Returned};

use super::roles;
use crate::book::identity;
use crate::book::tokens::{self, TokenHash, TokenRecord};
use crate::components;
use crate::fault::{Fault, wrapped};
use crate::login;
use crate::mint::{self, Lifetime};
use crate::step::dispatch::{self, mismatched};
use crate::step::identify;
use crate::sys::table::{Answer, Handler, HostRoute};
use crate::visit::{Ask, Visit, enveloped};

const W: &[Verb] = &[Verb::Write];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("renew", W, Handler::Later(renew), "Renew a token.").fields(&["token", "increment"]),
    HostRoute::new("renew-self", W, Handler::Later(renew_self), "Renew this token.").fields(&["token", "increment"]),
    HostRoute::new("renew-accessor", W, Handler::Later(renew_accessor), "Renew a token.")
        .fields(&["accessor", "increment"]),
];

fn renew<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let token = super::named(ask)?;
        if token.expose().is_empty() {
            return Err(Fault::invalid("missing token ID"));
        }
        let found = identify::live((&visit.open, &visit.config), &mut visit.tx, token.expose(), visit.now_ms)?;
        let found = found.ok_or_else(|| Fault::invalid("token not found"))?;
        if is_ending(visit, &found)? {
            return Err(Fault::invalid("token not found"));
        }
        extend(visit, ask, found, token).await
    })
}

fn renew_self<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let who = visit.who()?;
        let found = (who.hash, who.record.clone());
        if is_ending(visit, &found)? {
            return Err(Fault::invalid("token not found"));
        }
        let token = ask.request.token.as_ref().map_or_else(|| Hidden::new(String::new()), Hidden::duplicate);
        extend(visit, ask, found, token).await
    })
}

fn renew_accessor<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let found = super::lookup::by_accessor(visit, ask)?;
        let found = found.ok_or_else(|| Fault::invalid_wrapped("invalid accessor"))?;
        if is_ending(visit, &found)? {
            return Err(Fault::invalid_wrapped("invalid request"));
        }
        extend(visit, ask, found, Hidden::new(String::new())).await
    })
}

/// Whether this request is the token's own, and the last that it may make: it ends with it.
fn is_ending(visit: &Visit, (hash, record): &(TokenHash, TokenRecord)) -> Result<bool, Fault> {
    Ok(record.num_uses == 1 && visit.who()?.hash == *hash)
}

async fn extend(
    visit: &mut Visit,
    ask: &Ask<'_>,
    (hash, mut record): (TokenHash, TokenRecord),
    shown: Hidden<String>,
) -> Result<Reply, Fault> {
    visit.enter_home(&record)?;
    let increment = ask.fields.seconds_of_field("increment")?;
    if record.is_batch() {
        return Err(Fault::invalid("batch tokens cannot be renewed"));
    }
    if record.expires_ms == 0 {
        // The first root token was made by no request, and Vault tells the two apart.
        let first = record.path == tokens::FIRST_PATH;
        return Err(Fault::invalid(if first { "invalid lease ID" } else { "lease is not renewable" }));
    }
    if !record.renewable {
        return Err(Fault::invalid("lease is not renewable"));
    }
    let granted = if record.mount_accessor.is_empty() { None } else { ask_method(visit, &record, increment).await? };
    let bounds = Bounds::of(visit, &record, granted.as_ref())?;
    let (ttl_secs, warnings) = renewed_ttl(visit, &record, granted.as_ref(), (increment, bounds));
    // CVE-2021-32923: a renewal that is left no time must not make a token without end.
    if ttl_secs == 0 {
        return Err(unrenewed("past the max TTL, cannot renew"));
    }
    record.ttl_secs = ttl_secs;
    record.renewed_ms = visit.now_ms;
    let expires_ms = visit.now_ms.saturating_add(ttl_secs.saturating_mul(1000));
    tokens::set_expiry(&mut visit.tx, &hash, &mut record, expires_ms)?;
    if let Some(granted) = &granted {
        record.period_secs = granted.period.unwrap_or(0);
        tokens::update(&mut visit.tx, &hash, &record)?;
        refresh_groups(visit, &record, granted)?;
    }
    let mut auth = mint::auth_info(visit, &record, shown)?;
    if visit.who()?.hash == hash {
        // This very renewal is a use.
        auth.num_uses = auth.num_uses.saturating_sub(1);
    }
    Ok(enveloped(Envelope { auth: Some(auth), warnings, ..Envelope::default() }))
}

/// Has the entity in the external groups that its auth method names now.
fn refresh_groups(visit: &mut Visit, record: &TokenRecord, granted: &AuthGrant) -> Result<(), Fault> {
    let persona = visit.persona_of(record)?;
    let Some(persona) = persona else { return Ok(()) };
    let mut entity = persona.entity.clone();
    login::refresh_groups(visit, &mut entity, &record.mount_accessor, &granted.group_aliases)
}

/// Vault's status for a renewal that cannot be, though nothing of the node's is broken.
fn unrenewed(text: &str) -> Fault {
    Failure::new(FailureKind::Internal, wrapped(text)).into()
}

/// What holds a token's life besides its mount.
struct Bounds {
    period_secs: u64,
    explicit_max_secs: u64,
}

impl Bounds {
    /// The bounds as they are now: the role's where one made the token, so that changing the
    /// role reaches the tokens it made.
    fn of(visit: &mut Visit, record: &TokenRecord, granted: Option<&AuthGrant>) -> Result<Self, Fault> {
        let own = record.explicit_max_ttl_secs;
        if let Some(grant) = granted {
            return Ok(Self { period_secs: grant.period.unwrap_or(0), explicit_max_secs: own });
        }
        if record.token_role().is_empty() {
            return Ok(Self { period_secs: record.period_secs, explicit_max_secs: own });
        }
        let role = roles::get(visit, record.token_role())?.ok_or_else(|| {
            let text = format!("original token role {:?} could not be found, not renewing", record.token_role());
            unrenewed(&format!("failed to renew entry: {text}"))
        })?;
        // Unlike in OpenBao the caller's own limit holds on beside the role's.
        let explicit_max_secs = roles::lesser(own, role.explicit_max_ttl_secs);
        Ok(Self { period_secs: role.period_secs, explicit_max_secs })
    }
}

fn renewed_ttl(
    visit: &Visit,
    record: &TokenRecord,
    granted: Option<&AuthGrant>,
    (increment, bounds): (Option<u64>, Bounds),
) -> (u64, Vec<String>) {
    let mount = match record.mount_accessor.as_str() {
        "" => visit.mount_at("auth/token/").cloned(),
        accessor => visit.mount_with(accessor).cloned(),
    };
    let (default_secs, max_secs) = mount.map_or((0, 0), |m| m.ttls());
    let max_granted = granted.and_then(|g| g.max_ttl).filter(|t| *t > 0);
    let asked = Lifetime {
        ttl_secs: increment.filter(|t| *t > 0).or(granted.and_then(|g| g.ttl)).unwrap_or(0),
        max_secs: max_granted.map_or(max_secs, |t| t.min(max_secs)),
        period_secs: bounds.period_secs,
        explicit_max_secs: bounds.explicit_max_secs,
    };
    // By the second that each of them is in, as Vault counts.
    let ran_secs = (visit.now_ms / 1000).saturating_sub(record.created_ms / 1000);
    // Without a wish, it gets the length it was last given; one of an auth method, which has
    // said what holds now, the mount's.
    let fallback = if granted.is_none() && record.ttl_secs > 0 { record.ttl_secs } else { default_secs };
    mint::lifetime(asked, fallback, ran_secs)
}

/// Asks the auth method behind the login whether, and for how long, it still holds.
async fn ask_method(
    visit: &mut Visit,
    record: &TokenRecord,
    increment: Option<u64>,
) -> Result<Option<AuthGrant>, Fault> {
    let mount = visit.mount_with(&record.mount_accessor).cloned();
    let plugin = match &mount {
        Some(mount) => components::serving(&visit.open, mount).await?,
        None => None,
    };
    let (Some(mount), Some(plugin)) = (mount, plugin) else {
        return Err(Fault::invalid("the auth method of this token is not enabled any more"));
    };
    let persona = visit.persona_of(record)?;
    let mut aliases = persona.iter().flat_map(|persona| &persona.entity.aliases);
    let alias = aliases.find(|alias| alias.mount_accessor == record.mount_accessor);
    let plain = |alias: &identity::Alias| Alias { name: alias.name.clone(), metadata: alias.metadata.clone() };
    // A method that gives the grant back as it got it changes nothing.
    let groups = persona.iter().flat_map(|persona| &persona.groups[..persona.direct]);
    let groups = groups.filter(|group| group.external).filter_map(|group| group.alias.as_ref());
    let groups = groups.filter(|alias| alias.mount_accessor == record.mount_accessor);
    let auth = IssuedAuth {
        grant: AuthGrant {
            alias: alias.map(plain),
            group_aliases: groups.map(plain).collect(),
            display_name: record.display_name.clone(),
            policies: record.policies.iter().filter(|p| *p != "default").cloned().collect(),
            no_default_policy: !record.policies.iter().any(|p| p == "default"),
            metadata: record.metadata.clone(),
            ttl: Some(record.ttl_secs),
            max_ttl: None,
            explicit_max_ttl: (record.explicit_max_ttl_secs > 0).then_some(record.explicit_max_ttl_secs),
            period: (record.period_secs > 0).then_some(record.period_secs),
            num_uses: u32::try_from(record.num_uses).unwrap_or(u32::MAX),
            token_type: TokenType::Service,
            bound_cidrs: record.bound_cidrs.clone(),
            renewable: record.renewable,
            internal: record.internal.duplicate(),
        },
        entity_id: (!record.entity_id.is_empty()).then(|| record.entity_id.clone()),
        issued_at: record.created_ms,
        expires_at: record.expires_ms,
        data_version: plugin.descriptor().data_version,
    };
    match dispatch::call(visit, &mount, &plugin, Call::RenewAuth { auth, increment }, "renew").await? {
        Ok(Returned::RenewedAuth(grant)) => Ok(Some(*grant)),
        Ok(_) => Err(mismatched()),
        Err(error) => Err(Fault::invalid(format!("the auth method refused the renewal: {}", refusal(&error)))),
    }
}

fn refusal(error: &bulkhead_model::plugin::GuestError) -> &str {
    use bulkhead_model::plugin::GuestError as E;
    match error {
        E::InvalidRequest(text) | E::PermissionDenied(text) | E::PreconditionFailed(text) | E::Unavailable(text) => {
            text
        }
        _ => "it failed",
    }
}

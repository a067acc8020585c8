//! Makes tokens: for a login, for a wrapped answer, for whoever asks `auth/token`.

use std::time::Instant;

use bulkhead_barrier::Transaction;
use bulkhead_model::cidr;
use bulkhead_model::duration::format_go;
use bulkhead_model::failure::Failure;
use bulkhead_model::framework::quoted;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::TOKEN_BYTES_MAX;
use bulkhead_model::path::lowered;
use bulkhead_model::plugin::{AuthGrant, TokenType};
use bulkhead_model::policy::PolicyName;
use bulkhead_model::reply::{AuthInfo, Envelope, Reply, WrapInfo};
use bulkhead_model::request::Request;
use bulkhead_model::seam::entropy::base62;

use crate::book::identity::id_text;
use crate::book::kept::Kept;
use crate::book::mounts::Mount;
use crate::book::tokens::{self, TokenHash, TokenRecord};
use crate::book::{Cubby, batch, policies};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::figures::{MadeToken, TokenKind};
use crate::login;
use crate::open::Open;
use crate::step::mfa::Proven;
use crate::step::room;
use crate::sys::wrapping;
use crate::tally::Seat;
use crate::visit::{After, Visit, enveloped};

/// A token that is in the visit's transaction.
pub(crate) struct Minted {
    pub auth: AuthInfo,
    pub warnings: Vec<String>,
}

/// Normalises policy names: trimmed, lower case, sorted, each once. `root` swallows all
/// others. Names that cannot be a policy's stay, and grant nothing.
pub(crate) fn sanitised(names: &[String], with_default: bool) -> Vec<String> {
    let trimmed: Vec<String> = names.iter().map(|n| lowered(n.trim())).filter(|n| !n.is_empty()).collect();
    if trimmed.iter().any(|n| n == "root") {
        return vec!["root".into()];
    }
    let mut policies = trimmed;
    if with_default {
        policies.push("default".into());
    }
    policies.sort();
    policies.dedup();
    policies
}

/// Warnings for policies that do not exist.
pub(crate) fn missing_policies(visit: &mut Visit, names: &[String]) -> Result<Vec<String>, Fault> {
    let mut warnings = Vec::new();
    for name in names {
        let is_there = match PolicyName::parse(name) {
            Ok(policy) => policies::read(&mut visit.tx, &policy, visit.now_ms)?.is_some(),
            Err(_) if name.split('/').any(|part| part == "..") => {
                return Err(Fault::invalid(format!("could not look up policy {name}")));
            }
            Err(_) => false,
        };
        if !is_there {
            warnings.push(format!("Policy {} does not exist", quoted(name)));
        }
    }
    Ok(warnings)
}

/// Writes a token of this record, under a random name unless one is given.
pub(crate) fn mint(visit: &mut Visit, record: TokenRecord, id: Option<Hidden<String>>) -> Result<AuthInfo, Fault> {
    let seat = room::seat_of_token(visit, &record)?;
    let made = make(&visit.open, &mut visit.tx, visit.now_ms, record, id)?;
    room::give(visit, seat, &made.hash);
    count(visit, &made.record.path, TokenKind::Service, made.record.ttl_secs);
    auth_info(visit, &made.record, made.token)
}

/// A token that was written.
struct Made {
    record: TokenRecord,
    token: Hidden<String>,
    hash: TokenHash,
}

fn make(
    open: &Open,
    tx: &mut Transaction,
    now_ms: u64,
    mut record: TokenRecord,
    id: Option<Hidden<String>>,
) -> Result<Made, Fault> {
    let began = Instant::now();
    let entropy = &*open.parts.entropy;
    let token = id.unwrap_or_else(|| Hidden::new(format!("s.{}", base62(entropy, 24))));
    let token = marked(token, &record.namespace);
    record.accessor = base62(entropy, 24);
    if !record.namespace.is_empty() {
        record.accessor = format!("{}.{}", record.accessor, record.namespace);
    }
    record.created_ms = now_ms;
    record.creation_ttl_secs = record.ttl_secs;
    if record.ttl_secs > 0 {
        record.expires_ms = now_ms.saturating_add(record.ttl_secs.saturating_mul(1000));
    }
    let hash = open.salt.hash(token.expose());
    tokens::create(tx, &open.salt, &hash, &record)?;
    open.catalog.figures.tokens.create.record(began.elapsed());
    Ok(Made { record, token, hash })
}

/// A token with its namespace's id behind it, where that is not the root.
fn marked(token: Hidden<String>, namespace: &str) -> Hidden<String> {
    if namespace.is_empty() { token } else { Hidden::new([token.expose(), ".", namespace].concat()) }
}

/// A batch token of this record: nothing is written. What such a token cannot have must
/// not be in the record.
pub(crate) fn mint_batch(visit: &mut Visit, mut record: TokenRecord) -> Result<AuthInfo, Fault> {
    if record.ttl_secs == 0 {
        return Err(Fault::invalid("batch tokens must have an end"));
    }
    room::seat_of_token(visit, &record)?;
    let began = Instant::now();
    record.created_ms = visit.now_ms;
    record.creation_ttl_secs = record.ttl_secs;
    record.renewable = false;
    let token = batch::seal(&mut visit.tx, &record, &*visit.open.parts.entropy)?;
    if token.expose().len() > TOKEN_BYTES_MAX {
        return Err(Fault::invalid(format!(
            "with its metadata and policies the batch token would be over {TOKEN_BYTES_MAX} bytes long"
        )));
    }
    visit.open.catalog.figures.tokens.create.record(began.elapsed());
    count(visit, &record.path, TokenKind::Batch, record.ttl_secs);
    auth_info(visit, &record, token)
}

/// Has a token counted, once it is committed, as one of the mount that the path is below.
fn count(visit: &mut Visit, path: &str, kind: TokenKind, ttl_secs: u64) {
    if let Some((mount, _)) = visit.config.mounts.route(&visit.namespace.full(path)) {
        let figures = mount.figures.clone();
        visit.after.push(After::Count(MadeToken { figures, kind, ttl_secs }));
    }
}

/// The envelope's `auth` for a token, with what it may do through its entity.
pub(crate) fn auth_info(
    visit: &mut Visit,
    record: &TokenRecord,
    client_token: Hidden<String>,
) -> Result<AuthInfo, Fault> {
    let persona = visit.persona_of(record)?;
    let mut identity_policies = persona.map(|persona| persona.policies.clone()).unwrap_or_default();
    identity_policies.sort();
    let policies = sanitised(&[&record.policies[..], &identity_policies[..]].concat(), false);
    Ok(AuthInfo {
        client_token,
        accessor: record.accessor.clone(),
        display_name: record.display_name.clone(),
        policies,
        token_policies: record.policies.clone(),
        identity_policies,
        metadata: record.metadata.clone(),
        lease_duration_secs: record.ttl_secs,
        renewable: record.renewable,
        entity_id: record.entity_id.clone(),
        token_type: token_type(record).into(),
        orphan: record.is_orphan(),
        num_uses: record.num_uses,
    })
}

/// What kind of token a record is of, as answers and audit lines tell it.
pub(crate) fn token_type(record: &TokenRecord) -> &'static str {
    if record.is_batch() { "batch" } else { "service" }
}

/// Lifetimes asked for, and the bounds they are held to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lifetime {
    pub ttl_secs: u64,
    pub max_secs: u64,
    pub period_secs: u64,
    pub explicit_max_secs: u64,
}

/// The warning where more is asked than is granted.
pub(crate) fn capped(what: &str, value: u64, longest: u64) -> Option<String> {
    let (asked, granted) = (short_go(value), short_go(longest));
    (value > longest).then(|| {
        format!("{what} of {asked:?} exceeded the effective max_ttl of {granted:?}; {what} value is capped accordingly")
    })
}

/// The lifetime to grant, with the warnings Vault gives when it grants less than asked.
/// `ran_secs`: how long the token lives already, at a renewal.
pub(crate) fn lifetime(asked: Lifetime, default_secs: u64, ran_secs: u64) -> (u64, Vec<String>) {
    let mut warnings = Vec::new();
    let mut cap = |what: &str, value: u64, longest: u64| {
        warnings.extend(capped(what, value, longest));
        value.min(longest)
    };
    let explicit = if asked.explicit_max_secs == 0 { u64::MAX } else { asked.explicit_max_secs };
    let longest = asked.max_secs.min(explicit);
    // A period begins anew with each renewal; what is counted from the token's birth is the rest.
    let (wanted, ends) = match asked.period_secs {
        0 => (if asked.ttl_secs > 0 { asked.ttl_secs } else { default_secs }, longest),
        period => (cap("period", period, longest), explicit),
    };
    let granted = cap("TTL", wanted, ends.saturating_sub(ran_secs));
    (granted, warnings)
}

/// Go's notation without units of which there are none: `1h`, `20m`, `1h30m`, `1h5s`.
fn short_go(secs: u64) -> String {
    let text = format_go(secs);
    let text = text.strip_suffix("m0s").map_or(text.clone(), |short| format!("{short}m"));
    text.replace("h0m", "h")
}

/// What the token of a login will be like, before it is made.
pub(crate) struct Granted {
    pub record: TokenRecord,
    pub is_batch: bool,
    pub warnings: Vec<String>,
}

/// The token of a login that has proven all it had to.
pub(crate) fn from_login(visit: &mut Visit, proven: Proven) -> Result<Minted, Fault> {
    let Granted { record, is_batch, warnings } = proven.into_granted();
    let auth = if is_batch { mint_batch(visit, record)? } else { mint(visit, record, None)? };
    Ok(Minted { auth, warnings })
}

/// What a method grants to a login with this role, in the form of a token that is not made yet.
pub(crate) fn granted(
    visit: &mut Visit,
    request: &Request,
    (mount, role): (&Mount, String),
    grant: AuthGrant,
) -> Result<Granted, Fault> {
    let names = sanitised(&grant.policies, !grant.no_default_policy);
    // Invariant: only initialisation and generate-root make root tokens. A plugin that
    // asks for one is broken or hostile.
    if names.iter().any(|n| n == "root") {
        return Err(Fault::invalid("auth methods cannot create root tokens"));
    }
    check_networks(mount, &grant)?;
    let (default_secs, max_secs) = mount.ttls();
    let asked = Lifetime {
        ttl_secs: grant.ttl.unwrap_or(0),
        max_secs: grant.max_ttl.filter(|t| *t > 0).map_or(max_secs, |t| t.min(max_secs)),
        period_secs: grant.period.unwrap_or(0),
        explicit_max_secs: grant.explicit_max_ttl.unwrap_or(0),
    };
    let (ttl_secs, warnings) = lifetime(asked, default_secs, 0);
    let is_batch = is_batch_login(&mount.entry.tuning.token_type, grant.token_type);
    if is_batch && grant.num_uses > 0 {
        // Nobody could count them, and to leave the limit out would be no service.
        return Err(Fault::invalid("batch tokens cannot have \"num_uses\" set"));
    }
    let entity_id = entity(visit, mount, &grant)?;
    let name = mount.entry.path.trim_end_matches('/').replace('/', "-");
    let record = TokenRecord {
        policies: names,
        path: request.path.as_str().to_owned(),
        display_name: [name.as_str(), &grant.display_name].join("-").trim_end_matches('-').to_owned(),
        metadata: grant.metadata,
        num_uses: u64::from(grant.num_uses),
        ttl_secs,
        explicit_max_ttl_secs: asked.explicit_max_secs,
        period_secs: asked.period_secs,
        renewable: grant.renewable,
        bound_cidrs: grant.bound_cidrs,
        internal: Kept::from(grant.internal),
        mount_accessor: mount.entry.accessor.clone(),
        namespace: mount.entry.namespace.clone(),
        entity_id,
        role,
        ..TokenRecord::default()
    };
    Ok(Granted { record, is_batch, warnings })
}

/// That the token is bound to networks, if to anything. A text that is none would let it in from
/// nowhere, and nobody would know why: the plugin is at fault, not the caller.
fn check_networks(mount: &Mount, grant: &AuthGrant) -> Result<(), Fault> {
    let Some(bad) = grant.bound_cidrs.iter().find(|network| !cidr::is_network(network)) else { return Ok(()) };
    let (accessor, kind, shown) = (&mount.entry.accessor, &mount.entry.kind, &bad[..bad.floor_char_boundary(100)]);
    tracing::error!(mount = %accessor, plugin = %kind, "plugin bound a login's token to {shown:?}, which is no network");
    Err(Failure::internal().into())
}

/// Whether a login gets a batch token: the mount says so, or leaves it to the method.
fn is_batch_login(tuned: &str, asked: TokenType) -> bool {
    match tuned {
        "batch" => true,
        "service" => false,
        "default-batch" => asked != TokenType::Service,
        _ => asked == TokenType::Batch,
    }
}

/// The id of the entity that logs in; empty if the method names nobody.
fn entity(visit: &mut Visit, mount: &Mount, grant: &AuthGrant) -> Result<String, Fault> {
    let Some(alias) = grant.alias.as_ref().filter(|alias| !alias.name.is_empty()) else { return Ok(String::new()) };
    let accessor = &mount.entry.accessor;
    let mut entity = login::entity_of(visit, accessor, &alias.name, Some(&alias.metadata))?;
    login::refresh_groups(visit, &mut entity, accessor, &grant.group_aliases)?;
    Ok(id_text(&entity.id))
}

/// Puts the answer behind a wrapping token if the caller asked for that and there is
/// something to wrap.
pub(crate) fn wrap_if_asked(visit: &mut Visit, request: &Request, reply: Reply) -> Result<Reply, Fault> {
    let Some(ttl_secs) = request.wrap_ttl_secs.filter(|secs| *secs > 0) else { return Ok(reply) };
    match reply {
        Reply::Envelope(envelope) if envelope.wrap.is_none() && says_something(&envelope) => {
            wrap_envelope(visit, ttl_secs, request, &envelope)
        }
        Reply::Raw { status, content_type, bytes, .. } if status < 300 => {
            let content = wrapping::stored_bytes(&request.id, status, &content_type, bytes.expose());
            wrap_content(visit, (request.path.as_str(), ttl_secs), None, &content)
        }
        // Whoever asks for a wrapped answer must never get it in the open.
        Reply::Stream { .. } => Err(Fault::invalid("this path's answer is too large to be wrapped")),
        other => Ok(other),
    }
}

/// Whether there is anything in an answer to be wrapped, be it that something is not there. Errors are not, nor what
/// a login still has to prove.
fn says_something(envelope: &Envelope) -> bool {
    let has_failed = !envelope.errors.is_empty() || envelope.mfa.is_some();
    let is_remark = envelope.status.is_some() || !envelope.warnings.is_empty();
    envelope.data.is_some() || envelope.auth.is_some() || (is_remark && !has_failed)
}

/// Puts an answer behind a wrapping token.
pub(crate) fn wrap_envelope(
    visit: &mut Visit,
    ttl_secs: u64,
    request: &Request,
    envelope: &Envelope,
) -> Result<Reply, Fault> {
    let path = request.path.as_str();
    let accessor = match &envelope.auth {
        Some(auth) => Some(auth.accessor.clone()),
        None => secret_id_accessor(visit, path, envelope),
    };
    let content = wrapping::stored(envelope, &request.id);
    wrap_content(visit, (path, ttl_secs), accessor.filter(|accessor| !accessor.is_empty()), &content)
}

/// The accessor of the secret id in an answer of `approle`, so that who gave it out can take it back unopened.
fn secret_id_accessor(visit: &Visit, path: &str, envelope: &Envelope) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        secret_id_accessor: String,
    }
    let full = visit.namespace.full(path);
    visit.config.mounts.route(&full).filter(|(mount, _)| mount.entry.kind == "approle")?;
    let answer: Answer = serde_json::from_slice(envelope.data.as_ref()?.expose()).ok()?;
    Some(answer.secret_id_accessor)
}

/// Puts the content of an answer to a request of this path behind a wrapping token of this lifetime.
fn wrap_content(
    visit: &mut Visit,
    (path, ttl_secs): (&str, u64),
    wrapped_accessor: Option<String>,
    content: &Hidden<Vec<u8>>,
) -> Result<Reply, Fault> {
    let display_name = display_name(visit);
    let namespace = visit.namespace.record.id.clone();
    let asked = WrapAsk { ttl_secs, creation_path: path, display_name, wrapped_accessor, namespace };
    let wrap = wrap_in(visit, asked, content)?;
    count(visit, path, TokenKind::Wrapping, ttl_secs);
    Ok(wrapped(wrap))
}

/// Keeps content in the cubbyhole of a single-use token that a visit makes.
pub(crate) fn wrap_in(visit: &mut Visit, asked: WrapAsk<'_>, content: &Hidden<Vec<u8>>) -> Result<WrapInfo, Fault> {
    let home = visit.config.namespaces.with_id(&asked.namespace).unwrap_or(&visit.namespace);
    let full = home.full(asked.creation_path);
    let seat = room::seat(visit, &full, asked.creation_path)?;
    let seat = seat.map(|seat| &visit.seats[seat]);
    wrap((&visit.open, seat), &mut visit.tx, visit.now_ms, asked, content)
}

/// What the caller is called, and so the wrapping tokens it asks for.
pub(crate) fn display_name(visit: &Visit) -> String {
    visit.who.as_ref().map_or_else(String::new, |who| who.record.display_name.clone())
}

/// The answer that a wrapping token stands for another.
pub(crate) fn wrapped(wrap: WrapInfo) -> Reply {
    enveloped(Envelope { wrap: Some(wrap), ..Envelope::default() })
}

/// What a wrapping token is to be like.
pub(crate) struct WrapAsk<'a> {
    pub ttl_secs: u64,
    /// Path of the request whose answer is wrapped.
    pub creation_path: &'a str,
    pub display_name: String,
    /// Accessor of the wrapped token, if the answer holds one.
    pub wrapped_accessor: Option<String>,
    /// Id of the namespace it is of; of the root: nothing.
    pub namespace: String,
}

/// Keeps content in the cubbyhole of a single-use token, which gets the seat.
pub(crate) fn wrap(
    (open, seat): (&Open, Option<&Seat>),
    tx: &mut Transaction,
    now_ms: u64,
    asked: WrapAsk<'_>,
    content: &Hidden<Vec<u8>>,
) -> Result<WrapInfo, Fault> {
    let record = TokenRecord {
        policies: vec!["response-wrapping".into()],
        path: asked.creation_path.to_owned(),
        display_name: asked.display_name,
        num_uses: 1,
        ttl_secs: asked.ttl_secs,
        explicit_max_ttl_secs: asked.ttl_secs,
        namespace: asked.namespace,
        ..TokenRecord::default()
    };
    let made = make(open, tx, now_ms, record, None)?;
    if let Some(seat) = seat {
        seat.give_to(&made.hash);
    }
    let key = Cubby::of(&made.hash).key(wrapping::CONTENT).expect("the name is plain");
    tx.put(&key, content.expose())?;
    Ok(WrapInfo {
        token: made.token,
        accessor: made.record.accessor,
        ttl_secs: asked.ttl_secs,
        creation_time: rfc3339(now_ms),
        creation_path: asked.creation_path.to_owned(),
        wrapped_accessor: asked.wrapped_accessor,
    })
}

#[cfg(test)]
mod tests;

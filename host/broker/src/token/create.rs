//! Making tokens.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::{Envelope, Reply};
use bulkhead_model::request::Verb;

use super::roles::{self, RoleRecord};
use crate::book::identity::id_text;
use crate::book::tokens::{TokenRecord, tree};
use crate::fault::Fault;
use crate::login;
use crate::mint::{self, Lifetime, sanitised};
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit, enveloped};

const W: &[Verb] = &[Verb::Write];
const FIELDS: &[&str] = &[
    "display_name",
    "entity_alias",
    "explicit_max_ttl",
    "id",
    "lease",
    "meta",
    "no_default_policy",
    "no_parent",
    "num_uses",
    "period",
    "policies",
    "renewable",
    "ttl",
    "type",
];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("create", W, Handler::Now(create), "Make a token.").fields(FIELDS),
    HostRoute::new("create-orphan", W, Handler::Now(create_orphan), "Make a token without a parent.").fields(FIELDS),
    HostRoute::new("create/{role_name}", W, Handler::Now(create_by_role), "Make a token by a role.").fields(FIELDS),
];

fn create(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    make(visit, ask, false, None)
}

fn create_orphan(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    make(visit, ask, true, None)
}

fn create_by_role(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = ask.capture("role_name");
    let role = roles::get(visit, name)?.ok_or_else(|| Fault::invalid(format!("unknown role {name}")))?;
    make(visit, ask, role.orphan, Some(role))
}

fn make(visit: &mut Visit, ask: &Ask<'_>, orphan_path: bool, role: Option<RoleRecord>) -> Result<Reply, Fault> {
    let fields = &ask.fields;
    let parent = parent(visit)?;
    let batch = is_batch(ask, role.as_ref())?;
    let privileged = visit.has_sudo(ask.request)?;
    // Where a role makes the token, it alone decides who its parent is.
    let no_parent = fields.flag("no_parent")?.unwrap_or(false) && role.is_none();
    if no_parent && !privileged {
        return Err(Fault::invalid("root or sudo privileges required to create orphan token"));
    }
    let id = custom_id(visit, ask, privileged)?;
    let id = if batch { None } else { id.map(|id| unused(visit, id)).transpose()? };
    let policies = policies(visit, ask, &parent, privileged, role.as_ref())?;
    let own = own_lifetime(visit, ask, privileged)?;
    let (asked, narrowed) = narrowed(own, role.as_ref());
    let uses = uses(ask, role.as_ref())?;
    let is_root = policies == ["root"];
    let asked = if batch { held_to_batch(ask, asked, is_root, uses)? } else { asked };
    // Root without a wish but the longest life gets just that, whatever the mount's.
    let explicit_alone = is_root && asked.ttl_secs == 0 && asked.period_secs == 0 && asked.explicit_max_secs > 0;
    let (default_secs, _) = token_mount_ttls(visit);
    let forever = is_root && asked.ttl_secs == 0 && asked.period_secs == 0 && asked.explicit_max_secs == 0;
    // A root token that ends must not beget one that does not.
    if forever && parent.expires_ms != 0 {
        return Err(Fault::invalid("expiring root tokens cannot create non-expiring root tokens"));
    }
    let (ttl_secs, mut warnings) = match (forever, explicit_alone) {
        (true, _) => (0, Vec::new()),
        (_, true) => (asked.explicit_max_secs, Vec::new()),
        _ => limited(asked, default_secs),
    };
    warnings.splice(0..0, if batch { Vec::new() } else { narrowed });
    warnings.extend(if is_root { Vec::new() } else { mint::missing_policies(visit, &policies)? });
    let renewable = fields.flag("renewable")?.unwrap_or(true) && role.as_ref().is_none_or(|r| r.renewable);
    let who = visit.who()?.hash;
    let orphan = orphan_path || no_parent;
    let entity_id =
        entity_id(visit, ask, role.as_ref())?.unwrap_or(if orphan { String::new() } else { parent.entity_id });
    // What binds the parent to networks binds its child, unless a role makes that.
    let inherited = if orphan { Vec::new() } else { parent.bound_cidrs };
    let bound_cidrs = role.as_ref().map_or(inherited, |role| role.bound_cidrs.clone());
    let record = TokenRecord {
        parent: (!orphan).then_some(who),
        entity_id,
        policies,
        path: path(ask, role.as_ref()),
        display_name: display_name(&fields.text_or_empty("display_name")?),
        metadata: fields.texts("meta")?.unwrap_or_default(),
        num_uses: uses,
        ttl_secs,
        // What the role adds is looked up there anew at each renewal.
        explicit_max_ttl_secs: own.explicit_max_secs,
        period_secs: own.period_secs,
        renewable: renewable && ttl_secs > 0,
        role: role.as_ref().map(|r| r.name.clone()).unwrap_or_default(),
        // A token without an end is bound to none, whoever makes it.
        bound_cidrs: if ttl_secs == 0 { Vec::new() } else { bound_cidrs },
        namespace: visit.namespace.record.id.clone(),
        ..TokenRecord::default()
    };
    let auth = if batch { mint::mint_batch(visit, record)? } else { mint::mint(visit, record, id)? };
    Ok(enveloped(Envelope { auth: Some(auth), warnings, ..Envelope::default() }))
}

/// The caller as the parent of a new token. In a namespace below its own, its policies and entity
/// mean nothing, whatever they are called.
fn parent(visit: &mut Visit) -> Result<TokenRecord, Fault> {
    let who = visit.who()?;
    if who.brought {
        return Err(Fault::invalid("parent token lookup failed: no parent found"));
    }
    let parent = who.record.clone();
    if parent.is_batch() {
        return Err(Fault::invalid("batch tokens cannot create more tokens"));
    }
    if parent.num_uses == 1 {
        // It ends with this request, and so does what it would make.
        return Err(Fault::invalid("parent token lookup failed: no parent found"));
    }
    if parent.num_uses > 0 {
        return Err(Fault::invalid("restricted use token cannot generate child tokens"));
    }
    if tree::is_below_ended(&mut visit.tx, &parent)? {
        let text = "the parent of this token was revoked just now; try again";
        return Err(Failure::new(FailureKind::Unavailable, text).into());
    }
    if parent.namespace == visit.namespace.record.id {
        return Ok(parent);
    }
    Ok(TokenRecord { policies: vec!["default".into()], entity_id: String::new(), ..parent })
}

/// How often the token may be used: as asked, but no more often than its role allows.
fn uses(ask: &Ask<'_>, role: Option<&RoleRecord>) -> Result<u64, Fault> {
    let asked = ask.fields.integer("num_uses")?.unwrap_or(0);
    let asked = u64::try_from(asked).map_err(|_| Fault::invalid("number of uses cannot be negative"))?;
    let role_uses = role.map_or(0, |role| role.num_uses);
    Ok(if role_uses > 0 && (asked == 0 || asked > role_uses) { role_uses } else { asked })
}

/// Whether a batch token is to be made: the role decides, or leaves it to the caller.
fn is_batch(ask: &Ask<'_>, role: Option<&RoleRecord>) -> Result<bool, Fault> {
    let asked = ask.fields.text_or_empty("type")?;
    if !matches!(asked.as_str(), "" | "service" | "batch") {
        return Err(Fault::invalid("invalid 'token_type' value"));
    }
    Ok(match role.map_or("", |role| role.token_type.as_str()) {
        "batch" => true,
        "service" => false,
        "default-batch" => asked != "service",
        _ => asked == "batch",
    })
}

/// The lifetime of a batch token, which cannot have what would have to be kept somewhere.
fn held_to_batch(ask: &Ask<'_>, asked: Lifetime, is_root: bool, uses: u64) -> Result<Lifetime, Fault> {
    let set = |name: &str| Fault::invalid(format!("batch tokens cannot have {name:?} set"));
    if ask.fields.seconds("explicit_max_ttl")?.unwrap_or(0) > 0 {
        return Err(set("explicit_max_ttl"));
    }
    if uses > 0 {
        return Err(set("num_uses"));
    }
    if ask.fields.seconds("period")?.unwrap_or(0) > 0 {
        return Err(set("period"));
    }
    if is_root {
        return Err(Fault::invalid("batch tokens cannot be root tokens"));
    }
    Ok(Lifetime { period_secs: 0, ..asked })
}

/// The entity of the alias that the caller asked for; only a role lets it be asked for.
fn entity_id(visit: &mut Visit, ask: &Ask<'_>, role: Option<&RoleRecord>) -> Result<Option<String>, Fault> {
    let alias = ask.fields.text_or_empty("entity_alias")?;
    if alias.is_empty() {
        return Ok(None);
    }
    let Some(role) = role else {
        return Err(Fault::invalid("'entity_alias' is only allowed in combination with token role"));
    };
    if !role.allows_alias(&alias) {
        return Err(Fault::invalid("invalid 'entity_alias' value"));
    }
    let accessor = visit.mount_at("auth/token/").map(|mount| mount.entry.accessor.clone()).unwrap_or_default();
    let entity = login::entity_of(visit, &accessor, &alias, None).map_err(|fault| match fault {
        Fault::Answer(Failure { kind: FailureKind::Denied, .. }) => {
            Failure::new(FailureKind::Denied, "entity from given entity alias is disabled").into()
        }
        other => other,
    })?;
    Ok(Some(id_text(&entity.id)))
}

/// A token id the caller chose: a privilege, since it may be weak.
fn custom_id(visit: &Visit, ask: &Ask<'_>, privileged: bool) -> Result<Option<Hidden<String>>, Fault> {
    let Some(id) = ask.fields.text("id")?.filter(|id| !id.is_empty()).map(Hidden::new) else { return Ok(None) };
    if !privileged {
        return Err(Fault::invalid("root or sudo privileges required to specify token id"));
    }
    if !visit.namespace.is_root() {
        return Err(Fault::invalid("token IDs can only be manually specified in the root namespace"));
    }
    Ok(Some(id))
}

/// The id of a token that is kept: none that looks like one of ours, and no other's. A batch token's id is what
/// the token holds, whatever was asked for.
fn unused(visit: &mut Visit, id: Hidden<String>) -> Result<Hidden<String>, Fault> {
    if let Some(front) = ["hvs.", "s."].into_iter().find(|front| id.expose().starts_with(front)) {
        return Err(Fault::invalid(format!("custom token ID cannot have the '{front}' prefix")));
    }
    if id.expose().contains('.') {
        return Err(Fault::invalid("custom token ID cannot have a '.' in the value"));
    }
    let hash = visit.open.salt.hash(id.expose());
    if tree::is_taken(&mut visit.tx, &hash)? {
        return Err(Fault::invalid("cannot create a token with a duplicate ID"));
    }
    Ok(id)
}

fn policies(
    visit: &Visit,
    ask: &Ask<'_>,
    parent: &TokenRecord,
    privileged: bool,
    role: Option<&RoleRecord>,
) -> Result<Vec<String>, Fault> {
    let asked = ask.fields.strings("policies", false)?.unwrap_or_default();
    let with_default = !ask.fields.flag("no_default_policy")?.unwrap_or(false);
    let mut named = match role.filter(|role| role.restricts_policies()) {
        Some(role) => role.policies(&asked, &parent.policies, with_default)?,
        None if asked.is_empty() => sanitised(&parent.policies, false),
        None if privileged => sanitised(&asked, with_default),
        None => subset(&asked, &parent.policies, with_default)?,
    };
    // In Vault `no_default_policy` takes `default` away even where it was asked for.
    named.retain(|name| with_default || name != "default");
    // This policy belongs to wrapping tokens alone.
    if named.iter().any(|name| name == "response-wrapping") {
        return Err(Fault::invalid("cannot assign policy \"response-wrapping\""));
    }
    // Full power is over all namespaces, and so no other than the root can give it out.
    if named.iter().any(|name| name == "root") && !visit.namespace.is_root() {
        return Err(Fault::invalid("root tokens may not be created from a parent namespace"));
    }
    // Sudo on this path or a role may give much, but only root begets root.
    if named.iter().any(|name| name == "root") && !visit.who()?.acl.is_root() {
        return Err(Fault::invalid("root tokens may not be created without parent token being root"));
    }
    Ok(named)
}

/// The policies of a child that may have no more than its parent. It gets `default` only
/// if its parent has it.
fn subset(asked: &[String], parent: &[String], with_default: bool) -> Result<Vec<String>, Fault> {
    let own = |name: &String| parent.contains(name);
    if !sanitised(asked, false).iter().all(own) {
        return Err(Fault::invalid("child policies must be subset of parent"));
    }
    Ok(sanitised(asked, with_default && own(&"default".to_owned())))
}

fn token_mount_ttls(visit: &Visit) -> (u64, u64) {
    let mount = visit.mount_at("auth/token/");
    mount.map_or((0, 0), |m| m.ttls())
}

/// The lifetime that the caller asks for.
fn own_lifetime(visit: &Visit, ask: &Ask<'_>, privileged: bool) -> Result<Lifetime, Fault> {
    let fields = &ask.fields;
    let (_, max_secs) = token_mount_ttls(visit);
    let period_secs = fields.seconds("period")?.unwrap_or(0);
    if period_secs > 0 && !privileged {
        return Err(Fault::invalid("root or sudo privileges required to create periodic token"));
    }
    let explicit_max_secs = fields.seconds("explicit_max_ttl")?.unwrap_or(0);
    let ttl_secs = match fields.seconds("ttl")? {
        Some(ttl) => ttl,
        None => fields.seconds("lease")?.unwrap_or(0),
    };
    Ok(Lifetime { ttl_secs, max_secs, period_secs, explicit_max_secs })
}

/// A lifetime within the role's bounds, with a warning for each that both name.
fn narrowed(own: Lifetime, role: Option<&RoleRecord>) -> (Lifetime, Vec<String>) {
    let mut warnings = Vec::new();
    let mut lesser = |what: &str, asked: u64, of_role: u64| {
        let lesser = roles::lesser(asked, of_role);
        if asked > 0 && of_role > 0 {
            warnings.push(format!(
                "{what} specified both during creation call and in role; using the lesser value of {lesser} seconds"
            ));
        }
        lesser
    };
    let (of_role_explicit, of_role_period) = role.map_or((0, 0), |role| (role.explicit_max_ttl_secs, role.period_secs));
    let explicit_max_secs = lesser("Explicit max TTL", own.explicit_max_secs, of_role_explicit);
    let period_secs = lesser("Period", own.period_secs, of_role_period);
    (Lifetime { period_secs, explicit_max_secs, ..own }, warnings)
}

/// The lifetime to grant. A token that only names its longest life lives that long.
fn limited(asked: Lifetime, default_secs: u64) -> (u64, Vec<String>) {
    mint::lifetime(asked, default_secs, 0)
}

fn path(ask: &Ask<'_>, role: Option<&RoleRecord>) -> String {
    match role.filter(|r| !r.path_suffix.is_empty()) {
        Some(role) => format!("{}/{}", ask.request.path.as_str(), role.path_suffix),
        None => ask.request.path.as_str().to_owned(),
    }
}

/// `token`, or `token-` and what the caller said, a dash for each sign that is no letter, digit or dash, and
/// without a dash at its end. Source: OpenBao.
fn display_name(asked: &str) -> String {
    if asked.is_empty() {
        return "token".into();
    }
    let clean: String = asked.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("token-{}", clean.strip_suffix('-').unwrap_or(&clean))
}

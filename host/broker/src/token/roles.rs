//! Token roles: what tokens made by them may be.

use bulkhead_barrier::{Folder, Key};
use bulkhead_model::cidr;
use bulkhead_model::failure::Failure;
use bulkhead_model::path::lowered;
use bulkhead_model::reply::{Envelope, Reply};
use bulkhead_model::request::Verb;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::book::space;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::mint::sanitised;
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit, data, enveloped, listed, plain_name};

const FIELDS: &[&str] = &[
    "role_name",
    "allowed_policies",
    "allowed_policies_glob",
    "disallowed_policies",
    "disallowed_policies_glob",
    "orphan",
    "period",
    "token_period",
    "path_suffix",
    "explicit_max_ttl",
    "token_explicit_max_ttl",
    "renewable",
    "token_num_uses",
    "token_bound_cidrs",
    "bound_cidrs",
    "token_no_default_policy",
    "token_type",
    "allowed_entity_aliases",
];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("roles", &[Verb::List], Handler::Now(list), "List token roles."),
    HostRoute::new("roles/{role_name}", &[Verb::Read], Handler::Now(read), "Read a token role."),
    HostRoute::new("roles/{role_name}", &[Verb::Write], Handler::Now(write), "Write a token role.")
        .fields(FIELDS)
        .exists(exists),
    HostRoute::new("roles/{role_name}", &[Verb::Delete], Handler::Now(delete), "Delete a token role."),
];

/// A stored role.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RoleRecord {
    pub name: String,
    pub allowed_policies: Vec<String>,
    pub allowed_policies_glob: Vec<String>,
    pub disallowed_policies: Vec<String>,
    pub disallowed_policies_glob: Vec<String>,
    pub orphan: bool,
    pub period_secs: u64,
    pub path_suffix: String,
    pub explicit_max_ttl_secs: u64,
    pub renewable: bool,
    pub num_uses: u64,
    pub bound_cidrs: Vec<String>,
    pub no_default_policy: bool,
    /// Empty: `default-service`.
    pub token_type: String,
    pub allowed_entity_aliases: Option<Vec<String>>,
    /// Those of [`RENAMED`] that were written last by the name they had.
    pub by_old_name: Vec<String>,
}

/// Fields that were renamed, and what they were called: both names can be written, the old one
/// counts where the new one is not sent, and reads tell the old one only where it counted.
const RENAMED: [(&str, &str); 3] =
    [("token_bound_cidrs", "bound_cidrs"), ("token_explicit_max_ttl", "explicit_max_ttl"), ("token_period", "period")];

fn glob(pattern: &str, name: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = &parts[..] else { return pattern == name };
    let Some(rest) = name.strip_prefix(first).and_then(|r| r.strip_suffix(last)) else { return false };
    let mut rest = rest;
    middle.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

impl RoleRecord {
    pub(super) fn restricts_policies(&self) -> bool {
        !self.allowed_policies.is_empty()
            || !self.allowed_policies_glob.is_empty()
            || !self.disallowed_policies.is_empty()
            || !self.disallowed_policies_glob.is_empty()
    }

    /// The policies of a token by this role: those asked for, else those it allows, else
    /// the parent's. The order is Vault's, as is that `default` is only *added* where the
    /// role lets it: named by anyone, it is held to the role like any other.
    pub(super) fn policies(
        &self,
        asked: &[String],
        parent: &[String],
        with_default: bool,
    ) -> Result<Vec<String>, Fault> {
        let with_default = with_default && !self.no_default_policy && !self.disallows("default");
        let restricted = !self.allowed_policies.is_empty() || !self.allowed_policies_glob.is_empty();
        let allowed = sanitised(&self.allowed_policies, with_default);
        let mut named = if asked.is_empty() { Vec::new() } else { sanitised(asked, with_default) };
        if named.is_empty() {
            named = if restricted { allowed } else { sanitised(parent, with_default) };
        } else if restricted {
            self.check_allowed(&named, &allowed)?;
        }
        if let Some(name) = named.iter().find(|name| self.disallows(name)) {
            return Err(Fault::invalid(format!("token policy {name:?} is disallowed by this role")));
        }
        Ok(named)
    }

    fn told_by(&self, old_name: &str) -> bool {
        self.by_old_name.iter().any(|name| name == old_name)
    }

    /// Whether tokens may be of an entity with this name in the token store.
    pub(super) fn allows_alias(&self, alias: &str) -> bool {
        let alias = lowered(alias);
        self.allowed_entity_aliases.iter().flatten().any(|allowed| glob(allowed, &alias))
    }

    fn check_allowed(&self, named: &[String], allowed: &[String]) -> Result<(), Fault> {
        let globs = normalised(&self.allowed_policies_glob);
        if named.iter().all(|n| allowed.contains(n) || globs.iter().any(|g| glob(g, n))) {
            return Ok(());
        }
        let quote = |names: &[String]| names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(" ");
        Err(Fault::invalid(format!(
            "token policies ([{}]) must be subset of the role's allowed policies ([{}]) or glob policies ([{}])",
            quote(named),
            quote(allowed),
            quote(&globs)
        )))
    }

    /// Whether the role bans this policy, given by its normalised name. A role may have
    /// been stored before its lists were normalised, and a ban must hold in any spelling.
    fn disallows(&self, name: &str) -> bool {
        normalised(&self.disallowed_policies).iter().any(|banned| banned == name)
            || normalised(&self.disallowed_policies_glob).iter().any(|banned| glob(banned, name))
    }
}

/// Names, or patterns of names, as they are compared: trimmed, lower case, sorted, each once.
fn normalised(names: &[String]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|n| lowered(n.trim())).filter(|n| !n.is_empty()).collect();
    names.sort();
    names.dedup();
    names
}

/// As [`normalised`]; `root` swallows all others, as nothing could be added to it.
fn normalised_grants(names: &[String]) -> Vec<String> {
    let names = normalised(names);
    if names.iter().any(|n| n == "root") { vec!["root".into()] } else { names }
}

fn key(name: &str) -> Option<Key> {
    Key::leaf(space::TOKEN_ROLES, name).ok()
}

/// The shorter of two limits in seconds, of which 0 is none.
pub(super) fn lesser(one: u64, other: u64) -> u64 {
    if one == 0 || other == 0 { one.max(other) } else { one.min(other) }
}

/// The role of this name.
pub(super) fn get(visit: &mut Visit, name: &str) -> Result<Option<RoleRecord>, Fault> {
    let Some(key) = key(name) else { return Ok(None) };
    let Some(bytes) = visit.tx.get(&key)? else { return Ok(None) };
    let role = serde_json::from_slice(bytes.expose());
    role.map(Some).map_err(|_| crate::book::damaged(space::TOKEN_ROLES, "a token role").into())
}

fn exists(visit: &mut Visit, captures: &[(&'static str, String)]) -> Result<bool, Fault> {
    let name = captures.first().map_or("", |(_, name)| name.as_str());
    Ok(get(visit, name)?.is_some())
}

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(visit.tx.list(&Folder::root(space::TOKEN_ROLES), None, usize::MAX)?.keys)
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let role = get(visit, ask.capture("role_name"))?.ok_or_else(|| Fault::from(Failure::absent()))?;
    let mut told = json!({
        "allowed_entity_aliases": role.allowed_entity_aliases,
        "allowed_policies": role.allowed_policies,
        "allowed_policies_glob": role.allowed_policies_glob,
        "disallowed_policies": role.disallowed_policies,
        "disallowed_policies_glob": role.disallowed_policies_glob,
        "explicit_max_ttl": if role.told_by("explicit_max_ttl") { role.explicit_max_ttl_secs } else { 0 },
        "name": role.name,
        "orphan": role.orphan,
        "path_suffix": role.path_suffix,
        "period": if role.told_by("period") { role.period_secs } else { 0 },
        "renewable": role.renewable,
        "token_explicit_max_ttl": role.explicit_max_ttl_secs,
        "token_no_default_policy": role.no_default_policy,
        "token_period": role.period_secs,
        "token_type": if role.token_type.is_empty() { "default-service" } else { &role.token_type },
    });
    if role.num_uses > 0 {
        told["token_num_uses"] = role.num_uses.into();
    }
    if !role.bound_cidrs.is_empty() {
        if role.told_by("bound_cidrs") {
            told["bound_cidrs"] = Value::from(role.bound_cidrs.clone());
        }
        told["token_bound_cidrs"] = Value::from(role.bound_cidrs);
    }
    Ok(data(&told))
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = plain_name(ask, "role_name")?;
    let before = get(visit, name)?.unwrap_or(RoleRecord { renewable: true, ..RoleRecord::default() });
    let fields = &ask.fields;
    let list = |name: &str, old: &[String]| Ok::<_, Fault>(fields.strings(name, true)?.unwrap_or_else(|| old.to_vec()));
    let secs = |new: &str, old: &str| Ok::<_, Fault>(fields.seconds_of_field(new)?.or(fields.seconds_of_field(old)?));
    let aliases = match fields.strings("allowed_entity_aliases", true)? {
        Some(aliases) => Some(normalised(&aliases)),
        None => before.allowed_entity_aliases,
    };
    let suffix = match fields.text("path_suffix")? {
        Some(suffix) => checked_suffix(suffix)?,
        None => before.path_suffix,
    };
    let bound_cidrs = networks(fields)?.unwrap_or(before.bound_cidrs);
    let negative = |_| Fault::invalid("error parsing role fields: 'token_num_uses' cannot be negative");
    let uses = fields.integer("token_num_uses")?.map(|uses| u64::try_from(uses).map_err(negative)).transpose()?;
    let token_type = token_type(fields)?.unwrap_or(before.token_type);
    let role = RoleRecord {
        name: name.to_owned(),
        allowed_policies: normalised_grants(&list("allowed_policies", &before.allowed_policies)?),
        allowed_policies_glob: normalised_grants(&list("allowed_policies_glob", &before.allowed_policies_glob)?),
        disallowed_policies: normalised(&list("disallowed_policies", &before.disallowed_policies)?),
        disallowed_policies_glob: normalised(&list("disallowed_policies_glob", &before.disallowed_policies_glob)?),
        orphan: fields.flag("orphan")?.unwrap_or(before.orphan),
        period_secs: secs("token_period", "period")?.unwrap_or(before.period_secs),
        path_suffix: suffix,
        explicit_max_ttl_secs: secs("token_explicit_max_ttl", "explicit_max_ttl")?
            .unwrap_or(before.explicit_max_ttl_secs),
        renewable: fields.flag("renewable")?.unwrap_or(before.renewable),
        num_uses: uses.unwrap_or(before.num_uses),
        bound_cidrs,
        no_default_policy: fields.flag("token_no_default_policy")?.unwrap_or(before.no_default_policy),
        token_type,
        allowed_entity_aliases: aliases,
        by_old_name: by_old_name(fields, before.by_old_name),
    };
    check_batch(&role)?;
    let key = key(name).ok_or_else(|| Fault::invalid("invalid role name"))?;
    let bytes = serde_json::to_vec(&role).expect("a role is plain data");
    visit.tx.put(&key, &bytes)?;
    let both = RENAMED.iter().filter(|(new, old)| fields.has(new) && fields.has(old));
    let ignored = |(new, old): &(&str, &str)| {
        format!("Both '{new}' and deprecated '{old}' value supplied, ignoring the deprecated value")
    };
    let warnings: Vec<String> = both.map(ignored).collect();
    if warnings.is_empty() { Ok(Reply::Empty) } else { Ok(enveloped(Envelope { warnings, ..Envelope::default() })) }
}

/// The old names that count once these fields were written.
fn by_old_name(fields: &Fields, before: Vec<String>) -> Vec<String> {
    let counts = |(new, old): &(&str, &str)| match (fields.has(new), fields.has(old)) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => before.iter().any(|name| name == old),
    };
    RENAMED.iter().filter(|names| counts(names)).map(|(_, old)| (*old).to_owned()).collect()
}

/// What the path of the role's tokens ends in: three signs at least, which neither climb nor
/// begin or end with a sign that is no letter, digit or `_`.
fn checked_suffix(suffix: String) -> Result<String, Fault> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let inner = |c: char| word(c) || matches!(c, '-' | '.');
    let fits = suffix.len() > 2 && suffix.starts_with(word) && suffix.ends_with(word) && suffix.chars().all(inner);
    if !suffix.is_empty() && !fits {
        return Err(Fault::invalid("given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w"));
    }
    if suffix.contains("..") {
        return Err(Fault::invalid("error registering path suffix: path cannot contain parent references"));
    }
    Ok(suffix)
}

/// The networks that the role's tokens are to be bound to, if they were sent.
fn networks(fields: &Fields) -> Result<Option<Vec<String>>, Fault> {
    for (name, what) in [("token_bound_cidrs", "role fields"), ("bound_cidrs", "bound_cidrs")] {
        let Some(networks) = fields.strings(name, true)? else { continue };
        if let Some(bad) = networks.iter().find(|network| !cidr::is_network(network)) {
            return Err(Fault::invalid(format!(
                "error parsing {what}: error parsing address {bad:?}: Unable to convert {bad:?} to an IPv4 or IPv6 \
                 address, or a UNIX Socket"
            )));
        }
        // A single address is kept without its length.
        let written = |network: &String| cidr::Network::parse(network).map(|network| network.to_string());
        return Ok(Some(networks.iter().filter_map(written).collect()));
    }
    Ok(None)
}

/// The kind of the role's tokens, if it was sent.
fn token_type(fields: &Fields) -> Result<Option<String>, Fault> {
    match fields.text("token_type")? {
        Some(_) if fields.is_null("token_type") => Err(Fault::invalid("Invalid 'token_type' value: null")),
        None => Ok(None),
        Some(known) if matches!(known.as_str(), "default-service" | "service" | "default-batch" | "batch") => {
            Ok(Some(known))
        }
        Some(other) => Err(Fault::invalid(format!("invalid 'token_type' value {other:?}"))),
    }
}

/// A role of batch tokens must not promise what those cannot have.
fn check_batch(role: &RoleRecord) -> Result<(), Fault> {
    let refused = match role {
        role if role.token_type != "batch" => return Ok(()),
        role if !role.orphan => "non-orphan",
        role if role.period_secs > 0 => "periodic",
        role if role.renewable => "renewable",
        role if role.explicit_max_ttl_secs > 0 => {
            return Err(Fault::invalid(
                "'token_type' cannot be 'batch' when role is set to generate tokens with an explicit max TTL",
            ));
        }
        role if role.num_uses > 0 => {
            return Err(Fault::invalid(
                "'token_type' cannot be 'batch' when role is set to generate tokens with limited use count",
            ));
        }
        _ => return Ok(()),
    };
    Err(Fault::invalid(format!("'token_type' cannot be 'batch' when role is set to generate {refused} tokens")))
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    if let Some(key) = key(ask.capture("role_name")) {
        visit.tx.delete(&key)?;
    }
    Ok(Reply::Empty)
}

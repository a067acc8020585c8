//! Token roles: what tokens made by them may be.

use bulkhead_barrier::{Folder, Key};
use bulkhead_model::failure::Failure;
use bulkhead_model::path::lowered;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::book::space;
use crate::fault::Fault;
use crate::mint::sanitised;
use crate::sys::table::{Handler, HostRoute};
use crate::visit::{Ask, Visit, data, listed};

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
}

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
        "explicit_max_ttl": 0,
        "name": role.name,
        "orphan": role.orphan,
        "path_suffix": role.path_suffix,
        "period": role.period_secs,
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
        told["token_bound_cidrs"] = Value::from(role.bound_cidrs);
    }
    Ok(data(&told))
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = ask.capture("role_name");
    let before = get(visit, name)?.unwrap_or(RoleRecord { renewable: true, ..RoleRecord::default() });
    let fields = &ask.fields;
    let list = |name: &str, old: &[String]| Ok::<_, Fault>(fields.strings(name, true)?.unwrap_or_else(|| old.to_vec()));
    let secs = |new: &str, old: &str| Ok::<_, Fault>(fields.seconds(new)?.or(fields.seconds(old)?));
    let token_type = match fields.text_or_empty("token_type")?.as_str() {
        "" => before.token_type,
        known @ ("default-service" | "service" | "default-batch" | "batch") => known.to_owned(),
        other => return Err(Fault::invalid(format!("invalid 'token_type' value {other:?}"))),
    };
    let aliases = match fields.strings("allowed_entity_aliases", true)? {
        Some(aliases) => Some(normalised(&aliases)),
        None => before.allowed_entity_aliases,
    };
    let suffix = fields.text("path_suffix")?.unwrap_or(before.path_suffix);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !suffix.is_empty() && !suffix.chars().all(plain) {
        return Err(Fault::invalid("given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w"));
    }
    let bound_cidrs = match fields.strings("token_bound_cidrs", true)? {
        Some(cidrs) => cidrs,
        None => list("bound_cidrs", &before.bound_cidrs)?,
    };
    if let Some(bad) = bound_cidrs.iter().find(|c| !bulkhead_model::cidr::is_network(c)) {
        return Err(Fault::invalid(format!("invalid CIDR address: {bad}")));
    }
    let uses = fields.integer("token_num_uses")?.map(|n| u64::try_from(n).unwrap_or(0));
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
    };
    check_batch(&role)?;
    let key = key(name).ok_or_else(|| Fault::invalid("invalid role name"))?;
    let bytes = serde_json::to_vec(&role).expect("a role is plain data");
    visit.tx.put(&key, &bytes)?;
    Ok(Reply::Empty)
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

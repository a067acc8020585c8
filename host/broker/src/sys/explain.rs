//! `sys/policies/explain`: whether a caller's policies let a request through, and by which rule.
//! Ours; Vault has no such path.

use std::sync::Arc;

use bulkhead_model::acl::{self, Acl, Explanation};
use bulkhead_model::path::ApiPath;
use bulkhead_model::policy::{Capabilities, Policy, PolicyName};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::capabilities;
use super::table::{Handler, HostRoute};
use crate::book::policies;
use crate::fault::Fault;
use crate::step::route;
use crate::visit::{Ask, Visit, data};

pub(super) const ROUTES: &[HostRoute] = &[HostRoute::new(
    "policies/explain",
    &[Verb::Write],
    Handler::Now(explain),
    "Tell whether policies allow a request, and by which rule.",
)
.fields(&["token", "accessor", "policies", "operation", "path", "parameters", "wrap_ttl"])];

/// Policies asked about together. Source: ours.
const POLICIES_MAX: usize = 256;

/// Operations by their names in a policy.
const OPERATIONS: [(&str, Verb); 7] = [
    ("create", Verb::Write),
    ("read", Verb::Read),
    ("update", Verb::Write),
    ("patch", Verb::Patch),
    ("delete", Verb::Delete),
    ("list", Verb::List),
    ("scan", Verb::Scan),
];

fn explain(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let operation = ask.fields.text_or_empty("operation")?.to_lowercase();
    let found = OPERATIONS.into_iter().find(|(name, _)| *name == operation);
    let names = || OPERATIONS.map(|(name, _)| name).join(", ");
    let (name, verb) = found.ok_or_else(|| Fault::invalid(format!("operation must be one of {}", names())))?;
    let path = ask.fields.text_or_empty("path")?;
    let path = ApiPath::checked(path.trim_start_matches('/').to_owned())
        .map_err(|error| Fault::invalid(format!("path is not one of this API: {error}")))?;
    let (acl, templated) = whose(visit, ask)?;
    let routed = route::find(&visit.config.mounts, &path.below(visit.namespace.path()), (verb, false));
    let parameters = ask.fields.object("parameters")?.cloned().unwrap_or_default();
    let sent = || Some(parameters.clone());
    let asked = acl::Ask {
        path: &routed.path,
        folded: &routed.folded,
        needs: Capabilities::named(name).expect("each operation has the name of a capability"),
        sudo: routed.target.needs_sudo(),
        wrap_ttl_secs: ask.fields.seconds("wrap_ttl")?,
        parameters: &sent,
    };
    let is_open = routed.target.is_unauthenticated();
    let told = if is_open {
        let reason = "the path is open to everybody: no policy is asked".to_owned();
        Explanation { allowed: true, rule: None, reason }
    } else {
        acl.explain(&asked)
    };
    let mut shown = shown(&told, &asked, is_open);
    shown["templated"] = templated.into();
    Ok(data(&shown))
}

fn shown(told: &Explanation, asked: &acl::Ask<'_>, is_open: bool) -> Value {
    let rule = told.rule.as_ref().map(|rule| {
        let policies = rule.policies.iter().map(|(name, said)| json!({ "name": name, "capabilities": said }));
        json!({
            "path": rule.pattern,
            "capabilities": rule.capabilities,
            "policies": policies.collect::<Vec<_>>(),
        })
    });
    json!({
        "allowed": told.allowed,
        "reason": told.reason,
        "rule": rule,
        "path": asked.path,
        "requires_sudo": asked.sudo,
        "unauthenticated": is_open,
    })
}

/// Whether rules of a policy depend on who asks. One that is not there explains nothing.
fn is_templated(visit: &mut Visit, name: &str) -> Result<bool, Fault> {
    let known = match PolicyName::parse(name) {
        Ok(known) => policies::read(&mut visit.tx, &known, visit.now_ms)?,
        Err(_) => None,
    };
    let known = known.ok_or_else(|| Fault::invalid(format!("there is no policy {name:?}")))?;
    Ok(Policy::parse(&known.text).is_ok_and(|policy| policy.is_templated()))
}

/// The rules that are asked about: of a token, of an accessor's, of these policies alone, or the
/// caller's own. With them, the policies whose rules are left out in part: they depend on who asks.
fn whose(visit: &mut Visit, ask: &Ask<'_>) -> Result<(Arc<Acl>, Vec<String>), Fault> {
    let given = ["token", "accessor", "policies"].into_iter().filter(|name| ask.fields.has(name));
    match given.collect::<Vec<_>>()[..] {
        [] => Ok((visit.who()?.acl.clone(), Vec::new())),
        ["token"] => Ok((capabilities::acl_of_token(visit, ask)?, Vec::new())),
        ["accessor"] => Ok((capabilities::acl_of_accessor(visit, ask)?, Vec::new())),
        ["policies"] => {
            let mut names = ask.fields.strings("policies", true)?.unwrap_or_default();
            names.sort();
            names.dedup();
            if names.len() > POLICIES_MAX {
                return Err(Fault::invalid(format!("more than {POLICIES_MAX} policies")));
            }
            let mut templated = Vec::new();
            for name in names.iter().filter(|name| *name != "root") {
                if is_templated(visit, name)? {
                    templated.push(name.clone());
                }
            }
            let config = visit.config.clone();
            Ok((config.acl(&mut visit.tx, (&visit.namespace, &names), None, visit.now_ms)?, templated))
        }
        _ => Err(Fault::invalid("give one of token, accessor and policies, or none of them for your own token")),
    }
}

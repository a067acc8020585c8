//! The host's routes as data: patterns, verbs, and the functions that answer.

use std::future::Future;
use std::pin::Pin;

use bulkhead_model::framework::Folded;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;

use crate::fault::Fault;
use crate::visit::{Ask, Visit};

/// A handler that only reads and writes the visit.
pub(crate) type Now = fn(&mut Visit, &Ask<'_>) -> Result<Reply, Fault>;
/// A handler that waits for something.
pub(crate) type Later = for<'a> fn(&'a mut Visit, &'a Ask<'a>) -> Answer<'a>;
/// What it comes to.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send + 'a>>;
/// Tells create from update.
pub(crate) type Exists = fn(&mut Visit, &[(&'static str, String)]) -> Result<bool, Fault>;

/// Who answers.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    Now(Now),
    Later(Later),
    /// The gate, before any mount is looked for.
    Gate,
}

/// A route of the host.
#[derive(Clone, Copy)]
pub(crate) struct HostRoute {
    /// Below the mount: `mounts/{path...}/tune`. `{name}` is one segment, `{name...}` one or more.
    pub pattern: &'static str,
    pub verbs: &'static [Verb],
    pub handler: Handler,
    /// One line for path help and the OpenAPI document.
    pub summary: &'static str,
    /// Parameters it knows; `None`: any, named by the caller.
    pub fields: Option<&'static [&'static str]>,
    pub sudo: bool,
    pub unauthenticated: bool,
    /// Whether every namespace has it; else the root alone.
    pub each: bool,
    pub exists: Option<Exists>,
    /// Gives the one form of what it captures, where the handler takes several spellings for it.
    pub fold: Option<fn(&str) -> String>,
}

impl HostRoute {
    /// A route for callers with a token, without sudo.
    pub(crate) const fn new(
        pattern: &'static str,
        verbs: &'static [Verb],
        handler: Handler,
        summary: &'static str,
    ) -> Self {
        let (fields, exists, fold) = (Some(&[] as &[&str]), None, None);
        let (sudo, unauthenticated, each) = (false, false, false);
        Self { pattern, verbs, handler, summary, fields, sudo, unauthenticated, each, exists, fold }
    }

    pub(crate) const fn fields(self, names: &'static [&'static str]) -> Self {
        Self { fields: Some(names), ..self }
    }

    pub(crate) const fn any_fields(self) -> Self {
        Self { fields: None, ..self }
    }

    pub(crate) const fn sudo(self) -> Self {
        Self { sudo: true, ..self }
    }

    pub(crate) const fn unauthenticated(self) -> Self {
        Self { unauthenticated: true, ..self }
    }

    pub(crate) const fn exists(self, check: Exists) -> Self {
        Self { exists: Some(check), ..self }
    }

    pub(crate) const fn folded(self, fold: fn(&str) -> String) -> Self {
        Self { fold: Some(fold), ..self }
    }

    /// Why it cannot be used in a namespace, where it is the root's alone.
    pub(crate) fn refusal_in_namespaces(&self) -> &'static str {
        if self.pattern.starts_with("plugins/grants/") {
            return "operation only available in root namespace: ask there, with the mount's path from there";
        }
        let of_the_node = OF_THE_NODE.iter().any(|front| self.pattern.starts_with(front));
        if of_the_node { "operation unavailable in namespaces" } else { "operation only available in root namespace" }
    }

    /// Whether what this capture holds may be the name of a secret: whatever may have several parts is, a path as
    /// well as a lease, while `{name...}` names a policy or another thing of the operator's, as do paths of those.
    pub(crate) fn hashes(&self, capture: &str) -> bool {
        let has_parts = |part: &str| part.strip_prefix(capture).is_some_and(|rest| rest.starts_with("...}"));
        let is_path = capture != "name" && self.pattern.split('{').any(has_parts);
        is_path && !OF_OPERATORS.iter().any(|front| self.pattern.starts_with(front))
    }
}

/// Fronts of patterns whose `{path...}` is that of an operator's thing.
const OF_OPERATORS: [&str; 5] = ["audit/", "audit-hash/", "auth/", "mounts/", "namespaces/"];

/// Fronts of patterns that OpenBao's text says are for no namespace.
const OF_THE_NODE: [&str; 12] = [
    "generate-root",
    "health",
    "in-flight-req",
    "init",
    "metrics",
    "monitor",
    "pprof",
    "raw",
    "rekey",
    "seal",
    "step-down",
    "storage/",
];

/// Patterns without a list that OpenBao knows with a slash behind them too, as a list's path has it: it says of them
/// that they have no such operation, and not that there is no such path.
const OPEN_ENDED: [&str; 7] = [
    "entity/merge",
    "host-info",
    "oidc/.well-known/keys",
    "oidc/.well-known/openid-configuration",
    "oidc/config",
    "plugins/catalog",
    "plugins/catalog/{type}/{name}",
];

#[derive(PartialEq)]
enum Part {
    Literal(&'static str),
    One(&'static str),
    Rest(&'static str),
}

/// All routes of one host mount.
pub(crate) struct HostTable {
    routes: Vec<(Vec<Part>, HostRoute)>,
}

/// What a path captured.
pub(crate) type Captures = Vec<(&'static str, String)>;

impl HostTable {
    /// Puts families together that every namespace has.
    pub(crate) fn of_each(families: &[&[HostRoute]]) -> Self {
        Self::new(families, &[])
    }

    /// Puts the families together that every namespace has, and those that are the root's alone;
    /// more literal patterns are tried first.
    pub(crate) fn new(of_each: &[&[HostRoute]], of_root: &[&[HostRoute]]) -> Self {
        let of_each = of_each.iter().flat_map(|f| f.iter()).map(|route| HostRoute { each: true, ..*route });
        let all = of_each.chain(of_root.iter().flat_map(|f| f.iter()).copied());
        let all: Vec<HostRoute> = all.collect();
        let known = |route: &HostRoute| HostRoute { fields: known_at(route, &all), ..*route };
        let mut routes: Vec<_> = all.iter().map(|route| (parts(route.pattern), known(route))).collect();
        let literals = |parts: &[Part]| parts.iter().filter(|p| matches!(p, Part::Literal(_))).count();
        routes
            .sort_by_key(|(parts, _)| (parts.iter().any(|p| matches!(p, Part::Rest(_))), usize::MAX - literals(parts)));
        Self { routes }
    }

    /// The route for a path and verb. `Err(true)`: the path is there, the verb is not.
    pub(crate) fn find(&'static self, rest: &str, verb: Verb) -> Result<(&'static HostRoute, Captures), bool> {
        let lists = matches!(verb, Verb::List | Verb::Scan);
        let trimmed = if lists { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        // Where there is a list, its folder is there, whatever is done with it.
        let folder = rest.strip_suffix('/').filter(|_| !lists);
        let (mut known, mut own) = (false, None);
        for (parts, route) in &self.routes {
            let Some(captures) = matched(parts, trimmed) else {
                let is_list = || folder.is_some_and(|folder| matched(parts, folder).is_some());
                known |= route.verbs.contains(&Verb::List) && is_list();
                continue;
            };
            // What ends behind an open part is a path of its own: its last word is never another's name.
            if own.is_some_and(|own| own != route.pattern) {
                continue;
            }
            let is_within = parts.split_last().is_some_and(|(last, front)| {
                matches!(last, Part::Literal(_)) && front.iter().any(|part| matches!(part, Part::Rest(_)))
            });
            own = own.or(is_within.then_some(route.pattern));
            if route.verbs.contains(&verb) {
                return Ok((route, captures));
            }
            // A list's path ends in a slash, which what lists and an open end match alone.
            let open_end = parts.iter().any(|p| matches!(p, Part::Rest(_))) || OPEN_ENDED.contains(&route.pattern);
            known |= !lists || route.verbs.contains(&Verb::List) || open_end;
        }
        Err(known)
    }

    /// A route for a path, whatever its verbs.
    pub(crate) fn about(&'static self, rest: &str) -> Option<(&'static HostRoute, Captures)> {
        self.routes.iter().find_map(|(parts, route)| Some((route, matched(parts, rest)?)))
    }

    /// The routes of a pattern, each for other verbs.
    pub(crate) fn on(&self, pattern: &str) -> Vec<&HostRoute> {
        self.all().filter(|route| route.pattern == pattern).collect()
    }

    /// The one form of a path, whatever is done there; `None` if it has no other spelling.
    pub(crate) fn folded(&self, rest: &str) -> Option<Folded> {
        let folding = self.routes.iter().filter_map(|(parts, route)| Some((parts, route.fold?)));
        let (parts, fold, captures) =
            folding.filter_map(|(parts, fold)| Some((parts, fold, matched(parts, rest)?))).next()?;
        let mut captures = captures.into_iter();
        let (mut pieces, mut segments, mut place) = (Vec::new(), Vec::new(), 0);
        for part in parts {
            if let Part::Literal(text) = part {
                pieces.push((*text).to_owned());
                place += 1;
                continue;
            }
            let (_, text) = captures.next()?;
            let ends = place + text.split('/').count();
            segments.extend(place..ends);
            pieces.push(fold(&text));
            place = ends;
        }
        Some(Folded { path: pieces.join("/"), segments })
    }

    /// Every route, for path help and the OpenAPI document.
    pub(crate) fn all(&self) -> impl Iterator<Item = &HostRoute> {
        self.routes.iter().map(|(_, route)| route)
    }
}

/// The parameters that a route does not call unknown. As in Vault, where a path has the same ones whatever is done
/// there, a read or a delete passes over what a write would take.
fn known_at(route: &HostRoute, all: &[HostRoute]) -> Option<&'static [&'static str]> {
    let own = route.fields?;
    if route.verbs.iter().any(|verb| matches!(verb, Verb::Write | Verb::Patch)) {
        return Some(own);
    }
    let of_writes = all.iter().filter(|other| other.pattern == route.pattern).filter_map(|other| other.fields);
    let mut names: Vec<_> = own.iter().chain(of_writes.flatten()).copied().collect();
    names.sort_unstable();
    names.dedup();
    // The tables are made once, and last as long as the program.
    Some(Vec::leak(names))
}

fn parts(pattern: &'static str) -> Vec<Part> {
    let part = |segment: &'static str| match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        Some(name) => name.strip_suffix("...").map_or(Part::One(name), Part::Rest),
        None => Part::Literal(segment),
    };
    pattern.split('/').map(part).collect()
}

fn matched(parts: &[Part], path: &str) -> Option<Captures> {
    let segments: Vec<&str> = path.split('/').collect();
    let rest_len = match parts.iter().any(|p| matches!(p, Part::Rest(_))) {
        true => segments.len().checked_sub(parts.len() - 1).filter(|n| *n > 0)?,
        false if segments.len() == parts.len() => 0,
        false => return None,
    };
    let (mut captures, mut at) = (Vec::new(), 0);
    for part in parts {
        match part {
            Part::Literal(text) if segments[at] == *text => at += 1,
            Part::Literal(_) => return None,
            Part::One(_) if segments[at].is_empty() => return None,
            Part::One(name) => {
                captures.push((*name, segments[at].to_owned()));
                at += 1;
            }
            Part::Rest(name) => {
                let value = segments[at..at + rest_len].join("/");
                if value.is_empty() {
                    return None;
                }
                captures.push((*name, value));
                at += rest_len;
            }
        }
    }
    Some(captures)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{HostTable, Part};

    /// What a pattern matches, whatever it calls its captures, and however long they are.
    fn shape(parts: &[Part]) -> Vec<&'static str> {
        parts.iter().map(|part| if let Part::Literal(text) = part { *text } else { "{}" }).collect()
    }

    // The one that came first would answer, and the other never.
    #[test]
    fn a_path_has_one_route_for_a_verb() {
        for table in [crate::sys::routes(), crate::sys::identity::routes(), crate::token::routes()] {
            let HostTable { routes } = table;
            let mut seen = HashSet::new();
            for (parts, route) in routes {
                for verb in route.verbs {
                    assert!(seen.insert((shape(parts), format!("{verb:?}"))), "{verb:?} {}", route.pattern);
                }
            }
        }
    }

    #[test]
    fn names_of_secrets_in_paths_are_told_from_those_of_operators() {
        let hashed = |pattern: &str| {
            let route =
                crate::sys::routes().all().find(|route| route.pattern == pattern).expect("there is such a route");
            let name = pattern.rsplit_once('{').map_or("", |(_, name)| name.trim_end_matches("...}"));
            route.hashes(name)
        };
        for pattern in ["leases/lookup/", "leases/revoke-prefix/", "leases/revoke-force/"] {
            assert!(hashed(&format!("{pattern}{{prefix...}}")), "{pattern}");
        }
        assert!(["leases/renew/{url_lease_id...}", "leases/revoke/{url_lease_id...}"].into_iter().all(hashed));
        assert!(!["audit/{path...}", "audit-hash/{path...}", "namespaces/{path...}"].into_iter().any(hashed));
    }
}

//! Finds who answers a path: a host route, a guest's route, or nobody.

use std::sync::Arc;

use bulkhead_model::framework::{Folded, Found, RouteTable};
use bulkhead_model::path::ApiPath;
use bulkhead_model::plugin::{Operation, Route};
use bulkhead_model::request::{Request, Verb};
use bulkhead_model::seam::plugin::Plugin;

use crate::book::mounts::{Engine, Mount, MountTable};
use crate::book::namespaces::Namespace;
use crate::sys::open_ceremonies;
use crate::sys::table::{HostRoute, HostTable};

/// Where a request goes.
pub(crate) struct Routed {
    /// The path from the root, as policies see it: LIST and SCAN end in a slash, and of spellings that mean the
    /// same it has the one in lower case.
    pub path: String,
    /// The segments of the path that have other spellings.
    pub folded: Vec<usize>,
    pub target: Target,
}

/// Who answers.
pub(crate) enum Target {
    /// One of the host's own routes.
    Host { route: &'static HostRoute, captures: Vec<(&'static str, String)>, mount: Arc<Mount> },
    /// A guest's route.
    Guest(GuestTarget),
    /// The mount is there, the path below it is not.
    NoPath { mount: Arc<Mount> },
    /// The path is there, the operation is not.
    NoOperation { mount: Arc<Mount> },
    /// The path is there, but in the root namespace alone.
    NotHere { mount: Arc<Mount>, route: &'static HostRoute },
    /// The mount's component is not compiled yet.
    Loading { mount: Arc<Mount> },
    /// The mount's component is not on this node.
    NoPlugin { mount: Arc<Mount>, why: String },
    /// Nothing is mounted there.
    NoMount,
}

/// A guest's route that matched.
pub(crate) struct GuestTarget {
    pub mount: Arc<Mount>,
    pub plugin: Arc<dyn Plugin>,
    pub index: u32,
    pub captures: Vec<(String, String)>,
    /// The path below the mount.
    pub rest: String,
}

impl GuestTarget {
    pub(crate) fn route(&self) -> &Route {
        &self.plugin.descriptor().routes[self.index as usize]
    }
}

impl Target {
    pub(crate) fn mount(&self) -> Option<&Arc<Mount>> {
        match self {
            Self::Guest(guest) => Some(&guest.mount),
            Self::Host { mount, .. }
            | Self::NotHere { mount, .. }
            | Self::NoPath { mount }
            | Self::NoOperation { mount }
            | Self::Loading { mount }
            | Self::NoPlugin { mount, .. } => Some(mount),
            Self::NoMount => None,
        }
    }

    /// Whether the path is open to callers without a token.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        match self {
            Self::Host { route, .. } => route.unauthenticated,
            Self::Guest(guest) => guest.route().unauthenticated,
            _ => false,
        }
    }

    /// Whether a request with a use-limited token takes one of its uses. What is open to everybody
    /// does not, as in Vault: who looks a wrapping token up, or where a mount is, would have none left
    /// for what it came for. Opening what is wrapped is what such a token is for.
    pub(crate) fn takes_a_use(&self) -> bool {
        let opens = |pattern: &str| matches!(pattern, "wrapping/unwrap" | "wrapping/rewrap");
        !self.is_unauthenticated() || matches!(self, Self::Host { route, .. } if opens(route.pattern))
    }

    /// Whether a token that is not valid does no harm: a login or its second half, a wrapping token
    /// that the handler looks at itself, key shares that are proof without one, keys or help for all.
    pub(crate) fn is_open_to_bad_tokens(&self, request: &Request) -> bool {
        match self {
            Self::Host { route, .. } => {
                let looks_itself = ["wrapping/", "mfa/validate", "oidc/.well-known/", "decode-token"];
                let looks_itself = looks_itself.iter().any(|beginning| route.pattern.starts_with(beginning));
                route.unauthenticated && (request.help || looks_itself || open_ceremonies::is_one(route.pattern))
            }
            Self::Guest(guest) => guest.route().unauthenticated,
            _ => false,
        }
    }

    /// Whether the path demands sudo.
    pub(crate) fn needs_sudo(&self) -> bool {
        match self {
            Self::Host { route, .. } => route.sudo,
            Self::Guest(guest) => guest.route().sudo,
            _ => false,
        }
    }
}

/// Finds the target of a request in this namespace.
pub(crate) fn route(mounts: &MountTable, namespace: &Namespace, request: &Request) -> Routed {
    let asks = (request.verb, request.help);
    match namespace.path() {
        "" => find(mounts, &request.path, asks),
        path => find(mounts, &request.path.below(path), asks),
    }
}

/// Finds what a path from the root leads to, with this verb, or if it is asked what it is.
pub(crate) fn find(mounts: &MountTable, path: &ApiPath, asks: (Verb, bool)) -> Routed {
    let folder = matches!(asks.0, Verb::List | Verb::Scan);
    let path = if folder { path.to_folder() } else { path.clone() };
    let path = path.as_str();
    let found = mounts.route(path);
    let Folded { path: form, segments } = form(path, found);
    let target = match found {
        Some((mount, rest)) => asked(mount, below_form(mount, rest, &form), asks),
        // `kv` without a slash is the mount itself.
        None => match mounts.at(&format!("{path}/")) {
            Some(mount) => asked(mount, "", asks),
            None => Target::NoMount,
        },
    };
    Routed { path: form, folded: segments, target }
}

/// The form of a path that stands for all its spellings. Who takes `Ann` for `ann` says so, and
/// policies, quotas and the audit log then know the one name too.
pub(crate) fn folded(mounts: &MountTable, path: &str) -> Folded {
    form(path, mounts.route(path))
}

fn form(path: &str, found: Option<(&Arc<Mount>, &str)>) -> Folded {
    let below = found.and_then(|(mount, rest)| {
        let below = match &mount.engine {
            Engine::Plugin(_, routes) => routes.folded(rest, &mount.facts.options),
            engine => own(engine).and_then(|table| table.folded(rest)),
        };
        Some((mount, below?))
    });
    let Some((mount, below)) = below else { return Folded { path: path.to_owned(), segments: Vec::new() } };
    let depth = mount.full_path.matches('/').count();
    Folded {
        path: [mount.full_path.as_str(), &below.path].concat(),
        segments: below.segments.iter().map(|place| depth + place).collect(),
    }
}

/// What a mount gets to see of a path: a plugin its one form, so that nothing which was not
/// decided about reaches it. The host's own handlers show names as they were written.
fn below_form<'a>(mount: &Mount, rest: &'a str, form: &'a str) -> &'a str {
    match &mount.engine {
        Engine::Plugin(..) => &form[mount.full_path.len()..],
        _ => rest,
    }
}

/// The target of a request below a mount. Help is about a path, whatever its verbs.
fn asked(mount: &Arc<Mount>, rest: &str, asks: (Verb, bool)) -> Target {
    let table = match &mount.engine {
        Engine::Loading(_) => return Target::Loading { mount: mount.clone() },
        Engine::Missing(why) => return Target::NoPlugin { mount: mount.clone(), why: why.clone() },
        Engine::Plugin(plugin, routes) => return guest(mount, plugin, (routes, rest), asks),
        engine => own(engine).expect("what is neither missing nor a plugin is the host's"),
    };
    let (verb, help) = asks;
    let found = if help { table.about(rest).ok_or(false) } else { table.find(rest, verb) };
    match found {
        Ok((route, _)) if !route.each && !mount.namespace.is_root() => Target::NotHere { mount: mount.clone(), route },
        Ok((route, captures)) => Target::Host { route, captures, mount: mount.clone() },
        Err(true) => Target::NoOperation { mount: mount.clone() },
        Err(false) => Target::NoPath { mount: mount.clone() },
    }
}

/// The routes of what the host answers itself.
fn own(engine: &Engine) -> Option<&'static HostTable> {
    Some(match engine {
        Engine::System => crate::sys::routes(),
        Engine::Token => crate::token::routes(),
        Engine::Cubbyhole => crate::sys::cubbyhole::routes(),
        Engine::Identity => crate::sys::identity::routes(),
        Engine::Missing(_) | Engine::Loading(_) | Engine::Plugin(..) => return None,
    })
}

fn guest(
    mount: &Arc<Mount>,
    plugin: &Arc<dyn Plugin>,
    (routes, rest): (&Arc<RouteTable>, &str),
    (verb, help): (Verb, bool),
) -> Target {
    let find = |verb| routes.find(rest, operation(verb), &mount.facts.options);
    let found = if help {
        let verbs = [Verb::Read, Verb::Write, Verb::List, Verb::Delete, Verb::Patch];
        let known = |found: &Found| matches!(found, Found::Route { .. });
        verbs.into_iter().map(find).find(known).unwrap_or(Found::NoRoute)
    } else {
        find(verb)
    };
    match found {
        Found::Route { index, captures } => Target::Guest(GuestTarget {
            mount: mount.clone(),
            plugin: plugin.clone(),
            index,
            captures,
            rest: rest.to_owned(),
        }),
        Found::NoOperation => Target::NoOperation { mount: mount.clone() },
        Found::NoRoute => Target::NoPath { mount: mount.clone() },
    }
}

/// The operation a verb asks for, before the existence check tells create from update.
pub(crate) fn operation(verb: Verb) -> Operation {
    match verb {
        Verb::Read => Operation::Read,
        Verb::Write => Operation::Update,
        Verb::Patch => Operation::Patch,
        Verb::Delete => Operation::Delete,
        Verb::List => Operation::List,
        Verb::Scan => Operation::Scan,
        Verb::Head => Operation::Header,
    }
}

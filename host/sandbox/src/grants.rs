//! What a component may import and what it must export: the one list. The linkers
//! in `v1` define exactly the offered interfaces; a test holds the two together.

use bulkhead_model::plugin::PluginKind;
use serde::{Deserialize, Serialize};

use crate::error::SandboxError;
use crate::v1::exports::Mounted;

/// The WIT package guests are built against.
pub(crate) const PACKAGE: &str = "bulkhead:plugin";

/// Version of that package this build offers: it serves guests built for the same
/// major and no later minor version. (`wit/v1`.)
pub(crate) const OFFERED: Version = Version { major: 1, minor: 0, patch: 0 };

/// What a component is for, by what it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum World {
    /// A secrets engine, to be mounted.
    Engine,
    /// An auth method, to be mounted.
    Auth,
    /// A driver of a kind of database: called by engines, never mounted.
    Driver,
    /// A key outside that wraps the seal key: set up by the server's config, never mounted.
    Seal,
}

/// Why one is not taken.
const A_SEAL: &str = "it is a seal, which the server's configuration sets up; it cannot be mounted";

impl World {
    /// The kind of plugin that it makes, if it is one to be mounted or called by what is.
    pub(crate) fn kind(self) -> Option<PluginKind> {
        match self {
            Self::Engine => Some(PluginKind::Secrets),
            Self::Auth => Some(PluginKind::Auth),
            Self::Driver => Some(PluginKind::Database),
            Self::Seal => None,
        }
    }

    /// The kind of plugin that it makes, which must be one.
    ///
    /// # Errors
    /// [`SandboxError::NotAPlugin`].
    pub(crate) fn registered(self) -> Result<PluginKind, SandboxError> {
        self.kind().ok_or_else(|| SandboxError::NotAPlugin { why: A_SEAL.to_owned() })
    }

    /// The kind of plugin that it makes, which must be one to be mounted.
    ///
    /// # Errors
    /// [`SandboxError::NotAPlugin`].
    pub(crate) fn mounted(self) -> Result<(PluginKind, Mounted), SandboxError> {
        match self {
            Self::Engine => Ok((PluginKind::Secrets, Mounted::Engine)),
            Self::Auth => Ok((PluginKind::Auth, Mounted::Auth)),
            Self::Driver => {
                let why = "it is a driver of databases, which engines call; it cannot be mounted".to_owned();
                Err(SandboxError::NotAPlugin { why })
            }
            Self::Seal => Err(SandboxError::NotAPlugin { why: A_SEAL.to_owned() }),
        }
    }

    /// Interfaces that its guests may import.
    pub(crate) fn interfaces(self) -> &'static [&'static str] {
        match self {
            Self::Engine | Self::Auth => &[
                "types",
                "system",
                "storage",
                "digest",
                "cache",
                "effects",
                "identity",
                "keys",
                "net",
                "http",
                "database-types",
                "database-drivers",
            ],
            Self::Driver => &["types", "system", "digest", "keys", "net", "http", "database-types"],
            // Of `net` and `keys` what `http` speaks of: TLS settings, and that there are keys.
            Self::Seal => &["types", "system", "digest", "http", "net", "keys"],
        }
    }

    /// Exports that all of them have beside the one that names the world.
    fn common_exports(self) -> &'static [&'static str] {
        match self {
            Self::Engine | Self::Auth => &["metadata", "lifecycle"],
            Self::Driver => &["metadata", "driver-info"],
            Self::Seal => &["metadata"],
        }
    }
}

/// Interfaces the WIT has but this version does not offer yet to every kind of plugin.
const NOT_YET: [&str; 2] = ["files", "cache"];

/// Exports that name a world, and what we do with it.
const WORLDS: [(&str, Result<World, &str>); 5] = [
    ("engine", Ok(World::Engine)),
    ("authenticator", Ok(World::Auth)),
    ("sealer", Ok(World::Seal)),
    ("database", Ok(World::Driver)),
    ("policy", Err("a policy check; this version runs secrets engines, auth methods, drivers and seals only")),
];

/// A version of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) patch: u32,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let version = Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
        parts.next().is_none().then_some(version)
    }

    /// Same major, and nothing newer than we have; patches only change comments.
    fn is_served(self) -> bool {
        (self.major, self.minor) <= (OFFERED.major, OFFERED.minor) && self.major == OFFERED.major
    }

    fn short(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}

/// The full name of one of our interfaces, as host functions are linked.
pub(crate) fn interface_name(interface: &str) -> String {
    format!("{PACKAGE}/{interface}@{}.{}.{}", OFFERED.major, OFFERED.minor, OFFERED.patch)
}

/// Checks every import of a component of this world and gives the interfaces asked for, without package and
/// version, in order. What has types alone grants nothing and is left out.
///
/// # Errors
/// [`SandboxError::Import`] or [`SandboxError::ApiVersion`], naming the interface.
pub(crate) fn check_imports(imports: &[String], world: World) -> Result<Vec<String>, SandboxError> {
    let refuse = |import: &str, why| Err(SandboxError::Import { import: import.to_owned(), why });
    let mut asked = Vec::new();
    for import in imports {
        let Some(interface) = ours(import)? else {
            return refuse(import, "a plugin may import interfaces of bulkhead:plugin only");
        };
        if !world.interfaces().contains(&interface) {
            let why = match NOT_YET.contains(&interface) {
                true => "the interface is part of the plugin API but not offered in this version",
                false => "the plugin API has no such interface for this kind of plugin",
            };
            return refuse(import, why);
        }
        if !["types", "database-types"].contains(&interface) {
            asked.push(interface.to_owned());
        }
    }
    Ok(asked)
}

/// The world a component implements, by its exports.
///
/// # Errors
/// [`SandboxError::NotAPlugin`] if it is none that we run, [`SandboxError::ApiVersion`]
/// if it is one of another version.
pub(crate) fn world(exports: &[String]) -> Result<World, SandboxError> {
    let refuse = |why: String| Err(SandboxError::NotAPlugin { why });
    let mut interfaces = Vec::new();
    for export in exports {
        interfaces.extend(ours(export)?);
    }
    let worlds: Vec<_> = WORLDS.iter().filter(|(name, _)| interfaces.contains(name)).collect();
    let world = match worlds.as_slice() {
        [] => return refuse(format!("it exports none of engine, authenticator, database and sealer of {PACKAGE}")),
        [(_, Ok(world))] => *world,
        [(_, Err(what))] => return refuse(format!("it is {what}")),
        _ => return refuse("it exports the interfaces of more than one kind of plugin".to_owned()),
    };
    match world.common_exports().iter().find(|name| !interfaces.contains(name)) {
        Some(missing) => refuse(format!("it does not export {PACKAGE}/{missing}")),
        None => Ok(world),
    }
}

/// The interface of our package that a name means; `None`: a name of others.
fn ours(name: &str) -> Result<Option<&str>, SandboxError> {
    let Some(rest) = name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) else { return Ok(None) };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    if Version::parse(version).is_some_and(Version::is_served) {
        return Ok(Some(interface));
    }
    let built_for = match Version::parse(version) {
        Some(version) => version.short(),
        None if version.is_empty() => "(no version)".to_owned(),
        None => version.to_owned(),
    };
    Err(SandboxError::ApiVersion { built_for, offered: OFFERED.short() })
}

#[cfg(test)]
mod tests;

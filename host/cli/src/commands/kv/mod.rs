//! `kv`: key-value stores of both versions, under the path that people mean: the client
//! asks the server which version is mounted there and adds what the API wants.

pub(super) mod delete;
pub(super) mod destroy;
pub(super) mod enable_versioning;
pub(super) mod get;
pub(super) mod list;
pub(super) mod metadata;
pub(super) mod patch;
pub(super) mod place;
pub(super) mod put;
pub(super) mod rollback;
pub(super) mod show;
pub(super) mod undelete;

use super::Group;
use crate::flags::Flag;
use crate::session::Session;

pub(super) const GROUP: Group = Group {
    words: "kv",
    about: "Interact with the key-value store",
    help: "Reads and writes secrets in key-value stores, versioned or not.\n\nWrite one and read it back:\n\n    $ bulkhead kv put -mount=secret foo bar=baz\n    $ bulkhead kv get -mount=secret foo",
};

/// Where the store is mounted, if the path does not say.
pub(super) const MOUNT: Flag = Flag::text(
    "mount",
    "Where the store is mounted; the path is then the secret's. Without it, the path begins with the mount's.",
);

/// Which versions are meant.
pub(super) const VERSIONS: Flag = Flag::list("versions", "The version numbers, separated by commas.");

/// The version numbers given, one by one.
fn versions(session: &Session) -> Vec<String> {
    let lists = session.flags.list("versions");
    lists
        .iter()
        .flat_map(|list| list.split(','))
        .map(|version| version.trim().to_owned())
        .filter(|version| !version.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;

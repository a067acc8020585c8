//! What goes with official plugins besides their components: further names, and what their mounts are granted
//! from the start. A plugin that is not here has one name, and reaches nothing until somebody grants it.

use bulkhead_broker::Outfit;
use bulkhead_model::plugin::PluginKind;

/// Nothing, which each says what it differs from.
const PLAIN: Outfit = Outfit { kind: PluginKind::Secrets, name: "", aliases: &[], grants: &[], grants_in_root: &[] };

/// A row for each plugin that has more than its component.
pub(crate) const OUTFITS: &[Outfit] = &[
    Outfit {
        name: "database",
        // Whoever enables it in Vault expects it to reach any database that it is told of.
        grants: &["driver *", "net tcp://*:*", "insecure-tls", "keys.export"],
        // The machine itself, and what it alone reaches, is not for whoever has a namespace.
        grants_in_root: &["net tcp://127.0.0.0/8:*", "net tcp://[::1]:*"],
        ..PLAIN
    },
    Outfit {
        kind: PluginKind::Database,
        name: "redis-database-plugin",
        // Source: OpenBao's catalog, where it is a driver of its own that does the same.
        aliases: &["valkey-database-plugin"],
        ..PLAIN
    },
    Outfit {
        kind: PluginKind::Database,
        name: "mysql-database-plugin",
        // Source: OpenBao's catalog, where these differ in the words of their errors.
        aliases: &["mysql-aurora-database-plugin", "mysql-legacy-database-plugin", "mysql-rds-database-plugin"],
        ..PLAIN
    },
];

#[cfg(test)]
mod tests;

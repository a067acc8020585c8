//! Users of databases: made when they are asked for and removed with their lease, or there for good
//! with passwords that change. The route table and nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::prelude::*;

mod automation;
mod certificate;
mod connection;
mod credential;
mod creds;
mod cron;
mod details;
mod help;
mod records;
mod reserved;
mod rhythm;
mod role;
mod root;
mod rotation;
mod seat;
mod static_role;

use automation::SetAutomation;
use connection::PutConnection;
use credential::SetCredential;
use records::Name;
use role::PutRole;
use static_role::PutStaticRole;

/// The engine.
#[derive(Debug)]
pub struct Database;

/// Makes users of databases on demand, and changes passwords of those that stay.
///
/// A connection says which database there is and who may be made a user of it; a role, what such a user
/// is like. Reading creds/:name makes one, who is removed when the lease ends. A static role is a user
/// that the database has already: its password is changed in regular intervals.
#[rustfmt::skip] // one line a route
#[plugin(name = "database", data_version = 1, seal_wrapped = ["config/", "role/", "static-role/"])]
impl Database {
    /// List the connections.
    #[list("config/", id = "list-connections", synopsis = help::CONFIG, help = help::CONFIG_MORE)]
    fn connections(cx: &Cx, page: Page) -> Result<Keys> { cx.list::<records::Connection>(&page) }
    /// Configure a connection.
    #[write("config/{name}", exists = records::Connection, any_fields, active_only, id = "configure-connection", synopsis = help::CONFIG,
        help = help::CONFIG_MORE, describe(name = help::CONNECTION))]
    fn put_connection(cx: &Cx, named: Name, body: PutConnection, automation: SetAutomation, request: &Request) -> Result<Reply> { connection::put(cx, &named, body, automation, request) }
    /// Read a connection, without what is secret in it.
    #[read("config/{name}", id = "read-connection-configuration")]
    fn get_connection(cx: &Cx, named: Name) -> Result<Reply> { connection::get(cx, &named) }
    /// Remove a connection.
    #[delete("config/{name}", id = "delete-connection-configuration")]
    fn delete_connection(cx: &Cx, named: Name) -> Result<()> { connection::delete(cx, &named) }
    /// End the sessions of a connection, and begin a new one.
    #[update("reset/{name}", active_only, id = "reset-connection", synopsis = help::RESET, describe(name = help::CONNECTION))]
    fn reset(cx: &Cx, named: Name) -> Result<Reply> { connection::reset(cx, &named) }
    /// End the sessions of all connections of a driver, and check their configs anew.
    #[update("reload/{plugin_name}", active_only, id = "reload-plugin", synopsis = help::RELOAD, describe(plugin_name = help::DRIVER))]
    fn reload(cx: &Cx, plugin_name: &str) -> Result<Reply> { connection::reload(cx, plugin_name) }
    /// Change the password that the connection logs in with.
    #[update("rotate-root/{name}", active_only, id = "rotate-root-credentials", synopsis = help::ROTATE_ROOT, describe(name = help::CONNECTION))]
    fn rotate_root(cx: &Cx, named: Name) -> Result<Reply> { root::rotate(cx, &named) }
    #[rollback("root")]
    fn settle_root(cx: &Cx, data: &[u8]) -> Result<()> { root::settle(cx, data) }

    /// List the roles.
    #[list("roles/", id = "list-roles", synopsis = help::ROLES, help = help::ROLES_MORE)]
    fn roles(cx: &Cx, page: Page) -> Result<Keys> { cx.list::<records::Role>(&page) }
    /// Create or change a role.
    #[write("roles/{name}", exists = records::Role, id = "write-role", synopsis = help::ROLES, help = help::ROLES_MORE, describe(name = help::ROLE))]
    fn put_role(cx: &Cx, named: Name, body: PutRole, credential: SetCredential) -> Result<()> { role::put(cx, &named, body, credential) }
    /// Read a role.
    #[read("roles/{name}", id = "read-role")]
    fn get_role(cx: &Cx, named: Name) -> Result<Reply> { role::get(cx, &named) }
    /// Remove a role. Its users stay until their leases end.
    #[delete("roles/{name}", id = "delete-role")]
    fn delete_role(cx: &Cx, named: Name) -> Result<()> { cx.delete::<records::Role>(&named.0) }

    /// Make a user.
    #[read("creds/{name}", active_only, id = "generate-credentials", synopsis = help::CREDS, help = help::CREDS_MORE, describe(name = help::ROLE))]
    fn creds(cx: &Cx, named: Name, request: &Request) -> Result<Reply> { creds::generate(cx, &named, &request.caller) }
    #[rollback("user")]
    fn undo_user(cx: &Cx, data: &[u8]) -> Result<()> { creds::undo(cx, data) }
    #[renew("creds")]
    fn renew_user(cx: &Cx, lease: &Lease, increment: Option<u64>) -> Result<Renewal> { creds::renew(cx, lease, increment) }
    #[revoke("creds")]
    fn revoke_user(cx: &Cx, lease: &Lease) -> Result<()> { creds::revoke(cx, lease) }

    /// List the static roles.
    #[list("static-roles/", id = "list-static-roles", synopsis = help::STATIC_ROLES, help = help::STATIC_ROLES_MORE)]
    fn static_roles(cx: &Cx, page: Page) -> Result<Keys> { cx.list::<records::StaticRole>(&page) }
    /// Create or change a static role. A new one gives its user another password at once.
    #[write("static-roles/{name}", exists = records::StaticRole, active_only, id = "write-static-role", synopsis = help::STATIC_ROLES,
        help = help::STATIC_ROLES_MORE, describe(name = help::ROLE))]
    fn put_static_role(cx: &Cx, named: Name, body: PutStaticRole, credential: SetCredential) -> Result<()> { static_role::put(cx, &named, body, credential) }
    /// Read a static role.
    #[read("static-roles/{name}", id = "read-static-role")]
    fn get_static_role(cx: &Cx, named: Name) -> Result<Reply> { static_role::get(cx, &named) }
    /// Remove a static role. Its user keeps the password it has.
    #[delete("static-roles/{name}", id = "delete-static-role")]
    fn delete_static_role(cx: &Cx, named: Name) -> Result<()> { static_role::delete(cx, &named) }
    /// Read what a static role's user logs in with.
    #[read("static-creds/{name}", id = "read-static-role-credentials", synopsis = help::STATIC_CREDS, describe(name = help::STATIC_ROLE))]
    fn static_creds(cx: &Cx, named: Name) -> Result<Reply> { static_role::creds(cx, &named) }
    /// Change the password of a static role's user now.
    #[update("rotate-role/{name}", active_only, id = "rotate-static-role-credentials", synopsis = help::ROTATE_ROLE, describe(name = help::STATIC_ROLE))]
    fn rotate_role(cx: &Cx, named: Name) -> Result<Reply> { rotation::now(cx, &named) }
    #[rollback("rotation")]
    fn settle_rotation(cx: &Cx, data: &[u8]) -> Result<()> { rotation::settle(cx, data) }
    #[job("rotate")]
    fn rotate_due(cx: &Cx, whose: &str, payload: &[u8]) -> Result<JobOutcome> { rotation::due(cx, whose, payload) }
}

bulkhead_sdk::export_engine!(Database);

#[cfg(test)]
mod tests;

//! `auth/token/`: the host's own auth method.

mod create;
mod lookup;
mod renew;
mod revoke;
mod roles;

use std::sync::LazyLock;

use crate::sys::table::HostTable;

/// The routes below `auth/token/`.
pub(crate) fn routes() -> &'static HostTable {
    static TABLE: LazyLock<HostTable> = LazyLock::new(|| {
        HostTable::of_each(&[create::ROUTES, lookup::ROUTES, renew::ROUTES, revoke::ROUTES, roles::ROUTES])
    });
    &TABLE
}

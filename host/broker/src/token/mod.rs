//! `auth/token/`: the host's own auth method.

mod create;
mod lookup;
mod renew;
mod revoke;
mod roles;

use std::sync::LazyLock;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use serde_json::Value;

use crate::fault::Fault;
use crate::sys::table::HostTable;
use crate::visit::Ask;

/// The routes below `auth/token/`.
pub(crate) fn routes() -> &'static HostTable {
    static TABLE: LazyLock<HostTable> = LazyLock::new(|| {
        HostTable::of_each(&[create::ROUTES, lookup::ROUTES, renew::ROUTES, revoke::ROUTES, roles::ROUTES])
    });
    &TABLE
}

/// The token that a body names, or the empty one. As in Vault, what is no text is no token, and is not
/// taken for one that nobody has.
fn named(ask: &Ask<'_>) -> Result<Hidden<String>, Fault> {
    match ask.fields.all().get("token") {
        None => Ok(Hidden::new(String::new())),
        Some(Value::String(token)) => Ok(Hidden::new(token.clone())),
        Some(_) => Err(Failure::new(FailureKind::Denied, "invalid token").into()),
    }
}

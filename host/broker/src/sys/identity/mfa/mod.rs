//! `identity/mfa`: second factors. What lives here: what may be asked of their books, and how they
//! are shown. What must not: when a login needs one.

pub(super) mod enforcement;
pub(super) mod method;
pub(super) mod other;
pub(super) mod secret;

use bulkhead_model::failure::{Failure, FailureKind};

use crate::book::identity::{Id, parse_id};
use crate::fault::{Fault, wrapped};

/// The id in a path. In Vault there are no paths with anything else there.
fn id_in_path(text: &str) -> Result<Id, Fault> {
    parse_id(text).ok_or_else(no_path)
}

fn no_path() -> Fault {
    Failure::new(FailureKind::NotFound, wrapped("unsupported path")).into()
}

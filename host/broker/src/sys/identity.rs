//! `identity/`: entities are not offered by this version. The mount is there because
//! clients list it; below it nothing is found.

use std::sync::LazyLock;

use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;

use super::table::{Handler, HostRoute, HostTable};
use crate::fault::Fault;
use crate::visit::{Ask, Visit, listed};

const ROUTES: &[HostRoute] = &[
    HostRoute::new("entity/id", &[Verb::List], Handler::Now(none), "List entities."),
    HostRoute::new("entity/name", &[Verb::List], Handler::Now(none), "List entities."),
    HostRoute::new("group/id", &[Verb::List], Handler::Now(none), "List groups."),
    HostRoute::new("group/name", &[Verb::List], Handler::Now(none), "List groups."),
];

/// The routes below `identity/`.
pub(crate) fn routes() -> &'static HostTable {
    static TABLE: LazyLock<HostTable> = LazyLock::new(|| HostTable::new(&[ROUTES]));
    &TABLE
}

fn none(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(Vec::new())
}

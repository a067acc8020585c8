//! `identity/`: entities, groups, their names in auth methods, their second factors, and tokens that
//! tell others who they are. What lives here: what may be asked of the books of identity, and how
//! they are shown. What must not: how a login finds its entity.

mod alias;
mod entity;
mod group;
mod group_alias;
mod lists;
mod lookup;
mod merge;
mod mfa;
pub(crate) mod oidc;
mod shown;
mod taken;

use std::sync::LazyLock;

use super::table::HostTable;

/// The routes below `identity/`.
pub(crate) fn routes() -> &'static HostTable {
    static TABLE: LazyLock<HostTable> = LazyLock::new(|| {
        HostTable::of_each(&[
            entity::ROUTES,
            merge::ROUTES,
            alias::ROUTES,
            group::ROUTES,
            group_alias::ROUTES,
            lookup::ROUTES,
            mfa::enforcement::ROUTES,
            mfa::method::ROUTES,
            mfa::other::ROUTES,
            mfa::secret::ROUTES,
            oidc::config::ROUTES,
            oidc::key::ROUTES,
            oidc::role::ROUTES,
            oidc::token::ROUTES,
            oidc::well_known::ROUTES,
        ])
    });
    &TABLE
}

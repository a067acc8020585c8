//! The host's own routes: a thin file for each family of `sys/*`.

pub(crate) mod at_gate;
pub(crate) mod audit;
pub(crate) mod capabilities;
pub(crate) mod cubbyhole;
mod explain;
pub(crate) mod generate_root;
pub(crate) mod health;
pub(crate) mod help;
pub(crate) mod identity;
pub(crate) mod init;
pub(crate) mod internal;
pub(crate) mod keys;
pub(crate) mod leader;
mod lease_quotas;
pub(crate) mod leases;
mod lockouts;
pub(crate) mod metrics;
mod mfa;
pub(crate) mod misc;
pub(crate) mod mounts;
mod namespaces;
pub(crate) mod open_ceremonies;
pub(crate) mod passwords;
pub(crate) mod plugins;
pub(crate) mod policies;
pub(crate) mod quotas;
pub(crate) mod raft;
pub(crate) mod remount;
pub(crate) mod resplit;
pub(crate) mod seal;
pub(crate) mod settings;
mod snapshot;
mod snapshot_auto;
pub(crate) mod table;
pub(crate) mod tools;
pub(crate) mod wrapping;

use std::sync::LazyLock;

use table::HostTable;

/// Every route below `sys/`.
pub(crate) fn routes() -> &'static HostTable {
    static ROUTES: LazyLock<HostTable> = LazyLock::new(|| {
        HostTable::new(
            &[
                mounts::ROUTES,
                remount::ROUTES,
                namespaces::ROUTES,
                policies::ROUTES,
                explain::ROUTES,
                passwords::ROUTES,
                lockouts::ROUTES,
                capabilities::ROUTES,
                internal::ROUTES,
                leases::ROUTES,
                mfa::ROUTES,
                wrapping::ROUTES,
                tools::ROUTES,
                leader::OF_EACH,
                misc::OF_EACH,
            ],
            &[
                at_gate::ROUTES,
                open_ceremonies::ROUTES,
                quotas::ROUTES,
                lease_quotas::ROUTES,
                settings::ROUTES,
                generate_root::ROUTES,
                resplit::ROUTES,
                keys::ROUTES,
                seal::ROUTES,
                leader::ROUTES,
                raft::ROUTES,
                snapshot::ROUTES,
                snapshot_auto::ROUTES,
                crate::cluster::admission::ROUTES,
                audit::ROUTES,
                plugins::ROUTES,
                metrics::ROUTES,
                misc::ROUTES,
            ],
        )
    });
    &ROUTES
}

//! Paths that the gate answers itself, whoever asks. Here is what they take: the
//! gate goes by it, and help and the OpenAPI document tell it.

use bulkhead_model::request::Verb;

use super::table::{Handler, HostRoute};

const R: &[Verb] = &[Verb::Read];
const W: &[Verb] = &[Verb::Write];
const RH: &[Verb] = &[Verb::Read, Verb::Head];
const RWH: &[Verb] = &[Verb::Read, Verb::Write, Verb::Head];

pub(super) const ROUTES: &[HostRoute] = &[
    answered("health", RH, "Tell whether this node can serve.").fields(&[
        "standbyok",
        "activecode",
        "standbycode",
        "sealedcode",
        "uninitcode",
    ]),
    answered("seal-status", R, "Tell whether this node is sealed."),
    answered("init", RWH, "Make the keys of a new cluster, or tell whether it has some.").fields(&[
        "secret_shares",
        "secret_threshold",
        "recovery_shares",
        "recovery_threshold",
    ]),
    answered("unseal", W, "Bring a key share, until there are enough of them.").fields(&["key", "reset", "migrate"]),
    answered("leader", R, "Tell which node leads."),
    answered("storage/raft/join", W, "Join a cluster, from a node that has none.").fields(&[
        "leader_api_addr",
        "leader_ca_cert",
        "leader_client_cert",
        "leader_client_key",
        "leader_tls_servername",
        "retry",
        "non_voter",
        "auto_join",
    ]),
];

const fn answered(pattern: &'static str, verbs: &'static [Verb], summary: &'static str) -> HostRoute {
    HostRoute::new(pattern, verbs, Handler::Gate, summary).unauthenticated()
}

/// The one for a path below `sys/`.
pub(crate) fn find(rest: &str) -> Option<&'static HostRoute> {
    ROUTES.iter().find(|route| route.pattern == rest)
}

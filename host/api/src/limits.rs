//! Bounds of the HTTP side that no other room knows of. Those that a request keeps
//! further in are in the model.

use std::time::Duration;

use bulkhead_model::limits::{BODY_BYTES_MAX, JSON_STRINGS_MAX, REQUEST_MS_MAX};
use bulkhead_model::request::OpenCeremonies;

/// Most connections at once, over all listeners. Source: ours. Why: each holds a task
/// and a buffer; beyond this, new ones wait in the system's queue.
pub const CONNECTIONS_MAX: usize = 8_192;

/// Most connections of one client address to a listener, where its stanza says nothing; an
/// IPv6 client is counted by its /64. Source: ours. Why: one client must not take all of
/// [`CONNECTIONS_MAX`]. Behind a proxy all clients have one address, so it is generous.
pub const ADDRESS_CONNECTIONS_MAX: usize = 1_024;

/// Shortest time between two lines of the log about refused connections. Source: ours.
pub(crate) const CROWDED_LOG_PAUSE: Duration = Duration::from_secs(10);

/// Shortest time between two lines of the log about TLS handshakes that failed. Source: ours. Why: who
/// wants can begin as many as one likes.
pub(crate) const HANDSHAKE_LOG_PAUSE: Duration = Duration::from_secs(10);

/// Most bytes of request bodies held at once, over all connections. Source: ours,
/// eight bodies of the largest size. Why: without it, a few dozen clients that each
/// send a large body slowly take all memory.
pub const BUFFERED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Longest wait for a TLS handshake. Source: ours, as for a header.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Longest a header may take from its first byte, and the first one from the opening of
/// its connection. Source: Vault's `http_read_header_timeout`.
pub(crate) const HEADER_MAX: Duration = Duration::from_secs(10);

/// Longest a connection may idle between requests, or take to accept an answer.
/// Source: Vault's `http_idle_timeout`.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(300);

/// Longest a body may take. Source: Vault's `http_read_timeout`.
pub(crate) const BODY_MAX: Duration = Duration::from_secs(30);

/// Time a body has before [`BODY_RATE_MIN`] counts. Source: ours.
pub(crate) const BODY_GRACE: Duration = Duration::from_secs(5);

/// Slowest a body may come, in bytes a second. Source: ours. Why: bodies that trickle
/// in hold their buffers for as long as they like otherwise.
pub(crate) const BODY_RATE_MIN: u64 = 1024;

/// Longest snapshot taken in, in bytes, where the listener's stanza says nothing. Source:
/// ours. Why: it is laid on the disk; in memory there are a few pieces of it.
pub const SNAPSHOT_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// Longest a request may take whose body or answer is a snapshot. Source: ours. Why: it is
/// as long as the state is large, and bound by [`SNAPSHOT_RATE_MIN`] besides.
pub(crate) const SNAPSHOT_MAX: Duration = Duration::from_secs(4 * 3600);

/// Longest pause of a snapshot on its way, in either direction. Source: ours.
pub(crate) const SNAPSHOT_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Time a snapshot has before [`SNAPSHOT_RATE_MIN`] counts. Source: ours.
pub(crate) const SNAPSHOT_GRACE: Duration = Duration::from_secs(60);

/// Slowest a snapshot may come or go, in bytes a second. Source: ours. Why: a copy of the
/// state is on the disk until its client has it.
pub(crate) const SNAPSHOT_RATE_MIN: u64 = 64 * 1024;

/// Bytes of a snapshot that are read and sent at a time. Source: ours.
pub(crate) const SNAPSHOT_PIECE_BYTES: usize = 64 * 1024;

/// Longest wait for connections to end when the node stops. Source: ours. Why: a
/// client that never reads its answer must not keep the node from ending.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Longest a connection stays half open after our last answer, and how many bytes that
/// come meanwhile are thrown away. Source: ours; long enough to take in the
/// largest body, since a client that is still sending does not read our refusal.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(5);

/// See [`LINGER_MAX`].
pub(crate) const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Pause after the system refused to accept a connection, for want of file handles
/// for example. Source: ours.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Longest wait for the folder of a Unix socket's file. Source: ours. Why: another process that
/// starts keeps it for a moment.
pub(crate) const SOCKET_LOCK_MAX: Duration = Duration::from_secs(2);

/// Pause between two looks at it. Source: ours.
pub(crate) const SOCKET_LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What one listener allows, as its stanza says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Longest body in bytes: `max_request_size`.
    pub body_bytes_max: usize,
    /// Most strings in a JSON body: `max_request_json_strings`.
    pub json_strings_max: usize,
    /// Longest a request may take: `max_request_duration`.
    pub request_max: Duration,
    /// Longest a header may take: `http_read_header_timeout`.
    pub header_max: Duration,
    /// Longest a body may take: `http_read_timeout`.
    pub body_max: Duration,
    /// Longest a connection may idle: `http_idle_timeout`.
    pub idle_max: Duration,
    /// Longest snapshot in bytes: `max_snapshot_size`.
    pub snapshot_bytes_max: u64,
    /// Most connections of one client address at once: `max_connections_per_address`.
    pub address_connections_max: usize,
    /// Whether metrics are told without a token: `unauthenticated_metrics_access`.
    pub open_metrics: bool,
    /// What holders of key shares may do without a token: `disable_unauthed_*_endpoints`.
    pub open_ceremonies: OpenCeremonies,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: BODY_BYTES_MAX,
            json_strings_max: JSON_STRINGS_MAX,
            request_max: Duration::from_millis(REQUEST_MS_MAX),
            header_max: HEADER_MAX,
            body_max: BODY_MAX,
            idle_max: IDLE_MAX,
            snapshot_bytes_max: SNAPSHOT_BYTES_MAX,
            address_connections_max: ADDRESS_CONNECTIONS_MAX,
            open_metrics: false,
            open_ceremonies: OpenCeremonies::default(),
        }
    }
}

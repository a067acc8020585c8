//! What bounds a guest. Everything here has a unit, a source and a reason; sizes of
//! requests and stored values are the node's and live in `bulkhead_model::limits`.

use std::num::NonZeroUsize;

/// All bounds of a sandbox. The defaults suit one node with guests written in Rust.
#[derive(Clone, Debug, Default)]
pub struct SandboxLimits {
    /// What all calls share.
    pub pool: PoolLimits,
    /// What one call may use.
    pub call: CallLimits,
    /// What a component may be.
    pub component: ComponentLimits,
}

/// What all calls of a node share.
#[derive(Clone, Debug)]
pub struct PoolLimits {
    /// Instances alive at once. Source: ours. Why: each holds a memory slot, of which
    /// up to 256 KiB stays resident, and 160 KiB of stack: 104 MiB for 256 of them.
    pub instances: u32,
    /// Instances alive at once for one mount, and never more than half of what the others leave. Source: ours. Why: a
    /// mount whose guest hangs must leave room for the others.
    pub per_mount: u32,
    /// How long a call waits for a free instance, in milliseconds; then it is refused
    /// as busy. Source: ours: longer than somebody waits for a database that does not answer, who has an instance
    /// meanwhile. Why: a short burst should not fail, and a long one should be told to back off rather than queue.
    pub wait_ms: u64,
    /// Linear memory of one instance, in bytes, at most 64 MiB. Source: ours. Why:
    /// instances × this is what hostile guests can make resident.
    pub memory_bytes: usize,
    /// Password hashes computed at once, by all calls; further ones wait. Source: ours:
    /// one a processor, at most 8. Why: each keeps a processor busy for up to seconds
    /// and may take 256 MiB.
    pub password_hashes: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            instances: 256,
            per_mount: 192,
            wait_ms: 2_500,
            memory_bytes: 64 << 20,
            password_hashes: processors.min(PASSWORD_HASHES_MAX),
        }
    }
}

/// What one call of an export may use. Beyond a limit the call ends and nothing of
/// it is committed.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// Time on a processor, in milliseconds, spent in the guest and in host functions
    /// it calls; waiting is not charged. Source: ours. Why: a guest that loops must
    /// not keep a core. Noticed within one tick of 5 ms.
    pub cpu_ms: u64,
    /// Time from start to end, in milliseconds. Source: ours, below the request's
    /// own 90 s. Why: a guest that waits holds an instance and a transaction.
    pub wall_ms: u64,
    /// Calls of host functions other than storage reads and writes. Source:
    /// reliability rows on amplification. Why: each costs the host more than the guest.
    pub host_calls: u32,
    /// Calls of `storage`.
    pub storage: StorageCalls,
    /// Log text, in bytes; further lines are dropped and one line says so.
    /// Source: reliability rows on logs. Why: a guest must not fill the operator's disk.
    pub log_bytes: usize,
    /// Random bytes drawn. Source: ours. Why: each draw runs the generator.
    pub random_bytes: usize,
    /// Advisory locks held. Source: ours. Why: two suffice to deadlock; none needs many.
    pub locks: u32,
    /// Intents. Source: ours. Why: each is an entry of its own in the replicated log.
    pub intents: u32,
    /// Rounds of PBKDF2 in one call, in all. Source: OWASP asks for 1.3 million at
    /// most (SHA-1). Why: they run on a thread that requests of others wait for.
    pub kdf_rounds: u32,
    /// Password hashes computed or compared with. Source: ours. Why: each takes up to
    /// seconds of a processor that is not charged to the call.
    pub password_hashes: u32,
    /// What leads beyond the call.
    pub outside: OutsideCalls,
    /// Bytes one host call may carry out of the guest, or one result hold. Source:
    /// the request body's 32 MiB and room for the rest. Why: each is copied.
    pub lifted_bytes: usize,
}

/// Calls of `storage` in one call of an export.
#[derive(Clone, Debug)]
pub struct StorageCalls {
    /// `get`, `list` and `scan`. Source: ours. Why: each looks into the store and lengthens
    /// the read set that the commit checks.
    pub reads: u32,
    /// `put` and `delete`. Source: ours. Why: each lengthens the log entry.
    pub writes: u32,
}

/// What of one call of an export leads beyond it.
#[derive(Clone, Debug)]
pub struct OutsideCalls {
    /// Requests to servers outside. Source: ours. Why: each makes a connection, and holds a
    /// thread that waits for it.
    pub http_requests: u32,
    /// Connections to servers outside, made or taken up again. Source: ours. Why: as for requests.
    pub connections: u32,
    /// Private keys made. Source: ours. Why: one of RSA takes up to seconds of a processor.
    pub keys_made: u32,
    /// Calls of drivers. Source: ours. Why: each is a call of a plugin of its own.
    pub driver_calls: u32,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            cpu_ms: 2_000,
            wall_ms: 60_000,
            host_calls: 10_000,
            storage: StorageCalls { reads: 20_000, writes: 2_000 },
            log_bytes: 64 * 1024,
            random_bytes: 1024 * 1024,
            locks: 16,
            intents: 16,
            kdf_rounds: 4_000_000,
            password_hashes: 16,
            outside: OutsideCalls { http_requests: 32, connections: 16, keys_made: 4, driver_calls: 32 },
            lifted_bytes: 40 << 20,
        }
    }
}

/// What a component may be, checked before any of it is compiled.
#[derive(Clone, Debug)]
pub struct ComponentLimits {
    /// Size, in bytes. Source: reliability section 5. Why: compiling takes about
    /// fifty times the memory.
    pub wasm_bytes: usize,
    /// Core functions in all its modules. Source: ours; our largest guest has under
    /// 3,000. Why: compile time grows with them.
    pub functions: u32,
    /// Time `metadata.describe` may take, in milliseconds, as seen by the ticker.
    /// Source: ours. Why: it runs while an operator waits, and is pure.
    pub describe_ms: u64,
}

impl Default for ComponentLimits {
    fn default() -> Self {
        Self { wasm_bytes: 32 << 20, functions: 60_000, describe_ms: 250 }
    }
}

/// Password hashes at once, however many processors there are: 2 GiB of memory.
const PASSWORD_HASHES_MAX: usize = 8;

/// Names on one page of `storage.list` or `scan`. Source: ours. Why: a page is built
/// and copied while nothing else runs on the thread; a guest goes on with `after`.
pub(crate) const PAGE_NAMES_MAX: u32 = 10_000;

/// Text of one log line, in bytes. Source: ours. Why: syslog and journald cut or
/// split lines that are much longer.
pub(crate) const LOG_LINE_BYTES_MAX: usize = 4 * 1024;

/// Fields of one log line. Source: ours.
pub(crate) const LOG_FIELDS_MAX: usize = 32;

/// Text kept of a trap, in bytes. Source: ours: 16 frames with long names.
pub(crate) const TRAP_TEXT_BYTES_MAX: usize = 4 * 1024;

/// Headers in one answer. Source: ours; ACME, the largest user, needs five.
pub(crate) const ANSWER_HEADERS_MAX: usize = 32;

/// Length of one header value of an answer, in bytes. Source: ours; common proxies
/// stop at 8 KiB.
pub(crate) const ANSWER_HEADER_BYTES_MAX: usize = 8 * 1024;

/// Warnings, and errors, in one answer. Source: ours.
pub(crate) const ANSWER_TEXTS_MAX: usize = 100;

/// Length of one warning, error text or name in an answer, in bytes. Source: ours.
pub(crate) const ANSWER_TEXT_BYTES_MAX: usize = 16 * 1024;

/// Open-ended members, metadata pairs, aliases, policies or CIDRs in one answer.
/// Source: ours. Why: each goes into the token or lease record.
pub(crate) const ANSWER_ITEMS_MAX: usize = 1_000;

/// JSON that goes into a record of the host (a lease's or token's `internal`, a job's
/// payload, an intent's data), in bytes. Source: `VALUE_BYTES_MAX` with room for the rest.
pub(crate) const RECORD_JSON_BYTES_MAX: usize = 512 * 1024;

/// Routes of one component. Source: ours; our largest guest (pki) has about 90.
pub(crate) const ROUTES_MAX: usize = 1_000;

/// Fields of one route, operations, documented responses, jobs and the like.
/// Source: ours; pki's `roles/{name}` has 50.
pub(crate) const DOC_ITEMS_MAX: usize = 500;

/// Length of a name in a descriptor, in bytes. Source: ours.
pub(crate) const DOC_NAME_BYTES_MAX: usize = 256;

/// Length of a documentation text in a descriptor, in bytes. Source: ours.
pub(crate) const DOC_TEXT_BYTES_MAX: usize = 64 * 1024;

/// Body of an answer from a server outside, in bytes. Source: ours. Why: it is held whole, here
/// and in the guest.
pub(crate) const HTTP_BODY_BYTES_MAX: usize = 4 << 20;

/// Headers of a request to a server outside. Source: ours.
pub(crate) const HTTP_HEADERS_MAX: usize = 64;

/// Length of one header's value, or of an address, in bytes. Source: ours; common servers stop
/// at 8 KiB.
pub(crate) const HTTP_TEXT_BYTES_MAX: usize = 8 * 1024;

/// Authorities that a guest names for a server outside, PEM, in bytes. Source: ours; a machine's
/// own bundle has 230 KiB.
pub(crate) const ROOTS_PEM_BYTES_MAX: usize = 512 * 1024;

/// TLS settings, connections and keys that one call holds. Source: ours. Why: TLS settings hold
/// their authorities, and connections a socket.
pub(crate) const RESOURCES_MAX: usize = 32;

/// Connections of one mount, those that wait among them. Source: ours; a database that takes
/// more from one client is a large one. Why: each takes a session of the server and a socket here.
pub(crate) const CONNECTIONS_MAX: usize = 64;

/// Of these, connections to one address, and never more than half of what those to others leave. Source: ours. Why:
/// those that do not answer must leave places for the others, however many they are.
pub(crate) const PER_ADDRESS_MAX: usize = 16;

/// Those who wait for a connection of one mount. Source: ours: instances of all calls.
pub(crate) const WAITING_FOR_CONNECTIONS_MAX: usize = 256;

/// Connections of one mount that wait for a later call. Source: ours.
pub(crate) const PARKED_MAX: usize = 16;

/// How long a connection may wait for a later call, in seconds. Source: ours. Why: an idle
/// session is a session of a database that somebody else could have.
pub(crate) const PARKED_SECS_MAX: u64 = 60;

/// What a guest keeps with a connection that waits, in bytes. Source: ours.
pub(crate) const PARK_STATE_BYTES_MAX: usize = 4 * 1024;

/// The name of such connections, in bytes. Source: ours.
pub(crate) const PARK_TEXT_BYTES_MAX: usize = 256;

/// Bytes that one read of a connection gives. Source: ours: what TLS puts into a record, twice.
pub(crate) const READ_BYTES_MAX: usize = 32 * 1024;

/// Private key that a guest brings, in bytes of its PEM. Source: ours: RSA of 8,192 bits has 6 KiB.
pub(crate) const KEY_BYTES_MAX: usize = 16 * 1024;

/// What a seal makes of a secret, or a secret that it unwraps, in bytes. Source: ours; the
/// longest signature or ciphertext of a key service has a few KiB.
pub(crate) const SEALED_BYTES_MAX: usize = 64 * 1024;

/// Things that a seal wants to be shown again beside the ciphertext. Source: ours.
pub(crate) const SEALED_EXTRAS_MAX: usize = 16;

/// Length of the text that a seal tells the operator, in bytes. Source: ours.
pub(crate) const SEAL_TEXT_BYTES_MAX: usize = 1024;

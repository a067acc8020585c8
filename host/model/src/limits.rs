//! Every bound of the node, each with its unit, its source and its reason. A limit
//! is enforced before the work it bounds is done.

/// Longest request body, in bytes; a longer one is refused with 413.
/// Source: listener option `max_request_size`, default 33554432 as in Vault.
/// Why: each body is held whole while its request is in flight.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Deepest nesting of a JSON body, in levels. Source: Vault allows 500; ours is
/// lower because no API body needs more and parsers recurse.
pub const JSON_DEPTH_MAX: usize = 100;

/// Most strings (names and values) in one JSON body. Source: OpenBao allows 1,000.
/// Why: each string costs far more memory and time than its bytes.
pub const JSON_STRINGS_MAX: usize = 1_000;

/// Most values (members and elements of every kind) in one JSON body. Source: ours; OpenBao
/// allows about a million numbers, Vault 10,000 elements an array. Why: each takes two bytes
/// in the body and about a hundred once it is parsed.
pub const JSON_VALUES_MAX: usize = 200_000;

/// Longest request path, in bytes after decoding. Source: ours. Why: it becomes a
/// storage key, and the state machine's own keys end at 65,535 bytes.
pub const PATH_BYTES_MAX: usize = 4 * 1024;

/// Most segments of a request path. Source: ours. Why: each takes 35 bytes or more of a ledger
/// key, which has [`LEDGER_KEY_BYTES_MAX`], and what plugins put around a path needs room too.
pub const PATH_SEGMENTS_MAX: usize = 1024;

/// Longest token header, in bytes. Source: Vault 2.0 `max_token_header_size`.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Largest header block, in bytes. Source: ours. Why: it is buffered before parsing.
pub const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// Most headers in a request. Source: hyper's default.
pub const HEADERS_MAX: usize = 100;

/// Longest key a mount may use in its storage, in bytes. Source: row R-76 of
/// `tests/regressions.md`. Why: checked before a change is proposed, because a key that only
/// fails while it is applied would crash every replica.
pub const KEY_BYTES_MAX: usize = 4 * 1024;

/// Longest encrypted key in the ledger, in bytes: names grow by a tag and padding.
pub const LEDGER_KEY_BYTES_MAX: usize = 48 * 1024;

/// Largest stored value, in bytes. Source: Vault's raft `max_entry_size`, 1 MiB.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// Largest encrypted value in the ledger, in bytes: values grow by a header and a tag
/// (33 bytes today).
pub const LEDGER_VALUE_BYTES_MAX: usize = VALUE_BYTES_MAX + 64;

/// Largest change one request may commit, in bytes. Source: OpenBao's
/// `max_transaction_size`, 8 MiB.
pub const CHANGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most records that a request which changes anything may read, write or walk over, so
/// that a guest cannot keep the state machine busy. Source: ours.
pub const CHANGE_RECORDS_MAX: usize = 100_000;

/// How often a call is run again after its commit met a conflict. Source: ours.
/// Why: beyond this the mount is contended and the caller should back off.
pub const CONFLICT_RETRIES_MAX: u32 = 20;

/// Longest a request may take, in milliseconds. Source: Vault's 90 s.
pub const REQUEST_MS_MAX: u64 = 90_000;

/// Most bytes of requests that a node hands to its leader at a time; more are refused with
/// 503. Source: ours. Why: each is held several times while it is under way, and each may be
/// of 10 MiB.
pub const FORWARD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes of requests of other members that a leader has in hand at a time; more are
/// refused with 503. Source: ours. Why: four nodes of a cluster of five.
pub const FORWARDED_BYTES_MAX: usize = 4 * FORWARD_BYTES_MAX;

/// Default lease and token lifetime, in seconds. Source: Vault, 32 days.
pub const TTL_DEFAULT_SECS: u64 = 2_764_800;

/// Names in one answer to LIST at most when the caller names no limit. Source: ours.
pub const LIST_NAMES_MAX: usize = 1_000_000;

/// Longest HCL text (policy or config file), in bytes. Source: ours. Why: a parsed
/// tree takes several times its text, and no policy comes near.
pub const HCL_BYTES_MAX: usize = 1024 * 1024;

/// Deepest nesting of HCL blocks and lists, in levels. Source: ours. Why: the parser
/// recurses.
pub const HCL_DEPTH_MAX: usize = 32;

//! Every key that Vault's and OpenBao's configs know, and what becomes of it here. A
//! key that could weaken the node if it were silently ignored is refused.

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is read.
    Read,
    /// It does nothing here, for this reason.
    Ignored(&'static str),
    /// It cannot be ignored, and is not offered, for this reason.
    Refused(&'static str),
}

/// A known key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) fate: Fate,
}

const fn read(name: &'static str) -> Key {
    Key { name, fate: Fate::Read }
}

const fn ignored(name: &'static str, reason: &'static str) -> Key {
    Key { name, fate: Fate::Ignored(reason) }
}

const fn refused(name: &'static str, reason: &'static str) -> Key {
    Key { name, fate: Fate::Refused(reason) }
}

const NO_CACHE: &str = "there is no cache of this kind";
const ON_EVERY_NODE: &str = "what the cluster shares is on every node";
const RAFT_TUNING: &str = "the log tunes itself";
const TO_STDERR: &str = "the log goes to standard error, for the service manager to keep";
const ENTERPRISE: &str = "it belongs to Vault Enterprise";
const NO_PLUGIN_FILES: &str = "plugins are WebAssembly components in the catalog, not programs in files";
const ALWAYS_SO: &str = "the node always behaves this way";
const OWN_NAMES: &str = "names and labels are always the same";
const NO_PROXY: &str = "who connects to a Unix socket has no address to be known by";
const PLAIN_SOCKET: &str = "no TLS is spoken over a Unix socket: socket_mode says who may connect";
const OTHER_SINK: &str = "push to statsd_address or dogstatsd_addr, or let Prometheus ask sys/metrics";

/// Keys outside of any block.
pub(super) const TOP: &[Key] = &[
    read("allow_audit_log_prefixing"),
    read("api_addr"),
    read("audit"),
    read("backend"),
    read("cluster_addr"),
    read("cluster_name"),
    read("default_lease_ttl"),
    read("disable_clustering"),
    read("listener"),
    read("log_format"),
    read("log_level"),
    read("max_lease_ttl"),
    read("pid_file"),
    read("seal"),
    read("snapshot_directory"),
    read("stale_reads_max"),
    read("storage"),
    read("telemetry"),
    read("unsafe_allow_api_audit_creation"),
    read("user_lockout"),
    ignored("cache_size", NO_CACHE),
    // Empty it says nothing; anything else would be no more than what is spoken anyway.
    ignored("cluster_cipher_suites", "nodes speak TLS 1.3 with one another"),
    ignored("default_max_request_duration", "set max_request_duration in the listener"),
    ignored("detect_deadlocks", "no lock is held while waiting"),
    ignored("disable_cache", NO_CACHE),
    ignored("disable_indexing", ENTERPRISE),
    ignored("disable_mlock", "memory is not locked, because the sandbox reserves more than it uses: turn swap off"),
    ignored("disable_performance_standby", ENTERPRISE),
    ignored("disable_printable_check", "paths are checked by one rule, always"),
    ignored("disable_sealwrap", ENTERPRISE),
    ignored("disable_sentinel_trace", ENTERPRISE),
    ignored("disable_ssct_tokens", "tokens do not name the state they were made in, and reads are never stale"),
    ignored("disable_standby_reads", "reads are never stale, on any node"),
    ignored("enable_post_unseal_trace", "unsealing does not grow with what is stored"),
    ignored("enable_response_header_hostname", "answers do not name the machine"),
    ignored("enable_response_header_raft_node_id", "answers do not name the node"),
    ignored("enable_ui", "there is no web interface"),
    ignored("experiments", "there are none"),
    ignored("imprecise_lease_role_tracking", "leases of roles are counted exactly"),
    ignored("introspection_endpoint", "it is not offered"),
    ignored("license_path", "no licence is needed"),
    ignored("log_file", TO_STDERR),
    ignored("log_requests_level", "requests are in the audit log"),
    ignored("log_rotate_bytes", TO_STDERR),
    ignored("log_rotate_duration", TO_STDERR),
    ignored("log_rotate_max_files", TO_STDERR),
    ignored("plugin_auto_download", NO_PLUGIN_FILES),
    ignored("plugin_auto_register", NO_PLUGIN_FILES),
    // It is shown by `sys/config/state/sanitized` all the same.
    ignored("plugin_directory", "nothing is read there yet: the official plugins are inside the program"),
    ignored("plugin_download_behavior", NO_PLUGIN_FILES),
    ignored("plugin_file_permissions", NO_PLUGIN_FILES),
    ignored("plugin_file_uid", NO_PLUGIN_FILES),
    ignored("post_unseal_trace_directory", "unsealing does not grow with what is stored"),
    ignored("reporting", "nothing is reported to anyone"),
    ignored("request_limiter", "limits are always on"),
    ignored("service_registration", "register the node with the service manager's own means"),
    ignored("token_helper", "it is the command line's: no token of a person is kept by a server"),
    ignored("ui", "there is no web interface"),
    ignored("unsafe_cross_namespace_identity", "there is no such exception"),
    refused("administrative_namespace_path", ENTERPRISE),
    refused("allow_unauthenticated_workflows", "there are no workflows"),
    refused("entropy", "randomness is the operating system's"),
    refused("ha_storage", "raft storage needs no second one; leave it out"),
    refused("initialize", "initialise the node with `operator init`"),
    refused("kms_library", "external key stores are not supported"),
    refused("plugin", NO_PLUGIN_FILES),
    refused("raw_storage_endpoint", "stored records cannot be read past the barrier"),
    refused("sentinel", ENTERPRISE),
    refused("unsafe_relative_paths", "paths with . and .. are never taken"),
];

/// Keys of a listener of this type.
pub(super) fn listener(kind: &str) -> Vec<Key> {
    let own = if kind == "unix" { UNIX } else { &[] };
    let fate = |key: &Key| *own.iter().find(|own| own.name == key.name).unwrap_or(key);
    LISTENER.iter().map(fate).collect()
}

/// What is otherwise of the keys of `listener "unix"`.
const UNIX: &[Key] = &[
    read("socket_group"),
    read("socket_mode"),
    read("socket_user"),
    ignored("tls_cert_file", PLAIN_SOCKET),
    ignored("tls_client_ca_file", PLAIN_SOCKET),
    ignored("tls_disable", PLAIN_SOCKET),
    ignored("tls_disable_client_certs", PLAIN_SOCKET),
    ignored("tls_key_file", PLAIN_SOCKET),
    ignored("tls_max_version", PLAIN_SOCKET),
    ignored("tls_min_version", PLAIN_SOCKET),
    refused("cluster_address", "nodes reach each other over TCP: put it into listener \"tcp\""),
    refused("proxy_protocol_authorized_addrs", NO_PROXY),
    refused("proxy_protocol_behavior", NO_PROXY),
    refused("tls_require_and_verify_client_cert", PLAIN_SOCKET),
    refused("x_forwarded_for_authorized_addrs", NO_PROXY),
    refused("x_forwarded_for_hop_skips", NO_PROXY),
    refused("x_forwarded_for_reject_not_authorized", NO_PROXY),
    refused("x_forwarded_for_reject_not_present", NO_PROXY),
];

/// Keys of `listener "tcp"`.
pub(super) const LISTENER: &[Key] = &[
    read("address"),
    read("cluster_address"),
    read("disable_unauthed_generate_root_endpoints"),
    read("disable_unauthed_rekey_endpoints"),
    read("http_idle_timeout"),
    read("http_read_header_timeout"),
    read("http_read_timeout"),
    read("max_connections_per_address"),
    read("max_request_duration"),
    read("max_request_json_strings"),
    read("max_request_size"),
    read("max_snapshot_size"),
    read("proxy_protocol_authorized_addrs"),
    read("proxy_protocol_behavior"),
    read("role"),
    read("telemetry"),
    read("tls_cert_file"),
    read("tls_client_ca_file"),
    read("tls_disable"),
    read("tls_disable_client_certs"),
    read("tls_key_file"),
    read("tls_max_version"),
    read("tls_min_version"),
    read("tls_require_and_verify_client_cert"),
    read("type"),
    read("x_forwarded_for_authorized_addrs"),
    read("x_forwarded_for_hop_skips"),
    read("x_forwarded_for_reject_not_authorized"),
    read("x_forwarded_for_reject_not_present"),
    ignored("consistency_fallback_behavior", "what a request names second in X-Vault-Inconsistent, or \"fail\""),
    ignored("consistency_max_index_wait", "a node waits for five seconds"),
    ignored("consistency_missing_header_forward", "reads are never stale, on any node"),
    ignored("cors", "sys/config/cors says which sites' pages may ask"),
    ignored("cors_allowed_headers", "sys/config/cors says which sites' pages may ask"),
    ignored("cors_allowed_origins", "sys/config/cors says which sites' pages may ask"),
    ignored("cors_enabled", "sys/config/cors says which sites' pages may ask"),
    ignored("disable_request_limiter", "limits are always on"),
    ignored("disable_replication_status_endpoints", ALWAYS_SO),
    ignored("http_write_timeout", "an answer that is not taken ends with the idle time"),
    ignored("inflight_requests_logging", "it is not offered"),
    ignored("max_json_array_element_count", "strings, values and depth are bounded instead"),
    ignored("max_json_depth", "the depth is bounded, always"),
    ignored("max_json_object_entry_count", "strings, values and depth are bounded instead"),
    ignored("max_json_string_value_length", "the body is bounded instead"),
    ignored("max_request_json_memory", "strings, values and depth are bounded instead"),
    ignored("max_token_header_size", "the bound is 8 KiB, always"),
    ignored("profiling", "it is not offered"),
    ignored("require_request_header", "OpenBao's server looks for no such header either: only its proxy does"),
    ignored("socket_group", "it is for listener \"unix\""),
    ignored("socket_mode", "it is for listener \"unix\""),
    ignored("socket_user", "it is for listener \"unix\""),
    ignored("purpose", "every listener serves the API"),
    ignored("tls_cipher_suites", "only suites without known weakness are spoken"),
    ignored("tls_prefer_server_cipher_suites", "only suites without known weakness are spoken"),
    refused("agent_api", "this is a server"),
    refused("chroot_namespace", ENTERPRISE),
    refused("custom_response_headers", "set headers at the proxy in front"),
    refused("proxy_api", "this is a server"),
    refused("redact_addresses", "answers cannot be redacted"),
    refused("redact_cluster_name", "answers cannot be redacted"),
    refused("redact_version", "answers cannot be redacted"),
    refused("tls_acme_ca_directory", "fetch certificates with a tool of your own, and send SIGHUP"),
    refused("tls_acme_cache_path", "fetch certificates with a tool of your own, and send SIGHUP"),
    refused("tls_acme_domains", "fetch certificates with a tool of your own, and send SIGHUP"),
    refused("tls_acme_email", "fetch certificates with a tool of your own, and send SIGHUP"),
    refused("x_forwarded_for_client_cert_header", "client certificates are taken from TLS only"),
    refused("x_forwarded_for_client_cert_header_decoders", "client certificates are taken from TLS only"),
];

/// Keys of `telemetry` in a listener.
pub(super) const LISTENER_TELEMETRY: &[Key] = &[
    read("unauthenticated_metrics_access"),
    refused("disallow_metrics", "who may read sys/metrics is up to the policies"),
    refused("metrics_only", "every listener serves the API"),
];

/// Keys of `telemetry`.
pub(super) const TELEMETRY: &[Key] = &[
    read("disable_hostname"),
    read("dogstatsd_addr"),
    read("dogstatsd_tags"),
    read("prometheus_retention_time"),
    read("statsd_address"),
    ignored("add_lease_metrics_namespace_labels", OWN_NAMES),
    ignored("add_mount_point_rollback_metrics", OWN_NAMES),
    ignored("circonus_broker_id", OTHER_SINK),
    ignored("circonus_broker_select_tag", OTHER_SINK),
    ignored("circonus_check_display_name", OTHER_SINK),
    ignored("circonus_check_force_metric_activation", OTHER_SINK),
    ignored("circonus_check_id", OTHER_SINK),
    ignored("circonus_check_instance_id", OTHER_SINK),
    ignored("circonus_check_search_tag", OTHER_SINK),
    ignored("circonus_check_tags", OTHER_SINK),
    ignored("circonus_submission_interval", OTHER_SINK),
    ignored("enable_hostname_label", OWN_NAMES),
    ignored("filter_default", "every number is told"),
    ignored("lease_metrics_epsilon", "leases are counted by the times they have left"),
    ignored("maximum_gauge_cardinality", "the number of labels is bounded, always"),
    ignored("metrics_prefix", OWN_NAMES),
    ignored("num_lease_metrics_buckets", "leases are counted by the times they have left"),
    ignored("prefix_filter", "every number is told"),
    ignored("rollback_metrics_include_mount_point", OWN_NAMES),
    ignored("stackdriver_debug_logs", OTHER_SINK),
    ignored("stackdriver_location", OTHER_SINK),
    ignored("stackdriver_namespace", OTHER_SINK),
    ignored("usage_gauge_period", "leases are counted all the time"),
    refused("circonus_api_app", OTHER_SINK),
    refused("circonus_api_token", OTHER_SINK),
    refused("circonus_api_url", OTHER_SINK),
    refused("circonus_submission_url", OTHER_SINK),
    refused("stackdriver_project_id", OTHER_SINK),
    refused("statsite_address", OTHER_SINK),
];

/// Keys of `user_lockout`.
pub(super) const USER_LOCKOUT: &[Key] =
    &[read("disable_lockout"), read("lockout_counter_reset"), read("lockout_duration"), read("lockout_threshold")];

/// Keys of `storage "raft"`.
pub(super) const RAFT: &[Key] = &[
    read("node_id"),
    read("path"),
    read("retry_join"),
    read("retry_join_as_non_voter"),
    read("snapshot_threshold"),
    read("trailing_logs"),
    ignored("allow_local_vault", ALWAYS_SO),
    ignored("autopilot_reconcile_interval", RAFT_TUNING),
    ignored("autopilot_redundancy_zone", ENTERPRISE),
    ignored("autopilot_update_interval", RAFT_TUNING),
    ignored("autopilot_upgrade_version", ENTERPRISE),
    ignored("max_entry_size", "a value may have 1 MiB, always"),
    ignored("max_mount_and_namespace_table_entry_size", "mounts are stored one by one"),
    ignored("max_transaction_size", "a change may have 8 MiB, always"),
    ignored("performance_multiplier", RAFT_TUNING),
    ignored("raft_log_verifier_enabled", "the log is always verified"),
    ignored("raft_log_verification_interval", "the log is always verified"),
    ignored("raft_wal", ALWAYS_SO),
    ignored("snapshot_interval", RAFT_TUNING),
];

/// Keys of `seal "static"`.
pub(super) const SEAL_STATIC: &[Key] =
    &[read("current_key"), read("current_key_id"), read("disabled"), read("previous_key"), read("previous_key_id")];

/// Keys of `seal "transit"`.
pub(super) const SEAL_TRANSIT: &[Key] = &[
    read("address"),
    read("disable_renewal"),
    read("disabled"),
    read("key_name"),
    read("mount_path"),
    read("namespace"),
    read("tls_ca_cert"),
    read("tls_server_name"),
    read("tls_skip_verify"),
    read("token"),
    refused("tls_client_cert", "a plugin holds no keys for TLS yet"),
    refused("tls_client_key", "a plugin holds no keys for TLS yet"),
];

/// Keys of `retry_join` in `storage "raft"`.
pub(super) const RETRY_JOIN: &[Key] = &[
    read("leader_api_addr"),
    read("leader_ca_cert"),
    read("leader_ca_cert_file"),
    read("leader_client_cert"),
    read("leader_client_cert_file"),
    read("leader_client_key_file"),
    read("leader_tls_servername"),
    refused("auto_join", "name the other nodes in leader_api_addr, one retry_join for each"),
    ignored("auto_join_port", "auto_join is not offered"),
    ignored("auto_join_scheme", "auto_join is not offered"),
    refused("leader_client_key", "put the key into a file, and name it in leader_client_key_file"),
];

/// Keys of `storage "inmem"`.
pub(super) const IN_MEMORY: &[Key] = &[
    ignored("disable_transactions", "every request is a transaction"),
    ignored("max_value_size", "a value may have 1 MiB, always"),
];

/// Keys of an `audit` block. Those of its options may stand there as well.
pub(super) const AUDIT: &[Key] =
    &[read("description"), read("options"), read("path"), read("type"), ignored("local", ON_EVERY_NODE)];

/// Options of audit devices of every type.
pub(super) const AUDIT_OPTIONS: &[Key] = &[
    read("elide_list_responses"),
    read("format"),
    read("hmac_accessor"),
    read("log_raw"),
    read("prefix"),
    read("skip_test"),
    read("fallback"),
    read("filter"),
    // Ignoring it would write what somebody wanted to keep out of the file.
    refused("exclude", ENTERPRISE),
];

/// Options of each type of audit device besides these.
pub(super) const AUDIT_TYPES: &[(&str, &[Key])] = &[
    ("file", &[read("file_path"), read("mode"), read("path")]),
    ("http", &[read("headers"), read("uri"), read("write_timeout")]),
    ("socket", &[read("address"), read("socket_type"), read("write_timeout")]),
    ("syslog", &[read("facility"), read("tag")]),
];

/// All options of a type of audit device; none if there is no such type.
pub(super) fn audit_options(kind: &str) -> Option<Vec<Key>> {
    let (_, own) = AUDIT_TYPES.iter().find(|(name, _)| *name == kind)?;
    Some(AUDIT_OPTIONS.iter().chain(*own).copied().collect())
}

/// The tables, and where the keys of each stand.
const PLACES: &[(&str, &[Key])] = &[
    ("outside of any block", TOP),
    ("in listener", LISTENER),
    ("in listener \"unix\"", UNIX),
    ("in telemetry in listener", LISTENER_TELEMETRY),
    ("in telemetry", TELEMETRY),
    ("in user_lockout", USER_LOCKOUT),
    ("in storage \"raft\"", RAFT),
    ("in retry_join in storage \"raft\"", RETRY_JOIN),
    ("in seal \"static\"", SEAL_STATIC),
    ("in seal \"transit\"", SEAL_TRANSIT),
    ("in audit", AUDIT),
];

/// Where a key is read.
pub(super) fn places(key: &str) -> Vec<&'static str> {
    let is_read = |table: &[Key]| table.iter().any(|known| known.name == key && known.fate == Fate::Read);
    PLACES.iter().filter(|(_, table)| is_read(table)).map(|(place, _)| *place).collect()
}

/// The known key that a mistyped one was most likely meant to be.
pub(super) fn nearest(key: &str, table: &[Key]) -> Option<&'static str> {
    let scored = table.iter().map(|known| (distance(key, known.name), known.name));
    let (distance, name) = scored.min()?;
    // Beyond a third of its letters it is another word.
    (distance * 3 <= key.len().max(name.len())).then_some(name)
}

/// Levenshtein's distance, in bytes: names of keys are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

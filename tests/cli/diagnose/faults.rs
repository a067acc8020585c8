//! What can be wrong with a node before its start, made in one that is sound, and where it must be
//! found.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bulkhead_tests::node::Node;

use super::{certify, config, set_mode};

/// A fault that is made in a sound node, and where it must be found.
pub(super) type Fault = (&'static str, fn(&Node), (&'static str, &'static str), &'static str, &'static [&'static str]);

/// The data directory.
pub(super) const STORAGE: &[Fault] = &[
    (
        "a file in its place",
        |node| {
            fs::remove_dir(node.path("data")).unwrap();
            fs::write(node.path("data"), "").unwrap();
        },
        ("storage", "directory"),
        "fail",
        &["is no directory"],
    ),
    (
        "a file above it",
        |node| rewrite(node, "/data\"", "/live.pem/data\""),
        ("storage", "directory"),
        "fail",
        &["live.pem"],
    ),
    (
        "open to others",
        |node| set_mode(&node.path("data"), 0o755),
        ("storage", "mode"),
        "warn",
        &["0755", "chmod 0700"],
    ),
    (
        "a log that is gone",
        |node| {
            fs::create_dir(node.path("data/state")).unwrap();
            fs::create_dir(node.path("data/snapshots")).unwrap();
        },
        ("storage", "content"),
        "fail",
        &["the log is gone, beside state and snapshots"],
    ),
    (
        "a log alone, without the node's number",
        |node| fs::create_dir(node.path("data/log")).unwrap(),
        ("storage", "node"),
        "fail",
        &["missing beside a log"],
    ),
    (
        "a log alone",
        |node| {
            fs::create_dir(node.path("data/log")).unwrap();
            fs::write(node.path("data/node"), "0000000000000007 15f00981\n").unwrap();
        },
        ("storage", "content"),
        "warn",
        &["state and snapshots not there beside the log"],
    ),
    (
        "another program's",
        |node| fs::write(node.path("data/vault.db"), "").unwrap(),
        ("storage", "content"),
        "warn",
        &["vault.db"],
    ),
    (
        "nothing that lasts",
        |node| {
            let (from, to) = (
                format!("storage \"raft\" {{\n  path = \"{}/data\"\n  node_id = \"n1\"\n}}", node.dir().display()),
                "storage \"inmem\" {}",
            );
            rewrite(node, &from, to);
        },
        ("storage", "inmem"),
        "warn",
        &["it is gone when the server ends"],
    ),
];

/// Certificates of listeners.
pub(super) const CERTIFICATES: &[Fault] = &[
    (
        "no certificate",
        |node| fs::remove_file(node.path("live.pem")).unwrap(),
        ("tls", "127.0.0.1"),
        "fail",
        &["live.pem", "No such file"],
    ),
    (
        "no PEM",
        |node| fs::write(node.path("live.pem"), "nothing").unwrap(),
        ("tls", "127.0.0.1"),
        "fail",
        &["holds no certificate"],
    ),
    (
        "another's key",
        |node| {
            certify(node, "other", |_| {});
            fs::copy(node.path("other.key"), node.path("live.key")).map(drop).unwrap();
        },
        ("tls", "127.0.0.1"),
        "fail",
        &["KeyMismatch"],
    ),
    (
        "an end that has come",
        |node| certify(node, "live", |asked| asked.not_after = rcgen::date_time_ymd(2020, 2, 3)),
        ("tls", "127.0.0.1"),
        "fail",
        &["ended on 2020-02-03"],
    ),
    (
        "an end that is near",
        |node| {
            let soon = SystemTime::now() + Duration::from_secs(29 * 24 * 3600);
            certify(node, "live", |asked| asked.not_after = soon.into());
        },
        ("tls", "127.0.0.1"),
        "warn",
        &["until 20", "renewed"],
    ),
    (
        "a beginning that has not come",
        |node| certify(node, "live", |asked| asked.not_before = rcgen::date_time_ymd(2920, 2, 3)),
        ("tls", "127.0.0.1"),
        "fail",
        &["begins only on 2920-02-03"],
    ),
    (
        "no names",
        |node| certify(node, "live", |asked| asked.subject_alt_names = Vec::new()),
        ("tls", "127.0.0.1"),
        "fail",
        &["subject alternative names"],
    ),
    (
        "a certificate of clients",
        |node| {
            certify(node, "live", |asked| asked.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth])
        },
        ("tls", "127.0.0.1"),
        "fail",
        &["serverAuth"],
    ),
    (
        "a chain that leads nowhere",
        |node| {
            let named = |name: &'static str| {
                move |asked: &mut rcgen::CertificateParams| {
                    asked.distinguished_name.push(rcgen::DnType::CommonName, name)
                }
            };
            certify(node, "other", named("somebody"));
            certify(node, "live", named("me"));
            let both = [fs::read(node.path("live.pem")).unwrap(), fs::read(node.path("other.pem")).unwrap()].concat();
            fs::write(node.path("live.pem"), both).unwrap();
        },
        ("tls", "127.0.0.1"),
        "warn",
        &["CN=me was issued by CN=me, and CN=somebody follows"],
    ),
    (
        "an open key",
        |node| set_mode(&node.path("live.key"), 0o644),
        ("tls", "127.0.0.1"),
        "warn",
        &["0644", "chmod 0600"],
    ),
    (
        "no authorities for clients",
        |node| {
            rewrite(
                node,
                "  tls_key_file",
                "  tls_require_and_verify_client_cert = true\n  tls_client_ca_file = \"/nowhere/ca.pem\"\n  tls_key_file",
            )
        },
        ("tls", "127.0.0.1"),
        "fail",
        &["/nowhere/ca.pem"],
    ),
    (
        "another name for clients",
        |node| rewrite(node, "api_addr = \"https://127.0.0.1", "api_addr = \"https://bulkhead.test"),
        ("tls", "api_addr"),
        "warn",
        &["https://bulkhead.test", "no certificate has that name"],
    ),
];

/// Seals.
pub(super) const SEALS: &[Fault] = &[
    ("no key", |node| fs::remove_file(node.path("seal.key")).unwrap(), ("autounseal", "static"), "fail", &["seal.key"]),
    (
        "half a key",
        |node| {
            set_mode(&node.path("seal.key"), 0o600);
            fs::write(node.path("seal.key"), "ab".repeat(10)).unwrap();
        },
        ("autounseal", "static current_key"),
        "fail",
        &["32 bytes"],
    ),
    ("an open key", |node| set_mode(&node.path("seal.key"), 0o644), ("autounseal", "static"), "warn", &["0644"]),
    (
        "a key that others may replace",
        |node| set_mode(&node.path("seal.key"), 0o660),
        ("autounseal", "static"),
        "warn",
        &["0660"],
    ),
    (
        "a key in the config",
        |node| {
            let from = format!("file://{}/seal.key", node.dir().display());
            rewrite(node, &from, &"ab".repeat(32));
        },
        ("autounseal", "static"),
        "warn",
        &["is in the config itself"],
    ),
    ("no address", |node| transit(node, "127.0.0.1:1"), ("autounseal", "transit"), "fail", &["https://host:port"]),
    (
        "nobody there",
        |node| transit(node, "https://127.0.0.1:1"),
        ("autounseal", "transit"),
        "warn",
        &["takes no connection"],
    ),
];

/// Audit devices, other files, peers, addresses.
pub(super) const BESIDE: &[Fault] = &[
    (
        "no folder, and none can be made",
        |node| rewrite(node, "/audit.log", "/config.hcl/none/audit.log"),
        ("audit", "file"),
        "fail",
        &["cannot be made"],
    ),
    (
        "a folder in its place",
        |node| rewrite(node, "/audit.log", "/data"),
        ("audit", "file"),
        "fail",
        &["is a directory"],
    ),
    (
        "permissions that no audit file gets",
        |node| rewrite(node, "options {", "options {\n mode = \"0700\"\n"),
        ("audit", "file"),
        "fail",
        &["executable"],
    ),
    (
        "nobody there",
        |node| {
            let from = format!(
                "audit \"file\" \"main\" {{\n  options {{ file_path = \"{}/audit.log\" }}",
                node.dir().display()
            );
            rewrite(node, &from, "audit \"socket\" \"main\" {\n  options {\n    address = \"127.0.0.1:1\"\n  }");
        },
        ("audit", "socket"),
        "fail",
        &["127.0.0.1:1 takes no connection"],
    ),
    (
        "no folder for snapshots",
        |node| rewrite(node, "snapshot_directory = \"", "snapshot_directory = \"/nowhere"),
        ("files", "snapshot_directory"),
        "fail",
        &["/nowhere"],
    ),
    (
        "no folder for the pid",
        |node| rewrite(node, "/pid\"", "/none/pid\""),
        ("files", "pid_file"),
        "fail",
        &["cannot be made"],
    ),
    (
        "peers whose authority cannot be read",
        |node| {
            let join = "retry_join {\n leader_api_addr = \"https://127.0.0.1:1\"\n leader_ca_cert_file = \"/nowhere/ca.pem\"\n}\n}\n";
            rewrite(node, "node_id = \"n1\"\n}\n", &format!("node_id = \"n1\"\n{join}"));
        },
        ("cluster", "retry_join"),
        "fail",
        &["/nowhere/ca.pem"],
    ),
    (
        "peers that are away",
        |node| {
            let join = "retry_join {\n leader_api_addr = \"https://127.0.0.1:1\"\n}\n}\n";
            rewrite(node, "node_id = \"n1\"\n}\n", &format!("node_id = \"n1\"\n{join}"));
        },
        ("cluster", "retry_join"),
        "warn",
        &["takes no connection"],
    ),
    (
        "an address of another machine",
        |node| rewrite(node, "address = \"127.0.0.1", "address = \"192.0.2.1"),
        ("listener", "192.0.2.1"),
        "fail",
        &["address of this machine"],
    ),
    (
        "a socket at which another process listens",
        |node| {
            let at = with_socket(node, "api.sock");
            // It listens as long as the test runs.
            std::mem::forget(UnixListener::bind(at).unwrap());
        },
        ("listener", "/"),
        "fail",
        &["another process listens there"],
    ),
    (
        "a socket where a file is",
        |node| fs::write(with_socket(node, "api.sock"), "").unwrap(),
        ("listener", "/"),
        "fail",
        &["no socket"],
    ),
    (
        "a socket in no folder",
        |node| drop(with_socket(node, "nowhere/api.sock")),
        ("listener", "/"),
        "fail",
        &["does not exist"],
    ),
    (
        "a socket that a server left behind",
        |node| drop(UnixListener::bind(with_socket(node, "api.sock")).unwrap()),
        ("listener", "/"),
        "ok",
        &["left behind"],
    ),
];

/// Gives the node a Unix socket too; the file.
fn with_socket(node: &Node, file: &str) -> PathBuf {
    let path = node.path(file);
    node.write_config(&format!("{}listener \"unix\" {{\n  address = \"{}\"\n}}\n", config(node), path.display()));
    path
}

/// Changes its config.
pub(super) fn rewrite(node: &Node, from: &str, to: &str) {
    let config = config(node);
    assert!(config.contains(from), "{from}");
    node.write_config(&config.replace(from, to));
}

/// Puts a seal at this address in the place of the other.
pub(super) fn transit(node: &Node, address: &str) {
    let from = config(node);
    let (start, rest) = from.split_once("seal \"static\"").unwrap();
    let (_, end) = rest.split_once("}\n").unwrap();
    node.write_config(&format!(
        "{start}seal \"transit\" {{\n  address = \"{address}\"\n  token = \"t\"\n  key_name = \"k\"\n  mount_path = \"transit/\"\n}}\n{end}"
    ));
}

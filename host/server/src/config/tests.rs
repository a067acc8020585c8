use std::path::Path;

use bulkhead_api::{ClientCertificates, TlsVersion};
use bulkhead_model::lockout::LockoutRule;
use bulkhead_model::metrics::Dialect;
use tempfile::TempDir;

use super::*;

mod listeners;

/// Writes `main.hcl` with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("main.hcl");
    std::fs::write(&path, text).expect("writes");
    (dir, path)
}

fn load(text: &str) -> Config {
    let (_dir, path) = file(text);
    Config::load(&[path], &Environment::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The error's text, with the folder taken out.
fn refused(text: &str) -> String {
    let (dir, path) = file(text);
    let error = Config::load(&[path], &Environment::default()).expect_err(text).to_string();
    error.replace(&format!("{}/", dir.path().display()), "")
}

const LISTENER: &str = "listener \"tcp\" { address = \"127.0.0.1:8200\" tls_disable = 1 }\n";
const IN_MEMORY: &str = "storage \"inmem\" {}\n";

#[test]
fn a_config_as_vault_users_have_it_is_read() {
    let config = load(
        r#"
        ui = true
        disable_mlock = true
        cluster_name = "prod"
        api_addr = "https://vault.example:8200"
        cluster_addr = "https://10.0.0.1:8201"
        log_level = "debug"
        log_format = "json"
        pid_file = "/run/bulkhead.pid"
        plugin_directory = "/opt/plugins"
        default_lease_ttl = "168h"
        max_lease_ttl = "720h"
        storage "raft" {
          path = "/var/lib/vault"
          node_id = "node-1"
          performance_multiplier = 1
          snapshot_threshold = 8192
          trailing_logs = 0
          retry_join { leader_api_addr = "https://10.0.0.2:8200" }
        }
        listener "tcp" {
          address = "0.0.0.0:8200"
          tls_cert_file = "tls/cert.pem"
          tls_key_file = "tls/key.pem"
          tls_min_version = "tls13"
          max_request_duration = "30s"
          max_connections_per_address = 100
          telemetry { unauthenticated_metrics_access = true }
        }
        listener "tcp" { address = "127.0.0.1:8202" tls_disable = "true" }
        telemetry { prometheus_retention_time = "30s" disable_hostname = true dogstatsd_addr = "localhost:8125" dogstatsd_tags = ["env:prod"] metrics_prefix = "bao" }
        audit "file" "main" { options { file_path = "/var/log/audit.log" mode = 0640 } }
        "#,
    );
    let log = LogLength { snapshot_every: Some(8192), trailing: None };
    assert_eq!(config.storage, Storage::Raft { path: "/var/lib/vault".into(), node_id: "node-1".to_owned(), log });
    assert_eq!(config.listeners.len(), 2);
    let cluster = config.cluster.as_ref().expect("it is one of several");
    assert_eq!((cluster.bind.as_str(), cluster.address.as_str()), ("0.0.0.0:8201", "10.0.0.1:8201"));
    assert_eq!(cluster.retry_join[0].url, "https://10.0.0.2:8200");
    let tls = config.listeners[0].tls().expect("TLS");
    assert_eq!((tls.certificate.as_path(), tls.key.as_path()), (Path::new("tls/cert.pem"), Path::new("tls/key.pem")));
    assert_eq!((tls.version_min, &tls.clients), (TlsVersion::Tls13, &ClientCertificates::Requested));
    assert_eq!(config.listeners[0].limits.request_max.as_secs(), 30);
    assert_eq!(config.listeners[0].limits.address_connections_max, 100);
    assert_eq!(config.listeners.iter().map(|listener| listener.limits.open_metrics).collect::<Vec<_>>(), [true, false]);
    let dialect = Dialect::Dogstatsd(vec!["env:prod".to_owned()]);
    let pushes = vec![PushTarget { address: "localhost:8125".to_owned(), dialect }];
    assert_eq!(config.telemetry, TelemetryConfig { prometheus: true, disable_hostname: true, pushes });
    assert_eq!((config.listeners[1].address.as_str(), config.listeners[1].tls()), ("127.0.0.1:8202", None));
    assert_eq!(config.mounts.leases, Leases { default_ttl_secs: 604_800, max_ttl_secs: 2_592_000 });
    assert_eq!(config.log, LogConfig { level: LevelFilter::DEBUG, format: LogFormat::Json });
    assert_eq!(config.api_addr(), "https://vault.example:8200");
    assert_eq!(config.paths.pid_file.as_deref(), Some(Path::new("/run/bulkhead.pid")));
    let audit = &config.audits[0];
    assert_eq!((audit.kind.as_str(), audit.path.as_str()), ("file", "main"));
    assert_eq!((&*audit.options["file_path"], &*audit.options["mode"]), ("/var/log/audit.log", "0640"));
    let noted: Vec<&str> = config.notes.iter().map(|note| note.key.as_str()).collect();
    let first = ["ui", "disable_mlock", "plugin_directory"];
    assert_eq!(
        noted,
        [&first[..], &["performance_multiplier in storage \"raft\"", "metrics_prefix in telemetry"]].concat()
    );
}

#[test]
fn a_web_interface_that_is_said_to_be_off_is_not_told_of() {
    let noted = |text: &str| load(&format!("{IN_MEMORY}{LISTENER}{text}\n")).notes.len();
    assert_eq!(["ui = false", "enable_ui = \"false\"", "ui = true"].map(noted), [0, 0, 1]);
}

#[test]
fn names_may_be_quoted_and_files_may_be_json() {
    let json = r#"{"storage": {"inmem": {}}, "listener": [{"tcp": {"address": "127.0.0.1:1", "tls_disable": true}}]}"#;
    assert_eq!(load(json).listeners[0].address, "127.0.0.1:1");
    let quoted =
        "\"backend\" \"inmem\" {}\n\"listener\" \"tcp\" { \"address\" = \"127.0.0.1:1\" \"tls_disable\" = \"true\" }";
    assert_eq!(load(quoted).storage, Storage::InMemory);
    assert_eq!(load(quoted).api_addr(), "http://127.0.0.1:1");
}

#[test]
fn a_folders_files_are_read_by_name_and_later_keys_count() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("a.hcl"), format!("{IN_MEMORY}{LISTENER}cluster_name = \"a\"")).expect("writes");
    std::fs::write(dir.path().join("b.json"), "{\"cluster_name\": \"b\"}").expect("writes");
    std::fs::write(dir.path().join("c.txt"), "not read").expect("writes");
    let config = Config::load(&[dir.path().to_owned()], &Environment::default()).expect("loads");
    assert_eq!(config.addresses.cluster_name, "b");
    let empty = tempfile::tempdir().expect("a directory");
    let error = Config::load(&[empty.path().to_owned()], &Environment::default()).expect_err("is empty").to_string();
    assert!(error.ends_with("holds no .hcl or .json file"), "{error}");
}

#[test]
fn a_bad_config_is_refused_with_its_place_and_what_to_do() {
    for (text, message) in [
        ("stroage \"inmem\" {}", "main.hcl:1: unknown key stroage; did you mean storage?"),
        ("\n\nzebra = 1", "main.hcl:3: unknown key zebra"),
        ("storage \"raft\" {\n pth = \"/x\"\n}", "main.hcl:2: unknown key pth in storage \"raft\"; did you mean path?"),
        ("storage \"raft\" {}", "main.hcl:1: storage \"raft\" needs a path: the directory to keep data in"),
        (
            "storage \"file\" {\n path = \"/data\"\n}",
            "main.hcl:1: storage \"file\" is not offered: use storage \"raft\" { path = \"/data\" }, which needs nothing else, or storage \"inmem\" {} to try things out",
        ),
        (
            "storage \"inmem\" {}\n\nbackend \"raft\" {\n path = \"/x\"\n}",
            "main.hcl:3: storage is given twice, here and at main.hcl:1: keep one of them",
        ),
        ("storage = 1", "main.hcl:1: storage must be a block, and is a number"),
        ("storage {}", "main.hcl:1: storage needs a type, as in storage \"raft\" { path = \"/var/lib/bulkhead\" }"),
        (
            "",
            "no storage: add storage \"raft\" { path = \"/var/lib/bulkhead\" }, or storage \"inmem\" {} to try things out",
        ),
        ("a {", "main.hcl:1: '{' is not closed"),
    ] {
        assert_eq!(refused(text), message, "for {text:?}");
    }
}

#[test]
fn nodes_of_a_cluster_meet_over_tcp_whatever_the_api_listens_at() {
    let text = "storage \"raft\" { path = \"/d\" }\nlistener \"unix\" { address = \"/b\" }\ncluster_addr = \"https://10.0.0.5\"";
    assert_eq!(load(text).cluster.expect("is one").bind, "10.0.0.5:8201");
    let bind = load(&format!("{text}\n{LISTENER}")).cluster.expect("is one").bind;
    assert_eq!(bind, "127.0.0.1:8201");
}

#[test]
fn other_bad_keys_are_refused_with_their_place_and_what_to_do() {
    for (text, message) in [
        (
            "seal \"awskms\" {}",
            "main.hcl:3: seal \"awskms\" is not offered: use \"static\" or \"transit\", or leave the stanza out and unseal with key \
             shares (\"shamir\")",
        ),
        (
            "seal \"static\" {\n current_key = \"x\" }",
            "main.hcl:3: seal \"static\" needs current_key_id: any name for the key",
        ),
        (
            "seal \"static\" {\n current_key_id = \"a\" }",
            "main.hcl:3: seal \"static\" needs current_key: 32 bytes, as file:///path, env://NAME, or in hexadecimal or \
             base64",
        ),
        (
            "seal \"static\" { current_key_id = \"a\" current_key = \"x\"\n previous_key_id = \"b\" }",
            "main.hcl:3: seal \"static\" needs both of previous_key_id and previous_key, or neither",
        ),
        (
            "seal \"static\" { current_key_id = \"a\" current_key = \"x\"\n previous_key_id = \"a\" previous_key = \"y\" }",
            "main.hcl:4: previous_key_id is the current key's name too: a new key needs a new name",
        ),
        (
            "seal \"static\" { current_key_id = \"a\" current_key = \"x\"\n curent_key = \"y\" }",
            "main.hcl:4: unknown key curent_key in seal \"static\"; did you mean current_key?",
        ),
        (
            "seal \"static\" { current_key_id = \"a\" current_key = \"x\" }\n\
             seal \"static\" { current_key_id = \"b\" current_key = \"y\" disabled = true }",
            "main.hcl:4: two seals of one type: to change a static key, name the old one in previous_key",
        ),
        ("log_level = \"loud\"", "main.hcl:3: log_level is not one of trace, debug, info, warn, error"),
        ("log_format = \"xml\"", "main.hcl:3: log_format is neither \"standard\" nor \"json\""),
        ("api_addr = [1]", "main.hcl:3: api_addr must be a string, and is a list"),
        (
            "raw_storage_endpoint = true",
            "main.hcl:3: raw_storage_endpoint is not offered: stored records cannot be read past the barrier",
        ),
        (
            "default_lease_ttl = \"2h\" max_lease_ttl = \"1h\"",
            "main.hcl:3: default_lease_ttl is longer than max_lease_ttl",
        ),
        (
            "default_lease_ttl = \"769h\"",
            "main.hcl:3: default_lease_ttl is longer than 768h: set max_lease_ttl as well",
        ),
        (
            "audit \"file\" {\n options {\n file_pth = \"/x\"\n}\n}",
            "main.hcl:5: unknown key file_pth in options; did you mean file_path?",
        ),
        (
            "audit \"file\" {\n descripton = \"x\"\n}",
            "main.hcl:4: unknown key descripton in audit \"file\"; did you mean description?",
        ),
        (
            "audit \"file\" { options = { file_path = \"stdout\"\n exclude = \"[]\" } }",
            "main.hcl:4: exclude in options is not offered: it belongs to Vault Enterprise",
        ),
        (
            "audit \"nosuch\" {}",
            "main.hcl:3: audit \"nosuch\" is not offered: use audit \"file\" \"main\" { options { file_path = \"…\" } }",
        ),
        ("audit \"file\" \"a\" {} audit \"file\" \"a/\" {}", "main.hcl:3: audit device \"a\" is declared twice"),
    ] {
        assert_eq!(refused(&format!("{IN_MEMORY}{LISTENER}{text}")), message, "for {text:?}");
    }
}

#[test]
fn an_audit_device_is_for_all_or_some_entries_or_for_what_is_left_and_one_alone_for_that() {
    let of = |text: &str| format!("{IN_MEMORY}{LISTENER}{text}");
    for (text, message) in [
        (
            "audit \"file\" {\n file_path = \"x\"\n filter = \"path ==\"\n}",
            "main.hcl:3: filter is none: it ends too early",
        ),
        (
            "audit \"file\" \"a\" { fallback = true }\naudit \"file\" \"b\" { options { fallback = \"1\" } }",
            "main.hcl:4: there can be only one fallback audit device",
        ),
    ] {
        assert_eq!(refused(&of(text)), message, "for {text:?}");
    }
}

#[test]
fn options_of_a_device_made_over_the_api_are_held_to_the_same_rule() {
    let checked = |kind: &str, pairs: &[(&str, &str)]| {
        let options = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check_audit_options(kind, &options)
    };
    for (kind, pair, message) in [
        ("file", ("file_pth", "/x"), "unknown option file_pth of audit \"file\"; did you mean file_path?"),
        ("file", ("address", "/x"), "unknown option address of audit \"file\""),
        ("socket", ("adress", "x"), "unknown option adress of audit \"socket\"; did you mean address?"),
        ("file", ("exclude", "[]"), "option exclude is not offered: it belongs to Vault Enterprise"),
        ("nosuch", ("a", "b"), "unknown backend type: \"nosuch\""),
    ] {
        assert_eq!(checked(kind, &[pair]), Err(message.to_owned()));
    }
    assert_eq!(checked("file", &[("file_path", "/x"), ("log_raw", "true"), ("exclude", "")]), Ok(()));
    assert_eq!(checked("syslog", &[("facility", "AUTH"), ("tag", "t"), ("prefix", "p")]), Ok(()));
}

#[test]
fn a_static_key_is_in_use_or_disabled_and_never_shown() {
    let stanza = "seal \"static\" { current_key_id = \"a\" current_key = \"0123456789abcdef\" previous_key_id = \"b\" \
                  previous_key = \"env://OLD\" disabled = \"true\" }";
    let config = load(&format!("{IN_MEMORY}{LISTENER}{stanza}"));
    assert!(config.seals.key.is_none() && config.seals.former.is_some());
    let shown = format!("{:?}", config.seals);
    assert!(shown.contains("env://OLD") && !shown.contains("0123456789abcdef"), "{shown}");
    let config = load(&format!("{IN_MEMORY}{LISTENER}{}", stanza.replace("true", "0")));
    assert!(config.seals.key.is_some() && config.seals.former.is_none());
}

#[test]
fn a_refused_key_that_is_off_does_no_harm() {
    load(&format!("{IN_MEMORY}{LISTENER}raw_storage_endpoint = false"));
    load(&format!("{IN_MEMORY}{LISTENER}seal \"shamir\" {{}}"));
}

#[test]
fn keys_of_openbao_that_change_nothing_here_are_taken() {
    let top = "disable_ssct_tokens = true\ncluster_cipher_suites = \"\"\nlog_format = \"JSON\"\n\
               allow_unauthenticated_workflows = false\nunsafe_relative_paths = false\n";
    let listener = "listener \"tcp\" { address = \"127.0.0.1:8200\"\n tls_disable = 1\n type = \"tcp\"\n role = \"default\"\n \
                    cors_enabled = true\n cors_allowed_origins = [\"*\"]\n require_request_header = true\n \
                    socket_mode = \"0600\" }";
    assert_eq!(load(&format!("{IN_MEMORY}{top}{listener}")).log.format, LogFormat::Json);
    for (wrong, message) in [
        ("unsafe_relative_paths = true", "unsafe_relative_paths is not offered: paths with . and .. are never taken"),
        ("api_addr = \"127.0.0.1:8200\"", "api_addr is not of the form https://host:port"),
        ("api_addr = \"vault.example\"", "api_addr is not of the form https://host:port"),
    ] {
        assert_eq!(refused(&format!("{wrong}\n{IN_MEMORY}{LISTENER}")), format!("main.hcl:1: {message}"));
    }
}

#[test]
fn every_table_of_keys_names_each_key_once() {
    let devices = keys::AUDIT_TYPES.iter().filter_map(|(kind, _)| {
        let options = keys::audit_options(kind)?;
        Some(options.iter().chain(keys::AUDIT).filter(|key| key.name != "path").copied().collect())
    });
    let tables =
        [keys::TOP, keys::LISTENER, keys::RAFT, keys::IN_MEMORY, keys::USER_LOCKOUT].map(<[keys::Key]>::to_vec);
    for table in tables.into_iter().chain(devices) {
        let mut names: Vec<&str> = table.iter().map(|key| key.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

#[test]
fn an_audit_device_may_be_declared_in_openbaos_other_forms() {
    let config = load(&format!(
        "{IN_MEMORY}{LISTENER}audit \"file\" {{ path = \"x\" description = \"d\" options = {{ file_path = \"stdout\" }} }}"
    ));
    let audit = &config.audits[0];
    assert_eq!((audit.path.as_str(), audit.description.as_str()), ("x", "d"));
    assert_eq!(audit.options["file_path"], "stdout");
}

/// The notes of a config with this in it.
fn noted(text: &str) -> Vec<String> {
    let config = load(&format!("{IN_MEMORY}{text}"));
    config.notes.iter().map(|note| format!("{}: {}", note.key, note.reason)).collect()
}

#[test]
fn audit_options_without_effect_are_noted_and_the_others_are_used() {
    let text = "audit \"file\" \"a\" { local = true\n options { file_path = \"/a\" log_raw = true fallback = true } }";
    let notes = noted(&format!("{LISTENER}{text}"));
    assert_eq!(notes, ["local in audit \"file\" \"a\": what the cluster shares is on every node"]);
    let options = &load(&format!("{IN_MEMORY}{LISTENER}{text}")).audits[0].options;
    assert_eq!((options["file_path"].as_str(), options["log_raw"].as_str()), ("/a", "true"));
}

#[test]
fn the_environment_goes_over_the_files_and_openbaos_names_over_vaults() {
    let (_dir, path) = file(&format!(
        "{LISTENER}storage \"raft\" {{ path = \"/file\" node_id = \"file\" }}\napi_addr = \"http://file\""
    ));
    let set = [
        ("VAULT_API_ADDR", "http://vault"),
        ("BAO_API_ADDR", "http://bao"),
        ("VAULT_CLUSTER_ADDR", "https://vault"),
        ("BAO_RAFT_PATH", "/bao"),
        ("VAULT_RAFT_NODE_ID", "vault"),
        ("BAO_RAFT_NODE_ID", ""),
    ];
    let value =
        |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| std::ffi::OsString::from(value));
    let environment = Environment::read(value).expect("is text");
    let config = Config::load(&[path], &environment).expect("loads");
    assert_eq!((config.addresses.api.as_str(), config.addresses.cluster.as_str()), ("http://bao", "https://vault"),);
    let Storage::Raft { path, node_id, .. } = &config.storage else { panic!("it is on disk") };
    assert_eq!((path.as_path(), node_id.as_str()), (Path::new("/bao"), "file"));
}

#[test]
fn a_dev_server_takes_what_else_its_files_say() {
    let dev = |text: &str| {
        let (_dir, path) = file(text);
        Config::dev("127.0.0.1:1", &[path], &Environment::default())
    };
    let config = dev(&format!("{LISTENER}log_level = \"debug\"\nmax_lease_ttl = \"1h\"")).expect("loads");
    let addresses: Vec<&str> = config.listeners.iter().map(|listener| listener.address.as_str()).collect();
    assert_eq!(addresses, ["127.0.0.1:1", "127.0.0.1:8200"]);
    assert_eq!((&config.storage, config.log.level), (&Storage::InMemory, LevelFilter::DEBUG));
    assert_eq!((config.mounts.leases.max_ttl_secs, config.audit_rules.unsafe_allow_api_audit_creation), (3600, true));
    let error = dev("storage \"raft\" { path = \"/x\" }").expect_err("is not in memory").to_string();
    assert_eq!(error, "-dev keeps everything in memory: leave storage \"raft\" out of its config");
    let bare = Config::dev("127.0.0.1:1", &[], &Environment::default()).expect("needs no file");
    assert_eq!((bare.storage, bare.listeners.len(), bare.notes.len()), (Storage::InMemory, 1, 0));
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(&[PathBuf::from("/nonexistent.hcl")], &Environment::default())
        .expect_err("is missing")
        .to_string();
    assert_eq!(error, "reading /nonexistent.hcl");
    let error = Config::load(&[], &Environment::default()).expect_err("nothing is given").to_string();
    assert_eq!(error, "no config: give one with -config=FILE, or use -dev to try things out");
}

fn raft(more: &str) -> String {
    format!(
        "storage \"raft\" {{ path = \"/d\" {more} }}\nlistener \"tcp\" {{ address = \"127.0.0.1:8200\" tls_disable = 1 }}\n"
    )
}

#[test]
fn a_node_stays_alone_until_its_config_says_where_others_reach_it() {
    assert_eq!(load(&raft("")).cluster, None);
    assert_eq!(load(&format!("{}api_addr = \"http://a:8200\"", raft(""))).cluster, None);
    let found = |text: &str| load(text).cluster.map(|cluster| (cluster.bind, cluster.address));
    let expected = |bind: &str, address: &str| Some((bind.to_owned(), address.to_owned()));
    let named = format!("{}cluster_addr = \"https://10.0.0.5\"", raft(""));
    assert_eq!(found(&named), expected("127.0.0.1:8201", "10.0.0.5:8201"));
    assert_eq!(found(&format!("{named}\ndisable_clustering = true")), None);
    let joins = raft("retry_join { leader_api_addr = \"https://b:8200\" }");
    assert_eq!(found(&format!("{joins}api_addr = \"http://a:8200\"")), expected("127.0.0.1:8201", "a:8201"));
    assert_eq!(load(&format!("{IN_MEMORY}{LISTENER}cluster_addr = \"https://a:1\"")).cluster, None);
}

#[test]
fn other_nodes_are_told_https_whatever_scheme_the_address_was_given() {
    for (given, told) in [("http://a:1", "https://a:1"), ("https://a:1", "https://a:1"), ("a:1", "a:1")] {
        let config = load(&format!("{IN_MEMORY}{LISTENER}cluster_addr = \"{given}\""));
        assert_eq!((config.cluster_addr().as_str(), config.cluster_url().as_str()), (given, told));
    }
}

#[test]
fn what_is_wrong_about_joining_is_told() {
    for (more, expected) in [
        ("retry_join {}", "needs leader_api_addr"),
        ("retry_join { leader_api_addr = \"b:8200\" }", "not of the form https://"),
        ("retry_join { leader_api_addr = \"https://b\" auto_join = \"provider=aws\" }", "auto_join"),
        ("retry_join { leader_api_addr = \"https://b\" leader_client_key_file = \"k\" }", "needs both"),
        ("retry_join { leader_api_adr = \"https://b\" }", "did you mean leader_api_addr"),
    ] {
        let error = refused(&raft(more));
        assert!(error.contains(expected), "{more}: {error}");
    }
}

#[test]
fn how_old_a_state_clients_may_ask_for_is_bounded() {
    let named = |more: &str| format!("{}cluster_addr = \"https://10.0.0.5\"\n{more}", raft(""));
    let found = |more: &str| load(&named(more)).cluster.map(|cluster| cluster.stale_reads_max.as_secs());
    assert_eq!(found(""), Some(0));
    assert_eq!(found("stale_reads_max = \"10s\""), Some(10));
    assert!(refused(&named("stale_reads_max = \"61s\"")).contains("longer than 60s"));
}

#[test]
fn lockouts_are_said_for_all_methods_and_for_some() {
    let text = "user_lockout \"userpass\" { lockout_threshold = \"100\"\n lockout_duration = \"20m\" }\n\
                user_lockout \"all\" { lockout_duration = \"40m\"\n lockout_counter_reset = 2700 }\n\
                user_lockout \"LDAP\" { disable_lockout = \"true\" }\n";
    let rules = load(&format!("{text}{IN_MEMORY}{LISTENER}")).mounts.lockouts;
    let all = LockoutRule { duration_secs: 2400, counter_reset_secs: 2700, ..LockoutRule::default() };
    assert_eq!(rules.of("approle", None), Some(all));
    assert_eq!(rules.of("userpass", None), Some(LockoutRule { threshold: 100, duration_secs: 1200, ..all }));
    assert_eq!(rules.of("ldap", None), None);
    for (wrong, message) in [
        ("user_lockout { }", "user_lockout needs the type of an auth method, or \"all\""),
        (
            "user_lockout \"userpas\" { }",
            "user_lockout is for \"all\", \"approle\", \"ldap\" or \"userpass\", not for \"userpas\"",
        ),
        (
            "user_lockout \"all\" { lockout_treshold = 3 }",
            "unknown key lockout_treshold in user_lockout \"all\"; did you mean lockout_threshold?",
        ),
        ("user_lockout \"all\" { lockout_threshold = -1 }", "lockout_threshold is not a whole number"),
        (
            "user_lockout \"all\" { lockout_duration = \"x\" }",
            "lockout_duration is not a duration such as 90s, 1h30m or 5d",
        ),
        ("user_lockout \"all\" { disable_lockout = 3 }", "disable_lockout is neither true nor false"),
    ] {
        assert_eq!(refused(&format!("{wrong}\n{IN_MEMORY}{LISTENER}")), format!("main.hcl:1: {message}"));
    }
}

#[test]
fn the_environment_decides_whether_anybody_is_locked_out() {
    let (_dir, path) = file(&format!("user_lockout \"all\" {{ disable_lockout = true }}\n{IN_MEMORY}{LISTENER}"));
    let said =
        |text: &'static str| Environment::read(|name| (name == "VAULT_DISABLE_USER_LOCKOUT").then(|| text.into()));
    for (text, is_disabled) in [("false", false), ("1", true), ("", true)] {
        let config = Config::load(std::slice::from_ref(&path), &said(text).expect("is a flag")).expect("loads");
        assert_eq!(config.mounts.lockouts.of("userpass", None).is_none(), is_disabled, "{text:?}");
    }
    let error = said("maybe").expect_err("is no flag").to_string();
    assert_eq!(error, "DISABLE_USER_LOCKOUT in the environment is neither true nor false");
}

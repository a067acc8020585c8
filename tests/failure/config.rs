//! Configurations that cannot be, each refused with what to do; and the forms that
//! existing tools write, each taken.

use std::fs;
use std::process::Command;

use bulkhead_tests::http::Request;
use bulkhead_tests::node::{DEV_ROOT, Node, Start, free_port};
use bulkhead_tests::programs::Program;
use serde_json::json;

const STORAGE: &str = "storage \"raft\" {\n  path = \"{dir}/data\"\n  node_id = \"n1\"\n}\n";
const LISTENER: &str = "listener \"tcp\" {\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}\n";

/// A node with this configuration, `{dir}` and `{port}` filled in, not started.
fn with_config(text: &str) -> Node {
    let node = Node::prepare(Start::config(Program::Bulkhead));
    node.write_config(&filled(text, &node));
    node
}

fn filled(text: &str, node: &Node) -> String {
    let cluster = format!(
        "cluster_addr = \"https://127.0.0.1:{}\"\napi_addr = \"http://127.0.0.1:{}\"\n",
        free_port(),
        node.port
    );
    text.replace("{dir}", &node.dir().display().to_string())
        .replace("{port}", &node.port.to_string())
        .replace("{addresses}", &cluster)
}

/// It must not start, and its words must contain all of these.
fn refused(what: &str, text: &str, said: &[&str]) {
    let mut node = with_config(text);
    node.spawn();
    let status = node.wait_end();
    let output = node.output();
    assert!(!status.success(), "{what}: it ended well: {output}");
    for word in said {
        assert!(output.contains(word), "{what}: {word:?} is not in: {output}");
    }
}

/// It must start and answer.
fn taken(what: &str, text: &str) -> Node {
    let mut node = with_config(text);
    node.spawn();
    node.until_up();
    assert_eq!(node.get("sys/init").text().trim(), r#"{"initialized":false}"#, "{what}");
    node
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_key() {
    let config = format!("{STORAGE}listner \"tcp\" {{\n  address = \"127.0.0.1:{{port}}\"\n}}\n");
    refused("a block", &config, &["listner", "listener", "5"]);
    let config =
        format!("{STORAGE}listener \"tcp\" {{\n  address = \"127.0.0.1:{{port}}\"\n  tls_disabel = true\n}}\n");
    refused("a key of a listener", &config, &["tls_disabel", "tls_disable", "7"]);
    let config = format!("{LISTENER}storage \"raft\" {{\n  pth = \"{{dir}}/data\"\n  node_id = \"n1\"\n}}\n");
    refused("a key of the storage", &config, &["pth", "path", "6"]);
    refused(
        "a key at the top",
        &format!("{STORAGE}{LISTENER}clustr_name = \"x\"\n"),
        &["clustr_name", "cluster_name", "9"],
    );
}

// R-44: no header stands for a certificate of the client: what would make it one is refused, and without it the
// header is one like any other.
#[test]
fn r44_no_header_stands_for_a_certificate() {
    let key = "x_forwarded_for_client_cert_header";
    let listener = LISTENER.replace("}\n", &format!("  {key} = \"X-Tls-Client-Cert\"\n}}\n"));
    refused("a header for certificates", &format!("{STORAGE}{listener}"), &[key, "TLS only"]);
    let node = Node::raft_open(Program::Bulkhead);
    for name in ["X-Tls-Client-Cert", "X-SSL-Cert", "X-Client-Cert", "X-Forwarded-Client-Cert", "Ssl-Client-Cert"] {
        let asked = Request::new("GET", "/v1/auth/token/lookup-self").token(&node.token);
        assert_eq!(asked.header(name, "MIIBszCCAVmgAwIBAgIUH").send(node.port).unwrap().status, 200, "{name}");
    }
    let log = fs::read_to_string(node.path("audit.log")).unwrap();
    assert!(log.contains("lookup-self") && !log.contains("client_certificate"), "a certificate was seen");
}

#[test]
fn other_storages_are_refused_with_what_to_use() {
    for kind in ["file", "consul", "postgresql", "s3", "nosuch"] {
        refused(kind, &format!("storage \"{kind}\" {{\n  path = \"{{dir}}/data\"\n}}\n{LISTENER}"), &[kind, "raft"]);
    }
}

#[test]
fn what_is_no_hcl_or_json_is_refused_with_the_place() {
    refused("an open block", "storage \"raft\" {\n  path = \"x\"\n", &["config.hcl"]);
    refused("an open quote", "\n\nui = \"true\n", &["config.hcl", "3"]);
    refused("broken JSON", "{\"ui\": true,\n \"listener\": }", &["config.hcl"]);
    refused("an empty file", "", &["storage"]);
    refused("no listener", STORAGE, &["listener"]);
    refused("no storage", LISTENER, &["storage"]);
    refused(
        "a value of another type",
        &format!("{STORAGE}{LISTENER}default_lease_ttl = \"soon\"\n"),
        &["default_lease_ttl"],
    );
    refused(
        "a port that is none",
        &format!("{STORAGE}listener \"tcp\" {{\n  address = \"127.0.0.1:99999\"\n  tls_disable = true\n}}\n"),
        &["99999"],
    );
}

#[test]
fn what_contradicts_itself_or_would_be_ignored_is_refused_with_the_place() {
    refused(
        "two storages",
        &format!("{STORAGE}{LISTENER}storage \"inmem\" {{}}\n"),
        &["config.hcl:9", "storage is given twice", "config.hcl:1"],
    );
    refused(
        "leases longer than any",
        &format!("{STORAGE}{LISTENER}default_lease_ttl = \"800h\"\n"),
        &["config.hcl:9", "default_lease_ttl", "768h"],
    );
    refused(
        "an audit option that is none",
        &format!("{STORAGE}{LISTENER}audit \"file\" \"a\" {{\n  options {{ file_pth = \"{{dir}}/a\" }}\n}}\n"),
        &["config.hcl:10", "file_pth", "file_path"],
    );
}

#[test]
fn files_that_are_not_there_are_named() {
    let output =
        Command::new(Program::Bulkhead.path()).args(["server", "-config=/nonexistent/bulkhead.hcl"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(said.contains("/nonexistent/bulkhead.hcl"), "{said}");
    let tls = "listener \"tcp\" {\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"none.pem\"\n  tls_key_file = \"none.key\"\n}\n";
    refused("a certificate", &format!("{STORAGE}{tls}"), &["none.pem"]);
    let output = Command::new(Program::Bulkhead.path()).arg("server").output().unwrap();
    assert!(!output.status.success(), "a server without a configuration");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let first = taken("the first", &format!("{STORAGE}{LISTENER}{{addresses}}"));
    let mut second = Node::prepare(Start::config(Program::Bulkhead));
    second.port = first.port;
    second.write_config(&filled(&format!("{STORAGE}{LISTENER}{{addresses}}"), &second));
    second.spawn();
    assert!(!second.wait_end().success());
    assert!(second.output().contains(&first.port.to_string()), "{}", second.output());
}

#[test]
fn the_forms_that_other_tools_write_are_taken() {
    let forms = [
        (
            "bare and quoted block names",
            "\"storage\" \"raft\" {\n  \"path\" = \"{dir}/data\"\n  node_id = \"n1\"\n}\n\"listener\" \"tcp\" {\n  address = \"127.0.0.1:{port}\"\n  tls_disable = \"true\"\n}\n{addresses}",
        ),
        (
            "tls_disable as a number",
            "backend \"raft\" {\n  path = \"{dir}/data\"\n  node_id = \"n1\"\n}\nlistener \"tcp\" {\n  address = \"127.0.0.1:{port}\"\n  tls_disable = 1\n}\n{addresses}",
        ),
        (
            "tls_disable as a number in quotes",
            "storage \"inmem\" {}\nlistener \"tcp\" {\n  address = \"127.0.0.1:{port}\"\n  tls_disable = \"1\"\n}\n",
        ),
        (
            "inmem as backend",
            "backend \"inmem\" {}\nlistener \"tcp\" {\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}\n",
        ),
        (
            "JSON",
            "{\"storage\": {\"raft\": {\"path\": \"{dir}/data\", \"node_id\": \"n1\"}}, \"listener\": {\"tcp\": {\"address\": \"127.0.0.1:{port}\", \"tls_disable\": true}}, \"ui\": false}",
        ),
        (
            "JSON with lists",
            "{\"storage\": {\"inmem\": {}}, \"listener\": [{\"tcp\": {\"address\": \"127.0.0.1:{port}\", \"tls_disable\": \"true\"}}], \"default_lease_ttl\": \"168h\"}",
        ),
    ];
    for (what, text) in forms {
        taken(what, text);
    }
}

#[test]
fn harmless_keys_of_openbao_are_taken() {
    let more = "ui = true\ncluster_name = \"c\"\ndisable_mlock = true\ncache_size = \"1000\"\ndisable_cache = false\nmax_lease_ttl = \"768h\"\n\
        default_lease_ttl = \"768h\"\nlog_level = \"info\"\nlog_format = \"json\"\nraw_storage_endpoint = false\nintrospection_endpoint = false\n\
        enable_response_header_hostname = false\nenable_response_header_raft_node_id = false\ndefault_max_request_duration = \"90s\"\n\
        disable_clustering = false\npid_file = \"{dir}/pid\"\nplugin_directory = \"{dir}\"\n\
        telemetry {\n  disable_hostname = true\n  prometheus_retention_time = \"30s\"\n}\n";
    let mut node = taken("all of them", &format!("{STORAGE}{LISTENER}{{addresses}}{more}"));
    assert!(node.terminate().success(), "{}", node.output());
}

#[test]
fn lease_lifetimes_of_the_config_hold_where_a_mount_has_none() {
    let more = "default_lease_ttl = \"10m\"\nmax_lease_ttl = \"1h\"\n";
    let mut node = taken("lifetimes", &format!("{STORAGE}{LISTENER}{{addresses}}{more}"));
    node.initialise(1, 1);
    node.unseal();
    let created = |ttl: &str| node.put("auth/token/create", &json!({ "policies": ["default"], "ttl": ttl }));
    assert_eq!(created("").at("auth.lease_duration"), json!(600));
    let capped = created("2h");
    assert_eq!(capped.at("auth.lease_duration"), json!(3600));
    assert!(capped.at("warnings").to_string().contains("capped"), "{}", capped.text());
    assert_eq!(node.get("sys/auth/token/tune").at("data.max_lease_ttl"), json!(3600));
    node.put("sys/auth/token/tune", &json!({ "max_lease_ttl": "3h", "default_lease_ttl": "90m" }));
    assert_eq!(created("").at("auth.lease_duration"), json!(5400));
    assert_eq!(created("2h").at("auth.lease_duration"), json!(7200));
}

#[test]
fn a_listener_without_a_host_answers_on_every_address() {
    let listener = "listener \"tcp\" {\n  address = \":{port}\"\n  tls_disable = true\n}\n";
    let node = taken("a port alone", &format!("{STORAGE}{listener}"));
    let said = node.output();
    assert!(said.contains("set api_addr"), "nobody was told that no address is known: {said}");
}

#[test]
fn the_environment_goes_over_the_file() {
    let mut node = with_config(&format!("storage \"raft\" {{\n  path = \"/nonexistent\"\n}}\n{LISTENER}{{addresses}}"));
    let cluster = format!("https://cluster.example:{}", free_port());
    let set = [
        ("VAULT_API_ADDR", "https://vault.example:1"),
        ("BAO_API_ADDR", "https://bao.example:1"),
        ("VAULT_CLUSTER_ADDR", &cluster),
        ("VAULT_RAFT_PATH", "{dir}/data"),
    ];
    node.start_mut().env = set.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    node.spawn();
    node.until_up();
    let said = node.output();
    for word in ["https://bao.example:1", &cluster, &node.path("data").display().to_string()] {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
}

#[test]
fn a_dev_server_takes_listeners_and_lifetimes_of_files() {
    let mut node = Node::prepare(Start::dev(Program::Bulkhead).with(&["-config={dir}/config.hcl"]));
    let second = free_port();
    node.write_config(&format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:{second}\"\n  tls_disable = true\n}}\nmax_lease_ttl = \"1h\"\n"
    ));
    node.token = DEV_ROOT.to_owned();
    node.spawn();
    node.until_up();
    assert_eq!(node.get("sys/auth/token/tune").at("data.max_lease_ttl"), json!(3600));
    assert_eq!(Request::new("GET", "/v1/sys/init").send(second).unwrap().status, 200);
}

#[test]
fn a_folder_of_files_and_several_files_are_one_configuration() {
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    fs::create_dir(node.path("conf.d")).unwrap();
    fs::write(node.path("conf.d/10-storage.hcl"), filled(STORAGE, &node)).unwrap();
    fs::write(
        node.path("conf.d/20-listener.json"),
        filled("{\"listener\": {\"tcp\": {\"address\": \"127.0.0.1:{port}\", \"tls_disable\": true}}}", &node),
    )
    .unwrap();
    fs::write(node.path("conf.d/notes.txt"), "not read").unwrap();
    node.write_config(&filled("{addresses}", &node));
    node.start_mut().args = ["server", "-config={dir}/conf.d", "-config={dir}/config.hcl"].map(str::to_owned).to_vec();
    node.spawn();
    node.until_up();
    assert_eq!(node.get("sys/init").status, 200);
}

#[test]
fn the_pid_file_is_there_while_it_runs_and_sigterm_ends_it_with_0() {
    let mut node = taken("a pid file", &format!("{STORAGE}{LISTENER}{{addresses}}pid_file = \"{{dir}}/pid\"\n"));
    let pid = fs::read_to_string(node.path("pid")).unwrap();
    assert_eq!(pid.trim(), node.pid().unwrap().as_raw_nonzero().to_string());
    let status = node.terminate();
    assert_eq!(status.code(), Some(0), "{}", node.output());
    assert!(!node.path("pid").exists());
}

#[test]
fn sigterm_ends_an_unsealed_server_with_0_and_keeps_what_was_written() {
    let mut node = Node::raft_open(Program::Bulkhead);
    node.put("cubbyhole/a", &serde_json::json!({"k": "v"}));
    assert_eq!(node.terminate().code(), Some(0), "{}", node.output());
    node.spawn();
    node.until_up();
    node.unseal();
    assert_eq!(node.get("cubbyhole/a").at("data.k"), serde_json::json!("v"));
}

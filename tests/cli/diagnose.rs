//! `operator diagnose`: a node that could start is told so, each thing that stands against a start
//! is found, and nothing is changed by looking.

mod faults;

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use bulkhead_tests::node::{Node, Start, free_port};
use bulkhead_tests::programs::Program;
use serde_json::Value;

use self::faults::{rewrite, transit};

/// A folder with all that a node needs, not started.
fn sound() -> Node {
    let node = Node::prepare(Start::config(Program::Bulkhead));
    set_mode(&node.path("data"), 0o700);
    fs::write(node.path("seal.key"), "ab".repeat(32)).unwrap();
    set_mode(&node.path("seal.key"), 0o400);
    certify(&node, "live", |_| {});
    node.write_config(&config(&node));
    node
}

/// A config without anything to find fault with.
fn config(node: &Node) -> String {
    let (dir, port, cluster) = (node.dir().display(), node.port, free_port());
    format!(
        "storage \"raft\" {{\n  path = \"{dir}/data\"\n  node_id = \"n1\"\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"{dir}/live.pem\"\n  \
         tls_key_file = \"{dir}/live.key\"\n}}\n\
         seal \"static\" {{\n  current_key_id = \"one\"\n  current_key = \"file://{dir}/seal.key\"\n}}\n\
         audit \"file\" \"main\" {{\n  options {{ file_path = \"{dir}/audit.log\" }}\n}}\n\
         api_addr = \"https://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{cluster}\"\n\
         snapshot_directory = \"{dir}\"\npid_file = \"{dir}/pid\"\n"
    )
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A key and a certificate for 127.0.0.1 that signs itself, changed first, as `name.pem` and `name.key`.
fn certify(node: &Node, name: &str, change: impl Fn(&mut rcgen::CertificateParams)) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut asked = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    change(&mut asked);
    let certificate = asked.self_signed(&key).unwrap();
    fs::write(node.path(&format!("{name}.pem")), certificate.pem()).unwrap();
    let key_file = node.path(&format!("{name}.key"));
    fs::write(&key_file, key.serialize_pem()).unwrap();
    set_mode(&key_file, 0o600);
}

/// What was told.
struct Told {
    exit: Option<i32>,
    tree: Value,
    said: String,
}

impl Told {
    /// The check whose name begins so: status and message with advice.
    fn check(&self, group: &str, name: &str) -> (String, String) {
        let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
        let within = |from: &Value, is: &dyn Fn(&str) -> bool| {
            let children = from["children"].as_array().cloned().unwrap_or_default();
            let found: Vec<Value> = children.into_iter().filter(|child| is(&text(child, "name"))).collect();
            // Of several of one name, such as two about an address, the worst.
            let order = ["fail", "warn", "ok", "skipped"];
            found.into_iter().min_by_key(|child| order.iter().position(|status| child["status"] == *status))
        };
        let group = within(&self.tree, &|known| known == group).unwrap_or_default();
        let check = within(&group, &|known| known.starts_with(name)).unwrap_or_default();
        (text(&check, "status"), format!("{} -> {}", text(&check, "message"), text(&check, "advice")))
    }

    fn holds(&self, (group, name): (&str, &str), status: &str, words: &[&str]) {
        let (found, text) = self.check(group, name);
        assert_eq!(found, status, "{group}/{name}: {}", self.said);
        for word in words {
            assert!(text.contains(word), "{group}/{name}: {word:?} is not in {text:?}");
        }
        let exit = match status {
            "fail" => 1,
            "warn" => 2,
            _ => return,
        };
        assert_eq!(self.exit, Some(exit), "{}", self.said);
    }
}

fn program(node: &Node, arguments: &[&str]) -> Command {
    let mut command = Command::new(Program::Bulkhead.path());
    command.args(["operator", "diagnose"]).args(arguments).current_dir(node.dir());
    command
}

/// All but what the machine is like, which no test can choose.
fn diagnosed_but(node: &Node, skipped: &str) -> Told {
    let config = format!("-config={}", node.path("config.hcl").display());
    let skip = format!("-skip=system{skipped}");
    let output = program(node, &[&config, "-format=json", &skip]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Told { exit: output.status.code(), tree: serde_json::from_str(&said).unwrap_or_default(), said }
}

fn diagnosed(node: &Node) -> Told {
    diagnosed_but(node, "")
}

/// Every file below a folder, with what changes when it is touched.
fn inventory(folder: &Path) -> Vec<(PathBuf, i64, i64, u64, u32)> {
    let mut all = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let about = fs::metadata(&path).unwrap();
        all.push((path.clone(), about.mtime(), about.mtime_nsec(), about.len(), about.mode()));
        if about.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_node_that_could_start_is_told_so_and_stays_as_it_is() {
    let node = sound();
    let before = inventory(node.dir());
    let told = diagnosed(&node);
    assert_eq!(told.exit, Some(0), "{}", told.said);
    assert_eq!(told.tree["status"], "ok");
    for group in ["config", "storage", "listener", "tls", "cluster", "autounseal", "audit", "files"] {
        told.holds((group, ""), "ok", &[]);
    }
    told.holds(("system", "system"), "skipped", &["as asked"]);
    told.holds(("tls", &format!("127.0.0.1:{} names", node.port)), "ok", &["127.0.0.1"]);
    told.holds(("storage", "content"), "ok", &["empty"]);
    assert_eq!(inventory(node.dir()), before);
}

#[test]
fn what_it_says_of_the_machine_is_no_failure_where_servers_run() {
    let node = sound();
    let config = format!("-config={}", node.path("config.hcl").display());
    let output = program(&node, &[&config]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 2)), "{said}");
    for name in ["open files: ", "core dumps: ", "swap: ", "clock: it is 20"] {
        assert!(said.contains(name), "{name} is not in:\n{said}");
    }
    assert!(said.starts_with("Bulkhead v") && said.ends_with("failures: 0\n"), "{said}");
}

#[test]
fn too_low_a_limit_and_a_fault_are_shown_with_what_to_do() {
    let node = sound();
    let config = node.path("config.hcl");
    let script = format!("ulimit -n 256; exec \"$0\" operator diagnose -config={}", config.display());
    let output = Command::new("bash").args(["-c", &script]).arg(Program::Bulkhead.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("  warning  open files: at most 256"), "{said}");
    assert!(said.contains("           -> raise the hard limit"), "{said}");
}

#[test]
fn a_config_that_cannot_be_used_is_told_with_its_line_and_the_nearest_key() {
    let node = sound();
    node.write_config(&config(&node).replace("tls_cert_file", "tls_cert_flie"));
    let told = diagnosed(&node);
    assert_eq!(told.exit, Some(4), "{}", told.said);
    let (status, text) = told.check("config", "read");
    assert_eq!(status, "fail");
    for word in ["config.hcl:7", "unknown key tls_cert_flie", "did you mean tls_cert_file?"] {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    assert_eq!(told.check("storage", "storage").0, "skipped");
    fs::remove_file(node.path("config.hcl")).unwrap();
    assert_eq!(diagnosed(&node).exit, Some(4));
}

#[test]
fn a_command_line_that_is_wrong_ends_with_3() {
    let node = sound();
    for (arguments, word) in [
        (&["-format=json"][..], "Must specify a configuration file using -config."),
        (&["-config=config.hcl", "-skip=listner"], "there is no such check"),
        (&["-config=config.hcl", "more"], "Too many arguments"),
        (&["-zzz"], "flag provided but not defined: -zzz"),
    ] {
        let output = program(&node, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}

#[test]
fn a_config_in_the_environment_is_taken_and_keys_without_effect_are_warned_of() {
    let node = sound();
    node.write_config(&format!("{}disable_mlock = true\n", config(&node)));
    let output = program(&node, &["-skip=system", "-format=json"])
        .env("VAULT_CONFIG_PATH", node.path("config.hcl"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = Told { exit: output.status.code(), tree: serde_json::from_str(&said).unwrap_or_default(), said };
    told.holds(("config", "disable_mlock"), "warn", &["does nothing here"]);
}

fn each_is_found(faults: &[faults::Fault]) {
    for (what, make, place, status, words) in faults {
        println!("{what}");
        let node = sound();
        make(&node);
        diagnosed(&node).holds(*place, status, words);
    }
}

#[test]
fn faults_of_the_data_directory_are_found() {
    each_is_found(faults::STORAGE);
}

#[test]
fn a_data_directory_that_is_not_there_yet_is_none_of_the_faults_and_is_not_made() {
    let node = sound();
    fs::remove_dir(node.path("data")).unwrap();
    let told = diagnosed(&node);
    told.holds(("storage", "directory"), "ok", &["a start makes it"]);
    assert_eq!(told.exit, Some(0), "{}", told.said);
    assert!(!node.path("data").exists());
}

#[test]
fn a_data_directory_of_somebody_else_is_warned_of() {
    let node = sound();
    if chown(node.path("data"), Some(12345), None).is_err() {
        println!("skipped: only root gives directories away");
        return;
    }
    diagnosed(&node).holds(("storage", "owner"), "warn", &["user 12345's", "this runs as user 0"]);
}

#[test]
fn faults_of_certificates_are_found() {
    each_is_found(faults::CERTIFICATES);
}

#[test]
fn faults_of_seals_are_found() {
    each_is_found(faults::SEALS);
}

#[test]
fn no_key_and_no_token_is_ever_shown() {
    let node = sound();
    let from = format!("file://{}/seal.key", node.dir().display());
    rewrite(&node, &from, &"cd".repeat(32));
    assert!(!diagnosed(&node).said.contains("cdcdcd"));
    transit(&node, "https://127.0.0.1:1");
    node.write_config(&fs::read_to_string(node.path("config.hcl")).unwrap().replace("\"t\"", "\"s.canary\""));
    assert!(!diagnosed(&node).said.contains("canary"));
}

#[test]
fn faults_of_audit_devices_files_and_peers_are_found() {
    each_is_found(faults::BESIDE);
}

#[test]
fn an_address_that_somebody_else_has_is_found_and_a_plain_one_that_others_reach_is_warned_of() {
    let node = sound();
    let _taken = TcpListener::bind(("127.0.0.1", node.port)).unwrap();
    diagnosed(&node).holds(("listener", "127.0.0.1"), "fail", &["is taken"]);
    let node = sound();
    let from = format!("  tls_cert_file = \"{}/live.pem\"", node.dir().display());
    let from =
        (format!("\"127.0.0.1:{}\"\n{from}", node.port), format!("\"0.0.0.0:{}\"\n  tls_disable = true", node.port));
    rewrite(&node, &from.0, &from.1);
    diagnosed(&node).holds(("listener", "0.0.0.0"), "warn", &["is without TLS"]);
}

#[test]
fn beside_a_server_that_runs_it_names_its_process_and_state_and_leaves_it_alone() {
    let mut node = Node::raft_open(Program::Bulkhead);
    let told = diagnosed(&node);
    let pid = node.pid().unwrap().as_raw_nonzero().to_string();
    told.holds(("storage", "lock"), "fail", &[&format!("process {pid} works"), "-skip=storage"]);
    told.holds(("listener", "127.0.0.1"), "fail", &["a server of this API answers there: unsealed, version "]);
    told.holds(("storage", "content"), "ok", &["log, state and snapshots are there"]);
    let told = diagnosed_but(&node, ",storage,listener,cluster");
    // `disable_mlock` in this config.
    assert_eq!(told.exit, Some(2), "{}", told.said);
    assert_eq!(node.get("sys/health").status, 200);
    assert!(node.terminate().success());
    let told = diagnosed(&node);
    told.holds(("storage", "lock"), "ok", &[]);
    told.holds(("storage", "node"), "ok", &[]);
    assert_eq!(told.exit, Some(2), "{}", told.said);
}

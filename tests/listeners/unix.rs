//! Unix sockets: who may connect, what becomes of the file, and callers without an address.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::{Node, Start, free_port};
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

use super::{audited_address, bound_token, open_with};

const SOCKET: &str = "listener \"unix\" { address = \"{dir}/api.sock\" }\n";

fn ask(socket: &Path, request: &Request) -> Reply {
    request.send_over(&mut UnixStream::connect(socket).unwrap()).unwrap()
}

fn lookup(token: &str) -> Request {
    Request::new("GET", "/v1/auth/token/lookup-self").token(token)
}

/// What becomes of requests over a socket: the statuses, and the address in the audit line.
fn told_by(program: Program) -> (u16, Value, u16, Value, u16) {
    let node = open_with(program, SOCKET);
    let socket = node.path("api.sock");
    let as_root = ask(&socket, &lookup(&node.token)).status;
    let address = audited_address(&node, "auth/token/lookup-self");
    let bound = bound_token(&node, &["127.0.0.0/8", "0.0.0.0/0", "::/0"]);
    assert_eq!(lookup(&bound).send(node.port).unwrap().status, 200, "it is good over TCP");
    let refused = ask(&socket, &lookup(&bound));
    node.put("sys/auth/up", &json!({"type": "userpass"}));
    node.put("auth/up/users/ann", &json!({"password": "p", "token_bound_cidrs": ["127.0.0.0/8"]}));
    let login = Request::new("POST", "/v1/auth/up/login/ann").json(&json!({"password": "p"}));
    (as_root, address, refused.status, refused.at("errors"), ask(&socket, &login).status)
}

#[test]
fn callers_over_a_socket_have_no_address_and_are_within_no_network_as_with_the_peer() {
    let ours = told_by(Program::Bulkhead);
    assert_eq!(ours, (200, Value::Null, 403, json!(["permission denied"]), 403));
    if programs::bao().is_some() {
        assert_eq!(told_by(Program::Bao), ours);
    }
}

#[test]
fn the_socket_is_its_owners_alone_or_has_the_mode_and_the_owner_of_its_stanza() {
    let user = rustix::process::getuid().as_raw();
    let other = if user == 0 { 12 } else { user };
    let node = open_with(
        Program::Bulkhead,
        &format!(
            "{SOCKET}listener \"unix\" {{\n address = \"{{dir}}/wide.sock\"\n socket_mode = \"0666\"\n \
             socket_user = \"{other}\"\n}}\n"
        ),
    );
    let found = |name: &str| fs::symlink_metadata(node.path(name)).unwrap();
    let mode = |name: &str| found(name).permissions().mode() & 0o777;
    assert_eq!((mode("api.sock"), found("api.sock").uid()), (0o700, user));
    assert_eq!((mode("wide.sock"), found("wide.sock").uid()), (0o666, other));
    for socket in ["api.sock", "wide.sock"] {
        assert_eq!(ask(&node.path(socket), &lookup(&node.token)).status, 200, "{socket}");
    }
}

#[test]
fn the_socket_goes_with_the_server_and_one_left_behind_is_replaced() {
    let mut node = open_with(Program::Bulkhead, SOCKET);
    let socket = node.path("api.sock");
    node.kill();
    assert!(socket.exists(), "a server that is killed removes nothing");
    node.spawn();
    node.until_up();
    assert_eq!(ask(&socket, &Request::new("GET", "/v1/sys/init")).status, 200);
    assert!(node.terminate().success());
    assert!(!socket.exists(), "it is left behind");
}

#[test]
fn a_socket_of_a_server_that_answers_is_not_taken_over() {
    let node = open_with(Program::Bulkhead, SOCKET);
    let socket = node.path("api.sock");
    let mut second = Node::prepare(Start::config(Program::Bulkhead));
    let listener = format!("listener \"unix\" {{\n address = {:?}\n}}\n", socket.display().to_string());
    second.write_config(&format!("{}{listener}", second.raft_config()));
    second.spawn();
    assert!(!second.wait_end().success());
    let said = second.output();
    assert!(said.contains("api.sock") && said.contains("another process listens there"), "{said}");
    assert_eq!(ask(&socket, &lookup(&node.token)).status, 200, "the first one still answers");
}

#[test]
fn a_file_that_is_no_socket_is_not_touched() {
    let mut node = Node::prepare(Start::config(Program::Bulkhead));
    let file = node.path("api.sock");
    fs::write(&file, "dear to somebody").unwrap();
    let socket = SOCKET.replace("{dir}", &node.dir().display().to_string());
    node.write_config(&format!("{}{socket}", node.raft_config()));
    node.spawn();
    assert!(!node.wait_end().success());
    assert!(node.output().contains("there is a file that is no socket"), "{}", node.output());
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear to somebody");
}

#[test]
fn a_server_may_listen_at_sockets_alone_and_at_several_of_both_kinds() {
    let second = free_port();
    let more = format!("listener \"tcp\" {{\n address = \"127.0.0.1:{second}\"\n tls_disable = true\n}}\n");
    let node = open_with(Program::Bulkhead, &format!("{SOCKET}{more}{}", SOCKET.replace("api", "other")));
    assert_eq!(lookup(&node.token).send(node.port).unwrap().status, 200);
    assert_eq!(lookup(&node.token).send(second).unwrap().status, 200);
    for socket in ["api.sock", "other.sock"] {
        assert_eq!(ask(&node.path(socket), &lookup(&node.token)).status, 200, "{socket}");
    }
    drop(node);
    let mut alone = Node::prepare(Start::config(Program::Bulkhead));
    let socket = SOCKET.replace("{dir}", &alone.dir().display().to_string());
    alone.write_config(&format!("storage \"inmem\" {{}}\n{socket}"));
    alone.spawn();
    alone.until("it listens", |node| UnixStream::connect(node.path("api.sock")).is_ok());
    let health = ask(&alone.path("api.sock"), &Request::new("GET", "/v1/sys/seal-status"));
    assert_eq!((health.status, health.at("initialized")), (200, json!(false)));
    assert!(alone.terminate().success());
}

/// What a client program prints and ends with, told the address by the environment or a flag.
fn client(program: Program, node: &Node, words: &[&str], variable: Option<&str>) -> (String, Option<i32>) {
    let address = format!("unix://{}", node.path("api.sock").display());
    let mut command = Command::new(program.path());
    for name in ["BULKHEAD_ADDR", "BAO_ADDR", "VAULT_ADDR"] {
        command.env_remove(name);
    }
    match variable {
        Some(name) => command.args(words).env(name, &address),
        None => command.args([&words[..1], &[&format!("-address={address}")], &words[1..]].concat()),
    };
    let done = command.env("HOME", node.dir()).env("VAULT_TOKEN", &node.token).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (String::from_utf8(said).unwrap(), done.status.code())
}

#[test]
fn clients_speak_to_a_socket_by_its_address() {
    let mut node = open_with(Program::Bulkhead, SOCKET);
    node.put("sys/mounts/kv", &json!({"type": "kv"}));
    let programs = [Some(Program::Bulkhead), programs::bao().map(|_| Program::Bao)];
    for (program, variable) in programs.into_iter().flatten().flat_map(|p| [(p, Some("VAULT_ADDR")), (p, None)]) {
        let name = program.name();
        let (said, code) = client(program, &node, &["write", "kv/a", "k=v"], variable);
        assert_eq!((said.trim(), code), ("Success! Data written to: kv/a", Some(0)), "{name} {variable:?}");
        let (said, code) = client(program, &node, &["read", "-field=k", "kv/a"], variable);
        assert_eq!((said.trim(), code), ("v", Some(0)), "{name} {variable:?}");
    }
    node.kill();
    fs::remove_file(node.path("api.sock")).unwrap();
    let unreached = client(Program::Bulkhead, &node, &["read", "kv/a"], None);
    let (said, advice) = unreached.0.split_once("\n\n").unwrap();
    assert!(said.contains("dial unix") && unreached.1 == Some(2), "{said}");
    assert!(advice.starts_with("The address in use is unix:///"), "{advice}");
    if programs::bao().is_some() {
        let (told, code) = client(Program::Bao, &node, &["read", "kv/a"], None);
        assert_eq!((told.trim(), code), (said, unreached.1));
    }
}

//! Sessions at the command line: the unmodified `bao` and our own client against
//! Bulkhead, and client libraries. What lives here: which session with which
//! client. What must not: what is typed (`cli/*.txt`, `clients/`).

use std::fs;
use std::process::Command;

use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{self, Program};
use bulkhead_tests::shape::Variables;
use bulkhead_tests::transcript::{self, Client};

/// Types `cli/session.txt` at a fresh server, with this client.
fn session_with(program: Program, same_errors: bool) {
    let node = Node::raft(Program::Bulkhead);
    fs::write(node.path("data.json"), r#"{"from": "file", "n": 7}"#).unwrap();
    fs::write(node.path("policy.hcl"), "path \"two/*\" {\n  capabilities = [\"read\", \"list\"]\n}\n").unwrap();
    let client = Client {
        program: program.path(),
        home: node.dir().to_path_buf(),
        address: format!("http://127.0.0.1:{}", node.port),
        same_errors,
    };
    let entries = transcript::parse(&fs::read_to_string(programs::here("cli/session.txt")).unwrap());
    let faults = client.session(&entries, &mut Variables::new());
    assert!(faults.is_empty(), "{} of {} commands:\n  {}", faults.len(), entries.len(), faults.join("\n  "));
}

#[test]
fn an_unmodified_bao_has_its_whole_session_with_bulkhead() {
    if programs::bao().is_none() {
        println!("skipped: no bao here, by BULKHEAD_WITHOUT_PEER");
        return;
    }
    session_with(Program::Bao, true);
}

#[test]
fn our_own_client_has_the_same_session() {
    session_with(Program::Bulkhead, false);
}

#[test]
fn the_python_library_hvac_has_its_session() {
    let Some(python) = programs::python() else {
        println!("skipped: no Python with hvac beside the peer");
        return;
    };
    let node = Node::raft(Program::Bulkhead);
    let script = programs::here("clients/hvac_session.py");
    let output = Command::new(python).arg(script).arg(format!("http://127.0.0.1:{}", node.port)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("hvac session complete"), "{said}");
}

#[test]
fn both_forms_of_version_print_one_line_that_names_bulkhead() {
    for word in ["version", "-version", "--version"] {
        let output = Command::new(Program::Bulkhead.path()).arg(word).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{word}: {said}");
        assert!(said.starts_with("Bulkhead v") && said.contains(" (") && said.contains("), built "), "{word}: {said}");
        assert_eq!(said.lines().count(), 1, "{word}: {said}");
    }
}

#[test]
fn a_command_that_is_none_ends_with_127_or_says_so() {
    let output = Command::new(Program::Bulkhead.path()).arg("nosuchcommand").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("nosuchcommand") || said.contains("Usage"), "{said}");
}

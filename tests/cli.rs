//! Sessions at the command line: the unmodified `bao` and our own client against
//! Bulkhead, and client libraries. What lives here: which session with which
//! client. What must not: what is typed (`cli/*.txt`, `clients/`).

mod ceremonies;
mod diagnose;

use std::fs;
use std::process::Command;

use bulkhead_test_servers::Postgres;
use bulkhead_tests::beside::{self, Line, Side};
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

/// The lines that both clients are given, each with a fresh server of its own kind.
fn lines_for_both() -> Vec<Line> {
    beside::parse(&fs::read_to_string(programs::here("cli/beside.txt")).unwrap())
}

#[test]
fn the_lines_for_both_hold_every_command_with_each_form_of_output_that_it_has() {
    let lines = lines_for_both();
    let mut missing = Vec::new();
    for (name, help) in all_helps().iter().filter(|(name, help)| !name.is_empty() && listed(help).is_empty()) {
        let forms = ["-format=json", "-format=yaml", "-format=table", "-field="];
        let has = |form: &str| help.contains(&format!("  {}=<", form.split('=').next().unwrap_or_default()));
        let forms = forms.iter().filter(|form| has(form));
        for form in [""].iter().chain(forms) {
            let begin = format!("cli {name} ");
            let told = |line: &Line| format!("{} ", line.command).contains(&begin) && line.command.contains(form);
            if !lines.iter().any(told) {
                missing.push(format!("{begin}{form}"));
            }
        }
    }
    assert!(missing.is_empty(), "cli/beside.txt lacks:\n  {}", missing.join("\n  "));
}

#[test]
fn each_command_line_is_answered_as_bao_answers_it_or_the_difference_has_a_reason() {
    if programs::bao().is_none() {
        println!("skipped: no bao here, by BULKHEAD_WITHOUT_PEER");
        return;
    }
    let lines = lines_for_both();
    let (ours, theirs) = (Side::start(Program::Bulkhead).unwrap(), Side::start(Program::Bao).unwrap());
    let faults = beside::compare(&ours, &theirs, &lines);
    for line in lines.iter().filter(|line| line.reason.is_some()) {
        println!("  differs: {}: {}", line.command, line.reason.as_deref().unwrap_or_default());
    }
    assert!(faults.is_empty(), "{} of {} lines:\n  {}", faults.len(), lines.len(), faults.join("\n  "));
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
    let (node, postgres) = (Node::raft(Program::Bulkhead), Postgres::start());
    let accounts = "CREATE ROLE keeper SUPERUSER LOGIN PASSWORD 'kept-by-the-session'; CREATE ROLE servant LOGIN";
    let _ = postgres.sql("postgres", accounts);
    let script = programs::here("clients/hvac_session.py");
    let mut command = Command::new(python);
    command.arg(script).arg(format!("http://127.0.0.1:{}", node.port)).arg(format!("127.0.0.1:{}", postgres.port()));
    let output = command.output().unwrap();
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

/// What `bulkhead … --help` prints, which must end well.
fn help_of(words: &[String]) -> String {
    let output = Command::new(Program::Bulkhead.path()).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names that a help text lists: their lines have four spaces, a name, and more spaces.
fn listed(help: &str) -> Vec<String> {
    let is_entry = |line: &&str| line.starts_with("    ") && !line.starts_with("     ") && !line.starts_with("    $");
    let list = ["Common commands:\n", "Subcommands:\n"].iter().find_map(|title| help.split_once(title));
    let lines = list.map_or("", |(_, list)| list).lines().filter(is_entry);
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Every command and group by its words, with its help.
fn all_helps() -> Vec<(String, String)> {
    let mut helps = Vec::new();
    let mut left = vec![Vec::new()];
    while let Some(words) = left.pop() {
        let help = help_of(&words);
        left.extend(listed(&help).into_iter().map(|word| [words.as_slice(), &[word]].concat()));
        helps.push((words.join(" "), help));
    }
    helps
}

#[test]
fn every_command_and_group_that_help_lists_has_a_help_with_an_example() {
    let helps = all_helps();
    for (name, help) in &helps {
        assert!(name.is_empty() || help.starts_with(&format!("Usage: bulkhead {name}")), "{help}");
        let mut examples = help.lines().filter(|line| line.trim_start().starts_with("$ "));
        assert!(examples.any(|line| line.contains(format!("bulkhead {name}").trim_end())), "{help}");
    }
    let commands = helps.iter().filter(|(_, help)| listed(help).is_empty()).count();
    assert!(commands >= 56, "{commands} commands");
}

#[test]
fn a_command_that_is_none_ends_with_127_or_says_so() {
    let output = Command::new(Program::Bulkhead.path()).arg("nosuchcommand").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("nosuchcommand") || said.contains("Usage"), "{said}");
}

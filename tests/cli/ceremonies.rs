//! Holders of key shares at the command line, all the way: with our own client and with the peer's, both at Bulkhead.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bulkhead_tests::http::Request;
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

struct Operator {
    program: Program,
    node: Node,
}

impl Operator {
    /// Of a node with three shares, of which two are needed, and without a token where the listener lets them.
    fn new(program: Program) -> Self {
        let mut node = Node::prepare(Start::config(Program::Bulkhead));
        let opened = "tls_disable     = true\n  disable_unauthed_rekey_endpoints = false";
        node.write_config(&node.raft_config().replacen("tls_disable     = true", opened, 1));
        node.spawn();
        node.until_up();
        node.initialise(3, 2);
        node.unseal();
        Self { program, node }
    }

    /// What a command prints, which must end well. `stdin`: what it is given there.
    fn does(&self, words: &[&str], stdin: &str) -> String {
        let mut command = Command::new(self.program.path());
        command.arg("operator").args(words).env_clear().env("HOME", self.node.dir());
        command.env("BAO_ADDR", format!("http://127.0.0.1:{}", self.node.port)).env("BAO_TOKEN", &self.node.token);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // Whoever does not read it has ended perhaps.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Likewise, as JSON.
    fn told(&self, words: &[&str]) -> Value {
        let (command, flags) = words.split_first().unwrap();
        let said = self.does(&[&[*command, "-format=json"][..], flags].concat(), "");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }
}

fn text<'v>(told: &'v Value, name: &str) -> &'v str {
    told[name].as_str().unwrap_or_else(|| panic!("no {name} in {told}"))
}

fn nonce(told: &Value) -> String {
    format!("-nonce={}", text(told, "nonce"))
}

fn make_a_root_token(program: Program) {
    let operator = Operator::new(program);
    let shares = &operator.node.shares;
    let otp = operator.does(&["generate-root", "-generate-otp"], "");
    assert_eq!(otp.trim().len(), 26, "{otp}");
    let begun = operator.told(&["generate-root", "-init"]);
    let nonce = nonce(&begun);
    let first = operator.told(&["generate-root", &nonce, &shares[2]]);
    assert_eq!((&first["progress"], &first["complete"]), (&json!(1), &json!(false)));
    let shown = operator.does(&["generate-root", "-status"], "");
    assert!(shown.contains("1/2"), "{shown}");
    let table = operator.does(&["generate-root", &nonce, "-"], &format!("{}\n", shares[0]));
    let covered = table.lines().find_map(|line| line.strip_prefix("Encoded Token")).expect("a token").trim();
    let (decode, otp) = (format!("-decode={covered}"), format!("-otp={}", text(&begun, "otp")));
    let token = operator.does(&["generate-root", &decode, &otp], "");
    let known = Request::new("GET", "/v1/auth/token/lookup-self").token(token.trim()).send(operator.node.port).unwrap();
    assert_eq!(known.at("data.policies"), json!(["root"]), "{}", known.text());
}

fn split_the_key_anew(program: Program, command: &str) {
    let operator = Operator::new(program);
    let shares = &operator.node.shares;
    let begun = operator.told(&[command, "-init", "-key-shares=2", "-key-threshold=2", "-verify"]);
    assert_eq!(begun["verification_required"], true);
    let nonce_of_split = nonce(&begun);
    assert_eq!(operator.told(&[command, &nonce_of_split, &shares[1]])["progress"], 1);
    let made = operator.told(&[command, &nonce_of_split, &shares[0]]);
    let new: Vec<&str> = made["keys_base64"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(new.len(), 2, "{made}");
    // Until they are proved the old ones count.
    let waiting = operator.told(&[command, "-verify", "-status"]);
    assert_eq!((&waiting["started"], &waiting["progress"]), (&json!(true), &json!(0)));
    let nonce_of_proof = nonce(&waiting);
    assert_eq!(operator.told(&[command, "-verify", &nonce_of_proof, new[0]])["progress"], 1);
    let done = operator.does(&[command, "-verify", &nonce_of_proof, new[1]], "");
    assert!(done.contains("successful"), "{done}");
    operator.node.call("PUT", "sys/seal", None);
    for share in new {
        operator.does(&["unseal", share], "");
    }
    operator.node.until("it is open", |node| node.get("sys/health").status == 200);
}

#[test]
fn a_root_token_is_made_at_the_command_line() {
    make_a_root_token(Program::Bulkhead);
    if programs::bao().is_some() {
        make_a_root_token(Program::Bao);
    }
}

#[test]
fn the_key_is_split_anew_at_the_command_line() {
    for command in ["rotate-keys", "rekey"] {
        split_the_key_anew(Program::Bulkhead, command);
        if programs::bao().is_some() {
            split_the_key_anew(Program::Bao, command);
        }
    }
}

#[test]
fn what_is_shown_to_people_has_all_that_the_next_step_needs() {
    let operator = Operator::new(Program::Bulkhead);
    let shares = &operator.node.shares;
    let begun = operator.told(&["rotate-keys", "-init", "-n=1", "-t=1", "-verify"]);
    let nonce = nonce(&begun);
    operator.does(&["rotate-keys", &nonce, &shares[0]], "");
    let made = operator.does(&["rotate-keys", &nonce, &shares[1]], "");
    let value = |name: &str| made.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim();
    let proof = format!("-nonce={}", value("Verification Nonce"));
    operator.does(&["rotate-keys", "-verify", &proof, value("Key 1:")], "");
    let status = operator.told(&["rotate-keys", "-status"]);
    assert_eq!((&status["started"], &status["required"]), (&json!(false), &json!(1)));
}

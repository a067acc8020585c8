//! Runs a case file against Bulkhead and against the real peer, side by side.
//! What lives here: the order of things and the report. What must not: any rule
//! of the API.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::case::{Case, CaseFile, Kind, Step};
use crate::http::{Reply, Request};
use crate::likeness;
use crate::node::{Node, READY_SECS_MAX};
use crate::programs::{self, Program};
use crate::shape::{Variables, faults, fill};
use crate::totp;

/// What came of a file.
#[derive(Debug, Default)]
pub struct Report {
    /// Steps run.
    pub steps: usize,
    /// What is wrong, each naming the case and the step.
    pub faults: Vec<String>,
    /// Listed differences that were met, with their reasons.
    pub exceptions: Vec<String>,
}

/// One server and what was learnt from it.
struct Side {
    program: Program,
    node: Node,
    variables: Variables,
}

/// Runs all cases of a file, in order, against both servers.
pub fn run(file: &CaseFile) -> Report {
    let mut sides = vec![side(Program::Bulkhead, file.server)];
    if programs::bao().is_some() {
        sides.insert(0, side(Program::Bao, file.server));
    }
    let mut report = Report::default();
    for case in &file.cases {
        run_case(case, &mut sides, &mut report);
    }
    report
}

fn side(program: Program, kind: Kind) -> Side {
    let node = match kind {
        Kind::Dev => Node::dev(program),
        Kind::Raft => Node::raft_open(program),
        Kind::Fresh => Node::raft(program),
    };
    let mut variables = Variables::new();
    variables.insert("root".to_owned(), node.token.clone());
    variables.insert("dir".to_owned(), node.dir().display().to_string());
    variables.insert("port".to_owned(), node.port.to_string());
    Side { program, node, variables }
}

fn run_case(case: &Case, sides: &mut [Side], report: &mut Report) {
    for (number, step) in case.steps.iter().enumerate() {
        let place = format!("{} / step {} `{}`", case.name, number + 1, step.line);
        thread::sleep(Duration::from_millis(step.wait_millis));
        report.steps += 1;
        let replies: Vec<Option<Reply>> = sides.iter_mut().map(|side| run_step(step, side, &place, report)).collect();
        if let Some(differs) = &step.differs {
            report.exceptions.push(format!("{place}: {}", differs.reason));
        } else if let [Some(peer), Some(ours)] = &replies[..] {
            compare(step, peer, ours, &place, report);
        }
    }
}

/// One request to one server. `None` where it is not asked, or its answer is reported already.
fn run_step(step: &Step, side: &mut Side, place: &str, report: &mut Report) -> Option<Reply> {
    let ours = side.program == Program::Bulkhead;
    let expect = match &step.differs {
        Some(differs) if ours => differs.bulkhead.as_ref()?,
        _ => &step.expect,
    };
    let deadline = Instant::now() + Duration::from_secs(if step.until { READY_SECS_MAX } else { 0 });
    loop {
        let reply = match send(step, side) {
            Ok(reply) => reply,
            Err(error) => {
                report.faults.push(format!("{place} [{}]: no answer: {error}", side.program.name()));
                return None;
            }
        };
        let wrong = faults(expect, &reply, &side.variables);
        if wrong.is_empty() {
            save(step, &reply, &mut side.variables);
            return Some(reply);
        }
        if Instant::now() >= deadline {
            report.faults.push(format!("{place} [{}]:\n      {}", side.program.name(), wrong.join("\n      ")));
            save(step, &reply, &mut side.variables);
            return None;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn send(step: &Step, side: &Side) -> std::io::Result<Reply> {
    let filled = |text: &str| fill(&totp::filled(text, &side.variables), &side.variables);
    let mut request = Request::new(&step.method, &filled(&step.target));
    match step.token.as_str() {
        "none" => {}
        "root" => request = request.token(&side.variables["root"]),
        token => request = request.token(&filled(token)),
    }
    for (name, value) in &step.headers {
        request = request.header(name, &filled(value));
    }
    if let Some(body) = &step.body {
        request = request.body(filled(body).into_bytes());
    }
    request.send(side.node.port)
}

fn save(step: &Step, reply: &Reply, variables: &mut Variables) {
    for (name, path) in &step.save {
        let value = match reply.at(path) {
            Value::String(text) => text,
            Value::Null => format!("<{name} was not in the answer>"),
            other => other.to_string(),
        };
        variables.insert(name.clone(), value);
    }
}

/// The servers' answers side by side: more than the case asked for.
fn compare(step: &Step, peer: &Reply, ours: &Reply, place: &str, report: &mut Report) {
    for (at, what) in likeness::differences(peer, ours) {
        let listed =
            step.unlike.iter().find(|(path, _)| path.is_empty() || at == *path || at.starts_with(&format!("{path}.")));
        match listed {
            Some((_, reason)) => report.exceptions.push(format!("{place}: {at}: {reason}")),
            None => report.faults.push(format!("{place} [bao and bulkhead]: {at}: {what}")),
        }
    }
}

//! Runs a case file against Bulkhead and against the real peer, side by side; or against a
//! cluster, beside a node that is alone. What lives here: the order of things and the report.
//! What must not: any rule of the API.

use std::thread;
use std::time::{Duration, Instant};

use bulkhead_test_servers::Postgres;
use serde_json::Value;

use crate::case::{Case, CaseFile, Expect, Kind, Step};
use crate::http::{Reply, Request};
use crate::likeness;
use crate::node::{DEV_ROOT, Node, READY_SECS_MAX};
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

/// Who of a cluster is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One node that does not lead.
    Standby,
    /// Each in its turn, so that what one has done another tells.
    InTurn,
}

/// Nodes of one cluster, unsealed.
pub struct Members<'a> {
    /// All of them.
    pub nodes: &'a [Node],
    /// The place of the one that leads.
    pub leader: usize,
    /// Who is asked.
    pub asked: Asked,
}

impl Members<'_> {
    /// The place of the node that is asked next.
    fn next(&self, requests: usize, one_node: bool) -> usize {
        let turn = if self.asked == Asked::InTurn && !one_node { requests } else { 0 };
        (self.leader + 1 + turn) % self.nodes.len()
    }
}

/// Who answers.
enum Server<'a> {
    Alone(Node),
    Several(Members<'a>),
}

/// One server, or several that are one, and what was learnt from them.
struct Side<'a> {
    name: &'static str,
    program: Program,
    server: Server<'a>,
    variables: Variables,
    requests: usize,
    /// The database beside it; it ends with this.
    _database: Option<Postgres>,
}

/// Runs all cases of a file, in order, against both servers.
pub fn run(file: &CaseFile) -> Report {
    let mut sides = vec![side(Program::Bulkhead, file)];
    if programs::bao().is_some() {
        sides.insert(0, side(Program::Bao, file));
    }
    let mut report = Report::default();
    for case in &file.cases {
        run_case(case, &mut sides, &mut report);
    }
    report
}

/// Runs the cases of a file against a cluster in the state that a fresh node would be in, and
/// beside it against such a node: what is not about a node alone is answered alike.
pub fn run_on(file: &CaseFile, members: Members<'_>) -> Report {
    let leader = &members.nodes[members.leader];
    let mut variables = variables(leader);
    if file.server == Kind::Dev {
        variables.insert("root".to_owned(), DEV_ROOT.to_owned());
    }
    let _database = database(file, &mut variables);
    let server = Server::Several(members);
    let cluster = Side { name: "cluster", program: Program::Bulkhead, server, variables, requests: 0, _database };
    let mut sides = vec![side(Program::Bulkhead, file), cluster];
    let mut report = Report::default();
    for case in &file.cases {
        match &case.alone {
            Some(reason) => report.exceptions.push(format!("{}: {reason}", case.name)),
            None => run_case(case, &mut sides, &mut report),
        }
    }
    report
}

fn side(program: Program, file: &CaseFile) -> Side<'static> {
    let node = match file.server {
        Kind::Dev => Node::dev(program),
        Kind::Raft => Node::raft_open(program),
        Kind::Fresh => Node::raft(program),
    };
    let mut variables = variables(&node);
    let _database = database(file, &mut variables);
    Side { name: program.name(), program, server: Server::Alone(node), variables, requests: 0, _database }
}

/// Starts the database that a file wants beside a server.
fn database(file: &CaseFile, variables: &mut Variables) -> Option<Postgres> {
    let postgres = file.postgresql.then(Postgres::start)?;
    variables.insert("postgresql".to_owned(), format!("127.0.0.1:{}", postgres.port()));
    // A file's texts are filled in as they are: the server's own password would have to be escaped.
    let (user, password) = ("keeper", "kept-by-the-cases");
    let _ = postgres.sql("postgres", &format!("CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{password}'"));
    variables.insert("postgresql_user".to_owned(), user.to_owned());
    variables.insert("postgresql_password".to_owned(), password.to_owned());
    Some(postgres)
}

fn variables(node: &Node) -> Variables {
    let mut variables = Variables::new();
    variables.insert("root".to_owned(), node.token.clone());
    variables.insert("dir".to_owned(), node.dir().display().to_string());
    variables.insert("port".to_owned(), node.port.to_string());
    variables
}

fn run_case(case: &Case, sides: &mut [Side<'_>], report: &mut Report) {
    for (number, step) in case.steps.iter().enumerate() {
        let place = format!("{} / step {} `{}`", case.name, number + 1, step.line);
        thread::sleep(Duration::from_millis(step.pace.wait_millis));
        report.steps += 1;
        let one_node = case.one_node.is_some();
        let replies: Vec<Option<Reply>> =
            sides.iter_mut().map(|side| run_step(step, side, one_node, &place, report)).collect();
        let of_peer = sides.iter().any(|side| side.program == Program::Bao);
        if let Some(differs) = step.differs.as_ref().filter(|_| of_peer) {
            report.exceptions.push(format!("{place}: {}", differs.reason));
        } else if let [Some(first), Some(second)] = &replies[..] {
            compare(step, [(&sides[0], first), (&sides[1], second)], &place, report);
        }
    }
}

/// One request to one server. `None` where it is not asked, its answer is reported already, or
/// another one than that of a node alone.
fn run_step(step: &Step, side: &mut Side<'_>, one_node: bool, place: &str, report: &mut Report) -> Option<Reply> {
    let deadline = Instant::now() + Duration::from_secs(if step.pace.until { READY_SECS_MAX } else { 0 });
    loop {
        let (node, is_standby) = side.asked(one_node);
        let name = if is_standby { "standby" } else { side.name };
        let differs = step.standby.as_ref().filter(|_| is_standby);
        let expect = match differs {
            Some(differs) => differs.answer.as_ref()?,
            None => side.expected(step)?,
        };
        let reply = match send(step, node, &side.variables) {
            Ok(reply) => reply,
            Err(error) => {
                report.faults.push(format!("{place} [{name}]: no answer: {error}"));
                return None;
            }
        };
        side.requests += 1;
        let wrong = faults(expect, &reply, &side.variables);
        if wrong.is_empty() {
            save(step, &reply, &mut side.variables);
            report.exceptions.extend(differs.map(|differs| format!("{place} [{name}]: {}", differs.reason)));
            return Some(reply).filter(|_| differs.is_none());
        }
        if Instant::now() >= deadline {
            report.faults.push(format!("{place} [{name}]:\n      {}", wrong.join("\n      ")));
            save(step, &reply, &mut side.variables);
            return None;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

impl Side<'_> {
    /// The node that is asked now, and whether it is one that does not lead.
    fn asked(&self, one_node: bool) -> (&Node, bool) {
        match &self.server {
            Server::Alone(node) => (node, false),
            Server::Several(members) => {
                let at = members.next(self.requests, one_node);
                (&members.nodes[at], at != members.leader)
            }
        }
    }

    /// What this program must answer; `None` where it need not be asked yet.
    fn expected<'a>(&self, step: &'a Step) -> Option<&'a Expect> {
        match &step.differs {
            Some(differs) if self.program == Program::Bulkhead => differs.answer.as_ref(),
            _ => Some(&step.expect),
        }
    }
}

fn send(step: &Step, node: &Node, variables: &Variables) -> std::io::Result<Reply> {
    let filled = |text: &str| fill(&totp::filled(text, variables), variables);
    let mut request = Request::new(&step.method, &filled(&step.target));
    match step.token.as_str() {
        "none" => {}
        "root" => request = request.token(&variables["root"]),
        token => request = request.token(&filled(token)),
    }
    for (name, value) in &step.headers {
        request = request.header(name, &filled(value));
    }
    if let Some(body) = &step.body {
        request = request.body(filled(body).into_bytes());
    }
    request.send(node.port)
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

/// The two answers side by side: more than the case asked for.
fn compare(step: &Step, answers: [(&Side<'_>, &Reply); 2], place: &str, report: &mut Report) {
    let [(first, one), (second, other)] = answers;
    for (at, what) in likeness::differences(one, other) {
        let listed =
            step.unlike.iter().find(|(path, _)| path.is_empty() || at == *path || at.starts_with(&format!("{path}.")));
        match listed {
            Some((_, reason)) => report.exceptions.push(format!("{place}: {at}: {reason}")),
            None => report.faults.push(format!("{place} [{} and {}]: {at}: {what}", first.name, second.name)),
        }
    }
}

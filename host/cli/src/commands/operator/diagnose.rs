//! `operator diagnose`: what would stand against a start of the server, shown. What is looked at
//! is the server room's business.

use std::path::PathBuf;

use bulkhead_server::{Check, DiagnoseOptions, Diagnosis, Group, Status, diagnose, version_text};
use serde_json::{Map, Value, json};

use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "operator diagnose",
    about: "Find out why a server would not start",
    usage: "[options]",
    help: "Looks at everything that a server needs, without starting one and without changing anything:\nconfiguration, data directory, addresses, certificates, seal, audit devices, limits of the\nsystem. Run it as the user and with the environment of the server. Each check comes out as ok,\nwarning, failure or skipped, and says what to do next.\n\nThe exit code is 0 if all is well, 2 if there are warnings, 1 if there are failures, 4 if the\nconfiguration cannot be used, so that most was not looked at, and 3 for a wrong command line.\n\nLook at a node before its start:\n\n    $ bulkhead operator diagnose -config=/etc/bulkhead/config.hcl\n\nWhile its server runs, leave out what only one can have:\n\n    $ bulkhead operator diagnose -config=/etc/bulkhead/config.hcl -skip=listener,storage,cluster",
    prints: Prints::Formatted,
    is_client: false,
    flags: &[
        Flag::list("config", "Configuration file or directory; may be given many times.").env("CONFIG_PATH"),
        Flag::list(
            "skip",
            "Leave these checks out: \"system\", \"config\", \"storage\", \"listener\", \"tls\", \"cluster\", \"autounseal\", \"audit\" or \"files\"; may be given many times, or hold several with commas.",
        ),
    ],
    run,
};

/// Exit codes. Source: OpenBao's.
const EXIT_FAILURE: u8 = 1;
const EXIT_WARNING: u8 = 2;
pub(in crate::commands) const EXIT_USAGE: u8 = 3;
const EXIT_INCOMPLETE: u8 = 4;

fn run(session: &Session) -> Result<u8, Fault> {
    let found = diagnose(&options(session)?);
    if session.is_table() {
        session.terminal.out(&table(&found));
    } else {
        session.show_value(&value(&found))?;
    }
    Ok(match found.status() {
        _ if !found.is_complete => EXIT_INCOMPLETE,
        Status::Failure => EXIT_FAILURE,
        Status::Warning => EXIT_WARNING,
        Status::Ok | Status::Skipped => 0,
    })
}

fn options(session: &Session) -> Result<DiagnoseOptions, Fault> {
    let configs: Vec<PathBuf> = session.flags.list("config").into_iter().map(PathBuf::from).collect();
    if configs.is_empty() {
        return Err(Fault::Usage("Must specify a configuration file using -config.".to_owned()));
    }
    session.at_most(0)?;
    let given = session.flags.list("skip");
    let skip: Vec<String> =
        given.iter().flat_map(|names| names.split(',')).map(|name| name.trim().to_owned()).collect();
    match skip.iter().find(|name| !Diagnosis::GROUPS.contains(&name.as_str())) {
        Some(unknown) => {
            Err(Fault::Usage(format!("-skip={unknown}: there is no such check, only {}", Diagnosis::GROUPS.join(", "))))
        }
        None => Ok(DiagnoseOptions { configs, skip }),
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Skipped => "skipped",
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Failure => "failure",
    }
}

fn table(found: &Diagnosis) -> String {
    let mut lines = vec![version_text()];
    for Group { name, checks } in &found.groups {
        lines.push(format!("\n{name}"));
        for Check { name, status, message, advice } in checks {
            lines.push(format!("  {:<9}{name}: {message}", word(*status)));
            if !advice.is_empty() {
                lines.push(format!("           -> {advice}"));
            }
        }
    }
    let count = |status| found.count(status);
    lines.push(format!(
        "\n{} ok, {} skipped, warnings: {}, failures: {}",
        count(Status::Ok),
        count(Status::Skipped),
        count(Status::Warning),
        count(Status::Failure)
    ));
    lines.join("\n")
}

/// As the peers' tree of checks, with their words for how one came out.
fn value(found: &Diagnosis) -> Value {
    let children: Vec<Value> = found.groups.iter().map(group).collect();
    json!({ "name": "Bulkhead Diagnose", "status": told(found.status()), "children": children })
}

fn group(group: &Group) -> Value {
    let children: Vec<Value> = group.checks.iter().map(check).collect();
    json!({ "name": group.name, "status": told(group.status()), "children": children })
}

fn check(check: &Check) -> Value {
    let mut told_of = Map::new();
    told_of.insert("name".to_owned(), check.name.clone().into());
    told_of.insert("status".to_owned(), told(check.status).into());
    told_of.insert("message".to_owned(), check.message.clone().into());
    if !check.advice.is_empty() {
        told_of.insert("advice".to_owned(), check.advice.clone().into());
    }
    Value::Object(told_of)
}

fn told(status: Status) -> &'static str {
    match status {
        Status::Warning => "warn",
        Status::Failure => "fail",
        status => word(status),
    }
}

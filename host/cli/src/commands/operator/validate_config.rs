//! `operator validate-config`: whether a config can be used, wherever it is looked at.

use std::path::PathBuf;

use bulkhead_server::{Check, Status, validate_config, version_text};
use serde_json::{Value, json};

use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "operator validate-config",
    about: "Tell whether a configuration can be used",
    usage: "[options]",
    help: "Reads a configuration as a server would, without looking at the machine: no file that it names\nis opened, no address tried; users and groups of a socket are looked up on this machine. To\nlook at all of it, use \"bulkhead operator diagnose\".\n\nThe exit code is 0 if all is well, 2 if there are keys without effect, 1 if a server would refuse\nit, and 3 for a wrong command line.\n\nCheck a file before it is rolled out:\n\n    $ bulkhead operator validate-config -config=bulkhead.hcl",
    prints: Prints::Formatted,
    is_client: false,
    flags: &[Flag::list("config", "Configuration file or directory; may be given many times.").env("CONFIG_PATH")],
    run,
};

/// Exit codes. Source: OpenBao's.
const EXIT_FAILURE: u8 = 1;
const EXIT_WARNING: u8 = 2;

fn run(session: &Session) -> Result<u8, Fault> {
    let configs: Vec<PathBuf> = session.flags.list("config").into_iter().map(PathBuf::from).collect();
    if configs.is_empty() {
        return Err(Fault::Usage("Must specify a configuration file using -config.".to_owned()));
    }
    session.at_most(0)?;
    let found = validate_config(&configs);
    let worst = found.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
    if session.is_table() {
        session.terminal.out(&table(&found, worst));
    } else {
        session.show_value(&value(&found, worst))?;
    }
    Ok(match worst {
        Status::Failure => EXIT_FAILURE,
        Status::Warning => EXIT_WARNING,
        Status::Ok | Status::Skipped => 0,
    })
}

fn told(check: &Check) -> String {
    match check.status {
        Status::Warning => format!("{} {}", check.name, check.message),
        _ => check.message.clone(),
    }
}

fn table(found: &[Check], worst: Status) -> String {
    let mut lines = vec![version_text()];
    let word = |status| match status {
        Status::Failure => "failure",
        Status::Warning => "warning",
        Status::Ok | Status::Skipped => "success",
    };
    let told_of = found.iter().filter(|check| check.status == worst && worst > Status::Ok);
    lines.extend(told_of.map(|check| format!("[ {} ] Validate Config: {}", word(worst), told(check))));
    if lines.len() == 1 {
        lines.push("[ success ] Validate Config".to_owned());
    }
    lines.join("\n")
}

fn value(found: &[Check], worst: Status) -> Value {
    let of = |status| found.iter().filter(move |check| check.status == status).map(told);
    let status = match worst {
        Status::Failure => "fail",
        Status::Warning => "warn",
        Status::Ok | Status::Skipped => "ok",
    };
    let mut shown = json!({ "name": "Validate Config", "status": status });
    if let Some(message) = of(Status::Failure).next() {
        shown["message"] = message.into();
    } else if worst == Status::Warning {
        shown["warnings"] = of(Status::Warning).collect();
    }
    shown
}

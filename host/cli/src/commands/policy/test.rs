//! `policy test`: holds policies against cases in files beside them, without a server.

mod caller;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bulkhead_model::acl::{Acl, Ask, Explanation};
use bulkhead_model::hcl::{self, Item};
use bulkhead_model::policy::{Capabilities, Policy, PolicyName, TemplateValues};
use serde_json::{Map, Value, json};

use caller::Caller;

use crate::commands::{Command, Prints};
use crate::fault::{EXIT_LOCAL, Fault, plain_io};
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "policy test",
    about: "Hold policies against cases in files",
    usage: "[options] FOLDER",
    help: "Reads the policies of a folder (NAME.hcl) and the cases beside them (*_test.hcl), and tells\nwhich of them come out otherwise. It needs no server. The exit code is 0 if all of them come\nout right.\n\nA case:\n\n    case \"the app reads its own secrets\" {\n      policies  = [\"app\"]\n      operation = \"read\"\n      path      = \"secret/data/app/db\"\n      allowed   = true\n    }\n\nIt may have parameters = { name = \"value\" }, sudo = true where the path demands it, and\nwrap_ttl = 60, in seconds. Where paths depend on who asks:\n\n    entity = { name = \"ann\", metadata = { team = \"web\" } }\n    groups = [\"ops\"]\n\nAn entity may have id, name, metadata and aliases, by the accessor of their mount, a group id,\nname and metadata; entity = false stands for a token without one.\n\n-format=json prints how each came out, and how many passed and failed.\n\nTest those of a folder:\n\n    $ bulkhead policy test ./policies",
    prints: Prints::Formatted,
    is_client: false,
    flags: &[],
    run,
};

/// Ending of a file with cases.
const CASES: &str = "_test.hcl";

/// What is expected of some policies together.
struct Case {
    /// File and line.
    place: String,
    name: String,
    policies: Vec<String>,
    operation: Capabilities,
    path: String,
    allowed: bool,
    sudo: bool,
    wrap_ttl_secs: Option<u64>,
    parameters: Map<String, Value>,
    caller: Caller,
}

fn run(session: &Session) -> Result<u8, Fault> {
    let folder = PathBuf::from(session.one()?.trim());
    let (mut policies, mut cases) = (BTreeMap::new(), Vec::new());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    for path in files(&folder)? {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Fault::Local(format!("Error reading {}: {}", path.display(), plain_io(&error))))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let failed = |why: String| Fault::Local(format!("{}: {why}", path.display()));
        if name.ends_with(CASES) {
            cases.extend(read_cases(&path, &text)?);
        } else {
            let name = PolicyName::parse(name.trim_end_matches(".hcl")).map_err(|error| failed(error.to_string()))?;
            let policy = Policy::parse(&text).map_err(|error| failed(error.to_string()))?;
            policies.insert(name.as_str().to_owned(), policy.at(now_ms));
        }
    }
    if cases.is_empty() {
        return Err(Fault::Local(format!("there are no cases in {}: files *{CASES}", folder.display())));
    }
    let (mut failures, mut shown) = (0, Vec::new());
    for case in &cases {
        let told = explained(case, &policies)?;
        failures += usize::from(told.allowed != case.allowed);
        if session.is_table() {
            tell(session, case, &told);
        } else {
            shown.push(value(case, &told));
        }
    }
    let passed = cases.len() - failures;
    if session.is_table() {
        session.terminal.out(&format!("{passed} passed, {failures} failed"));
    } else {
        session.show_value(&json!({ "cases": shown, "failed": failures, "passed": passed }))?;
    }
    Ok(if failures == 0 { 0 } else { EXIT_LOCAL })
}

/// How a case came out, for people.
fn tell(session: &Session, case: &Case, told: &Explanation) {
    if told.allowed == case.allowed {
        session.terminal.out(&format!("ok      {}", case.name));
        return;
    }
    let word = |allowed| if allowed { "allowed" } else { "denied" };
    session.terminal.out(&format!("FAILED  {}", case.name));
    let (wanted, came) = (word(case.allowed), word(told.allowed));
    session.terminal.out(&format!("        {}: expected {wanted}, was {came}: {}", case.place, told.reason));
    if let Some(rule) = &told.rule {
        let names: Vec<_> = rule.policies.iter().map(|(name, _)| name.as_str()).collect();
        let (path, said) = (&rule.pattern, rule.capabilities.join(", "));
        session.terminal.out(&format!("        path {path:?} [{said}] in {}", names.join(", ")));
    }
}

/// The same for programs.
fn value(case: &Case, told: &Explanation) -> Value {
    json!({
        "case": case.name,
        "place": case.place,
        "expected": case.allowed,
        "allowed": told.allowed,
        "passed": told.allowed == case.allowed,
        "reason": told.reason,
    })
}

/// Every `.hcl` of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let failed =
        |error: std::io::Error| Fault::Local(format!("Error reading {}: {}", folder.display(), plain_io(&error)));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "hcl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn explained(case: &Case, policies: &BTreeMap<String, Policy>) -> Result<Explanation, Fault> {
    let folder = [Capabilities::LIST, Capabilities::SCAN].contains(&case.operation) && !case.path.ends_with('/');
    let path = if folder { format!("{}/", case.path) } else { case.path.clone() };
    let mut named = Vec::new();
    for name in &case.policies {
        let policy = policies
            .get(name)
            .ok_or_else(|| Fault::Local(format!("{}: there is no {name}.hcl beside the cases", case.place)))?;
        if case.caller == Caller::Unknown {
            known_without_caller(case, (name, policy), &path)?;
        }
        match policy.resolved(case.caller.subject(), TemplateValues::default()) {
            Ok(policy) => named.push((name.as_str(), policy)),
            // As a server does: whoever has such a policy may do nothing.
            Err(error) => {
                let reason = format!("{name} cannot be what it is meant to be for this entity: {error}");
                return Ok(Explanation { allowed: false, rule: None, reason });
            }
        }
    }
    let parameters = || Some(case.parameters.clone());
    Ok(Acl::of(named.iter().map(|(name, policy)| (*name, policy))).explain(&Ask {
        path: &path,
        folded: &[],
        needs: case.operation,
        sudo: case.sudo,
        wrap_ttl_secs: case.wrap_ttl_secs,
        parameters: &parameters,
    }))
}

/// Makes sure that it is nothing to the path of a case who asks.
fn known_without_caller(case: &Case, (name, policy): (&str, &Policy), path: &str) -> Result<(), Fault> {
    let bare = path.trim_end_matches('/');
    let open = policy.rules.iter().find(|rule| [path, bare].iter().any(|path| rule.might_be_about(path)));
    match open {
        None => Ok(()),
        Some(rule) => Err(Fault::Local(format!(
            "{}: path {:?} of {name} depends on who asks: say it, as in entity = {{ name = \"ann\" }}",
            case.place, rule.pattern
        ))),
    }
}

fn read_cases(path: &Path, text: &str) -> Result<Vec<Case>, Fault> {
    let items = hcl::parse(text).map_err(|error| Fault::Local(format!("{}: {error}", path.display())))?;
    items.iter().map(|item| case(path, item)).collect()
}

fn case(path: &Path, item: &Item) -> Result<Case, Fault> {
    let at = |item: &Item| format!("{}:{}", path.display(), item.line);
    let wrong = |item: &Item, what: &str| Fault::Local(format!("{}: {what}", at(item)));
    let (("case", [name]), hcl::Value::Body(body)) = ((item.key.as_str(), &item.labels[..]), &item.value) else {
        return Err(wrong(item, "expected case \"name\" { … }"));
    };
    let mut case = Case {
        place: at(item),
        name: name.clone(),
        policies: Vec::new(),
        operation: Capabilities::default(),
        path: String::new(),
        allowed: false,
        sudo: false,
        wrap_ttl_secs: None,
        parameters: Map::new(),
        caller: Caller::Unknown,
    };
    let mut is_decided = false;
    for item in body {
        let text = || item.value.scalar().map(str::to_owned);
        let flag = || text().and_then(|text| text.parse().ok()).ok_or_else(|| wrong(item, "expected true or false"));
        match item.key.as_str() {
            "policies" => {
                let hcl::Value::List(names) = &item.value else { return Err(wrong(item, "expected a list of names")) };
                case.policies = names.iter().filter_map(hcl::Value::scalar).map(str::to_lowercase).collect();
            }
            "operation" => {
                let operation = text().as_deref().and_then(Capabilities::named);
                let known = operation.filter(|operation| ![Capabilities::DENY, Capabilities::SUDO].contains(operation));
                case.operation = known.ok_or_else(|| wrong(item, "expected an operation such as \"read\""))?;
            }
            "path" => case.path = text().unwrap_or_default().trim_start_matches('/').to_owned(),
            "allowed" => (case.allowed, is_decided) = (flag()?, true),
            "sudo" => case.sudo = flag()?,
            "wrap_ttl" => {
                let secs = text().and_then(|text| text.parse().ok());
                case.wrap_ttl_secs = Some(secs.ok_or_else(|| wrong(item, "expected a number of seconds"))?);
            }
            "parameters" => case.parameters = map(&item.value).ok_or_else(|| wrong(item, "expected a block"))?,
            "entity" => case.caller.entity(&item.value).map_err(|what| wrong(item, &what))?,
            "groups" => case.caller.groups(&item.value).map_err(|what| wrong(item, &what))?,
            other => return Err(wrong(item, &format!("unknown key {other:?} in a case"))),
        }
    }
    if !is_decided || case.path.is_empty() || case.policies.is_empty() || case.operation == Capabilities::default() {
        return Err(wrong(item, "a case needs policies, operation, path and allowed"));
    }
    Ok(case)
}

fn map(value: &hcl::Value) -> Option<Map<String, Value>> {
    let hcl::Value::Body(items) = value else { return None };
    Some(items.iter().map(|item| (item.key.clone(), plain(&item.value))).collect())
}

/// A value as a request has it.
fn plain(value: &hcl::Value) -> Value {
    match value {
        hcl::Value::Str(text) => text.as_str().into(),
        hcl::Value::Num(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
        hcl::Value::Bool(flag) => (*flag).into(),
        hcl::Value::List(all) => all.iter().map(plain).collect(),
        hcl::Value::Body(_) => map(value).map_or(Value::Null, Value::Object),
    }
}

//! The case files `api/*.yaml` as values. What lives here: reading and refusing
//! them. What must not: sending a request. The format is described in `api/README.md`.

use std::fs;
use std::path::Path;

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Number, Value, json};

/// One file: cases that share a pair of fresh servers.
#[derive(Debug)]
pub struct CaseFile {
    /// Its name, without folder.
    pub name: String,
    /// Which kind of server it is about.
    pub server: Kind,
    /// In order; later ones see what earlier ones did.
    pub cases: Vec<Case>,
    /// Why it is about a node alone, where it is.
    pub alone: Option<String>,
    /// Whether each server has a PostgreSQL of its own beside it: `${postgresql}` (host and port),
    /// `${postgresql_user}` and `${postgresql_password}`.
    pub postgresql: bool,
}

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `server -dev`.
    Dev,
    /// Raft storage and an audit file, initialised with one share and unsealed.
    Raft,
    /// Raft storage, not yet initialised.
    Fresh,
}

/// A rule and the requests that show it.
#[derive(Debug)]
pub struct Case {
    /// The rule, as a sentence.
    pub name: String,
    /// Where it is written, or on what it was observed.
    pub source: String,
    /// In order.
    pub steps: Vec<Step>,
    /// Why it is about a node alone, where it is.
    pub alone: Option<String>,
    /// Why all of it is asked of one and the same node, where it is.
    pub one_node: Option<String>,
}

/// One request and its answer.
#[derive(Debug)]
pub struct Step {
    /// `GET sys/mounts`, as written.
    pub line: String,
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// Token: `root`, `none`, or text with variables.
    pub token: String,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body; text with variables.
    pub body: Option<String>,
    /// What both servers must answer.
    pub expect: Expect,
    /// What Bulkhead answers instead, with the reason.
    pub differs: Option<Differs>,
    /// What a node of a cluster answers that does not lead it, with the reason.
    pub standby: Option<Differs>,
    /// Parts of the answer in which the two servers need not be alike, with the reason.
    pub unlike: Vec<(String, String)>,
    /// Variables to take from the answer: name and dotted path.
    pub save: Vec<(String, String)>,
    /// When it is asked, and how often.
    pub pace: Pace,
}

/// When a step is asked, and how often.
#[derive(Debug)]
pub struct Pace {
    /// Milliseconds to wait first.
    pub wait_millis: u64,
    /// Repeat until the answer is as expected.
    pub until: bool,
}

/// A listed difference.
#[derive(Debug)]
pub struct Differs {
    /// The other answer; `None` where nothing is asked.
    pub answer: Option<Expect>,
    /// Why.
    pub reason: String,
}

/// What an answer must be like.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The status code; 0 for any.
    pub status: u16,
    /// The whole body.
    pub is: Option<Value>,
    /// A part of the body.
    pub has: Option<Value>,
    /// Dotted paths that must be absent.
    pub lacks: Vec<String>,
    /// A regular expression on the body as text.
    pub text: Option<String>,
    /// Headers and their values.
    pub header: Vec<(String, String)>,
    /// Headers that must be absent.
    pub no_header: Vec<String>,
}

/// Reads a case file.
///
/// # Errors
/// A sentence that names the file and the step.
pub fn load(path: &Path) -> Result<CaseFile, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let documents = Yaml::load_from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let document = documents.first().ok_or_else(|| format!("{name}: empty"))?;
    let document = plain(document).map_err(|error| format!("{name}: {error}"))?;
    file(&name, &document).map_err(|error| format!("{name}: {error}"))
}

fn file(name: &str, document: &Value) -> Result<CaseFile, String> {
    known(document, &["server", "source", "cases", "alone", "database"])?;
    let server = match document.get("server").and_then(Value::as_str) {
        Some("dev") => Kind::Dev,
        Some("raft") => Kind::Raft,
        Some("fresh") => Kind::Fresh,
        other => return Err(format!("server {other:?} is none of dev, raft, fresh")),
    };
    let source = document.get("source").and_then(Value::as_str).unwrap_or_default();
    let cases = list(document, "cases")?.iter().map(|entry| case(entry, source)).collect::<Result<_, _>>()?;
    let postgresql = match document.get("database").and_then(Value::as_str) {
        None => false,
        Some("postgresql") => true,
        Some(other) => return Err(format!("database {other:?} is not postgresql")),
    };
    Ok(CaseFile { name: name.to_owned(), server, cases, alone: text(document, "alone"), postgresql })
}

fn case(entry: &Value, file_source: &str) -> Result<Case, String> {
    known(entry, &["case", "source", "steps", "alone", "one_node"])?;
    let name = text(entry, "case").ok_or("a case without a name")?;
    let source = text(entry, "source").unwrap_or_else(|| file_source.to_owned());
    if source.is_empty() {
        return Err(format!("{name}: no source"));
    }
    let steps =
        list(entry, "steps")?.iter().map(step).collect::<Result<_, _>>().map_err(|error| format!("{name}: {error}"))?;
    Ok(Case { name, source, steps, alone: text(entry, "alone"), one_node: text(entry, "one_node") })
}

const EXPECT_KEYS: [&str; 12] =
    ["status", "is", "has", "lacks", "text", "header", "no_header", "data", "errors", "top", "envelope", "empty"];
const STEP_KEYS: [&str; 12] = [
    "do",
    "namespace",
    "token",
    "headers",
    "json",
    "body",
    "differs",
    "standby",
    "unlike",
    "save",
    "wait_millis",
    "until",
];

fn step(entry: &Value) -> Result<Step, String> {
    let line = text(entry, "do").ok_or_else(|| format!("a step without `do`: {entry}"))?;
    let wrong = |error: String| format!("{line}: {error}");
    known(entry, &[&EXPECT_KEYS[..], &STEP_KEYS[..]].concat()).map_err(wrong)?;
    let (method, path) = line.split_once(' ').ok_or_else(|| wrong("`do` is METHOD path".to_owned()))?;
    let target = if path.starts_with('/') { path.to_owned() } else { format!("/v1/{path}") };
    let namespace = text(entry, "namespace").map(|namespace| ("X-Vault-Namespace".to_owned(), namespace));
    Ok(Step {
        method: method.to_owned(),
        target: repeated(&target),
        token: entry.get("token").map_or("root".to_owned(), spelled),
        headers: [pairs(entry, "headers"), namespace.into_iter().collect()].concat(),
        body: entry.get("json").map(Value::to_string).or_else(|| entry.get("body").map(spelled)),
        expect: expect(entry).map_err(wrong)?,
        differs: entry.get("differs").map(|entry| differs(entry, "bulkhead", "later")).transpose().map_err(wrong)?,
        standby: entry.get("standby").map(|entry| differs(entry, "answer", "unasked")).transpose().map_err(wrong)?,
        unlike: pairs(entry, "unlike"),
        save: pairs(entry, "save"),
        pace: Pace {
            wait_millis: entry.get("wait_millis").and_then(Value::as_u64).unwrap_or(0),
            until: entry.get("until").and_then(Value::as_bool).unwrap_or(false),
        },
        line,
    })
}

/// A difference: the other answer under `key`, or this word where nothing is asked.
fn differs(entry: &Value, key: &str, unasked: &str) -> Result<Differs, String> {
    known(entry, &[key, "reason"])?;
    let reason = text(entry, "reason").filter(|reason| reason.len() > 10).ok_or("a difference without a reason")?;
    let answer = match entry.get(key) {
        Some(Value::String(word)) if word == unasked => None,
        Some(answer) => {
            known(answer, &EXPECT_KEYS)?;
            Some(expect(answer)?)
        }
        None => return Err("a difference without the other answer".to_owned()),
    };
    Ok(Differs { answer, reason })
}

fn expect(entry: &Value) -> Result<Expect, String> {
    let status = entry.get("status").and_then(Value::as_u64).ok_or("no status")?;
    let strings = |key: &str| -> Vec<String> {
        entry.get(key).and_then(Value::as_array).into_iter().flatten().map(spelled).collect()
    };
    let mut text_pattern = text(entry, "text");
    if entry.get("empty").is_some() {
        text_pattern = Some("^$".to_owned());
    }
    Ok(Expect {
        status: u16::try_from(status).map_err(|_| "no such status")?,
        is: whole(entry),
        has: entry.get("has").cloned(),
        lacks: strings("lacks"),
        text: text_pattern,
        header: pairs(entry, "header"),
        no_header: strings("no_header"),
    })
}

/// The whole body meant by `is`, `errors`, or `data` with `top` and `envelope`.
fn whole(entry: &Value) -> Option<Value> {
    if let Some(errors) = entry.get("errors") {
        return Some(json!({"errors": errors}));
    }
    if let Some(whole) = entry.get("is") {
        return Some(whole.clone());
    }
    let envelope = entry.get("envelope");
    let data = entry.get("data").or(envelope.map(|_| &Value::Null))?;
    let mut body = json!({
        "request_id": "<uuid>", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": data, "wrap_info": null, "warnings": null, "auth": null,
    });
    let fields = body.as_object_mut().expect("made as an object");
    if entry.get("top").is_some() {
        fields.extend(data.as_object().cloned().unwrap_or_default());
    }
    fields.extend(envelope.and_then(Value::as_object).cloned().unwrap_or_default());
    Some(body)
}

fn known(entry: &Value, keys: &[&str]) -> Result<(), String> {
    let fields = entry.as_object().ok_or_else(|| format!("not a mapping: {entry}"))?;
    match fields.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key `{key}`")),
        None => Ok(()),
    }
}

fn list<'a>(entry: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    entry.get(key).and_then(Value::as_array).ok_or_else(|| format!("no list `{key}`"))
}

fn text(entry: &Value, key: &str) -> Option<String> {
    entry.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn pairs(entry: &Value, key: &str) -> Vec<(String, String)> {
    let fields = entry.get(key).and_then(Value::as_object).into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), spelled(value))).collect()
}

/// Text as written, or repeated: `{before, each, times, between, after}`, with `{i}` counting.
fn spelled(value: &Value) -> String {
    let Value::Object(parts) = value else {
        return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    };
    let part = |key: &str| parts.get(key).and_then(Value::as_str).unwrap_or_default();
    let times = parts.get("times").and_then(Value::as_u64).unwrap_or(1);
    let each = part("each");
    let counted = each.contains("{i}");
    let each = (0..times).map(|i| if counted { each.replace("{i}", &i.to_string()) } else { each.to_owned() });
    format!("{}{}{}", part("before"), each.collect::<Vec<_>>().join(part("between")), part("after"))
}

/// A path may hold one `{x*40000}`: the text so many times.
fn repeated(target: &str) -> String {
    let unfolded = || {
        let (before, rest) = target.split_once('{')?;
        let (inside, after) = rest.split_once('}')?;
        let (each, times) = inside.split_once('*')?;
        Some(format!("{before}{}{after}", each.repeat(times.parse().ok()?)))
    };
    unfolded().unwrap_or_else(|| target.to_owned())
}

/// YAML as JSON.
fn plain(node: &Yaml<'_>) -> Result<Value, String> {
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(flag)) => Value::Bool(*flag),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => {
            Number::from_f64(**number).map(Value::Number).ok_or("no such number")?
        }
        Yaml::Value(Scalar::String(text)) => Value::String(text.to_string()),
        Yaml::Sequence(items) => Value::Array(items.iter().map(plain).collect::<Result<_, _>>()?),
        Yaml::Mapping(fields) => {
            let field = |(key, value): (&Yaml<'_>, &Yaml<'_>)| Ok::<_, String>((spelled(&plain(key)?), plain(value)?));
            Value::Object(fields.iter().map(field).collect::<Result<Map<_, _>, _>>()?)
        }
        other => return Err(format!("tags, aliases and the like are not used here: {other:?}")),
    })
}

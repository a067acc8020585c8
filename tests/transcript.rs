//! Command lines and what they print, as a file. What lives here: reading such a
//! file, running it with a client program, and comparing. What must not: the
//! sessions themselves (`cli/*.txt`).
//!
//! A session is lines:
//! `$ words`   a command line for the client (quotes as in a shell);
//! `< text`    its standard input; `[exit N]` its exit code, where not 0;
//! `[save x]`  keeps what it printed as `${x}`, and JSON also by path, `${x.auth.accessor}`;
//! `[until status]`, `[wait_millis N]` what to wait for after it;
//! `  text`    a line of its output; `? text` one that may be missing;
//! `! text`    a line of its error output; `# …` a comment.
//! Times, ids, widths and names of products are taken out before comparing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::masks;
use crate::node::READY_SECS_MAX;
use crate::shape::{Variables, fill};

/// One command and what it prints.
#[derive(Debug, Default)]
pub struct Entry {
    /// The command line.
    pub line: String,
    input: String,
    save: Option<String>,
    until_up: bool,
    wait_millis: u64,
    exit: i32,
    output: Vec<(String, bool)>,
    errors: Vec<String>,
}

/// Reads a session.
///
/// # Panics
/// If a line is none of the forms above.
pub fn parse(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(command) = line.strip_prefix("$ ") {
            entries.push(Entry { line: command.to_owned(), ..Entry::default() });
            continue;
        }
        let entry = entries.last_mut().expect("a session begins with a command");
        detail(entry, line);
    }
    entries
}

fn detail(entry: &mut Entry, line: &str) {
    let directive = |name: &str| {
        line.strip_prefix('[')
            .and_then(|rest| rest.strip_prefix(name))
            .map(|rest| rest.trim().trim_end_matches(']').to_owned())
    };
    if let Some(text) = line.strip_prefix("< ") {
        text.clone_into(&mut entry.input);
    } else if let Some(name) = directive("save") {
        entry.save = Some(name);
    } else if directive("until status").is_some() {
        entry.until_up = true;
    } else if let Some(millis) = directive("wait_millis") {
        entry.wait_millis = millis.parse().expect("milliseconds");
    } else if let Some(code) = directive("exit") {
        entry.exit = code.parse().expect("an exit code");
    } else if let Some(text) = line.strip_prefix("  ") {
        entry.output.push((text.to_owned(), false));
    } else if let Some(text) = line.strip_prefix("? ") {
        entry.output.push((text.to_owned(), true));
    } else if let Some(text) = line.strip_prefix("! ") {
        entry.errors.push(text.to_owned());
    } else {
        panic!("a line of no form: {line}");
    }
}

/// A client program, its home and the server it speaks to.
pub struct Client {
    /// The program.
    pub program: PathBuf,
    /// Its home and working folder.
    pub home: PathBuf,
    /// The server.
    pub address: String,
    /// Whether error output must be the same too, word for word; else only what the server said.
    pub same_errors: bool,
}

/// What a command did.
pub struct Ran {
    /// Exit code; -1 if killed.
    pub exit: i32,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

impl Client {
    /// Runs one command line.
    pub fn run(&self, words: &[String], input: &str) -> Ran {
        let mut command = Command::new(&self.program);
        command.args(words).current_dir(&self.home).env_clear();
        command.env("HOME", &self.home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("BAO_ADDR", &self.address).env("VAULT_ADDR", &self.address);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting the client");
        // A client that reads no input closes the pipe: no fault.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("the client's output");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { exit: output.status.code().unwrap_or(-1), output: text(&output.stdout), errors: text(&output.stderr) }
    }

    /// Runs a session; what was not as expected, in order.
    pub fn session(&self, entries: &[Entry], variables: &mut Variables) -> Vec<String> {
        let mut faults = Vec::new();
        for entry in entries {
            let words: Vec<String> = words(&entry.line).iter().map(|word| fill(word, variables)).collect();
            let ran = self.run(&words, &entry.input);
            if let Some(name) = &entry.save {
                keep(name, ran.output.trim(), variables);
            }
            faults.extend(self.compare(entry, &ran));
            thread::sleep(Duration::from_millis(entry.wait_millis));
            if entry.until_up {
                self.until_up();
            }
        }
        faults
    }

    fn until_up(&self) {
        let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
        while self.run(&["status".to_owned()], "").exit != 0 {
            assert!(Instant::now() < deadline, "the server does not become ready");
            thread::sleep(Duration::from_millis(50));
        }
        // Unsealed is not yet active: that follows within a moment.
        thread::sleep(Duration::from_millis(500));
    }

    fn compare(&self, entry: &Entry, ran: &Ran) -> Option<String> {
        let mut wrong = Vec::new();
        if ran.exit != entry.exit {
            wrong.push(format!("exit code {} instead of {}", ran.exit, entry.exit));
        }
        let got: Vec<String> = masks::lines(&ran.output, &self.home);
        let wanted: Vec<(String, bool)> =
            entry.output.iter().map(|(line, optional)| (masks::line(line, &self.home), *optional)).collect();
        wrong.extend(line_differences(&wanted, &got));
        let errors = masks::lines(&ran.errors, &self.home);
        let is_compared = |line: &&String| self.same_errors || line.trim_start().starts_with("* ");
        for line in entry.errors.iter().map(|line| masks::line(line, &self.home)).filter(|line| is_compared(&line)) {
            if !errors.contains(&line) {
                wrong.push(format!("error output lacks {line:?}"));
            }
        }
        if wrong.is_empty() {
            return None;
        }
        wrong.extend(errors.iter().map(|line| format!("  stderr {line}")));
        Some(format!("$ {}\n      {}", entry.line, wrong.join("\n      ")))
    }
}

/// Expected lines that are missing and lines that are not expected; order counts.
fn line_differences(wanted: &[(String, bool)], got: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rest = got;
    for (line, optional) in wanted {
        match rest.iter().position(|other| other == line) {
            Some(found) => {
                wrong.extend(rest[..found].iter().map(|line| format!("+ {line}")));
                rest = &rest[found + 1..];
            }
            None if *optional => {}
            None => wrong.push(format!("- {line}")),
        }
    }
    wrong.extend(rest.iter().map(|line| format!("+ {line}")));
    wrong
}

fn keep(name: &str, text: &str, variables: &mut Variables) {
    variables.insert(name.to_owned(), text.to_owned());
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let mut found = BTreeMap::new();
        flatten(name, &value, &mut found);
        variables.extend(found);
    }
}

fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&format!("{path}.{key}"), value, found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| flatten(&format!("{path}.{i}"), value, found))
        }
        Value::String(text) => drop(found.insert(path.to_owned(), text.clone())),
        other => drop(found.insert(path.to_owned(), other.to_string())),
    }
}

/// Words of a line, with single and double quotes as a shell has them.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

//! Command lines given to two clients, each with a fresh server of its own kind, and
//! what they print and end with, compared. What lives here: reading a list of such
//! lines, running and comparing. What must not: the lines (`cli/beside.txt`).
//!
//! `= line`   a line for bash, in which `cli` is the client;
//! `! line`   the same, to set the scene: nothing is compared, and it must succeed;
//! `~ parts: reason`  parts of the answer to the line above (`exit`, `stdout`, `stderr`)
//!            that are not alike, and why; parts that are alike all the same are a fault;
//! `# …`      a comment.
//! Each line runs in a shell of its own, in one folder, which is also the home.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::masks;
use crate::node::{DEV_ROOT, Node};
use crate::programs::Program;

/// A line of the list.
#[derive(Debug, Default)]
pub struct Line {
    /// What bash is given.
    pub command: String,
    is_scene: bool,
    unlike: BTreeSet<String>,
    /// Why the answers are not alike, where they are not.
    pub reason: Option<String>,
}

/// Reads a list.
///
/// # Panics
/// If a line is none of the forms above.
pub fn parse(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (sign, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        match sign {
            "= " | "! " => {
                lines.push(Line { command: rest.to_owned(), is_scene: sign == "! ", ..Line::default() });
            }
            "~ " => {
                let (parts, reason) = rest.split_once(": ").expect("a difference has a reason");
                let last = lines.last_mut().expect("a difference is that of a line");
                last.unlike = parts.split(' ').map(str::to_owned).collect();
                last.reason = Some(reason.to_owned());
            }
            _ => panic!("a line of no form: {line}"),
        }
    }
    lines
}

/// A client with its server.
pub struct Side {
    program: Program,
    node: Node,
    home: TempDir,
}

/// What one side answered, masked.
#[derive(Debug, Default)]
struct Answer {
    exit: i32,
    stdout: String,
    /// The lines in which a server speaks, and whether there is anything at all.
    stderr: (bool, Vec<String>),
    /// As it was said.
    said: String,
}

impl Side {
    /// Starts a development server of this kind.
    ///
    /// # Errors
    /// The folder of the client cannot be made.
    pub fn start(program: Program) -> io::Result<Self> {
        let home = TempDir::with_prefix("bulkhead-test-")?;
        std::fs::create_dir(home.path().join(".bin"))?;
        symlink(program.path(), home.path().join(".bin/cli"))?;
        Ok(Self { program, node: Node::dev(program), home })
    }

    fn answer(&self, line: &str) -> Answer {
        let mut path = self.home.path().join(".bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.args(["-c", line]).current_dir(self.home.path()).env_clear();
        bash.env("HOME", self.home.path()).env("PATH", path).env("BAO_TOKEN", DEV_ROOT);
        bash.env("BAO_ADDR", format!("http://127.0.0.1:{}", self.node.port)).stdin(Stdio::null());
        let output = bash.output().expect("starting bash");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Answer {
            exit: output.status.code().unwrap_or(-1),
            stdout: masks::output(&stdout, self.home.path()),
            stderr: (stderr.is_empty(), spoken(&masks::lines(&stderr, self.home.path()))),
            said: format!("{stdout}{stderr}"),
        }
    }
}

/// What a server said in an error: each client has its own words around that.
fn spoken(lines: &[String]) -> Vec<String> {
    let marks = ["* ", "URL: ", "Code: ", "Errors:"];
    lines.iter().filter(|line| marks.iter().any(|mark| line.trim_start().starts_with(mark))).cloned().collect()
}

/// Gives every line to both; what is not as written, in order.
pub fn compare(ours: &Side, theirs: &Side, lines: &[Line]) -> Vec<String> {
    let mut faults = Vec::new();
    for line in lines {
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| ours.answer(&line.command));
            let other = theirs.answer(&line.command);
            (one.join().expect("bash was run"), other)
        });
        faults.extend(judge(line, [(ours, &one), (theirs, &other)]));
    }
    faults
}

fn judge(line: &Line, answers: [(&Side, &Answer); 2]) -> Option<String> {
    let [(_, one), (_, other)] = answers;
    let said = || {
        let of = |(side, answer): (&Side, &Answer)| {
            let said = answer.said.replace('\n', "\n        ");
            format!("\n      {} ({}):\n        {}", side.program.name(), answer.exit, said.trim_end())
        };
        answers.map(of).concat()
    };
    if line.is_scene {
        let failed = one.exit != 0 || other.exit != 0;
        return failed.then(|| format!("! {}: failed{}", line.command, said()));
    }
    let parts = [
        ("exit", one.exit != other.exit),
        ("stdout", one.stdout != other.stdout),
        ("stderr", one.stderr != other.stderr),
    ];
    let unlike: BTreeSet<String> = parts.iter().filter(|part| part.1).map(|part| part.0.to_owned()).collect();
    (unlike != line.unlike)
        .then(|| format!("= {}\n      unlike in {unlike:?}, listed {:?}{}", line.command, line.unlike, said()))
}

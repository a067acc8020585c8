//! Running other programs: what is run is printed, failures say what failed, and
//! output can be read by us while the user still sees it.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};

/// Why a task ended: one sentence for the user.
#[derive(Debug)]
pub(crate) struct Failed(String);

impl Failed {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How every task ends.
pub(crate) type Done<T = ()> = Result<T, Failed>;

/// Says what was tried when something fails.
pub(crate) trait Tried<T> {
    fn tried(self, what: impl Display) -> Done<T>;
}

impl<T, E: Display> Tried<T> for Result<T, E> {
    fn tried(self, what: impl Display) -> Done<T> {
        self.map_err(|error| Failed(format!("{what}: {error}")))
    }
}

/// A line of progress.
pub(crate) fn say(what: impl Display) {
    println!("==> {what}");
    // Progress that arrives after the output it announces would be worse than none.
    let _ = std::io::stdout().flush();
}

/// The cargo that runs us, without the variables it set for us: they would look like
/// changed inputs to build scripts of the builds we start.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    const OURS: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OURS.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command.current_dir(crate::workspace::root());
    command
}

/// The command as one would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    command.get_args().fold(name, |line, arg| format!("{line} {}", arg.to_string_lossy()))
}

/// Runs it with our own output.
///
/// # Errors
/// It could not start, or ended with a failure.
pub(crate) fn run(command: &mut Command) -> Done {
    let line = line_of(command);
    let status = command.status().tried(format_args!("starting `{line}`"))?;
    succeeded(status, &line)
}

/// Runs it and gives what it printed on standard output; its errors go to ours.
///
/// # Errors
/// It could not start, ended with a failure, or printed what is not UTF-8.
pub(crate) fn read(command: &mut Command) -> Done<String> {
    let line = line_of(command);
    let output = command.stderr(Stdio::inherit()).output().tried(format_args!("starting `{line}`"))?;
    succeeded(output.status, &line)?;
    String::from_utf8(output.stdout).tried(format_args!("reading what `{line}` printed"))
}

/// Runs it, shows its output as it comes and gives all of it, with whether it succeeded.
///
/// # Errors
/// It could not start.
pub(crate) fn watch(command: &mut Command) -> Done<(bool, String)> {
    let line = line_of(command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().tried(format_args!("starting `{line}`"))?;
    let errors = child.stderr.take().expect("stderr was piped above");
    let output = child.stdout.take().expect("stdout was piped above");
    let reader = std::thread::spawn(move || show(errors, std::io::stderr()));
    let mut text = show(output, std::io::stdout());
    text.push_str(&reader.join().unwrap_or_default());
    let status = child.wait().tried(format_args!("waiting for `{line}`"))?;
    Ok((status.success(), text))
}

fn show(from: impl Read, mut to: impl Write) -> String {
    let mut all = Vec::new();
    let mut lines = BufReader::new(from);
    loop {
        let start = all.len();
        match lines.read_until(b'\n', &mut all) {
            Ok(0) | Err(_) => break,
            // A closed terminal is no reason to stop a test run.
            Ok(_) => drop(to.write_all(&all[start..])),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Whether this program exists and answers `--version`.
pub(crate) fn exists(program: impl AsRef<std::ffi::OsStr>) -> bool {
    let quiet = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn succeeded(status: ExitStatus, line: &str) -> Done {
    if status.success() { Ok(()) } else { Err(Failed(format!("`{line}` failed ({status})"))) }
}

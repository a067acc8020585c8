//! The program that keeps the token between commands instead of the file, where the command line's
//! own config names one: `token_helper` in `~/.bao`, else `~/.vault`, or in what `BAO_CONFIG_PATH` or
//! `VAULT_CONFIG_PATH` names. (`BULKHEAD_CONFIG_PATH` is a server's config.) It is called with `get`,
//! and prints the token, or with `store`, and gets the token on standard input.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

use bulkhead_model::hcl::{self, Item};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::HCL_BYTES_MAX;

use crate::env::Environment;
use crate::fault::plain_io;

/// Longest answer of a helper, in bytes. Source: ours. Why: it is held, and no token is near it.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// Room that a token fits into without being moved.
const TOKEN_ROOM: usize = 8 * 1024;

/// The most that is told of what a helper says, in bytes. Source: ours.
const SAID_BYTES_MAX: u64 = 4 * 1024;

/// A program that keeps the token.
#[derive(Debug)]
pub(crate) struct Helper {
    program: PathBuf,
}

impl Helper {
    /// The helper that the command line's config names, if there is one.
    ///
    /// # Errors
    /// A config that cannot be used, or a program that is not there.
    pub(crate) fn of(env: &Environment) -> io::Result<Option<Self>> {
        let Some(config) = config_path(env) else { return Ok(None) };
        let Some(program) = read(&config)? else { return Ok(None) };
        match fs::metadata(&program) {
            Ok(_) => Ok(Some(Self { program })),
            Err(error) => Err(io::Error::other(format!("token_helper: {}: {}", program.display(), plain_io(&error)))),
        }
    }

    /// The token that it has, if any.
    ///
    /// # Errors
    /// It cannot be run, fails, or says something else than a token.
    pub(crate) fn load(&self) -> io::Result<Option<Hidden<String>>> {
        let given = self.run("get", None)?;
        let token = given.expose().trim();
        Ok((!token.is_empty()).then(|| Hidden::new(token.to_owned())))
    }

    /// Gives it a token to keep.
    ///
    /// # Errors
    /// It cannot be run, or fails.
    pub(crate) fn store(&self, token: &str) -> io::Result<()> {
        self.run("store", Some(token)).map(drop)
    }

    fn run(&self, operation: &str, token: Option<&str>) -> io::Result<Hidden<String>> {
        let (input, output) = match token {
            Some(_) => (Stdio::piped(), Stdio::null()),
            None => (Stdio::null(), Stdio::piped()),
        };
        let mut command = Command::new(&self.program);
        command.arg(operation).stdin(input).stdout(output).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| self.not_run(&error))?;
        // Beside the rest: it may wait until its words are read.
        let stderr = child.stderr.take();
        let words = thread::spawn(move || stderr.map(said).unwrap_or_default());
        let fed = child.stdin.take().map_or(Ok(()), |stdin| feed(stdin, token.unwrap_or_default()));
        let given = child.stdout.take().map_or_else(|| Ok(Hidden::new(String::new())), answer);
        let status = child.wait()?;
        let words = words.join().unwrap_or_default();
        if !status.success() {
            let given = given.as_ref().map_or("", |given| given.expose().trim());
            return Err(failure(&words, status, token.unwrap_or(given)));
        }
        fed?;
        given
    }

    fn not_run(&self, error: &io::Error) -> io::Error {
        let why = match error.raw_os_error() {
            Some(libc::ENOEXEC) => "it is no program: a script begins with #!/bin/sh".to_owned(),
            _ => plain_io(error),
        };
        io::Error::other(format!("{}: {why}", self.program.display()))
    }
}

/// Where the command line's own config is; none if there is none.
fn config_path(env: &Environment) -> Option<PathBuf> {
    if let Some(named) = env.peers_setting("CONFIG_PATH") {
        return Some(env.expanded(named));
    }
    let home = env.home()?;
    // Other programs have folders of these names.
    [".bao", ".vault"].map(|name| home.join(name)).into_iter().find(|path| path.is_file())
}

/// The program that a config names. There may be no such file, as with the peers.
fn read(path: &Path) -> io::Result<Option<PathBuf>> {
    let unreadable = |error: &io::Error| io::Error::other(format!("read {}: {}", path.display(), plain_io(error)));
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| unreadable(&error))?,
    };
    let mut text = String::new();
    let most = u64::try_from(HCL_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    let wrong = |line: u32, what: &str| {
        io::Error::other(format!(
            "{}:{line}: {what}. This file is the command line's own config, with token_helper and nothing else: \
             name another in BAO_CONFIG_PATH, and a server's config in BULKHEAD_CONFIG_PATH",
            path.display()
        ))
    };
    let mut program = None;
    for item in hcl::parse(&text).map_err(|error| wrong(error.line, &error.message))? {
        program = named(&item).map_err(|what| wrong(item.line, &what))?;
    }
    Ok(program)
}

fn named(item: &Item) -> Result<Option<PathBuf>, String> {
    if item.key != "token_helper" || !item.labels.is_empty() {
        return Err(format!("unknown key {}", item.key));
    }
    let text = item.value.scalar();
    let text = text.ok_or_else(|| format!("token_helper must be a string, and is {}", item.value.kind()))?;
    let program = PathBuf::from(text);
    match text {
        "" => Ok(None),
        // Below the folder that one happens to be in, a stranger could have put it there.
        _ if !program.is_absolute() => Err(format!("token_helper is {text:?}: write the whole path, from / on")),
        _ => Ok(Some(program)),
    }
}

/// Whether it reads what it is given is the helper's business.
fn feed(mut stdin: ChildStdin, token: &str) -> io::Result<()> {
    match stdin.write_all(token.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn answer(stdout: ChildStdout) -> io::Result<Hidden<String>> {
    let mut text = Hidden::new(String::with_capacity(TOKEN_ROOM));
    let bytes = stdout.take(TOKEN_BYTES_MAX + 1).read_to_string(text.expose_mut())?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes <= TOKEN_BYTES_MAX) {
        return Ok(text);
    }
    Err(io::Error::other(format!("the helper's answer is over {TOKEN_BYTES_MAX} bytes")))
}

/// What it says to people, as far as it is told.
fn said(mut stderr: ChildStderr) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is not told; how the helper ended is.
    let _ = stderr.by_ref().take(SAID_BYTES_MAX).read_to_end(&mut bytes);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn failure(said: &str, status: ExitStatus, token: &str) -> io::Error {
    let ended = status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"));
    if !token.is_empty() && said.contains(token) {
        return io::Error::other(format!("{ended} (what the helper says holds the token, and is not shown)"));
    }
    io::Error::other(format!("{said:?}: {ended}"))
}

#[cfg(test)]
mod tests;

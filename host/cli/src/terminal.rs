//! The user's terminal: what is printed where, and questions without echo. Nothing else
//! in this room touches stdin, stdout or stderr, apart from K=V values read from stdin.

use std::io::{self, IsTerminal, Read, Write};

mod echo;

use bulkhead_model::hidden::Hidden;

/// Where a command's output goes.
pub(crate) struct Terminal {
    /// Dry runs print their one result and nothing about the step they left out.
    is_quiet: bool,
}

/// Longest secret that can be typed, in bytes. Source: none, a constant. Why: the buffer
/// is made once, so that no copy of a secret is left behind by growing it.
const SECRET_BYTES_MAX: usize = 4096;

const RED: &str = "\u{1b}[0;31m";
const YELLOW: &str = "\u{1b}[0;33m";
const PLAIN: &str = "\u{1b}[0m";
/// Begins the line anew.
const AFRESH: &str = "\r\u{1b}[2K";

impl Terminal {
    /// A terminal; a quiet one shows no warnings.
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self { is_quiet }
    }

    /// A line (or several) of the result.
    pub(crate) fn out(&self, text: &str) {
        self.write(text, "\n");
    }

    /// A result without a newline, unless a person reads it.
    pub(crate) fn out_bare(&self, text: &str) {
        self.write(text, if io::stdout().is_terminal() { "\n" } else { "" });
    }

    // A reader that has gone away (`| head`) is no failure of the command.
    fn write(&self, text: &str, end: &str) {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.write_all(end.as_bytes());
        let _ = stdout.flush();
    }

    /// Something the user should know besides the result.
    pub(crate) fn warn(&self, text: &str) {
        if !self.is_quiet {
            to_stderr(text, YELLOW);
        }
    }

    /// Whether somebody sees what is on stderr.
    pub(crate) fn is_watched(&self) -> bool {
        !self.is_quiet && io::stderr().is_terminal()
    }

    /// How far something is, in the place of what was told so before.
    pub(crate) fn progress(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = if stderr.is_terminal() { write!(stderr, "{AFRESH}{text}") } else { writeln!(stderr, "{text}") };
        let _ = stderr.flush();
    }

    /// What was told of how far it is goes.
    pub(crate) fn progress_is_over(&self) {
        let mut stderr = io::stderr().lock();
        if stderr.is_terminal() {
            let _ = write!(stderr, "{AFRESH}");
            let _ = stderr.flush();
        }
    }

    /// Why the command stopped.
    pub(crate) fn error(&self, text: &str) {
        to_stderr(text, RED);
    }

    /// Whether there is somebody to ask.
    pub(crate) fn is_interactive(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Asks for a secret on stderr and reads it without echo.
    ///
    /// # Errors
    /// Stdin is no terminal, or was closed.
    pub(crate) fn ask_secret(&self, question: &str) -> io::Result<Hidden<String>> {
        if !io::stdin().is_terminal() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "file descriptor 0 is not a terminal"));
        }
        let mut stderr = io::stderr();
        write!(stderr, "{question}")?;
        stderr.flush()?;
        let answer = read_line_without_echo();
        writeln!(stderr)?;
        answer
    }

    /// Stdin for K=V values; nothing where the user forbade to ask.
    pub(crate) fn stdin(&self, non_interactive: bool) -> Box<dyn Read> {
        if non_interactive { Box::new(io::empty()) } else { Box::new(io::stdin()) }
    }
}

fn to_stderr(text: &str, colour: &str) {
    let mut stderr = io::stderr().lock();
    let result =
        if stderr.is_terminal() { writeln!(stderr, "{colour}{text}{PLAIN}") } else { writeln!(stderr, "{text}") };
    // Without stderr there is nowhere left to complain.
    let _ = result;
}

/// Reads what is typed key by key, so that an interrupt is seen here: a process that
/// died of it would leave the terminal without echo.
fn read_line_without_echo() -> io::Result<Hidden<String>> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const BACKSPACE: [u8; 2] = [0x08, 0x7f];
    let _off = echo::Off::new()?;
    let mut line = Hidden::new(Vec::<u8>::with_capacity(SECRET_BYTES_MAX));
    let mut stdin = io::stdin().lock();
    let mut key = Hidden::new([0u8; 1]);
    while line.expose().len() < SECRET_BYTES_MAX {
        let is_open = stdin.read(key.expose_mut())? == 1;
        match key.expose()[0] {
            _ if !is_open => break,
            b'\n' | b'\r' | END => break,
            INTERRUPT => return Err(io::Error::new(io::ErrorKind::Interrupted, "user interrupted")),
            byte if BACKSPACE.contains(&byte) => drop(line.expose_mut().pop()),
            byte => line.expose_mut().push(byte),
        }
    }
    let text = std::str::from_utf8(line.expose()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Hidden::new(text.trim().to_owned()))
}

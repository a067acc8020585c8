//! Why a command ended badly, and the exit code scripts test for: 1 where the caller or
//! this machine is at fault, 2 where the server refused or could not be reached.

use crate::client::ClientError;

/// Exit code of a fault on this side: usage, files, terminal.
pub(crate) const EXIT_LOCAL: u8 = 1;
/// Exit code of an answer that is an error; also of `status` for a sealed server.
pub(crate) const EXIT_REMOTE: u8 = 2;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The command line is at fault.
    #[error("{0}")]
    Usage(String),
    /// A local file, the terminal or the output format is at fault.
    #[error("{0}")]
    Local(String),
    /// The server's answer is not what the command needs.
    #[error("{0}")]
    Refused(String),
    /// A request failed; `tried` says what it was for.
    #[error("{tried}: {source}")]
    Request {
        /// What was tried, on what.
        tried: String,
        /// What came of it.
        source: Box<ClientError>,
    },
    /// A request failed, in a step the user did not ask for by name.
    #[error(transparent)]
    Client(Box<ClientError>),
    /// `status`, `operator init -status` and `policy explain` keep 2 for an answer, so their failed
    /// requests end with 1.
    #[error("{tried}: {source}")]
    Check {
        /// What was tried, on what.
        tried: String,
        /// What came of it.
        source: Box<ClientError>,
    },
    /// The node could not be started, or stopped with an error.
    #[error("{0}")]
    Server(String),
}

impl From<ClientError> for Fault {
    fn from(source: ClientError) -> Self {
        Self::Client(Box::new(source))
    }
}

impl Fault {
    /// A failed request, with what it was for in front.
    pub(crate) fn request(tried: impl Into<String>, source: ClientError) -> Self {
        Self::Request { tried: tried.into(), source: Box::new(source) }
    }

    /// The same of a command that keeps 2 for an answer: what kept it from asking ends it with 1.
    pub(crate) fn of_check(self) -> Self {
        match self {
            Self::Request { tried, source } => Self::Check { tried, source },
            Self::Client(source) => Self::Local(source.to_string()),
            Self::Refused(text) => Self::Local(text),
            other => other,
        }
    }

    /// The exit code that tells scripts whose fault it was.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Local(_) | Self::Check { .. } | Self::Server(_) => EXIT_LOCAL,
            Self::Refused(_) | Self::Request { .. } | Self::Client(_) => EXIT_REMOTE,
        }
    }

    /// What a dry run (`-output-curl-string`, `-output-policy`) printed instead of
    /// sending its request, if that is why the command stopped.
    pub(crate) fn dry_run(&self) -> Option<&str> {
        match self {
            Self::Request { source, .. } | Self::Client(source) | Self::Check { source, .. } => source.dry_run(),
            _ => None,
        }
    }

    /// The client's error behind this fault, if there is one.
    pub(crate) fn client_error(&self) -> Option<&ClientError> {
        match self {
            Self::Request { source, .. } | Self::Client(source) | Self::Check { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What the system says about a file, in the words of the peers: without a capital and
/// without the number that Rust adds.
pub(crate) fn plain_io(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

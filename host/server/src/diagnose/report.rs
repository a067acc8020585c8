//! What a diagnosis says. How it is shown is the program's matter.

/// How a check came out; of several, the last of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nothing was looked at.
    Skipped,
    /// It is as it should be.
    Ok,
    /// A server would start, and something is not as it should be.
    Warning,
    /// A server would not start, or not do what the config says.
    Failure,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do next; empty where nothing is to be done.
    pub advice: String,
}

/// Checks of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// One of [`Diagnosis::GROUPS`].
    pub name: &'static str,
    /// What was found.
    pub checks: Vec<Check>,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// In the order of [`Diagnosis::GROUPS`].
    pub groups: Vec<Group>,
    /// Whether the config could be read. Without it most of the rest is not looked at.
    pub is_complete: bool,
}

impl Check {
    pub(super) fn ok(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::of(Status::Ok, name.into(), message.into(), String::new())
    }

    pub(super) fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::of(Status::Skipped, name.into(), why.into(), String::new())
    }

    pub(super) fn warning(name: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::of(Status::Warning, name.into(), message.into(), advice.into())
    }

    pub(super) fn failure(name: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::of(Status::Failure, name.into(), message.into(), advice.into())
    }

    fn of(status: Status, name: String, message: String, advice: String) -> Self {
        Self { name, status, message, advice }
    }
}

impl Group {
    /// The worst of its checks.
    #[must_use]
    pub fn status(&self) -> Status {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Status::Skipped)
    }
}

impl Diagnosis {
    /// Names of the groups of checks, in order. Those that OpenBao can leave out too are named as
    /// there.
    pub const GROUPS: [&str; 9] =
        ["system", "config", "storage", "listener", "tls", "cluster", "autounseal", "audit", "files"];

    /// The worst of its groups.
    #[must_use]
    pub fn status(&self) -> Status {
        self.groups.iter().map(Group::status).max().unwrap_or(Status::Skipped)
    }

    /// How many checks came out so.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.groups.iter().flat_map(|group| &group.checks).filter(|check| check.status == status).count()
    }
}

//! Requests and tokens by mount. A mount's entry leads to its numbers, so that counting looks
//! nothing up. So many mounts have numbers of their own; all others share those of "other".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::metrics::{Counter, Sheet, Timer, Times};
use bulkhead_model::plugin::Operation;
use parking_lot::Mutex;

/// Most mounts with numbers of their own. Source: ours. Why: a monitoring system keeps every
/// label for weeks, and each mount has some twenty for each operation.
const MOUNTS_MAX: usize = 250;

/// What mounts without numbers of their own are called. No mount is: its path ends in a slash.
const OTHER: &str = "other";

/// Every operation that requests have.
const OPERATIONS: [Operation; 8] = [
    Operation::Create,
    Operation::Read,
    Operation::Update,
    Operation::Patch,
    Operation::Delete,
    Operation::List,
    Operation::Scan,
    Operation::Header,
];

/// Longest lifetimes of tokens that are counted together, in seconds, and what they are called.
/// Source: Vault's documentation of `vault.token.creation`.
const TTLS: [(u64, &str); 10] = [
    (60, "1m"),
    (600, "10m"),
    (1_200, "20m"),
    (3_600, "1h"),
    (7_200, "2h"),
    (86_400, "1d"),
    (172_800, "2d"),
    (604_800, "7d"),
    (2_592_000, "30d"),
    (u64::MAX, "+Inf"),
];

/// Kinds of tokens that are told apart.
#[derive(Clone, Copy)]
pub(crate) enum TokenKind {
    Service,
    Batch,
    Wrapping,
}

/// A mount's numbers.
#[derive(Default)]
pub(crate) struct MountFigures {
    took: [Timer; OPERATIONS.len()],
    tokens: [[Counter; TTLS.len()]; 3],
}

impl MountFigures {
    fn took(&self, operation: Operation, time: Duration) {
        let place = OPERATIONS.iter().position(|known| *known == operation);
        self.took[place.unwrap_or_default()].record(time);
    }

    fn absorb(&self, others: &Self) {
        for (timer, other) in self.took.iter().zip(&others.took) {
            timer.add(&other.read());
        }
        for (counter, other) in self.tokens.iter().flatten().zip(others.tokens.iter().flatten()) {
            counter.add(other.read());
        }
    }
}

/// A token that is counted once it is committed.
pub(crate) struct MadeToken {
    pub figures: Arc<MountFigures>,
    pub kind: TokenKind,
    /// In seconds; 0: without end.
    pub ttl_secs: u64,
}

impl MadeToken {
    pub(crate) fn count(&self) {
        let ttl_secs = if self.ttl_secs == 0 { u64::MAX } else { self.ttl_secs };
        let place = TTLS.iter().position(|(longest, _)| ttl_secs <= *longest).unwrap_or_default();
        self.figures.tokens[self.kind as usize][place].add_one();
    }
}

/// What a request is counted as.
pub(crate) struct Counted {
    /// `None`: nothing is mounted there.
    pub figures: Option<Arc<MountFigures>>,
    pub operation: Operation,
    pub login: bool,
}

/// Path and type of a mount.
type Name = (String, String);

/// The numbers of all mounts there are or were.
#[derive(Default)]
pub(crate) struct Mounts {
    known: Mutex<BTreeMap<Name, Arc<MountFigures>>>,
    other: Arc<MountFigures>,
    /// Requests to paths that no mount has.
    nowhere: Timer,
    /// Those of all requests that were logins.
    logins: Timer,
}

impl Mounts {
    /// The numbers of a mount. They go on where a mount of this path and type was before.
    pub(crate) fn of(&self, path: &str, kind: &str) -> Arc<MountFigures> {
        let mut known = self.known.lock();
        let name = (path.to_owned(), kind.to_owned());
        if let Some(found) = known.get(&name) {
            return Arc::clone(found);
        }
        if known.len() >= MOUNTS_MAX {
            // Mounts that are gone make room; what they counted must not be lost to the sums.
            let Some(gone) = known.iter().find(|(_, figures)| Arc::strong_count(figures) == 1) else {
                return Arc::clone(&self.other);
            };
            let gone = gone.0.clone();
            if let Some(figures) = known.remove(&gone) {
                self.other.absorb(&figures);
            }
        }
        Arc::clone(known.entry(name).or_default())
    }

    /// A request was answered, so long after it came.
    pub(crate) fn took(&self, counted: &Counted, time: Duration) {
        match &counted.figures {
            Some(figures) => figures.took(counted.operation, time),
            None => self.nowhere.record(time),
        }
        if counted.login {
            self.logins.record(time);
        }
    }

    pub(super) fn tell(&self, sheet: &mut Sheet, cluster: &str) {
        // First: each login is counted at its mount before it is counted here, so that there are
        // never more of them than there are requests.
        let logins = self.logins.read();
        let mut all = self.nowhere.read();
        let mut known: Vec<(Name, Arc<MountFigures>)> =
            self.known.lock().iter().map(|(name, figures)| (name.clone(), Arc::clone(figures))).collect();
        known.push(((OTHER.to_owned(), OTHER.to_owned()), Arc::clone(&self.other)));
        for ((path, kind), figures) in &known {
            tell_requests(sheet, path, figures, &mut all);
            tell_tokens(sheet, (path, kind, cluster), figures);
        }
        let requests = "Serving requests other than logins, in milliseconds.";
        sheet.summary("vault.core.handle_request", requests, all.since(&logins));
        sheet.summary("vault.core.handle_login_request", "Serving logins, in milliseconds.", logins);
    }
}

fn tell_requests(sheet: &mut Sheet, path: &str, figures: &MountFigures, all: &mut Times) {
    for (operation, timer) in OPERATIONS.iter().zip(&figures.took) {
        let times = timer.read();
        if times.count() > 0 {
            let labels = [("operation", operation.as_str()), ("mount", path)];
            sheet.histogram("vault.route", "Serving requests, by operation and mount.", &labels, times);
            all.add(&times);
        }
    }
}

fn tell_tokens(sheet: &mut Sheet, (path, kind, cluster): (&str, &str, &str), figures: &MountFigures) {
    for (counters, token_type, of_wrapping) in [
        (&figures.tokens[TokenKind::Service as usize], "service", false),
        (&figures.tokens[TokenKind::Batch as usize], "batch", false),
        (&figures.tokens[TokenKind::Wrapping as usize], "service", true),
    ] {
        for (counter, (_, ttl)) in counters.iter().zip(TTLS).filter(|(counter, _)| counter.read() > 0) {
            let labels = [
                ("auth_method", if of_wrapping { "response_wrapping" } else { kind }),
                ("cluster", cluster),
                ("creation_ttl", ttl),
                ("mount_point", path),
                ("namespace", "root"),
                ("token_type", token_type),
            ];
            sheet.counter("vault.token.creation", "Tokens made.", &labels, counter.read() as f64);
        }
    }
}

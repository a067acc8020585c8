//! What the clients do while the cluster is broken: read, write and check-and-set secrets,
//! take things that can be taken once, and revoke tokens. What they were told is kept.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::chance::Chance;
use super::client::{Client, Told, secret};
use super::history::{Call, NEVER, Operation, Outcome};
use super::leases::Leases;

/// Secrets that are asked for at the same time.
const SECRETS_AT_ONCE: u64 = 8;

/// Operations on one secret, about. Why: more make the search for an order longer, fewer
/// make it weaker.
const OPERATIONS_EACH: u64 = 300;

/// How long a client rests when it reaches nobody.
pub(super) const REST: Duration = Duration::from_millis(20);

/// How often a revoked token is tried, over all nodes.
const TRIES_OF_REVOKED: usize = 6;

/// How often the last look asks where there is no answer.
const LAST_TRIES: usize = 100;

/// What all clients share.
pub(crate) struct Load {
    nodes: Vec<SocketAddr>,
    token: String,
    /// In every name and value, so that they can be looked for on disk.
    pub(crate) canary: String,
    began: Instant,
    over: AtomicBool,
    asked: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) taken: AtomicU64,
    pub(crate) revoked: AtomicU64,
    pub(crate) crashed: AtomicU64,
    noted: Mutex<Noted>,
}

/// What clients were told.
#[derive(Default)]
pub(crate) struct Noted {
    /// By secret.
    pub(crate) histories: Vec<Vec<Operation>>,
    pub(crate) leases: Leases,
    gone: Gone,
    /// When the probe's writes were acknowledged.
    pub(crate) probed: Vec<Instant>,
    /// Rules that were broken, in words.
    pub(crate) broken: Vec<String>,
}

/// Tokens that no node takes any more.
#[derive(Default)]
struct Gone {
    taken: Vec<String>,
    revoked: Vec<String>,
}

impl Load {
    pub(crate) fn new(nodes: Vec<SocketAddr>, token: String, canary: String) -> Self {
        Self {
            nodes,
            token,
            canary,
            began: Instant::now(),
            over: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            revoked: AtomicU64::new(0),
            crashed: AtomicU64::new(0),
            noted: Mutex::default(),
        }
    }

    pub(crate) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(NEVER - 1)
    }

    pub(super) fn client(&self, at: usize) -> Client<'_> {
        Client::new(&self.nodes, &self.token, at)
    }

    fn name(&self, number: usize) -> String {
        format!("kv/data/{}-{number}", self.canary)
    }

    /// What was noted so far. A client that panicked in between has added to it or not.
    pub(super) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_broken(&self) -> bool {
        !self.noted().broken.is_empty()
    }

    /// Waits until so many more writes were acknowledged; says whether they were.
    pub(crate) fn has_written(&self, count: u64, within: Duration) -> bool {
        let (until, enough) = (Instant::now() + within, self.acknowledged.load(Ordering::Relaxed) + count);
        while self.acknowledged.load(Ordering::Relaxed) < enough {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(REST);
        }
        true
    }

    pub(crate) fn breaks(&self, rule: String) {
        self.noted().broken.push(rule);
    }

    /// Reads and writes secrets until the end.
    pub(crate) fn work(&self, worker: usize, seed: u64) {
        let mut chance = Chance::of(seed ^ (worker as u64) << 32);
        let mut client = self.client(worker);
        while !self.is_over() {
            let turn = self.asked.fetch_add(1, Ordering::Relaxed);
            let number = turn / (SECRETS_AT_ONCE * OPERATIONS_EACH) * SECRETS_AT_ONCE + turn % SECRETS_AT_ONCE;
            let number = usize::try_from(number).unwrap_or_default();
            let call = match chance.below(10) {
                0..4 => Call::Read,
                4..7 => Call::Write { value: turn + 1 },
                // Close to where the others have brought it, so that it is met now and then.
                _ => Call::Cas { expected: self.version_of(number), value: turn + 1 },
            };
            self.operate(&mut client, number, call);
            if chance.below(20) == 0 {
                client.turn();
            }
        }
    }

    /// The version anybody saw last.
    fn version_of(&self, number: usize) -> u64 {
        let noted = self.noted();
        let last = noted.histories.get(number).and_then(|history| history.last());
        match last.map(|operation| operation.outcome) {
            Some(Outcome::Found { version, .. } | Outcome::Written { version }) => version,
            _ => 0,
        }
    }

    /// Asks, and notes what came of it; whether there was an answer.
    fn operate(&self, client: &mut Client<'_>, number: usize, call: Call) -> bool {
        let name = self.name(number);
        let began = self.now();
        let text = |value| format!("{}={value}", self.canary);
        let told = match call {
            Call::Read => client.ask("GET", &name, &Value::Null),
            Call::Write { value } => client.ask("PUT", &name, &secret(&text(value), None)),
            Call::Cas { expected, value } => client.ask("PUT", &name, &secret(&text(value), Some(expected))),
        };
        let ended = self.now();
        let outcome = match told {
            Told::NotSent => {
                thread::sleep(REST);
                return false;
            }
            Told::Unknown => Outcome::Unknown,
            Told::Answer(status, answer) => {
                let Some(outcome) = outcome(call, status, &answer) else {
                    self.breaks(format!("{call:?} was answered {status}: {answer}"));
                    return true;
                };
                outcome
            }
        };
        if matches!(outcome, Outcome::Written { .. }) {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        let ended = if outcome == Outcome::Unknown { NEVER } else { ended };
        if (call, outcome) != (Call::Read, Outcome::Unknown) {
            self.note(number, Operation { call, outcome, began, ended });
        }
        if outcome == Outcome::Unknown {
            thread::sleep(REST);
        }
        outcome != Outcome::Unknown
    }

    fn note(&self, number: usize, operation: Operation) {
        let mut noted = self.noted();
        if noted.histories.len() <= number {
            noted.histories.resize_with(number + 1, Vec::new);
        }
        noted.histories[number].push(operation);
    }

    /// Reads every secret from every node once more, and tries there what was taken, revoked and
    /// leased; gives all that was noted.
    pub(crate) fn last_look(&self) -> Noted {
        let count = self.noted().histories.len();
        let gone = std::mem::take(&mut self.noted().gone);
        for at in 0..self.nodes.len() {
            let mut client = Client::new(&self.nodes[at..=at], &self.token, 0);
            for number in 0..count {
                let tries = (0..LAST_TRIES).any(|_| self.operate(&mut client, number, Call::Read));
                if !tries {
                    self.breaks(format!("node{at} did not answer a read of secret {number} at the end"));
                    break;
                }
            }
            for token in &gone.taken {
                let body = json!({"token": token});
                let told = insist(&mut client, |client| client.ask("PUT", "sys/wrapping/unwrap", &body));
                self.expect(told, 400, "a wrapped thing that was taken");
            }
            for token in &gone.revoked {
                let look =
                    |client: &mut Client<'_>| client.ask_as(token, "GET", "auth/token/lookup-self", &Value::Null);
                self.expect(insist(&mut client, look), 403, "a revoked token");
            }
            self.last_leases(&mut client);
        }
        std::mem::take(&mut *self.noted())
    }

    /// That a last try was answered so.
    fn expect(&self, told: Option<u16>, due: u16, what: &str) {
        if told != Some(due) {
            self.breaks(format!("{what} was answered {told:?} at the end, where {due} was due"));
        }
    }

    /// Writes without a pause, as a client does that tries until it is through, and notes when.
    pub(crate) fn probe(&self) {
        let mut client = self.client(0);
        let path = format!("kv/data/{}-probe", self.canary);
        while !self.is_over() {
            match client.ask("PUT", &path, &secret("probe", None)) {
                Told::Answer(200, _) => {
                    self.noted().probed.push(Instant::now());
                    thread::sleep(Duration::from_millis(5));
                }
                _ => thread::sleep(REST),
            }
        }
    }

    /// Wraps something and lets two clients take it at the same time: one at most gets it.
    pub(crate) fn take(&self) {
        let (mut one, mut other) = (self.client(0), self.client(1));
        while !self.is_over() {
            let wrapped = one.ask_wrapped("sys/wrapping/wrap", &json!({"thing": self.canary}));
            let Some(token) = self.made(&wrapped, "/wrap_info/token") else { continue };
            let body = json!({"token": token});
            let unwrap = |client: &mut Client<'_>| client.ask("PUT", "sys/wrapping/unwrap", &body);
            let mut told = thread::scope(|scope| {
                let first = scope.spawn(|| unwrap(&mut one));
                [unwrap(&mut other), first.join().unwrap_or(Told::Unknown)]
            })
            .map(|told| match told {
                Told::Answer(status, _) => Some(status),
                Told::NotSent | Told::Unknown => None,
            });
            told.sort_unstable();
            match told {
                [Some(200), Some(200)] => self.breaks("a wrapped thing was taken twice".to_owned()),
                [Some(400), Some(400)] => self.breaks("a wrapped thing was taken by nobody".to_owned()),
                [_, Some(200)] => self.noted().gone.taken.push(token),
                [_, Some(400)] | [None, None] => {}
                other => self.breaks(format!("unwrapping was answered {other:?}")),
            }
            self.taken.fetch_add(1, Ordering::Relaxed);
            thread::sleep(REST);
        }
    }

    /// Makes tokens and revokes them: once that is acknowledged, no node takes them.
    pub(crate) fn revoke(&self) {
        let mut client = self.client(2);
        let mut revoked: Vec<String> = Vec::new();
        while !self.is_over() {
            let made = client.ask("PUT", "auth/token/create", &json!({"ttl": "24h", "policies": ["default"]}));
            let Some(token) = self.made(&made, "/auth/client_token") else { continue };
            match client.ask("PUT", "auth/token/revoke", &json!({"token": token})) {
                Told::Answer(204, _) => revoked.push(token),
                Told::Answer(status, answer) => {
                    self.breaks(format!("revoking a token was answered {status}: {answer}"));
                    continue;
                }
                Told::NotSent | Told::Unknown => continue,
            }
            self.revoked.fetch_add(1, Ordering::Relaxed);
            let first = revoked.len().saturating_sub(TRIES_OF_REVOKED);
            for token in &revoked[first..] {
                client.turn();
                if let Told::Answer(200, _) = client.ask_as(token, "GET", "auth/token/lookup-self", &Value::Null) {
                    self.breaks("a revoked token was taken".to_owned());
                }
            }
        }
        self.noted().gone.revoked = revoked;
    }

    /// What was asked for, if it was made; whoever reached nobody rests.
    pub(super) fn made(&self, told: &Told, pointer: &str) -> Option<String> {
        let made = field(told, pointer);
        match told {
            Told::Answer(..) if made.is_some() => {}
            Told::Answer(status, answer) => {
                self.breaks(format!("{pointer} was due, and there came {status}: {answer}"))
            }
            Told::NotSent | Told::Unknown => thread::sleep(REST),
        }
        made
    }
}

/// Asks until there is an answer; its status.
fn insist(client: &mut Client<'_>, ask: impl Fn(&mut Client<'_>) -> Told) -> Option<u16> {
    (0..LAST_TRIES).find_map(|_| match ask(client) {
        Told::Answer(status, _) => Some(status),
        Told::NotSent | Told::Unknown => {
            thread::sleep(REST);
            None
        }
    })
}

/// What an answer means; nothing if it is none that such a call can have.
fn outcome(call: Call, status: u16, answer: &Value) -> Option<Outcome> {
    let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_u64);
    match (call, status) {
        (Call::Read, 404) => Some(Outcome::Found { version: 0, value: 0 }),
        (Call::Read, 200) => {
            let text = answer.pointer("/data/data/v")?.as_str()?;
            let value = text.rsplit_once('=')?.1.parse().ok()?;
            Some(Outcome::Found { version: number("/data/metadata/version")?, value })
        }
        (Call::Write { .. } | Call::Cas { .. }, 200) => Some(Outcome::Written { version: number("/data/version")? }),
        (Call::Cas { .. }, 400) if answer.to_string().contains("check-and-set") => Some(Outcome::Refused),
        _ => None,
    }
}

fn field(told: &Told, pointer: &str) -> Option<String> {
    match told {
        Told::Answer(200, answer) => Some(answer.pointer(pointer)?.as_str()?.to_owned()),
        _ => None,
    }
}

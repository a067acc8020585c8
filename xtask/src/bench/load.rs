//! The load: what is asked, in requests made beforehand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lanes::Lanes;
use super::{ANSWER_MAX, Phase, process};
use crate::http::{Connection, request, request_with};
use crate::shell::{Done, Failed, Tried};

/// How many secrets the phases touch. Why: enough that writers seldom meet on one.
const SECRETS: usize = 1000;

/// How long the connections run before a turn is measured.
const WARM_UP: Duration = Duration::from_millis(300);

/// Whom a phase asks.
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    /// Each client asks them in turn.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) token: String,
    /// Where KV version 2 is.
    pub(crate) mount: &'static str,
    /// Of the AppRole to log in with; empty: there is none.
    pub(crate) role_id: String,
    pub(crate) secret_id: String,
    /// All processes, the leader's first.
    pub(crate) pids: Vec<String>,
}

impl Asked {
    /// Has the first of them do something.
    pub(crate) fn tell(&self, method: &str, path: &str, body: &Value) -> Done {
        let what = format!("{method} {path} on {}", self.name);
        let mut connection = Connection::open(self.addresses[0], ANSWER_MAX).tried(&what)?;
        let answer = connection.exchange(&request(method, path, &self.token, &body.to_string())).tried(&what)?;
        if matches!(answer.status, 200 | 204) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(answer.body).into_owned();
        Err(Failed::new(format!("{what}: status {}: {text}", answer.status)))
    }

    /// CPU time so far: the leader's, and all together.
    fn cpu_us(&self) -> Done<(u64, u64)> {
        let each: Vec<u64> = self.pids.iter().map(|pid| process::cpu_us(pid)).collect::<Done<_>>()?;
        Ok((each.first().copied().unwrap_or_default(), each.iter().sum()))
    }
}

/// A phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Read,
    Write,
    Mixed,
    Lookup,
    WrappedRead,
    TokenCreate,
    AppRole,
    Userpass,
}

/// All phases, in their order: those that leave tokens behind come last.
pub(crate) const PLANS: [Plan; 8] = [
    Plan::Read,
    Plan::Write,
    Plan::Mixed,
    Plan::Lookup,
    Plan::WrappedRead,
    Plan::TokenCreate,
    Plan::AppRole,
    Plan::Userpass,
];

/// The user that logs in.
pub(crate) const USER: (&str, &str) = ("ann", "correct-horse-battery");

impl Plan {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "kv read",
            Self::Write => "kv write",
            Self::Mixed => "mixed 4:1",
            Self::Lookup => "lookup-self",
            Self::WrappedRead => "wrapped read",
            Self::TokenCreate => "token create",
            Self::AppRole => "approle login",
            Self::Userpass => "userpass login",
        }
    }
}

/// What the connections saw in all turns of a phase.
#[derive(Default)]
pub(crate) struct Tally {
    latencies_us: Vec<u32>,
    errors: u64,
    busy: Duration,
    leader_cpu_us: u64,
    server_cpu_us: u64,
    generator_cpu_us: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.latencies_us.extend(other.latencies_us);
        self.errors += other.errors;
        self.busy += other.busy;
        self.leader_cpu_us += other.leader_cpu_us;
        self.server_cpu_us += other.server_cpu_us;
        self.generator_cpu_us += other.generator_cpu_us;
    }

    pub(crate) fn phase(mut self, name: &'static str) -> Phase {
        self.latencies_us.sort_unstable();
        let requests = self.latencies_us.len();
        let at = |share: f64| {
            let place = (requests as f64 * share) as usize;
            self.latencies_us.get(place.min(requests.saturating_sub(1))).copied().unwrap_or_default()
        };
        let each = |total_us: u64| total_us as f64 / requests.max(1) as f64;
        Phase {
            name,
            requests: requests as u64,
            errors: self.errors,
            per_second: requests as f64 / self.busy.as_secs_f64().max(f64::EPSILON),
            p50_us: at(0.5),
            p99_us: at(0.99),
            leader_cpu_us: each(self.leader_cpu_us),
            server_cpu_us: each(self.server_cpu_us),
            generator_cpu_us: each(self.generator_cpu_us),
        }
    }
}

/// The requests of a phase, for connections to go through in turn.
pub(crate) fn requests(asked: &Asked, plan: Plan) -> Vec<Vec<u8>> {
    (0..SECRETS)
        .map(|number| match plan {
            Plan::Read => read(number, asked),
            Plan::Write => write(number, asked),
            Plan::Mixed if number % 5 == 0 => write(number, asked),
            Plan::Mixed => read(number, asked),
            Plan::Lookup => request("GET", "auth/token/lookup-self", &asked.token, ""),
            Plan::WrappedRead => {
                let headers = format!("X-Vault-Token: {}\r\nX-Vault-Wrap-TTL: 60\r\n", asked.token);
                request_with(&headers, "GET", &format!("{}/data/bench/app-{number}", asked.mount), "")
            }
            Plan::TokenCreate => {
                request("POST", "auth/token/create", &asked.token, r#"{"ttl":"60s","policies":["default"]}"#)
            }
            Plan::AppRole => {
                let (role, secret) = (&asked.role_id, &asked.secret_id);
                let body = format!(r#"{{"role_id":"{role}","secret_id":"{secret}"}}"#);
                request("POST", "auth/approle/login", "", &body)
            }
            Plan::Userpass => {
                let (name, password) = USER;
                request("POST", &format!("auth/userpass/login/{name}"), "", &format!(r#"{{"password":"{password}"}}"#))
            }
        })
        .collect()
}

fn read(number: usize, asked: &Asked) -> Vec<u8> {
    request("GET", &format!("{}/data/bench/app-{number}", asked.mount), &asked.token, "")
}

fn write(number: usize, asked: &Asked) -> Vec<u8> {
    let body = format!(
        r#"{{"data":{{"user":"app-{number}","password":"0123456789abcdef-{number}","host":"db.example.org"}}}}"#
    );
    request("POST", &format!("{}/data/bench/app-{number}", asked.mount), &asked.token, &body)
}

/// Writes every secret once.
pub(crate) fn seed(asked: &Asked) -> Done {
    let mut connection = Connection::open(asked.addresses[0], ANSWER_MAX).tried("connecting to seed")?;
    for number in 0..SECRETS {
        let answer = connection.exchange(&write(number, asked)).tried("seeding")?;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(answer.body);
            return Err(Failed::new(format!("{} answered {} to a write: {text}", asked.name, answer.status)));
        }
    }
    Ok(())
}

/// Asks for a while, with all connections at once.
pub(crate) fn drive(asked: &Asked, requests: &[Vec<u8>], connections: usize, turn: Duration) -> Done<Tally> {
    let asking = || format!("asking {}", asked.name);
    let mut lanes = Lanes::open(&asked.addresses, requests, connections).tried(asking())?;
    lanes.run(WARM_UP).tried(asking())?;
    let (before, own_before, began) = (asked.cpu_us()?, process::cpu_us("self")?, Instant::now());
    let heard = lanes.run(turn).tried(asking())?;
    let (after, own_after) = (asked.cpu_us()?, process::cpu_us("self")?);
    let busy = began.elapsed();
    lanes.finish().tried(asking())?;
    Ok(Tally {
        latencies_us: heard.latencies_us,
        errors: heard.errors,
        busy,
        leader_cpu_us: after.0 - before.0,
        server_cpu_us: after.1 - before.1,
        generator_cpu_us: own_after - own_before,
    })
}

/// Sends one request until it was answered well this often.
pub(crate) fn repeat(asked: &Asked, one: Vec<u8>, times: u64, connections: usize) -> Done {
    let asking = || format!("asking {}", asked.name);
    let requests = [one];
    let mut lanes = Lanes::open(&asked.addresses, &requests, connections).tried(asking())?;
    let (mut done, mut refused) = (0, 0);
    while done < times {
        let heard = lanes.run(WARM_UP).tried(asking())?;
        done += heard.latencies_us.len() as u64;
        refused += heard.errors;
        if refused > times.max(1000) {
            return Err(Failed::new(format!("{} refuses what it is asked {times} times", asked.name)));
        }
    }
    lanes.finish().tried(asking())
}

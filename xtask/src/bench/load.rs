//! The load: what is asked, in requests made beforehand.

use std::time::{Duration, Instant};

use super::lanes::Lanes;
use super::server::Server;
use super::{ANSWER_MAX, Phase, process};
use crate::http::{Connection, request};
use crate::shell::{Done, Failed, Tried};

/// How many secrets the phases touch. Why: enough that writers seldom meet on one.
const SECRETS: usize = 1000;

/// How long the connections run before a turn is measured.
const WARM_UP: Duration = Duration::from_millis(300);

/// A phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Read,
    Write,
    Mixed,
    Lookup,
}

/// All phases, in their order.
pub(crate) const PLANS: [Plan; 4] = [Plan::Read, Plan::Write, Plan::Mixed, Plan::Lookup];

impl Plan {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "kv read",
            Self::Write => "kv write",
            Self::Mixed => "mixed 4:1",
            Self::Lookup => "lookup-self",
        }
    }
}

/// What the connections saw in all turns of a phase.
#[derive(Default)]
pub(crate) struct Tally {
    latencies_us: Vec<u32>,
    errors: u64,
    busy: Duration,
    server_cpu_us: u64,
    generator_cpu_us: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.latencies_us.extend(other.latencies_us);
        self.errors += other.errors;
        self.busy += other.busy;
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
            server_cpu_us: each(self.server_cpu_us),
            generator_cpu_us: each(self.generator_cpu_us),
        }
    }
}

/// The requests of a phase, for connections to go through in turn.
pub(crate) fn requests(server: &Server, plan: Plan) -> Vec<Vec<u8>> {
    let token = server.token();
    (0..SECRETS)
        .map(|number| match plan {
            Plan::Read => read(number, token),
            Plan::Write => write(number, token),
            Plan::Mixed if number % 5 == 0 => write(number, token),
            Plan::Mixed => read(number, token),
            Plan::Lookup => request("GET", "auth/token/lookup-self", token, ""),
        })
        .collect()
}

fn read(number: usize, token: &str) -> Vec<u8> {
    request("GET", &format!("secret/data/bench/app-{number}"), token, "")
}

fn write(number: usize, token: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"data":{{"user":"app-{number}","password":"0123456789abcdef-{number}","host":"db.example.org"}}}}"#
    );
    request("POST", &format!("secret/data/bench/app-{number}"), token, &body)
}

/// Writes every secret once.
pub(crate) fn seed(server: &Server) -> Done {
    let mut connection = Connection::open(server.address(), ANSWER_MAX).tried("connecting to seed")?;
    for number in 0..SECRETS {
        let answer = connection.exchange(&write(number, server.token())).tried("seeding")?;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(answer.body);
            return Err(Failed::new(format!("{} answered {} to a write: {text}", server.name, answer.status)));
        }
    }
    Ok(())
}

/// Asks for a while, with all connections at once.
pub(crate) fn drive(server: &Server, requests: &[Vec<u8>], connections: usize, turn: Duration) -> Done<Tally> {
    let asking = || format!("asking {}", server.name);
    let mut lanes = Lanes::open(server.address(), requests, connections).tried(asking())?;
    lanes.run(WARM_UP).tried(asking())?;
    let before = (process::cpu_us(&server.pid())?, process::cpu_us("self")?, Instant::now());
    let heard = lanes.run(turn).tried(asking())?;
    let after = (process::cpu_us(&server.pid())?, process::cpu_us("self")?);
    let busy = before.2.elapsed();
    lanes.finish().tried(asking())?;
    Ok(Tally {
        latencies_us: heard.latencies_us,
        errors: heard.errors,
        busy,
        server_cpu_us: after.0 - before.0,
        generator_cpu_us: after.1 - before.1,
    })
}

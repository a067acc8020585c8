//! The load: what is asked, and the connections that ask it. A thread a connection
//! with blocking sockets, because that is the cheapest generator std offers, and
//! requests made beforehand.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::http::{Connection, request};
use super::server::Server;
use super::{Phase, process};
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
    let mut connection = Connection::open(server.address()).tried("connecting to seed")?;
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
    let open = || Connection::open(server.address()).tried(format_args!("connecting to {}", server.name));
    let opened: Vec<Connection> = (0..connections).map(|_| open()).collect::<Done<_>>()?;
    let (measuring, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let ready = Barrier::new(connections + 1);
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for (place, connection) in opened.into_iter().enumerate() {
            let start = place * requests.len() / connections;
            let (ready, measuring, over) = (&ready, &measuring, &over);
            workers.push(scope.spawn(move || {
                ready.wait();
                ask(connection, requests, start, measuring, over)
            }));
        }
        ready.wait();
        std::thread::sleep(WARM_UP);
        let before = (process::cpu_us(&server.pid())?, process::cpu_us("self")?, Instant::now());
        measuring.store(true, Ordering::Relaxed);
        std::thread::sleep(turn);
        measuring.store(false, Ordering::Relaxed);
        let after = (process::cpu_us(&server.pid())?, process::cpu_us("self")?);
        let mut tally = Tally { busy: before.2.elapsed(), ..Tally::default() };
        tally.server_cpu_us = after.0 - before.0;
        tally.generator_cpu_us = after.1 - before.1;
        over.store(true, Ordering::Relaxed);
        for worker in workers {
            let (latencies_us, errors) = worker.join().map_err(|_| Failed::new("a connection's thread panicked"))?;
            tally.latencies_us.extend(latencies_us);
            tally.errors += errors;
        }
        Ok(tally)
    })
}

fn ask(
    mut connection: Connection,
    requests: &[Vec<u8>],
    start: usize,
    measuring: &AtomicBool,
    over: &AtomicBool,
) -> (Vec<u32>, u64) {
    let (mut latencies_us, mut errors) = (Vec::new(), 0);
    for request in requests.iter().cycle().skip(start) {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        let answered = connection.exchange(request);
        let good = answered.as_ref().is_ok_and(|answer| answer.status == 200);
        let broken = answered.is_err();
        if measuring.load(Ordering::Relaxed) {
            if good {
                latencies_us.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
            } else {
                errors += 1;
            }
        }
        if broken {
            break;
        }
    }
    (latencies_us, errors)
}

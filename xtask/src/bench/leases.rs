//! `--leases`: what many leases cost. The server is measured empty, then with so many leases of an
//! engine that does next to nothing: its start, its unsealing, its memory, other requests. Then
//! many leases fall due at once, beside requests that must not feel it. The peer is measured with
//! as many tokens, which are leases there, as it has memory for.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::load::{self, Asked, Plan};
use super::server::{Server, Startup};
use super::table::{Bar, Line, render_columns};
use super::{Options, Phase};
use crate::http::request;
use crate::shell::{Done, Failed, Tried, say};
use crate::workspace;

/// Most tokens stored in the peer. Why: it holds about 16 KiB of memory for one.
const PEER_TOKENS_MAX: u64 = 64_000;

/// Starts of which the median counts.
const STARTS: usize = 5;

/// Leases that fall due at once.
const DUE: u64 = 10_000;

/// How long these live, in seconds: they must all be there before the first is due.
const DUE_SECS: u64 = 20;

/// Processor time that a server at rest takes in a second, in microseconds, at most.
const AT_REST_US: u64 = 50_000;

/// Longest wait for a server to be at rest.
const REST_MAX: Duration = Duration::from_secs(60);

/// How long their end may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The server with one number of leases.
#[derive(serde::Serialize)]
pub(super) struct Held {
    leases: u64,
    start: Startup,
    /// After a start and a moment of rest.
    rss_kib: u64,
    phases: Vec<Phase>,
}

/// What was measured.
#[derive(serde::Serialize)]
pub(super) struct Leases {
    empty: Held,
    full: Held,
    /// Leases ended a second, of those that fell due at once.
    ended_per_second: f64,
    beside: Phase,
    peer_empty: Held,
    peer_full: Held,
}

/// Measures ours and then the peer.
pub(super) fn run(servers: &mut [Server; 2], options: &Options) -> Done<(Leases, String)> {
    let [ours, theirs] = servers;
    for server in [&mut *ours, &mut *theirs] {
        say(format_args!("initialising {}", server.name));
        server.initialise()?;
        load::seed(&server.asked())?;
    }
    enable_engine(&ours.asked())?;
    let empty = held(ours, 0, options)?;
    say(format_args!("making {} leases", options.instead.leases));
    let asked = ours.asked();
    load::repeat(&asked, code(&asked, "long"), options.instead.leases, options.connections)?;
    let full = held(ours, options.instead.leases, options)?;
    let (ended_per_second, beside) = due_at_once(ours, options)?;

    let peer_empty = held(theirs, 0, options)?;
    let tokens = options.instead.leases.min(PEER_TOKENS_MAX);
    say(format_args!("making {tokens} tokens in {}", theirs.name));
    let one = request("POST", "auth/token/create", &theirs.asked().token, r#"{"ttl":"24h","policies":["default"]}"#);
    load::repeat(&theirs.asked(), one, tokens, options.connections)?;
    let peer_full = held(theirs, tokens, options)?;
    let measured = Leases { empty, full, ended_per_second, beside, peer_empty, peer_full };
    let table = render(&measured, [ours.version()?, theirs.version()?], options);
    Ok((measured, table))
}

/// Registers the example engine, and mounts it with a role whose leases stay and one whose don't.
pub(super) fn enable_engine(asked: &Asked) -> Done {
    let file = workspace::guests_dir().join("hello-engine.wasm");
    let component =
        std::fs::read(&file).tried(format_args!("reading {} (cargo xtask build makes it)", file.display()))?;
    let body = json!({ "component": STANDARD.encode(component) });
    asked.tell("PUT", "sys/plugins/catalog/secret/hello-engine", &body)?;
    asked.tell("POST", "sys/mounts/codes", &json!({ "type": "hello-engine" }))?;
    for (role, ttl) in [("long", 24 * 3600), ("short", DUE_SECS)] {
        let body = json!({ "prefix": "bench", "ttl": ttl });
        asked.tell("POST", &format!("codes/roles/{role}"), &body)?;
    }
    Ok(())
}

/// The request for a lease of a role: `long` or `short`.
pub(super) fn code(asked: &Asked, role: &str) -> Vec<u8> {
    request("GET", &format!("codes/codes/{role}"), &asked.token, "")
}

/// Starts the server a few times, and measures it at rest and at work.
fn held(server: &mut Server, leases: u64, options: &Options) -> Done<Held> {
    say(format_args!("{} with {leases} leases: {STARTS} starts, reads, writes", server.name));
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        rest(server)?;
        starts.push(server.restart()?);
    }
    let each = starts.iter().map(|start| format!("{:.1} + {:.1}", start.ready_ms, start.unseal_ms));
    say(format_args!("ms to ready, and to unseal: {}", each.collect::<Vec<_>>().join(", ")));
    std::thread::sleep(Duration::from_secs(3));
    let rss_kib = server.rss_kib()?;
    let turn = Duration::from_secs(options.seconds);
    let mut phases = Vec::new();
    for plan in [Plan::Read, Plan::Write] {
        let asked = server.asked();
        let requests = load::requests(&asked, plan);
        phases.push(load::drive(&asked, &requests, options.connections, turn)?.phase(plan.name()));
    }
    starts.sort_by(|one, other| (one.ready_ms + one.unseal_ms).total_cmp(&(other.ready_ms + other.unseal_ms)));
    Ok(Held { leases, start: starts[STARTS / 2], rss_kib, phases })
}

/// Waits until a server does nothing by itself any more: what a load left to be merged and written is
/// no part of a start.
fn rest(server: &Server) -> Done {
    let deadline = Instant::now() + REST_MAX;
    let mut before = server.cpu_us()?;
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_secs(1));
        let now = server.cpu_us()?;
        if now.saturating_sub(before) < AT_REST_US {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Has many leases fall due while the server is down, and measures their end beside reads.
fn due_at_once(server: &mut Server, options: &Options) -> Done<(f64, Phase)> {
    say(format_args!("{DUE} leases fall due at once, beside reads"));
    let begun = Instant::now();
    let asked = server.asked();
    load::repeat(&asked, code(&asked, "short"), DUE, options.connections)?;
    if begun.elapsed() > Duration::from_secs(DUE_SECS) {
        return Err(Failed::new("the leases were made too slowly to fall due at once"));
    }
    server.stop()?;
    std::thread::sleep(Duration::from_secs(DUE_SECS + 1));
    server.start_again()?;
    let asked = server.asked();
    let requests = load::requests(&asked, Plan::Read);
    let started = Instant::now();
    let mut tally = load::Tally::default();
    while !are_ended(server)? {
        if started.elapsed() > PATIENCE {
            return Err(Failed::new("the leases that fell due did not end"));
        }
        tally.add(load::drive(&asked, &requests, options.connections, Duration::from_millis(200))?);
    }
    let took = started.elapsed();
    Ok((DUE as f64 / took.as_secs_f64(), tally.phase("kv read, leases ending")))
}

fn are_ended(server: &Server) -> Done<bool> {
    let (status, _) =
        server.call("GET", "sys/leases/lookup/codes/codes/short/?list=true&limit=1", &json!(null), &[200, 404])?;
    Ok(status == 404)
}

fn render(measured: &Leases, versions: [String; 2], options: &Options) -> String {
    let Leases { empty, full, ended_per_second, beside, peer_empty, peer_full } = measured;
    let line = |label: String, ours: f64, theirs: f64, decimals, bar| Line { label, ours, theirs, decimals, bar };
    let mut lines = Vec::new();
    for (who, few, many, is_ours) in [("", empty, full, true), ("bao: ", peer_empty, peer_full, false)] {
        let bar = |bar| if is_ours { bar } else { Bar::None };
        let of = |held: &Held, what: fn(&Startup) -> f64| what(&held.start);
        let ready = |start: &Startup| start.ready_ms;
        let unseal = |start: &Startup| start.unseal_ms;
        let whole = |start: &Startup| start.ready_ms + start.unseal_ms;
        let mib = |held: &Held| held.rss_kib as f64 / 1024.0;
        lines.push(line(format!("{who}leases"), many.leases as f64, few.leases as f64, 0, Bar::None));
        lines.push(line(format!("{who}start to ready, ms"), of(many, ready), of(few, ready), 1, Bar::None));
        lines.push(line(format!("{who}unseal, ms"), of(many, unseal), of(few, unseal), 1, Bar::None));
        lines.push(line(format!("{who}both, ms"), of(many, whole), of(few, whole), 1, bar(Bar::AtMost(1.2))));
        lines.push(line(format!("{who}RSS, MiB"), mib(many), mib(few), 1, Bar::None));
        let grown = mib(many) - mib(few);
        lines.push(line(format!("{who}RSS grown by, MiB"), grown, 0.0, 1, bar(Bar::OursAtMost(100.0))));
        for (many, few) in many.phases.iter().zip(&few.phases) {
            let p99 = |phase: &Phase| f64::from(phase.p99_us);
            let label = format!("{who}{} p99, µs", many.name);
            lines.push(line(label, p99(many), p99(few), 0, bar(Bar::AtMost(1.5))));
        }
    }
    let read_p99 = f64::from(full.phases.first().map_or(0, |phase| phase.p99_us));
    lines.push(line("ended a second".to_owned(), *ended_per_second, 0.0, 0, Bar::OursAtLeast(1000.0)));
    lines.push(line("reads beside, p99, µs".to_owned(), f64::from(beside.p99_us), read_p99, 0, Bar::AtMost(2.0)));
    render_columns([&versions[0], &versions[1]], ["many", "none"], &lines, options)
}

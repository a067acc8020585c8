//! `--leases`: what many leases cost. A server without any and one with so many of an engine that does
//! next to nothing are measured in turns: their starts, unsealing, memory, other requests. Then many
//! leases fall due at once, beside requests that must not feel it. The peer is measured with as many
//! tokens, which are leases there, as it has memory for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::load::{self, Asked, Plan};
use super::server::{Server, Startup};
use super::table::{Bar, Line, render_columns};
use super::{Options, Phase, alternate};
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

/// How long reads are measured at a time while they end.
const SLICE: Duration = Duration::from_millis(200);

/// How long their end may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server with one number of leases.
#[derive(serde::Serialize)]
pub(super) struct Held {
    leases: u64,
    start: Startup,
    /// After a start and a moment of rest.
    rss_kib: u64,
    phases: Vec<Phase>,
}

/// Leases that fell due at once.
#[derive(serde::Serialize)]
struct Ended {
    per_second: f64,
    /// Reads of the same server just before.
    before: Phase,
    /// Reads while they ended.
    beside: Phase,
}

/// What was measured.
#[derive(serde::Serialize)]
pub(super) struct Leases {
    /// With none, and with many.
    ours: [Held; 2],
    ended: Ended,
    theirs: [Held; 2],
}

/// Measures ours and then the peer: two servers each, one without leases and one with many, in turns.
pub(super) fn run(options: &Options, [ours, bao]: [PathBuf; 2], scratch: &Path) -> Done<(Leases, String)> {
    let mut pair = start("bulkhead", &ours, scratch, options)?;
    let many = &pair[1];
    enable_engine(&many.asked())?;
    let leases = options.instead.leases;
    say(format_args!("making {leases} leases"));
    load::repeat(&many.asked(), code(&many.asked(), "long"), leases, options.connections)?;
    let ours = held(&mut pair, leases, options)?;
    let ended = due_at_once(&mut pair[1], options)?;
    let version = pair[0].version()?;
    drop(pair);

    let mut pair = start("bao", &bao, scratch, options)?;
    let tokens = leases.min(PEER_TOKENS_MAX);
    say(format_args!("making {tokens} tokens in bao"));
    let asked = pair[1].asked();
    let one = request("POST", "auth/token/create", &asked.token, r#"{"ttl":"24h","policies":["default"]}"#);
    load::repeat(&asked, one, tokens, options.connections)?;
    let theirs = held(&mut pair, tokens, options)?;
    let measured = Leases { ours, ended, theirs };
    let table = render(&measured, [version, pair[0].version()?], options);
    Ok((measured, table))
}

/// Two servers of one program, with secrets in both.
fn start(name: &'static str, binary: &Path, scratch: &Path, options: &Options) -> Done<[Server; 2]> {
    say(format_args!("starting two servers of {name}"));
    let start = |folder: &str| -> Done<Server> {
        let mut server = Server::start(name, binary.to_owned(), &scratch.join(folder), options.audit)?;
        server.initialise()?;
        load::seed(&server.asked())?;
        Ok(server)
    };
    Ok([start("none")?, start("many")?])
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

/// Starts both a few times, and measures them at rest and at work, in turns.
fn held(pair: &mut [Server; 2], leases: u64, options: &Options) -> Done<[Held; 2]> {
    say(format_args!("{} with {leases} leases and with none: {STARTS} starts each", pair[0].name));
    let mut starts = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (server, starts) in pair.iter_mut().zip(&mut starts) {
            rest(server)?;
            starts.push(server.restart()?);
        }
    }
    for (starts, what) in starts.iter_mut().zip(["none", "many"]) {
        let each = starts.iter().map(|start| format!("{:.1} + {:.1}", start.ready_ms, start.unseal_ms));
        say(format_args!("with {what}, ms to ready, and to unseal: {}", each.collect::<Vec<_>>().join(", ")));
        starts.sort_by(|one, other| (one.ready_ms + one.unseal_ms).total_cmp(&(other.ready_ms + other.unseal_ms)));
    }
    std::thread::sleep(Duration::from_secs(3));
    let rss_kib = [pair[0].rss_kib()?, pair[1].rss_kib()?];
    let mut phases = [Vec::new(), Vec::new()];
    for plan in [Plan::Read, Plan::Write] {
        say(format_args!("{}: {} s on each server, in {} rounds", plan.name(), options.seconds, options.rounds));
        let made = [0, 1].map(|place: usize| load::requests(&pair[place].asked(), plan));
        for (tally, phases) in alternate(pair, &made, options)?.into_iter().zip(&mut phases) {
            phases.push(tally.phase(plan.name()));
        }
    }
    let [none, many] = phases;
    let held = |place: usize, leases, phases| {
        let start = starts[place][STARTS / 2];
        Held { leases, start, rss_kib: rss_kib[place], phases }
    };
    Ok([held(0, 0, none), held(1, leases, many)])
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
fn due_at_once(server: &mut Server, options: &Options) -> Done<Ended> {
    say(format_args!("{DUE} leases fall due at once, beside reads"));
    let requests = load::requests(&server.asked(), Plan::Read);
    let slice = |server: &Server| load::drive(&server.asked(), &requests, options.connections, SLICE);
    let mut before = load::Tally::default();
    for _ in 0..options.seconds * 1000 / SLICE.as_millis() as u64 {
        before.add(slice(server)?);
    }
    let begun = Instant::now();
    load::repeat(&server.asked(), code(&server.asked(), "short"), DUE, options.connections)?;
    if begun.elapsed() > Duration::from_secs(DUE_SECS) {
        return Err(Failed::new("the leases were made too slowly to fall due at once"));
    }
    server.stop()?;
    std::thread::sleep(Duration::from_secs(DUE_SECS + 1));
    server.start_again()?;
    let started = Instant::now();
    let mut beside = load::Tally::default();
    while !are_ended(server)? {
        if started.elapsed() > PATIENCE {
            return Err(Failed::new("the leases that fell due did not end"));
        }
        beside.add(slice(server)?);
    }
    let per_second = DUE as f64 / started.elapsed().as_secs_f64();
    Ok(Ended { per_second, before: before.phase("kv read"), beside: beside.phase("kv read, leases ending") })
}

fn are_ended(server: &Server) -> Done<bool> {
    let (status, _) =
        server.call("GET", "sys/leases/lookup/codes/codes/short/?list=true&limit=1", &json!(null), &[200, 404])?;
    Ok(status == 404)
}

fn render(measured: &Leases, versions: [String; 2], options: &Options) -> String {
    let Leases { ours, ended, theirs } = measured;
    let line = |label: String, ours: f64, theirs: f64, decimals, bar| Line { label, ours, theirs, decimals, bar };
    let mut lines = Vec::new();
    for (who, [few, many], is_ours) in [("", ours, true), ("bao: ", theirs, false)] {
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
    let (before, beside) = (f64::from(ended.before.p99_us), f64::from(ended.beside.p99_us));
    lines.push(line("ended a second".to_owned(), ended.per_second, 0.0, 0, Bar::OursAtLeast(1000.0)));
    lines.push(line("reads beside and before, p99, µs".to_owned(), beside, before, 0, Bar::AtMost(2.0)));
    render_columns([&versions[0], &versions[1]], ["many", "none"], &lines, options)
}

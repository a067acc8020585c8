//! `--refused`: what becomes of a server's memory while it refuses what it is asked: requests that
//! policies deny, with tokens that are none, without one, with bodies that are no JSON, to paths and
//! namespaces that are not there, and logins that are wrong. Names differ from request to request.

use std::time::Duration;

use serde_json::json;

use super::lanes::Lanes;
use super::server::{Server, text_at};
use super::table::{Bar, Line, render_lines};
use super::{Options, load};
use crate::http::{request, request_with};
use crate::shell::{Done, Tried, say};

/// Different requests. Why: far more than what is kept of names anywhere.
const VARIANTS: usize = 70_000;

/// Looks at the memory, over all requests.
const LOOKS: u64 = 20;

/// Looks that are not counted: what is allocated once has been by then.
const WARM_UP_LOOKS: usize = 5;

/// What one server's memory did.
#[derive(serde::Serialize)]
pub(super) struct Seen {
    name: &'static str,
    refused: u64,
    /// Status 200 where none was due.
    let_through: u64,
    rss_kib: Vec<u64>,
}

/// Measures both, one after the other.
pub(super) fn run(servers: &mut [Server; 2], options: &Options) -> Done<(Vec<Seen>, String)> {
    let mut all = Vec::new();
    for server in servers.iter_mut() {
        say(format_args!("initialising {}", server.name));
        server.initialise()?;
        load::seed(&server.asked())?;
        server.enable_logins()?;
        all.push(look(server, options)?);
    }
    let versions = [servers[0].version()?, servers[1].version()?];
    let table = render_lines([&versions[0], &versions[1]], &lines(&all), options);
    Ok((all, table))
}

fn look(server: &Server, options: &Options) -> Done<Seen> {
    let (_, made) = server.call("POST", "auth/token/create", &json!({"policies": ["default"], "ttl": "1h"}), &[200])?;
    let requests = requests(&text_at(&made, "/auth/client_token")?);
    let mut lanes =
        Lanes::open(&server.asked().addresses, &requests, options.connections).tried("connecting to be refused")?;
    let mut seen = Seen { name: server.name, refused: 0, let_through: 0, rss_kib: Vec::new() };
    for look in 1..=LOOKS {
        while seen.refused < options.instead.refused * look / LOOKS {
            let heard = lanes.run(Duration::from_millis(100)).tried("being refused")?;
            seen.refused += heard.errors;
            seen.let_through += heard.latencies_us.len() as u64;
        }
        seen.rss_kib.push(server.rss_kib()?);
        say(format_args!(
            "{}: {} refused, {} MiB",
            server.name,
            seen.refused,
            seen.rss_kib.last().unwrap_or(&0) / 1024
        ));
    }
    lanes.finish().tried("being refused")?;
    Ok(seen)
}

fn requests(token: &str) -> Vec<Vec<u8>> {
    (0..VARIANTS)
        .map(|number| match number % 7 {
            0 => request("GET", &format!("secret/data/denied-{number}"), token, ""),
            1 => request("GET", "secret/data/bench/app-1", &format!("s.{number:024}"), ""),
            2 => request("GET", &format!("secret/data/nobody-{number}"), "", ""),
            3 => request("POST", &format!("secret/data/broken-{number}"), token, "{\"data\": {"),
            4 => request("GET", &format!("nowhere-{number}/x"), token, ""),
            5 => {
                let headers = format!("X-Vault-Namespace: none-{number}\r\nX-Vault-Token: {token}\r\n");
                request_with(&headers, "GET", "secret/data/bench/app-1", "")
            }
            _ => {
                let body = format!(r#"{{"role_id":"role-{number}","secret_id":"secret-{number}"}}"#);
                request("POST", "auth/approle/login", "", &body)
            }
        })
        .collect()
}

/// Bytes that the memory grows by with each request: the slope of the line that fits best.
fn slope(seen: &Seen) -> f64 {
    let each = seen.refused as f64 / LOOKS as f64;
    let points: Vec<(f64, f64)> = (1..)
        .zip(&seen.rss_kib)
        .skip(WARM_UP_LOOKS)
        .map(|(look, kib)| (f64::from(look) * each, *kib as f64 * 1024.0))
        .collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    both / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

fn lines(all: &[Seen]) -> Vec<Line> {
    let [ours, theirs] = all else { return Vec::new() };
    let line = |label: &str, of: &dyn Fn(&Seen) -> f64, decimals, bar| Line {
        label: label.to_owned(),
        ours: of(ours),
        theirs: of(theirs),
        decimals,
        bar,
    };
    let mib = |kib: Option<&u64>| *kib.unwrap_or(&0) as f64 / 1024.0;
    vec![
        line("refused", &|seen| seen.refused as f64, 0, Bar::None),
        line("let through", &|seen| seen.let_through as f64, 0, Bar::OursAtMost(0.0)),
        line("RSS at first, MiB", &|seen| mib(seen.rss_kib.get(WARM_UP_LOOKS)), 1, Bar::None),
        line("RSS at last, MiB", &|seen| mib(seen.rss_kib.last()), 1, Bar::None),
        // A million of them may cost two megabytes: what the allocator rounds.
        line("bytes a request", &slope, 3, Bar::OursAtMost(2.0)),
    ]
}

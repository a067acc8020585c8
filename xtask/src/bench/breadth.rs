//! `--breadth`: what many policies and namespaces cost. Each server is measured with a few, then with
//! many: its memory, and what the same requests cost it.

use serde_json::json;

use super::load;
use super::server::{Server, text_at};
use super::table::{Bar, Line, render_lines};
use super::{Options, Phase, alternate};
use crate::http::{request, request_with};
use crate::shell::{Done, say};

/// Policies and namespaces: few, and many.
const SIZES: [(usize, usize); 2] = [(10, 10), (10_000, 1_000)];

/// Tokens in use, half of them in namespaces. Why: as many as there are policies and namespaces at
/// the least.
const TOKENS: usize = 20;

/// Policies of a token.
const POLICIES_EACH: usize = 5;

/// One size on one server.
#[derive(serde::Serialize)]
pub(super) struct Breadth {
    name: &'static str,
    policies: usize,
    namespaces: usize,
    rss_kib: u64,
    phase: Phase,
}

/// Measures both.
pub(super) fn run(servers: &mut [Server; 2], options: &Options) -> Done<(Vec<Breadth>, String)> {
    for server in servers.iter_mut() {
        say(format_args!("initialising {}", server.name));
        server.initialise()?;
        load::seed(&server.asked())?;
    }
    let mut all = Vec::new();
    let mut have = (0, 0);
    for (policies, namespaces) in SIZES {
        for server in servers.iter() {
            say(format_args!("{policies} policies and {namespaces} namespaces on {}", server.name));
            fill(server, have, (policies, namespaces))?;
        }
        have = (policies, namespaces);
        let requests = [requests(&servers[0], have)?, requests(&servers[1], have)?];
        let tallies = alternate(servers, &requests, options)?;
        for (server, tally) in servers.iter().zip(tallies) {
            let (rss_kib, phase) = (server.rss_kib()?, tally.phase("read by policy"));
            all.push(Breadth { name: server.name, policies, namespaces, rss_kib, phase });
        }
    }
    let versions = [servers[0].version()?, servers[1].version()?];
    let table = render_lines([&versions[0], &versions[1]], &lines(&all), options);
    Ok((all, table))
}

/// Makes what is lacking.
fn fill(server: &Server, (policies, namespaces): (usize, usize), to: (usize, usize)) -> Done {
    for number in policies..to.0 {
        let text = format!(
            "path \"secret/data/bench/app-{number}\" {{ capabilities = [\"read\"] }}\n\
                            path \"secret/data/bench/*\" {{ capabilities = [\"read\"] }}"
        );
        server.call("PUT", &format!("sys/policies/acl/p-{number}"), &json!({"policy": text}), &[200, 204])?;
    }
    for number in namespaces..to.1 {
        server.call("POST", &format!("sys/namespaces/n-{number}"), &json!({}), &[200])?;
    }
    Ok(())
}

/// Reads with tokens that have policies from all over, and look-ups in namespaces from all over.
fn requests(server: &Server, (policies, namespaces): (usize, usize)) -> Done<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    for number in 0..TOKENS / 2 {
        let spread = |place: usize, of: usize| place * of / (TOKENS / 2 * POLICIES_EACH);
        let names: Vec<_> =
            (0..POLICIES_EACH).map(|n| format!("p-{}", spread(number * POLICIES_EACH + n, policies))).collect();
        let (_, made) = server.call("POST", "auth/token/create", &json!({"policies": names, "ttl": "1h"}), &[200])?;
        let token = text_at(&made, "/auth/client_token")?;
        for secret in 0..10 {
            requests.push(request("GET", &format!("secret/data/bench/app-{}", secret * 10 + number), &token, ""));
        }
        let namespace = format!("n-{}", number * namespaces / (TOKENS / 2));
        let path = format!("{namespace}/auth/token/create");
        let (_, made) = server.call("POST", &path, &json!({"policies": ["default"], "ttl": "1h"}), &[200])?;
        let headers =
            format!("X-Vault-Namespace: {namespace}\r\nX-Vault-Token: {}\r\n", text_at(&made, "/auth/client_token")?);
        for _ in 0..10 {
            requests.push(request_with(&headers, "GET", "auth/token/lookup-self", ""));
        }
    }
    Ok(requests)
}

fn lines(all: &[Breadth]) -> Vec<Line> {
    let [ours_few, theirs_few, ours_many, theirs_many] = all else { return Vec::new() };
    let line =
        |label: &str, ours: f64, theirs: f64, bar| Line { label: label.to_owned(), ours, theirs, decimals: 1, bar };
    let mib = |sized: &Breadth| sized.rss_kib as f64 / 1024.0;
    let cpu = |sized: &Breadth| sized.phase.server_cpu_us;
    let grown = |few: &Breadth, many: &Breadth| cpu(many) / cpu(few);
    let errors = |ours: &Breadth, theirs: &Breadth| (ours.phase.errors as f64, theirs.phase.errors as f64);
    let mut lines = vec![
        line("few: RSS, MiB", mib(ours_few), mib(theirs_few), Bar::None),
        line("few: server CPU µs", cpu(ours_few), cpu(theirs_few), Bar::None),
        line("many: RSS, MiB", mib(ours_many), mib(theirs_many), Bar::AtMost(0.25)),
        line("many: server CPU µs", cpu(ours_many), cpu(theirs_many), Bar::None),
    ];
    let (ours, theirs) = (grown(ours_few, ours_many), grown(theirs_few, theirs_many));
    let label = "CPU, many / few".to_owned();
    // A tenth is what two runs differ by.
    lines.push(Line { label, ours, theirs, decimals: 3, bar: Bar::OursAtMost(1.1) });
    for (ours, theirs) in [errors(ours_few, theirs_few), errors(ours_many, theirs_many)] {
        if ours + theirs > 0.0 {
            lines.push(line("ERRORS", ours, theirs, Bar::OursAtMost(0.0)));
        }
    }
    lines
}

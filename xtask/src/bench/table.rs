//! The results as a table, each line with the ratio and, where one is set, its bar.

use std::fmt::Write;

use super::{Measured, Options, Phase};

/// What stands at a bar that was not held.
const MISSED: &str = "MISSED";

/// Whether a table has such a line.
pub(super) fn misses(table: &str) -> bool {
    table.contains(MISSED)
}

/// A line: a number of ours, the same of the peer's, and what we hold ourselves to.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) ours: f64,
    pub(super) theirs: f64,
    pub(super) decimals: usize,
    pub(super) bar: Bar,
}

/// What the ratio ours / theirs should be, or our number by itself.
#[derive(Clone, Copy)]
pub(super) enum Bar {
    None,
    AtMost(f64),
    AtLeast(f64),
    OursAtMost(f64),
    OursAtLeast(f64),
}

/// The whole table.
pub(crate) fn render(measured: &[Measured; 2], options: &Options) -> String {
    let [ours, theirs] = measured;
    let phases = ours.phases.iter().zip(&theirs.phases).flat_map(|(a, b)| phase_lines(a, b));
    let lines: Vec<Line> = phases.chain(process_lines(ours, theirs)).collect();
    render_lines([&ours.version, &theirs.version], &lines, options)
}

/// A table of these lines.
pub(super) fn render_lines(versions: [&str; 2], lines: &[Line], options: &Options) -> String {
    render_columns(versions, ["bulkhead", "bao"], lines, options)
}

/// A table of these lines, whose two numbers are of something else than the two servers.
pub(super) fn render_columns(versions: [&str; 2], columns: [&str; 2], lines: &[Line], options: &Options) -> String {
    let mut out = format!("\n  {}\n  {}\n", versions[0], versions[1]);
    let audit = if options.audit { ", file audit device on" } else { "" };
    put(&mut out, format_args!("  {} connections, {} s a phase{audit}\n", options.connections, options.seconds));
    put(&mut out, format_args!("  {:<30} {:>12} {:>12} {:>8}  bar", "", columns[0], columns[1], "ratio"));
    for line in lines {
        put(&mut out, format_args!("{}", line.text()));
    }
    out
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("writing to a string cannot fail");
}

fn phase_lines(ours: &Phase, theirs: &Phase) -> Vec<Line> {
    let (rate, cpu) = match ours.name {
        "kv read" => (Bar::None, Bar::AtMost(0.25)),
        "kv write" => (Bar::AtLeast(3.0), Bar::AtMost(0.25)),
        "lookup-self" | "wrapped read" | "token create" | "approle login" => (Bar::None, Bar::AtMost(1.0 / 3.0)),
        // What it costs is the password's hash, which is the same on both.
        _ => (Bar::None, Bar::None),
    };
    let p99 = match ours.name {
        "lookup-self" | "wrapped read" | "token create" | "approle login" => Bar::AtMost(0.5),
        _ => Bar::None,
    };
    let line = |what: &str, ours_value: f64, theirs_value: f64, decimals, bar| Line {
        label: format!("{} {what}", ours.name),
        ours: ours_value,
        theirs: theirs_value,
        decimals,
        bar,
    };
    let mut lines = vec![
        line("requests/s", ours.per_second, theirs.per_second, 0, rate),
        line("p50 µs", f64::from(ours.p50_us), f64::from(theirs.p50_us), 0, Bar::None),
        line("p99 µs", f64::from(ours.p99_us), f64::from(theirs.p99_us), 0, p99),
        line("server CPU µs", ours.server_cpu_us, theirs.server_cpu_us, 1, cpu),
        line("generator CPU µs", ours.generator_cpu_us, theirs.generator_cpu_us, 1, Bar::None),
    ];
    if ours.errors + theirs.errors > 0 {
        lines.push(line("ERRORS", ours.errors as f64, theirs.errors as f64, 0, Bar::None));
    }
    lines
}

fn process_lines(ours: &Measured, theirs: &Measured) -> Vec<Line> {
    let mib = |kib: u64| kib as f64 / 1024.0;
    let line =
        |label: &str, ours: f64, theirs: f64, bar| Line { label: label.to_owned(), ours, theirs, decimals: 1, bar };
    vec![
        line("RSS at rest, MiB", mib(ours.rss_rest_kib), mib(theirs.rss_rest_kib), Bar::AtMost(0.5)),
        line("RSS after load, MiB", mib(ours.rss_loaded_kib), mib(theirs.rss_loaded_kib), Bar::None),
        line("first start to ready, ms", ours.first.ready_ms, theirs.first.ready_ms, Bar::AtMost(0.2)),
        line("first unseal to active, ms", ours.first.unseal_ms, theirs.first.unseal_ms, Bar::None),
        line("restart to ready, ms", ours.again.ready_ms, theirs.again.ready_ms, Bar::AtMost(0.2)),
        line("unseal to active again, ms", ours.again.unseal_ms, theirs.again.unseal_ms, Bar::None),
        line("binary, MiB", mib(ours.binary_bytes / 1024), mib(theirs.binary_bytes / 1024), Bar::None),
    ]
}

impl Line {
    fn text(&self) -> String {
        let ratio = self.ours / self.theirs;
        let verdict = |held: bool| if held { "met" } else { MISSED };
        let bar = match self.bar {
            Bar::None => String::new(),
            Bar::AtMost(most) => format!("<= {most:.2}  {}", verdict(ratio <= most)),
            Bar::AtLeast(least) => format!(">= {least:.2}  {}", verdict(ratio >= least)),
            Bar::OursAtMost(most) => format!("ours <= {most:.2}  {}", verdict(self.ours <= most)),
            Bar::OursAtLeast(least) => format!("ours >= {least:.2}  {}", verdict(self.ours >= least)),
        };
        let Self { label, ours, theirs, decimals, .. } = self;
        format!("  {label:<30} {ours:>12.decimals$} {theirs:>12.decimals$} {ratio:>8.3}  {bar}").trim_end().to_owned()
    }
}

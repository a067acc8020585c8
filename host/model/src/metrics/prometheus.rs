//! The text format of Prometheus, version 0.0.4.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;

use super::sheet::{Family, Labels};
use super::{Kind, Sheet, Times, Value};

/// Milliseconds in a second.
const MS: f64 = 1000.0;

/// Writes a sheet down. Quantiles are of what came after `recent`, as those of Vault are of
/// the last seconds.
#[must_use]
pub fn prometheus(sheet: &Sheet, recent: &Sheet) -> String {
    let mut out = String::new();
    for (name, family) in sheet.families() {
        let shown = shown(name, family.kind);
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
            Kind::Histogram => "histogram",
        };
        line(&mut out, format_args!("# HELP {shown} {}", family.help));
        line(&mut out, format_args!("# TYPE {shown} {kind}"));
        samples(&mut out, &shown, family, |labels| match recent.value(name, labels) {
            Some(Value::Times(times)) => times,
            _ => Times::default(),
        });
    }
    out
}

/// A name as Prometheus takes it.
fn shown(name: &str, kind: Kind) -> String {
    let plain = name.replace(['.', '-'], "_");
    if kind == Kind::Histogram { format!("{plain}_seconds") } else { plain }
}

fn samples(out: &mut String, shown: &str, family: &Family, recent: impl Fn(&Labels) -> Times) {
    for (labels, value) in &family.samples {
        match (value, family.kind) {
            (Value::Number(number), _) => sample(out, shown, "", (labels, None), *number),
            (Value::Times(times), Kind::Histogram) => {
                for (bound, count) in times.cumulative() {
                    let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
                    sample(out, shown, "_bucket", (labels, Some(("le", &bound))), count as f64);
                }
                total(out, shown, labels, (times.sum_secs(), times.count()));
            }
            (Value::Times(times), _) => {
                let latest = times.since(&recent(labels));
                for part in [0.5, 0.9, 0.99] {
                    let quantile = latest.quantile_secs(part).map_or(f64::NAN, |secs| secs * MS);
                    sample(out, shown, "", (labels, Some(("quantile", &part.to_string()))), quantile);
                }
                total(out, shown, labels, (times.sum_secs() * MS, times.count()));
            }
        }
    }
}

fn total(out: &mut String, shown: &str, labels: &Labels, (sum, count): (f64, u64)) {
    sample(out, shown, "_sum", (labels, None), sum);
    sample(out, shown, "_count", (labels, None), count as f64);
}

fn sample(out: &mut String, shown: &str, end: &str, (labels, one): (&Labels, Option<(&str, &str)>), number: f64) {
    out.push_str(shown);
    out.push_str(end);
    let all = labels.iter().map(|(name, value)| (*name, value.as_str())).chain(one);
    for (place, (name, value)) in all.enumerate() {
        out.push(if place == 0 { '{' } else { ',' });
        out.push_str(name);
        out.push_str("=\"");
        push_escaped(out, value);
        out.push('"');
    }
    if !labels.is_empty() || one.is_some() {
        out.push('}');
    }
    line(out, format_args!(" {number}"));
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

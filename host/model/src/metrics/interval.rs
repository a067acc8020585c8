//! What happened between two sheets, and the JSON that Vault tells it in.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::macros::format_description;

use super::sheet::Labels;
use super::{Kind, Sheet, Times, Value};

/// Milliseconds in a second.
const MS: f64 = 1000.0;
/// Up to here a whole number is exact, 2⁵³.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The time between two sheets.
#[derive(Clone)]
pub struct Interval {
    /// As it was at the beginning.
    pub before: Arc<Sheet>,
    /// As it was at the end.
    pub after: Arc<Sheet>,
    /// When it began, in seconds since 1970.
    pub began_secs: u64,
    /// How long it was, in seconds.
    pub length_secs: u64,
}

/// A number, and what became of it in an interval.
pub(super) enum Change {
    Level(f64),
    Count(f64),
    Times(Times),
}

impl Interval {
    /// Levels, and of everything else what happened.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&'static str, &Labels, Change)> {
        self.after.families().flat_map(move |(name, family)| {
            family.samples.iter().filter_map(move |(labels, now)| {
                let change = match (now, self.before.value(name, labels)) {
                    (Value::Number(now), _) if family.kind == Kind::Gauge => Change::Level(*now),
                    (Value::Number(now), Some(Value::Number(then))) => Change::Count(now - then),
                    (Value::Number(now), _) => Change::Count(*now),
                    (Value::Times(now), Some(Value::Times(then))) => Change::Times(now.since(&then)),
                    (Value::Times(now), _) => Change::Times(*now),
                };
                let is_there = match &change {
                    Change::Level(_) => true,
                    Change::Count(count) => *count > 0.0,
                    Change::Times(times) => times.count() > 0,
                };
                is_there.then_some((name, labels, change))
            })
        })
    }

    /// The interval in the form of go-metrics, as JSON text. Minimum, maximum and deviation are
    /// as exact as the buckets.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut told = Told { timestamp: timestamp(self.began_secs), ..Told::default() };
        let secs = self.length_secs.max(1) as f64;
        for (name, labels, change) in self.changes() {
            let labels = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            match change {
                Change::Level(value) => told.gauges.push(Level { name, value, labels }),
                Change::Count(sum) => told.counters.push(Sampled {
                    name,
                    count: sum,
                    rate: sum / secs,
                    sum,
                    min: 1.0,
                    max: 1.0,
                    mean: 1.0,
                    stddev: 0.0,
                    labels,
                }),
                Change::Times(times) => told.samples.push(sampled(name, labels, &times, secs)),
            }
        }
        serde_json::to_vec(&told).expect("names and numbers are JSON")
    }
}

fn sampled<'a>(name: &'a str, labels: BTreeMap<&'a str, &'a str>, times: &Times, secs: f64) -> Sampled<'a> {
    let (count, sum) = (times.count() as f64, times.sum_secs() * MS);
    let mean = sum / count;
    let spread: f64 = times.rough().map(|(rough, n)| n as f64 * (rough * MS - mean).powi(2)).sum();
    Sampled {
        name,
        count,
        rate: sum / secs,
        sum,
        min: times.rough().next().map_or(0.0, |(rough, _)| rough * MS).min(mean),
        max: times.rough().next_back().map_or(0.0, |(rough, _)| rough * MS).max(mean),
        mean,
        stddev: (spread / count).sqrt(),
        labels,
    }
}

/// As Go prints a time.
fn timestamp(secs: u64) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] +0000 UTC");
    let time = i64::try_from(secs).ok().and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok());
    time.and_then(|time| time.format(form).ok()).unwrap_or_default()
}

/// A number as Go writes it into JSON: one that is whole has no point.
fn number<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        to.serialize_i64(*number as i64)
    } else {
        to.serialize_f64(*number)
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told<'a> {
    timestamp: String,
    gauges: Vec<Level<'a>>,
    points: [(); 0],
    counters: Vec<Sampled<'a>>,
    samples: Vec<Sampled<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Level<'a> {
    name: &'a str,
    #[serde(serialize_with = "number")]
    value: f64,
    labels: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sampled<'a> {
    name: &'a str,
    #[serde(serialize_with = "number")]
    count: f64,
    #[serde(serialize_with = "number")]
    rate: f64,
    #[serde(serialize_with = "number")]
    sum: f64,
    #[serde(serialize_with = "number")]
    min: f64,
    #[serde(serialize_with = "number")]
    max: f64,
    #[serde(serialize_with = "number")]
    mean: f64,
    #[serde(serialize_with = "number")]
    stddev: f64,
    labels: BTreeMap<&'a str, &'a str>,
}

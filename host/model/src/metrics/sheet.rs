//! Everything a node tells of itself at one moment.

use std::collections::BTreeMap;

use super::Times;

/// What tells samples of one name apart.
pub type Labels = Vec<(&'static str, String)>;

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How often; only grows while the process lives.
    Counter,
    /// How many just now.
    Gauge,
    /// How long things took, as Vault tells it: in milliseconds, with quantiles.
    Summary,
    /// How long things took, in seconds, by buckets that can be added up.
    Histogram,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a summary or a histogram.
    Times(Times),
}

/// The samples of one name.
pub struct Family {
    /// What its numbers mean.
    pub kind: Kind,
    /// What it is, in a sentence.
    pub help: &'static str,
    /// The numbers.
    pub samples: BTreeMap<Labels, Value>,
}

/// Numbers by name. Names are written as Vault writes them, with dots.
#[derive(Default)]
pub struct Sheet {
    families: BTreeMap<&'static str, Family>,
}

impl Sheet {
    /// Tells how often something has happened.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], count: f64) {
        self.put(name, (Kind::Counter, help), labels, Value::Number(count));
    }

    /// Tells how many there are.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], count: f64) {
        self.put(name, (Kind::Gauge, help), labels, Value::Number(count));
    }

    /// Tells how long things took, as Vault does.
    pub fn summary(&mut self, name: &'static str, help: &'static str, times: Times) {
        self.put(name, (Kind::Summary, help), &[], Value::Times(times));
    }

    /// Tells how long things took, by buckets.
    pub fn histogram(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], times: Times) {
        self.put(name, (Kind::Histogram, help), labels, Value::Times(times));
    }

    /// All names, in order.
    pub fn families(&self) -> impl Iterator<Item = (&'static str, &Family)> {
        self.families.iter().map(|(name, family)| (*name, family))
    }

    /// A number that was told.
    #[must_use]
    pub fn value(&self, name: &str, labels: &Labels) -> Option<Value> {
        self.families.get(name)?.samples.get(labels).copied()
    }

    fn put(
        &mut self,
        name: &'static str,
        (kind, help): (Kind, &'static str),
        labels: &[(&'static str, &str)],
        value: Value,
    ) {
        let family = self.families.entry(name).or_insert_with(|| Family { kind, help, samples: BTreeMap::new() });
        // A name with two meanings would be read wrongly by everyone.
        debug_assert!(family.kind == kind, "{name} is told as two kinds of number");
        family.samples.insert(labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), value);
    }
}

//! Reads the text format of Prometheus, version 0.0.4, and takes nothing that breaks a rule of it.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>. What must not live
//! here: which numbers there should be.

use std::collections::{BTreeMap, BTreeSet};

/// Labels of a sample, by name.
pub type Labels = BTreeMap<String, String>;

/// One line with a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The whole name, as with `_bucket`.
    pub name: String,
    /// What tells it apart.
    pub labels: Labels,
    /// The number.
    pub value: f64,
}

/// What a server told.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// Kinds by name: `counter`, `gauge`, `summary`, `histogram`.
    pub kinds: BTreeMap<String, String>,
    /// All samples, in order.
    pub samples: Vec<Sample>,
}

impl Exposition {
    /// The sum of all samples of a name that have these labels; `None` if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&Sample| {
            labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        let found: Vec<f64> =
            self.samples.iter().filter(|sample| sample.name == name).filter(has).map(|sample| sample.value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// The names that samples have.
    pub fn names(&self) -> BTreeSet<&str> {
        self.samples.iter().map(|sample| sample.name.as_str()).collect()
    }
}

/// Reads a text.
///
/// # Errors
/// The first rule that is broken, and in which line.
pub fn parse(text: &str) -> Result<Exposition, String> {
    if !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut told = Exposition::default();
    let mut family = String::new();
    let mut helped = BTreeSet::new();
    for (place, line) in text.lines().enumerate() {
        let wrong = |what: &str| Err(format!("line {}: {what}: {line}", place + 1));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().unwrap_or_default();
            if !is_name(name, ":") || !helped.insert(name.to_owned()) || told.kinds.contains_key(name) {
                return wrong("this HELP has no place here");
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("a TYPE without a type") };
            if !["counter", "gauge", "summary", "histogram"].contains(&kind) || !is_name(name, ":") {
                return wrong("this is no type");
            }
            if told.kinds.insert(name.to_owned(), kind.to_owned()).is_some() {
                return wrong("a second TYPE");
            }
            name.clone_into(&mut family);
        } else {
            let sample = match sample(line) {
                Ok(sample) => sample,
                Err(what) => return wrong(&what),
            };
            let kind = told.kinds.get(&family).map_or("", String::as_str);
            if !is_of(&sample, &family, kind) {
                return wrong("this sample is not of the family above it");
            }
            told.samples.push(sample);
        }
    }
    check(&told)?;
    Ok(told)
}

fn is_name(text: &str, more: &str) -> bool {
    let is_in = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(c);
    !text.is_empty() && text.chars().all(is_in) && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_of(sample: &Sample, family: &str, kind: &str) -> bool {
    let Some(end) = sample.name.strip_prefix(family) else { return false };
    match (kind, end) {
        ("counter" | "gauge", "") => true,
        ("summary", "") => sample.labels.contains_key("quantile"),
        ("summary" | "histogram", "_sum" | "_count") => true,
        ("histogram", "_bucket") => sample.labels.contains_key("le"),
        _ => false,
    }
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no number")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name, ":") {
        return Err("this is no name".to_owned());
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let number = rest.strip_prefix(' ').ok_or("no space before the number")?;
    let value = match number {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            number.parse().map_err(|_| "this is no number")?
        }
        _ => return Err("this is no number".to_owned()),
    };
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Labels, and what comes behind their bracket.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        let (name, value) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name, "") {
            return Err("this is no label's name".to_owned());
        }
        let (mut text, mut end, mut chars) = (String::new(), None, value.char_indices());
        while let Some((place, c)) = chars.next() {
            match (c, if c == '\\' { chars.next() } else { None }) {
                ('"', _) => {
                    end = Some(place + 1);
                    break;
                }
                ('\\', Some((_, '\\'))) => text.push('\\'),
                ('\\', Some((_, '"'))) => text.push('"'),
                ('\\', Some((_, 'n'))) => text.push('\n'),
                ('\\', _) => return Err("this is no escape".to_owned()),
                (c, _) => text.push(c),
            }
        }
        if labels.insert(name.to_owned(), text).is_some() {
            return Err("a label stands twice".to_owned());
        }
        rest = &value[end.ok_or("a value that does not end")?..];
        match rest.chars().next() {
            Some(',') => rest = &rest[1..],
            Some('}') => return Ok((labels, &rest[1..])),
            _ => return Err("labels that do not end".to_owned()),
        }
    }
}

/// Rules about more than one line.
fn check(told: &Exposition) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for sample in &told.samples {
        if !seen.insert((&sample.name, &sample.labels)) {
            return Err(format!("{} {:?} stands twice", sample.name, sample.labels));
        }
    }
    for (family, kind) in &told.kinds {
        if told.samples.iter().all(|sample| !is_of(sample, family, kind)) {
            return Err(format!("{family} has no sample"));
        }
        for sample in told.samples.iter().filter(|sample| is_of(sample, family, kind)) {
            let grows = kind != "gauge" && !(kind == "summary" && sample.name == *family);
            if grows && !(sample.value.is_finite() && sample.value >= 0.0) {
                return Err(format!("{} is {}", sample.name, sample.value));
            }
        }
        if kind == "histogram" {
            histogram(told, family)?;
        }
    }
    Ok(())
}

/// Buckets grow, and the last one holds all.
fn histogram(told: &Exposition, family: &str) -> Result<(), String> {
    let mut buckets: BTreeMap<Labels, Vec<(String, f64)>> = BTreeMap::new();
    for sample in told.samples.iter().filter(|sample| sample.name == format!("{family}_bucket")) {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").unwrap_or_default();
        buckets.entry(labels).or_default().push((bound, sample.value));
    }
    for sample in told.samples.iter().filter(|sample| sample.name == format!("{family}_count")) {
        let found = buckets.get(&sample.labels).ok_or(format!("{family}: a count without buckets"))?;
        let bounds: Vec<f64> = found.iter().map(|(bound, _)| bound.parse().unwrap_or(f64::INFINITY)).collect();
        if !bounds.is_sorted() || !found.is_sorted_by(|(_, one), (_, next)| one <= next) {
            return Err(format!("{family}: buckets out of order"));
        }
        if found.last() != Some(&("+Inf".to_owned(), sample.value)) {
            return Err(format!("{family}: the last bucket does not hold all"));
        }
    }
    Ok(())
}

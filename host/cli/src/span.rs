//! Durations as Go writes and reads them (`1h30m`, `768h0m0s`), because flags, tables
//! and request bodies use that notation. Signed: `-1` means "the system's default".

use std::fmt;

const NANOS_PER_SEC: i64 = 1_000_000_000;
const MINUTE_SECS: i64 = 60;
const HOUR_SECS: i64 = 3600;
const DAY_SECS: i64 = 24 * HOUR_SECS;

/// A signed length of time in nanoseconds, at most 292 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    nanos: i64,
}

impl Span {
    /// Whole seconds; saturates at 292 years.
    pub(crate) fn of_secs(secs: i64) -> Self {
        Self { nanos: secs.saturating_mul(NANOS_PER_SEC) }
    }

    /// A flag's value: a bare number is seconds, else Go's notation, a final `d` is days.
    ///
    /// # Errors
    /// What is wrong with it, in Go's words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(secs) = text.parse::<i64>() {
            return Ok(Self::of_secs(secs));
        }
        if let Some(days) = text.strip_suffix('d').and_then(|number| number.parse::<i64>().ok()) {
            return Ok(Self::of_secs(days.saturating_mul(DAY_SECS)));
        }
        let (sign, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let nanos = parse_units(magnitude).ok_or_else(|| format!("time: invalid duration {text:?}"))?;
        Ok(Self { nanos: sign * nanos })
    }

    /// Whole seconds, cut off towards zero.
    pub(crate) fn secs(self) -> i64 {
        self.nanos / NANOS_PER_SEC
    }

    /// No time at all.
    pub(crate) fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Before zero.
    pub(crate) fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// As a standard duration; a negative span is none.
    pub(crate) fn as_std(self) -> Option<std::time::Duration> {
        u64::try_from(self.nanos).ok().map(std::time::Duration::from_nanos)
    }

    /// Go's notation without the units that are zero at its end: `768h`, not `768h0m0s`.
    pub(crate) fn short(self) -> String {
        let full = self.to_string();
        let without_secs = match full.strip_suffix("m0s") {
            Some(front) => format!("{front}m"),
            None => full,
        };
        match without_secs.strip_suffix("h0m") {
            Some(front) => format!("{front}h"),
            None => without_secs,
        }
    }
}

/// `1h2m3.5s` and the like, without a sign; none where the text is not one, or too long.
fn parse_units(text: &str) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total: f64 = 0.0;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        total += number.parse::<f64>().ok()? * unit_nanos(unit)?;
        rest = tail;
    }
    // `as` is what rounds here; 2^63 and above is not a duration Go can hold.
    (total < i64::MAX as f64).then_some(total as i64)
}

fn unit_nanos(unit: &str) -> Option<f64> {
    let nanos = match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => MINUTE_SECS as f64 * 1e9,
        "h" => HOUR_SECS as f64 * 1e9,
        _ => return None,
    };
    Some(nanos)
}

/// Go's `Duration.String`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0s");
        }
        if self.nanos < 0 {
            f.write_str("-")?;
        }
        let nanos = self.nanos.unsigned_abs();
        match nanos {
            0..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}µs", decimals(nanos, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimals(nanos, 1_000_000)),
            _ => write_clock(f, nanos),
        }
    }
}

fn write_clock(f: &mut fmt::Formatter<'_>, nanos: u64) -> fmt::Result {
    let minute_nanos = MINUTE_SECS.unsigned_abs() * NANOS_PER_SEC.unsigned_abs();
    let minutes = nanos / minute_nanos;
    if minutes >= 60 {
        write!(f, "{}h", minutes / 60)?;
    }
    if minutes > 0 {
        write!(f, "{}m", minutes % 60)?;
    }
    write!(f, "{}s", decimals(nanos % minute_nanos, NANOS_PER_SEC.unsigned_abs()))
}

/// `value / unit` with as many decimals as it needs.
fn decimals(value: u64, unit: u64) -> String {
    let (whole, part) = (value / unit, value % unit);
    if part == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{part:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests;

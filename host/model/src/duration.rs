//! Durations as Vault reads and writes them: whole numbers are seconds, `5d` is days,
//! anything else is Go's form (`1h30m`, `500ms`). The error texts are Go's, because
//! they reach clients as they are.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not in any of the forms, or over 292 years (what Go can hold).
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// Days that are no number: Vault hands what stands before the `d` to another parser.
    #[error("strconv.ParseInt: parsing {0:?}: invalid syntax")]
    Days(String),
    /// A number other than a whole one, without a unit.
    #[error("time: missing unit in duration {0:?}")]
    NoUnit(String),
    /// A unit Go does not know.
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    Unit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Below zero.
    #[error("cannot provide negative value {0:?}")]
    Negative(String),
}

/// Whole seconds; what is left over is dropped, so `500ms` is 0. Empty is 0.
///
/// # Errors
/// [`DurationError`].
pub fn parse_secs(text: &str) -> Result<u64, DurationError> {
    Ok(parse(text)?.as_secs())
}

/// The exact duration. Empty is zero.
///
/// # Errors
/// [`DurationError`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let (negative, body) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if text.is_empty() {
        return Ok(Duration::ZERO);
    }
    let nanos = whole(body, text).unwrap_or_else(|| go_nanos(body, text))?;
    if negative && nanos > 0 {
        return Err(DurationError::Negative(text.to_owned()));
    }
    Ok(Duration::from_nanos(nanos))
}

/// Whole seconds or days; `None` if the text is in neither form.
fn whole(body: &str, text: &str) -> Option<Result<u64, DurationError>> {
    let (digits, unit_secs) = body.strip_suffix('d').map_or((body, 1), |days| (days, 86_400));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let days = unit_secs > 1 && !digits.is_empty();
        return days.then(|| Err(DurationError::Days(digits.to_owned())));
    }
    let nanos = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_secs)).and_then(|s| s.checked_mul(NANOS));
    Some(bounded(nanos, text))
}

const NANOS: u64 = 1_000_000_000;

/// Go holds a duration in 63 bits of nanoseconds; a longer one is refused there, and so here.
fn bounded(nanos: Option<u64>, text: &str) -> Result<u64, DurationError> {
    nanos.filter(|n| i64::try_from(*n).is_ok()).ok_or_else(|| DurationError::Invalid(text.to_owned()))
}

/// Go's form: one or more numbers with a fraction at will, each with its unit.
fn go_nanos(body: &str, text: &str) -> Result<u64, DurationError> {
    let mut sum = 0_u64;
    let mut rest = body;
    let invalid = || DurationError::Invalid(text.to_owned());
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let number = prefix(rest, |c| c.is_ascii_digit() || c == '.');
        let after = &rest[number.len()..];
        let unit = prefix(after, |c| !c.is_ascii_digit() && c != '.');
        if unit.is_empty() && !number.is_empty() {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        let unit_nanos = if number.is_empty() { return Err(invalid()) } else { unit_nanos(unit, text)? };
        let nanos = scaled(number, unit_nanos).ok_or_else(invalid)?;
        sum = bounded(sum.checked_add(nanos), text)?;
        rest = &after[unit.len()..];
    }
    Ok(sum)
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !belongs(c)).unwrap_or(text.len())]
}

fn unit_nanos(unit: &str, text: &str) -> Result<u64, DurationError> {
    Ok(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS,
        "m" => 60 * NANOS,
        "h" => 3600 * NANOS,
        _ => return Err(DurationError::Unit { unit: unit.to_owned(), text: text.to_owned() }),
    })
}

/// `number` times `unit`, without floating point; digits beyond a nanosecond are dropped.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut nanos = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.checked_mul(unit)? };
    let (mut part, mut scale) = (0_u128, 1_u128);
    for digit in fraction.bytes().take(18) {
        part = part * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    nanos = nanos.checked_add(u64::try_from(part * u128::from(unit) / scale).ok()?)?;
    Some(nanos)
}

/// Whole seconds as Go prints a duration: `1h30m0s`, `0s`.
#[must_use]
pub fn format_go(secs: u64) -> String {
    let (hours, minutes, seconds) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests;

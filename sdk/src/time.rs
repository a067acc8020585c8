//! Times and durations as Vault writes them.

use crate::bindings::mounted::bulkhead::plugin::types::Timestamp;

/// A time as Go's `RFC3339Nano` in UTC: trailing zeros of the fraction are left out.
#[must_use]
pub fn rfc3339(at_ms: Timestamp) -> String {
    let (days, day_ms) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let secs = day_ms / 1000;
    let mut out = String::with_capacity(24);
    push_padded(&mut out, year, 4);
    for (mark, value) in [('-', month), ('-', day), ('T', secs / 3600), (':', secs / 60 % 60), (':', secs % 60)] {
        out.push(mark);
        push_padded(&mut out, value, 2);
    }
    let ms = day_ms % 1000;
    if ms != 0 {
        out.push('.');
        push_padded(&mut out, ms, 3);
        out.truncate(out.trim_end_matches('0').len());
    }
    out.push('Z');
    out
}

fn push_padded(out: &mut String, value: u64, width: u32) {
    for place in (0..width).rev() {
        let digit = value / 10_u64.pow(place) % 10;
        out.push(char::from(b'0' + digit as u8));
    }
}

/// Year, month and day of a day counted from 1970-01-01, by Hinnant's civil calendar
/// (<https://howardhinnant.github.io/date_algorithms.html>).
#[must_use]
pub const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// A duration as Go prints it: `0s`, `90s` as `1m30s`, `3h0m0s`.
#[must_use]
pub fn go_duration(secs: i64) -> String {
    let sign = if secs < 0 { "-" } else { "" };
    let secs = secs.unsigned_abs();
    let (hours, minutes, seconds) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// Seconds of a duration as Vault reads them: a plain number, whole days (`5d`), or a row of
/// numbers with units (`ns`, `us`, `ms`, `s`, `m`, `h`); fractions of a second are cut off.
/// `None` for what is no duration, and beyond 292 years, which Go cannot hold either.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let nanos = whole_nanos(body).unwrap_or_else(|| row_nanos(body))?;
    let secs = i64::try_from(nanos).ok()? / 1_000_000_000;
    (!body.is_empty()).then_some(if negative { -secs } else { secs })
}

/// Whole seconds or days; `None` if the text is neither.
fn whole_nanos(text: &str) -> Option<Option<u64>> {
    let (digits, unit) = text.strip_suffix('d').map_or((text, 1), |digits| (digits, 86_400));
    let is_whole = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_whole.then(|| digits.parse::<u64>().ok()?.checked_mul(unit)?.checked_mul(1_000_000_000))
}

fn row_nanos(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut nanos = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let unit_end = rest[digits..]
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .map_or(rest.len(), |end| digits + end);
        let part = scaled(&rest[..digits], unit_nanos(&rest[digits..unit_end])?)?;
        nanos = nanos.checked_add(part)?;
        rest = &rest[unit_end..];
    }
    Some(nanos)
}

/// A decimal number of units, in whole nanoseconds. Not by way of floating point, whose
/// tables would be the largest part of a small guest.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let mut nanos = whole.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0') * place)?;
    }
    Some(nanos)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

//! Schedules in cron's form: minute, hour, day of the month, month, day of the week, in UTC.
//!
//! A field is `*` or `?`, a number, a range, one of these with a step (`*/5`, `1-9/2`; `3/5` is from 3 on),
//! or several of them separated by commas. Months and days of the week may be named by three letters. If
//! both kinds of days are bounded, a day need only be of one of them, as cron has it.

use bulkhead_sdk::time::civil;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Days that are looked through for the next time. Why: the 29th of February is at most eight years away.
const DAYS_MAX: u64 = 8 * 366 + 1;

const MINUTE_MS: u64 = 60_000;
const DAY_MINUTES: u64 = 24 * 60;

/// A schedule: sets of numbers, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day must be of both kinds, because one of them is not bounded.
    both: bool,
}

impl Cron {
    /// Reads the five fields.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else { return None };
        let is_open = |field: &str| field.starts_with(['*', '?']);
        Some(Self {
            minutes: set(minutes, 0, 59, &[])?,
            hours: set(hours, 0, 23, &[])?,
            days: set(days, 1, 31, &[])?,
            months: set(months, 1, 12, &MONTHS)?,
            weekdays: set(weekdays, 0, 6, &WEEKDAYS)?,
            both: is_open(days) || is_open(weekdays),
        })
    }

    /// The first time after this one, in milliseconds since 1970; none in the next eight years: none.
    pub(crate) fn next(&self, after_ms: u64) -> Option<u64> {
        let first = after_ms / MINUTE_MS + 1;
        let today = first / DAY_MINUTES;
        (today..today + DAYS_MAX).filter(|day| self.has_day(*day)).find_map(|day| {
            let begin = if day == today { first % DAY_MINUTES } else { 0 };
            let minute =
                (begin..DAY_MINUTES).find(|minute| has(self.hours, minute / 60) && has(self.minutes, minute % 60));
            minute.map(|minute| (day * DAY_MINUTES + minute) * MINUTE_MS)
        })
    }

    fn has_day(&self, day: u64) -> bool {
        let (_, month, day_of_month) = civil(day);
        // The first day of 1970 was a Thursday.
        let (by_date, by_weekday) = (has(self.days, day_of_month), has(self.weekdays, (day + 4) % 7));
        has(self.months, month) && if self.both { by_date && by_weekday } else { by_date || by_weekday }
    }
}

const fn has(set: u64, number: u64) -> bool {
    set >> number & 1 == 1
}

fn set(field: &str, least: u64, most: u64, names: &[&str]) -> Option<u64> {
    field.split(',').try_fold(0, |all, part| Some(all | range(part, least, most, names)?))
}

fn range(part: &str, least: u64, most: u64, names: &[&str]) -> Option<u64> {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let number = |text: &str| number(text, least, most, names);
    let (from, to) = match range.split_once('-') {
        _ if range == "*" || range == "?" => (least, most),
        Some((from, to)) => (number(from)?, number(to)?),
        None if step.is_some() => (number(range)?, most),
        None => (number(range)?, number(range)?),
    };
    let step = step.map_or(Some(1), |step| digits(step).filter(|step| *step > 0))?;
    if from > to {
        return None;
    }
    let step = usize::try_from(step).ok()?;
    Some((from..=to).step_by(step).fold(0, |all, number| all | 1 << number))
}

fn number(text: &str, least: u64, most: u64, names: &[&str]) -> Option<u64> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let number = match named {
        Some(place) => place as u64 + least,
        None => digits(text)?,
    };
    (least..=most).contains(&number).then_some(number)
}

/// A number of one to three digits: anything longer is out of every bound.
fn digits(text: &str) -> Option<u64> {
    let fits = (1..=3).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::time::rfc3339;

    use super::*;

    /// 2026-01-01T00:00:00Z, a Thursday.
    const NEW_YEAR_MS: u64 = 1_767_225_600_000;

    fn next(text: &str, times: usize) -> String {
        let cron = Cron::parse(text).unwrap();
        rfc3339((0..times).fold(NEW_YEAR_MS, |at, _| cron.next(at).unwrap()))
    }

    #[test]
    fn the_next_time_is_after_now_and_of_every_field() {
        for (text, times, at) in [
            ("* * * * *", 1, "2026-01-01T00:01:00Z"),
            ("0 0 * * *", 1, "2026-01-02T00:00:00Z"),
            ("*/15 * * * *", 5, "2026-01-01T01:15:00Z"),
            ("5/20 3 * * ?", 3, "2026-01-01T03:45:00Z"),
            ("30 8-10/2 * * *", 2, "2026-01-01T10:30:00Z"),
            ("0 12 1 * *", 2, "2026-02-01T12:00:00Z"),
            ("0 0 31 * *", 2, "2026-03-31T00:00:00Z"),
            ("0 0 29 2 *", 1, "2028-02-29T00:00:00Z"),
            ("0 0 * * SUN", 1, "2026-01-04T00:00:00Z"),
            ("0 0 * mar,Nov mon-fri", 1, "2026-03-02T00:00:00Z"),
            ("0,30 23 31 12 *", 2, "2026-12-31T23:30:00Z"),
        ] {
            assert_eq!(next(text, times), at, "{text}");
        }
    }

    #[test]
    fn bounded_days_of_both_kinds_are_days_of_either() {
        assert_eq!(next("0 0 13 * 5", 1), "2026-01-02T00:00:00Z");
        assert_eq!(next("0 0 13 * 5", 3), "2026-01-13T00:00:00Z");
        assert_eq!(next("0 0 */2 * 5", 1), "2026-01-09T00:00:00Z");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "1, * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "@daily",
            "1/ * * * *",
            "99999999999999999999 * * * *",
            "* * * * monday",
            "1--2 * * * *",
            "*/*/2 * * * *",
        ] {
            assert_eq!(Cron::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_day_that_never_comes_has_no_next_time() {
        assert_eq!(Cron::parse("0 0 30 2 *").unwrap().next(NEW_YEAR_MS), None);
    }
}

//! When a password is changed by itself: some time after the last change, or at the times of a schedule. And when a
//! change that failed is tried again.

use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::wire::Writer;

use crate::cron::Cron;

/// Shortest period, in seconds. Source: OpenBao.
const PERIOD_SECS_MIN: u64 = 5;
/// Longest schedule, in bytes. Source: ours. Why: it is read at every rotation.
const CRON_BYTES_MAX: usize = 256;

/// First wait after a change that failed, in milliseconds; each further one is twice as long. Source: ours.
const WAIT_MS: u64 = 10_000;
/// Longest such wait, in milliseconds. Source: ours. Why: a database that is back should not wait for hours.
const WAIT_MS_MAX: u64 = 3_600_000;

/// When a password is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// So many seconds after the last time.
    Period(u64),
    /// At the times of a schedule in cron's form, no later after each than the window; none: however late.
    Schedule { cron: String, window_secs: u64 },
}

impl Default for Rhythm {
    fn default() -> Self {
        Self::Period(0)
    }
}

impl Rhythm {
    /// So many seconds after the last time.
    pub(crate) fn after_each(period: Seconds) -> Result<Self> {
        if period.0 < PERIOD_SECS_MIN {
            return Err(Error::invalid(format!("rotation_period must be {PERIOD_SECS_MIN} seconds or more")));
        }
        Ok(Self::Period(period.0))
    }

    /// Whether this can be the times of a schedule.
    pub(crate) fn is_cron(text: &str) -> bool {
        text.len() <= CRON_BYTES_MAX && Cron::parse(text).is_some()
    }

    /// The time of the change after one at `last_ms`, seen from `now_ms`.
    pub(crate) fn next(&self, last_ms: u64, now_ms: u64) -> Result<u64> {
        match self {
            Self::Period(secs) => Ok(last_ms.saturating_add(secs.saturating_mul(1000))),
            Self::Schedule { cron, .. } => Cron::parse(cron)
                .and_then(|cron| cron.next(now_ms))
                .ok_or_else(|| Error::invalid("rotation_schedule has no time that will ever come")),
        }
    }

    /// Whether a change that was due then comes too late now, and had better wait for the next time.
    pub(crate) fn is_missed(&self, due_ms: u64, now_ms: u64) -> bool {
        match self {
            Self::Schedule { window_secs, .. } if *window_secs > 0 => {
                now_ms > due_ms.saturating_add(window_secs.saturating_mul(1000))
            }
            _ => false,
        }
    }

    /// Adds to an answer what it is.
    pub(crate) fn show(&self, answer: Object) -> Object {
        match self {
            Self::Period(secs) => answer.number("rotation_period", *secs),
            Self::Schedule { cron, window_secs: 0 } => answer.text("rotation_schedule", cron),
            Self::Schedule { cron, window_secs } => {
                answer.text("rotation_schedule", cron).number("rotation_window", *window_secs)
            }
        }
    }

    /// Writes it as three fields of a record, of which this is the first.
    pub(crate) fn encode(&self, writer: &mut Writer, first: u32) {
        match self {
            Self::Period(secs) => writer.number(first, *secs),
            Self::Schedule { cron, window_secs } => {
                writer.bytes(first + 1, cron.as_bytes());
                writer.number(first + 2, *window_secs);
            }
        }
    }

    /// What those three fields say.
    pub(crate) fn decoded(period_secs: u64, cron: Option<String>, window_secs: u64) -> Self {
        cron.map_or(Self::Period(period_secs), |cron| Self::Schedule { cron, window_secs })
    }
}

/// How long to wait after so many failures in a row, in milliseconds.
pub(crate) fn wait_ms(failures: u64) -> u64 {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(32);
    WAIT_MS.checked_shl(doublings).unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX)
}

/// What kind of error it is; what a database says is not for the log.
pub(crate) fn kind(error: &Error) -> String {
    let text = format!("{error:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        assert_eq!([1, 2, 3, 9].map(wait_ms), [10_000, 20_000, 40_000, 2_560_000]);
        assert_eq!([10, 11, 34, u64::MAX].map(wait_ms), [WAIT_MS_MAX; 4]);
    }
}

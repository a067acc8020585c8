//! User lockout: how many wrong logins lock an alias of an auth method, and for how long.
//! Where locks are kept, and what a locked login is told, is not known here.

mod count;
mod tally;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use count::FailedLogins;
pub use tally::Tally;

/// Auth methods that a config may name by themselves. Source: Vault, `user_lockout`.
pub const NAMED_METHODS: [&str; 3] = ["approle", "ldap", "userpass"];

/// When an alias is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockoutRule {
    /// Wrong logins that lock; 0 counts as 1. Source: `lockout_threshold`, default 5.
    pub threshold: u64,
    /// How long a lock holds, in seconds. Source: `lockout_duration`, default 15 minutes.
    pub duration_secs: u64,
    /// How long a wrong login is remembered where none follows, in seconds.
    /// Source: `lockout_counter_reset`, default 15 minutes.
    pub counter_reset_secs: u64,
    /// Whether nobody is locked. Source: `disable_lockout`, default false.
    pub is_disabled: bool,
}

impl Default for LockoutRule {
    fn default() -> Self {
        Self { threshold: 5, duration_secs: 900, counter_reset_secs: 900, is_disabled: false }
    }
}

impl LockoutRule {
    /// Whether so many wrong logins lock.
    #[must_use]
    pub fn locks(&self, failures: u64) -> bool {
        failures >= self.threshold.max(1)
    }

    /// Whether a lock made by a wrong login at that time holds now.
    #[must_use]
    pub fn holds(&self, failed_ms: u64, now_ms: u64) -> bool {
        is_within(self.duration_secs, failed_ms, now_ms)
    }

    /// Whether a wrong login at that time still counts.
    #[must_use]
    pub fn remembers(&self, failed_ms: u64, now_ms: u64) -> bool {
        is_within(self.counter_reset_secs, failed_ms, now_ms)
    }

    /// When nothing of a lock matters any more, in milliseconds since the epoch.
    #[must_use]
    pub fn forgotten_ms(&self, failed_ms: u64) -> u64 {
        let secs = self.duration_secs.max(self.counter_reset_secs);
        failed_ms.saturating_add(secs.saturating_mul(1000))
    }
}

/// Either way: a new leader's clock may be behind, and one that was hours ahead must not lock
/// anybody for hours.
fn is_within(secs: u64, then_ms: u64, now_ms: u64) -> bool {
    now_ms.abs_diff(then_ms) < secs.saturating_mul(1000)
}

/// What an operator says for one mount. What is 0 is as the server's config has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockoutTuning {
    /// As [`LockoutRule::threshold`].
    pub threshold: u64,
    /// As [`LockoutRule::duration_secs`].
    pub duration_secs: u64,
    /// As [`LockoutRule::counter_reset_secs`].
    pub counter_reset_secs: u64,
    /// True: nobody is locked. False says nothing, as in Vault.
    pub is_disabled: bool,
}

/// What the server's config says of all methods, and of some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockoutRules {
    /// For methods without a rule of their own.
    pub all: LockoutRule,
    /// By type of the method.
    pub by_method: BTreeMap<String, LockoutRule>,
    /// Said by the environment, over all else: whether nobody is locked.
    pub is_disabled: Option<bool>,
}

impl LockoutRules {
    /// What holds for a mount of this type; `None`: nobody is locked there.
    #[must_use]
    pub fn of(&self, method: &str, tuning: Option<&LockoutTuning>) -> Option<LockoutRule> {
        let config = self.by_method.get(method).unwrap_or(&self.all);
        let tuning = tuning.copied().unwrap_or_default();
        let or = |tuned: u64, config: u64| if tuned == 0 { config } else { tuned };
        let rule = LockoutRule {
            threshold: or(tuning.threshold, config.threshold),
            duration_secs: or(tuning.duration_secs, config.duration_secs),
            counter_reset_secs: or(tuning.counter_reset_secs, config.counter_reset_secs),
            is_disabled: self.is_disabled.unwrap_or(config.is_disabled || tuning.is_disabled),
        };
        Some(rule).filter(|rule| !rule.is_disabled)
    }
}

#[cfg(test)]
mod tests;

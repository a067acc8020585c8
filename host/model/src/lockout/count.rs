//! Wrong logins in a row, a count an alias, within a bound.

use std::collections::HashMap;

use super::LockoutRule;

/// Aliases counted at once in each of two halves. Source: ours. Why: each takes about 64 bytes,
/// and whoever tries a name after the other would fill the memory.
const ALIASES_MAX: usize = 65_536;

/// Names an alias: a keyed digest, so that names have no say in how much they take.
type AliasId = [u8; 32];

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u64,
    failed_ms: u64,
    /// The lock is kept here alone.
    is_lock: bool,
}

/// The counts. Those lately changed are in one half, those before in the other; when the first is
/// full it takes the place of the second. So what is forgotten is what has not failed for longest.
#[derive(Debug)]
pub struct FailedLogins {
    recent: HashMap<AliasId, Count>,
    before: HashMap<AliasId, Count>,
    half_max: usize,
}

impl Default for FailedLogins {
    fn default() -> Self {
        Self::bounded(ALIASES_MAX)
    }
}

impl FailedLogins {
    /// Counts with room for this many aliases in each half.
    pub(super) fn bounded(half_max: usize) -> Self {
        Self { recent: HashMap::new(), before: HashMap::new(), half_max }
    }

    /// Counts a wrong login; gives how many there were in a row, with this one.
    pub fn failed(&mut self, alias: AliasId, rule: &LockoutRule, now_ms: u64) -> u64 {
        let known = self.recent.remove(&alias).or_else(|| self.before.remove(&alias));
        let known = known.filter(|count| rule.remembers(count.failed_ms, now_ms));
        let failures = known.map_or(0, |count| count.failures).saturating_add(1);
        if self.recent.len() >= self.half_max {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(alias, Count { failures, failed_ms: now_ms, is_lock: false });
        failures
    }

    /// Keeps a lock that is kept nowhere else.
    pub fn lock(&mut self, alias: &AliasId) {
        if let Some(count) = self.recent.get_mut(alias) {
            count.is_lock = true;
        }
    }

    /// Whether a lock is kept here, and holds.
    #[must_use]
    pub fn is_locked(&self, alias: &AliasId, rule: &LockoutRule, now_ms: u64) -> bool {
        self.count(alias).is_some_and(|count| count.is_lock && rule.holds(count.failed_ms, now_ms))
    }

    /// Whether there were so many wrong logins that the alias is locked, or about to be: its lock
    /// may be on its way to where it is kept.
    #[must_use]
    pub fn is_due(&self, alias: &AliasId, rule: &LockoutRule, now_ms: u64) -> bool {
        self.count(alias).is_some_and(|count| rule.locks(count.failures) && rule.holds(count.failed_ms, now_ms))
    }

    /// Forgets an alias: it logged in, or was unlocked.
    pub fn forget(&mut self, alias: &AliasId) {
        self.recent.remove(alias);
        self.before.remove(alias);
    }

    fn count(&self, alias: &AliasId) -> Option<&Count> {
        self.recent.get(alias).or_else(|| self.before.get(alias))
    }

    /// Aliases counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recent.len() + self.before.len()
    }

    /// Whether none is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

//! Wrong logins in a row, a count an alias of an auth method, within a bound.

use std::collections::HashMap;

use super::LockoutRule;

/// Aliases counted at once. Source: ours. Why: each takes about 64 bytes, and whoever tries a name
/// after the other would fill the memory.
const ALIASES_MAX: usize = 131_072;

/// Names an alias: a keyed digest, so that names have no say in how much they take.
type AliasId = [u8; 32];

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u64,
    failed_ms: u64,
    /// The lock is kept here alone.
    is_lock: bool,
}

/// The counts, of each auth method apart, all of them within a bound. Where there are too many, the
/// method with the most forgets: who tries names at one has nothing forgotten of another.
#[derive(Debug)]
pub struct FailedLogins {
    methods: HashMap<String, OfMethod>,
    max: usize,
}

/// Those lately changed are in one half, those before in the other; when the first is full it takes
/// the place of the second. So what is forgotten is what has not failed for longest.
#[derive(Debug, Default)]
struct OfMethod {
    recent: HashMap<AliasId, Count>,
    before: HashMap<AliasId, Count>,
}

impl Default for FailedLogins {
    fn default() -> Self {
        Self::bounded(ALIASES_MAX)
    }
}

impl FailedLogins {
    /// Counts with room for this many aliases.
    pub(super) fn bounded(max: usize) -> Self {
        Self { methods: HashMap::new(), max }
    }

    /// Counts a wrong login at the method with this accessor; gives how many there were in a row,
    /// with this one.
    pub fn failed(&mut self, method: &str, alias: AliasId, rule: &LockoutRule, now_ms: u64) -> u64 {
        let known = self.methods.get_mut(method).and_then(|of| of.take(&alias));
        let known = known.filter(|count| rule.remembers(count.failed_ms, now_ms));
        let failures = known.map_or(0, |count| count.failures).saturating_add(1);
        self.make_room();
        if !self.methods.contains_key(method) {
            self.methods.insert(method.to_owned(), OfMethod::default());
        }
        let of = self.methods.get_mut(method).expect("it was just put there");
        if of.recent.len() >= self.max / 2 {
            of.forget_oldest();
        }
        of.recent.insert(alias, Count { failures, failed_ms: now_ms, is_lock: false });
        failures
    }

    fn make_room(&mut self) {
        while self.len() >= self.max {
            let largest = self.methods.values_mut().max_by_key(|of| of.len());
            largest.expect("something was counted").forget_oldest();
            self.methods.retain(|_, of| of.len() > 0);
        }
    }

    /// Keeps a lock that is kept nowhere else.
    pub fn lock(&mut self, method: &str, alias: &AliasId) {
        if let Some(count) = self.methods.get_mut(method).and_then(|of| of.recent.get_mut(alias)) {
            count.is_lock = true;
        }
    }

    /// Whether a lock is kept here, and holds.
    #[must_use]
    pub fn is_locked(&self, method: &str, alias: &AliasId, rule: &LockoutRule, now_ms: u64) -> bool {
        self.count(method, alias).is_some_and(|count| count.is_lock && rule.holds(count.failed_ms, now_ms))
    }

    /// Whether there were so many wrong logins that the alias is locked, or about to be: its lock
    /// may be on its way to where it is kept.
    #[must_use]
    pub fn is_due(&self, method: &str, alias: &AliasId, rule: &LockoutRule, now_ms: u64) -> bool {
        let is_due = |count: &Count| rule.locks(count.failures) && rule.holds(count.failed_ms, now_ms);
        self.count(method, alias).is_some_and(is_due)
    }

    /// Forgets an alias: it logged in, or was unlocked.
    pub fn forget(&mut self, method: &str, alias: &AliasId) {
        if let Some(of) = self.methods.get_mut(method) {
            of.take(alias);
        }
    }

    fn count(&self, method: &str, alias: &AliasId) -> Option<&Count> {
        let of = self.methods.get(method)?;
        of.recent.get(alias).or_else(|| of.before.get(alias))
    }

    /// Aliases counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.methods.values().map(OfMethod::len).sum()
    }

    /// Whether none is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl OfMethod {
    fn take(&mut self, alias: &AliasId) -> Option<Count> {
        self.recent.remove(alias).or_else(|| self.before.remove(alias))
    }

    fn len(&self) -> usize {
        self.recent.len() + self.before.len()
    }

    fn forget_oldest(&mut self) {
        self.before = std::mem::take(&mut self.recent);
    }
}

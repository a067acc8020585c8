//! How many requests each client has left: a count a client and rule, within a bound.

use std::collections::HashMap;
use std::net::IpAddr;

/// Clients counted at once, over all rules, in each of two halves. Source: ours. Why: each
/// takes about 64 bytes, and whoever has a network of addresses would fill the memory.
const CLIENTS_MAX: usize = 65_536;

/// What a client may do: so many requests in each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Requests in an interval.
    pub requests: u64,
    /// Length of an interval in milliseconds; not 0.
    pub interval_ms: u64,
    /// How long a client that went over it is refused everything, in milliseconds; 0: only
    /// until the interval ends.
    pub block_ms: u64,
}

/// Whom a count is for: an IPv4 address, a network of IPv6 as one customer gets it, or all who
/// have no address. In IPv6 a single client has so many that counting each would count nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(u64, bool);

impl From<Option<IpAddr>> for Client {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            // No address of IPv4 has so large a number.
            None => Self(u64::MAX, false),
            Some(IpAddr::V4(address)) => Self(u32::from(address).into(), false),
            Some(IpAddr::V6(address)) => {
                let network = u128::from(address) >> 64;
                Self(u64::try_from(network).expect("half of the bits are left"), true)
            }
        }
    }
}

/// What a request was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Let in or not.
    pub verdict: Verdict,
    /// Requests left in this interval.
    pub remaining: u64,
    /// Until the interval ends, in milliseconds.
    pub reset_ms: u64,
}

/// Whether a request is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Admitted,
    /// This interval's requests are used up; asking again makes sense after so many
    /// milliseconds.
    Over(u64),
    /// The client went over the limit before and is refused for so many milliseconds yet.
    Blocked(u64),
}

#[derive(Clone, Copy, Debug)]
struct Count {
    start_ms: u64,
    used: u64,
    blocked_until_ms: u64,
}

/// The counts. Those lately used are in one half, those before in the other; when the
/// first is full it takes the place of the second. So memory has a bound, and what is
/// forgotten is what has not been heard of for longest.
#[derive(Debug)]
pub struct Buckets {
    recent: HashMap<(usize, Client), Count>,
    before: HashMap<(usize, Client), Count>,
    half_max: usize,
}

impl Default for Buckets {
    fn default() -> Self {
        Self::bounded(CLIENTS_MAX)
    }
}

impl Buckets {
    /// Counts with room for this many clients in each half.
    pub(super) fn bounded(half_max: usize) -> Self {
        Self { recent: HashMap::new(), before: HashMap::new(), half_max }
    }

    /// Counts one request of a client under a rule.
    pub fn take(&mut self, rule: usize, client: Client, limit: &Limit, now_ms: u64) -> Taken {
        let key = (rule, client);
        if !self.recent.contains_key(&key) && self.recent.len() >= self.half_max {
            self.before = std::mem::take(&mut self.recent);
        }
        let known = self.before.remove(&key);
        let fresh = Count { start_ms: now_ms, used: 0, blocked_until_ms: 0 };
        self.recent.entry(key).or_insert(known.unwrap_or(fresh)).take(limit, now_ms)
    }

    /// Clients counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recent.len() + self.before.len()
    }

    /// Whether nobody is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Count {
    fn take(&mut self, limit: &Limit, now_ms: u64) -> Taken {
        if now_ms < self.start_ms {
            // The clock was set back: nobody waits for a time that may be hours away.
            (self.start_ms, self.used) = (now_ms, 0);
        }
        self.blocked_until_ms = self.blocked_until_ms.min(now_ms.saturating_add(limit.block_ms));
        let passed = now_ms.saturating_sub(self.start_ms) / limit.interval_ms;
        if passed > 0 {
            self.start_ms = self.start_ms.saturating_add(passed.saturating_mul(limit.interval_ms));
            self.used = 0;
        }
        let reset_ms = self.start_ms.saturating_add(limit.interval_ms).saturating_sub(now_ms);
        let blocked_ms = self.blocked_until_ms.saturating_sub(now_ms);
        let verdict = if blocked_ms > 0 {
            Verdict::Blocked(blocked_ms)
        } else if self.used < limit.requests {
            self.used += 1;
            Verdict::Admitted
        } else if limit.block_ms > 0 {
            self.blocked_until_ms = now_ms.saturating_add(limit.block_ms);
            Verdict::Over(limit.block_ms)
        } else {
            Verdict::Over(reset_ms)
        };
        Taken { verdict, remaining: limit.requests.saturating_sub(self.used), reset_ms }
    }
}

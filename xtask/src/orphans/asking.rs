//! Those who ask: for users, for longer lives of some, and for the ends of others. What came of it is noted, as far as
//! anybody was told.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ROLES, TTL_SECS};
use crate::chaos::chance::Chance;
use crate::http::{Connection, request};
use crate::shell::{Done, Failed};

/// How long a client waits before it asks again. Why: as much is to go wrong meanwhile.
const PACE: Duration = Duration::from_millis(100);

/// How long one answer may take: longer than a node takes to give up.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// Of so many requests for a user, one is followed by a renewal of some lease.
const RENEWED_OF: usize = 2;

/// Of so many requests for a user, one is followed by the end of some lease.
const ENDED_OF: usize = 5;

/// What is known of the end of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody asked for it.
    None,
    /// It was asked for, and nobody was told what came of it.
    Asked,
    /// It was promised.
    Promised,
}

/// A user that somebody was told of.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) user: String,
    pub(super) lease: String,
    pub(super) end: End,
}

/// What the clients did and saw.
pub(super) struct Asking {
    /// Users that are to be asked for still.
    pub(super) left: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) renewed: AtomicU64,
    pub(super) ended: AtomicU64,
    told: Mutex<Vec<Told>>,
}

impl Asking {
    /// So many users are to be asked for.
    pub(super) fn new(requests: u64) -> Self {
        let [failed, renewed, ended] = [0; 3].map(AtomicU64::new);
        Self { left: AtomicU64::new(requests), failed, renewed, ended, told: Mutex::default() }
    }

    /// Users that somebody was told of.
    pub(super) fn told(&self) -> Done<Vec<Told>> {
        Ok(self.told.lock().map_err(|_| Failed::new("a client panicked"))?.clone())
    }

    /// What has been done, in words.
    pub(super) fn progress(&self) -> String {
        let count = |number: &AtomicU64| number.load(Ordering::SeqCst);
        let (left, failed) = (count(&self.left), count(&self.failed));
        let (renewed, ended) = (count(&self.renewed), count(&self.ended));
        format!("{left} users to be asked for, {failed} not told of; {renewed} leases renewed, {ended} ended")
    }

    /// Asks until all has been asked for. Which leases are renewed and ended is by chance.
    pub(super) fn work(&self, worker: usize, addresses: &[SocketAddr], token: &str, chance: &mut Chance) {
        let mut turn = worker;
        let mut next = || {
            turn += 1;
            addresses[turn % addresses.len()]
        };
        while self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            let role = chance.among(&ROLES);
            if self.make(next(), token, role).is_none() {
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
            if chance.below(RENEWED_OF) == 0 {
                let _ = self.renew(next(), token, chance);
            }
            if chance.below(ENDED_OF) == 0 {
                let _ = self.end(next(), token, chance);
            }
            thread::sleep(PACE);
        }
    }

    fn make(&self, address: SocketAddr, token: &str, role: &str) -> Option<()> {
        let told = exchange(address, &request("GET", &format!("database/creds/{role}"), token, ""))?;
        let text = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (user, lease) = (text("/data/username")?, text("/lease_id")?);
        self.told.lock().ok()?.push(Told { user, lease, end: End::None });
        Some(())
    }

    /// Renews a lease of anybody's, for at least as long as it had, also while somebody else renews or ends it.
    fn renew(&self, address: SocketAddr, token: &str, chance: &mut Chance) -> Option<()> {
        let lease = self.choose(chance, End::None)?;
        let secs = TTL_SECS + i64::try_from(chance.below(3600)).ok()?;
        let body = json!({ "lease_id": lease, "increment": secs }).to_string();
        exchange(address, &request("PUT", "sys/leases/renew", token, &body))?;
        self.renewed.fetch_add(1, Ordering::SeqCst);
        Some(())
    }

    /// Ends a lease of anybody's, and waits for that or does not.
    fn end(&self, address: SocketAddr, token: &str, chance: &mut Chance) -> Option<()> {
        let lease = self.choose(chance, End::Asked)?;
        let body = json!({ "lease_id": lease, "sync": chance.below(2) == 0 }).to_string();
        exchange(address, &request("PUT", "sys/leases/revoke", token, &body))?;
        let mut all = self.told.lock().ok()?;
        let told = all.iter_mut().find(|told| told.lease == lease)?;
        told.end = End::Promised;
        self.ended.fetch_add(1, Ordering::SeqCst);
        Some(())
    }

    /// A lease whose end nobody asked for, and what is known of its end from now on.
    fn choose(&self, chance: &mut Chance, end: End) -> Option<String> {
        let mut all = self.told.lock().ok()?;
        let mut live: Vec<&mut Told> = all.iter_mut().filter(|told| told.end == End::None).collect();
        if live.is_empty() {
            return None;
        }
        let told = live.swap_remove(chance.below(live.len()));
        told.end = end;
        Some(told.lease.clone())
    }
}

/// The JSON of a good answer; null where it has no body.
fn exchange(address: SocketAddr, one: &[u8]) -> Option<Value> {
    let mut connection = Connection::open(address, ANSWER_MAX).ok()?;
    let answer = connection.exchange(one).ok().filter(|answer| (200..300).contains(&answer.status))?;
    if answer.body.is_empty() { Some(Value::Null) } else { serde_json::from_slice(answer.body).ok() }
}

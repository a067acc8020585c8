//! The books against the database: each lease that lives has its user and each user its lease, for as long as the lease
//! says.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::asking::{End, Told};
use super::{ROLES, Scene};
use crate::shell::{Done, Failed, say};

/// How long it may take until what did not commit is undone. Why: two minutes after the last node came to lead, by
/// a clock that is not turned on, and then as often as it takes.
const UNDONE_WITHIN: Duration = Duration::from_secs(240);

/// Leases that are ended one by one at most, to see whose user goes; the others end by themselves.
const PAIRS_MAX: usize = 100;

/// Users whose ends are asked of the database at a time.
const ENDS_AT_A_TIME: usize = 200;

/// Leases that live, and when they end, as the server writes it.
type Leases = BTreeMap<String, String>;

impl Scene {
    /// Waits until what did not commit is undone, and what was ended is gone, as often as that takes.
    pub(super) fn settle(&mut self) -> Done {
        say("what did not commit is undone, and what was to end is gone");
        let (mut intents, mut ending) = (Value::Null, BTreeSet::new());
        let (begun, mut told_at) = (Instant::now(), Instant::now());
        while begun.elapsed() < UNDONE_WITHIN {
            let leader = self.cluster.until_led()?;
            // One that does not answer in time is asked again.
            intents = self.cluster.ask(leader, "GET", "sys/plugins/intents", &Value::Null).unwrap_or_default();
            let undone = intents.pointer("/data/count").and_then(Value::as_u64) == Some(0);
            if undone {
                let (live, over) = self.leases()?;
                ending = self.promised()?.into_iter().filter(|lease| live.contains_key(lease)).chain(over).collect();
                if ending.is_empty() {
                    return Ok(());
                }
            }
            if told_at.elapsed() > Duration::from_secs(20) {
                told_at = Instant::now();
                let count = intents.pointer("/data/count").and_then(Value::as_u64);
                let count = count.map_or("unknown".to_owned(), |count| count.to_string());
                say(format_args!("intents: {count}; leases that are ending: {}", ending.len()));
            }
            // Whoever failed at it waits for less long then. It is no reason to begin sooner.
            self.turn_on(10)?;
            thread::sleep(Duration::from_secs(2));
        }
        self.cluster.keep();
        let left = intents.pointer("/data/intents").cloned().unwrap_or_default();
        Err(Failed::new(format!("intents that were not undone: {left}; leases that did not end: {ending:?}")))
    }

    /// Leases whose end was promised.
    fn promised(&self) -> Done<BTreeSet<String>> {
        let all = self.asking.told()?.into_iter().filter(|told| told.end == End::Promised);
        Ok(all.map(|told| told.lease).collect())
    }

    pub(super) fn users(&self) -> BTreeSet<String> {
        let all = self.postgres.sql("postgres", "select rolname from pg_roles where rolname like 'v-%'");
        all.lines().map(str::to_owned).collect()
    }

    pub(super) fn listed(&mut self) -> Done<BTreeSet<String>> {
        let leader = self.cluster.until_led()?;
        let mut all = BTreeSet::new();
        for role in ROLES {
            let prefix = format!("database/creds/{role}/");
            let told = match self.cluster.ask(leader, "LIST", &format!("sys/leases/lookup/{prefix}"), &Value::Null) {
                // Where nothing is listed a list answers so.
                Err(failed) if failed.to_string().contains("status 404") => continue,
                told => told?,
            };
            let keys = told.pointer("/data/keys").and_then(Value::as_array).cloned().unwrap_or_default();
            all.extend(keys.iter().filter_map(Value::as_str).map(|key| format!("{prefix}{key}")));
        }
        Ok(all)
    }

    /// Every lease that lives, with its end, and those that are over and there still.
    fn leases(&mut self) -> Done<(Leases, Vec<String>)> {
        let (mut live, mut over) = (Leases::new(), Vec::new());
        for lease in self.listed()? {
            let leader = self.cluster.until_led()?;
            let told = match self.cluster.ask(leader, "PUT", "sys/leases/lookup", &json!({ "lease_id": lease })) {
                // It is gone by now.
                Err(failed) if failed.to_string().contains("invalid lease") => continue,
                told => told?,
            };
            let end = told.pointer("/data/expire_time").and_then(Value::as_str).unwrap_or_default().to_owned();
            if told.pointer("/data/ttl").and_then(Value::as_u64).unwrap_or(0) == 0 {
                over.push(lease);
            } else {
                live.insert(lease, end);
            }
        }
        Ok((live, over))
    }

    /// Each user has a lease and each lease a user; what somebody was told of is there, unless its end was asked for;
    /// and nobody is shut out before its lease ends.
    pub(super) fn compare(&mut self) -> Done<usize> {
        let ((leases, over), users, told) = (self.leases()?, self.users(), self.asking.told()?);
        say(format_args!("{} users, {} leases; {} told to somebody", users.len(), leases.len(), told.len()));
        let wrong: Vec<&Told> = told.iter().filter(|told| !is_right(told, &leases, &users)).collect();
        // A user that nobody was told of has a lease that nobody was told of.
        let known: BTreeSet<&str> = told.iter().map(|told| told.user.as_str()).collect();
        let known_leases: BTreeSet<&str> = told.iter().map(|told| told.lease.as_str()).collect();
        let others: Vec<&String> = users.iter().filter(|user| !known.contains(user.as_str())).collect();
        let other_leases: Vec<&String> = leases.keys().filter(|lease| !known_leases.contains(lease.as_str())).collect();
        if !wrong.is_empty() || others.len() != other_leases.len() || told.is_empty() || !over.is_empty() {
            self.cluster.keep();
            return Err(Failed::new(format!(
                "{} users and {} leases; told to somebody and not as told: {wrong:?}; told to nobody: {others:?} of {other_leases:?}; over and there still: {over:?}",
                users.len(),
                leases.len()
            )));
        }
        self.check_ends(&told, &leases)?;
        Ok(users.len())
    }

    /// Nobody is shut out before its lease ends, however often that was put off.
    fn check_ends(&self, told: &[Told], leases: &Leases) -> Done {
        let ends = told.iter().filter_map(|told| Some(format!("('{}', '{}')", told.user, leases.get(&told.lease)?)));
        for some in ends.collect::<Vec<_>>().chunks(ENDS_AT_A_TIME) {
            let question = format!(
                "select rolname, rolvaliduntil, ends from pg_roles join (values {}) lease (name, ends) \
                 on rolname = name where rolvaliduntil is null or rolvaliduntil < ends::timestamptz - interval '1 second'",
                some.join(", ")
            );
            let early = self.postgres.sql("postgres", &question);
            if !early.is_empty() {
                self.cluster.keep();
                return Err(Failed::new(format!("users that are shut out before their leases end: {early}")));
            }
        }
        Ok(())
    }

    /// Ends leases one by one. With each goes one user: that which its client was told of, or one that
    /// nobody was told of.
    pub(super) fn pair(&mut self) -> Done<usize> {
        say("leases end one by one");
        let told: BTreeMap<String, String> =
            self.asking.told()?.into_iter().map(|told| (told.lease, told.user)).collect();
        let (mut leases, mut users) = (Vec::from_iter(self.listed()?), self.users());
        // First those that nobody was told of: it is they that could be wrong unnoticed.
        leases.sort_by_key(|lease| told.contains_key(lease));
        leases.truncate(PAIRS_MAX);
        for lease in &leases {
            let leader = self.cluster.until_led()?;
            let body = json!({ "lease_id": lease, "sync": true });
            self.cluster.ask(leader, "PUT", "sys/leases/revoke", &body)?;
            let left = self.users();
            let gone: Vec<String> = users.difference(&left).cloned().collect();
            let is_own = match told.get(lease) {
                Some(user) => gone == [user.clone()],
                None => gone.len() == 1 && !told.values().any(|user| *user == gone[0]),
            };
            if !is_own || left.len() + 1 != users.len() {
                self.cluster.keep();
                return Err(Failed::new(format!(
                    "the end of lease {lease}, told of as {:?}, was that of {gone:?}",
                    told.get(lease)
                )));
            }
            users = left;
        }
        Ok(leases.len())
    }
}

/// Whether what somebody was told of is there, or gone, as it was told.
fn is_right(told: &Told, leases: &Leases, users: &BTreeSet<String>) -> bool {
    let (has_lease, has_user) = (leases.contains_key(&told.lease), users.contains(&told.user));
    has_lease == has_user
        && match told.end {
            End::None => has_user,
            End::Asked => true,
            End::Promised => !has_user,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_there_until_its_end_was_asked_for_and_gone_once_that_was_promised() {
        let is = |end, has_lease: bool, has_user: bool| {
            let told = Told { user: "u".into(), lease: "l".into(), end };
            let leases = Leases::from_iter(has_lease.then(|| ("l".to_owned(), String::new())));
            is_right(&told, &leases, &BTreeSet::from_iter(has_user.then(|| "u".to_owned())))
        };
        for end in [End::None, End::Asked, End::Promised] {
            assert!(!is(end, true, false), "a lease without a user: {end:?}");
            assert!(!is(end, false, true), "a user without a lease: {end:?}");
        }
        assert!(is(End::None, true, true) && !is(End::None, false, false));
        assert!(is(End::Asked, true, true) && is(End::Asked, false, false));
        assert!(!is(End::Promised, true, true) && is(End::Promised, false, false));
    }
}

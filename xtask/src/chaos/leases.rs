//! Leases as clients of a broken cluster see them: what was given out is there, on every node,
//! until it is revoked; what was revoked is gone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::chance::Chance;
use super::client::{Client, Told};
use super::load::Load;

/// One of so many is kept to the end.
const KEPT: usize = 8;

/// What is known of the leases of a run.
#[derive(Default)]
pub(crate) struct Leases {
    /// Given out, and never revoked.
    kept: BTreeSet<String>,
    /// Whose revocation had no answer.
    doubtful: BTreeSet<String>,
    /// Requests for one that had no answer: each may have made one.
    unanswered: usize,
    revoked: BTreeSet<String>,
}

impl Leases {
    /// How many are kept, and how many were revoked.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.kept.len(), self.revoked.len())
    }

    /// What is wrong with what a node has.
    fn fault(&self, found: &BTreeSet<String>) -> Option<String> {
        if let Some(lost) = self.kept.difference(found).next() {
            return Some(format!("lease {lost} was given out and is not there"));
        }
        if let Some(back) = self.revoked.intersection(found).next() {
            return Some(format!("lease {back} was revoked and is there"));
        }
        let more = found.iter().filter(|id| !self.kept.contains(*id) && !self.doubtful.contains(*id)).count();
        (more > self.unanswered).then(|| format!("{more} leases that nobody was given are there"))
    }
}

/// What became of one lease.
enum Fate {
    Kept,
    Revoked,
    Doubtful,
}

impl Load {
    /// Asks for leases, renews them, revokes most, and looks for them on other nodes.
    pub(crate) fn lease(&self, seed: u64) {
        let mut chance = Chance::of(seed.rotate_left(17));
        let mut client = self.client(1);
        while !self.is_over() {
            let made = client.ask("GET", &format!("hello/codes/{}", self.canary), &Value::Null);
            self.noted().leases.unanswered += usize::from(matches!(made, Told::Unknown));
            let Some(id) = self.made(&made, "/lease_id") else { continue };
            client.turn();
            self.expect_lease(&mut client, &id, 200);
            let fate = if chance.below(KEPT) == 0 { Fate::Kept } else { self.revoke_lease(&mut client, &id) };
            let mut noted = self.noted();
            match fate {
                Fate::Kept => drop(noted.leases.kept.insert(id)),
                Fate::Revoked => drop(noted.leases.revoked.insert(id)),
                Fate::Doubtful => drop(noted.leases.doubtful.insert(id)),
            }
        }
    }

    fn revoke_lease(&self, client: &mut Client<'_>, id: &str) -> Fate {
        match client.ask("PUT", "sys/leases/revoke", &json!({"lease_id": id, "sync": true})) {
            Told::Answer(204, _) => {}
            Told::NotSent => return Fate::Kept,
            Told::Unknown => return Fate::Doubtful,
            Told::Answer(status, answer) => {
                self.breaks(format!("revoking a lease: {status}: {answer}"));
                return Fate::Doubtful;
            }
        }
        client.turn();
        self.expect_lease(client, id, 400);
        Fate::Revoked
    }

    /// Looks for a lease and renews it: both are answered so, if they are answered.
    fn expect_lease(&self, client: &mut Client<'_>, id: &str, status: u16) {
        for path in ["sys/leases/lookup", "sys/leases/renew"] {
            match client.ask("PUT", path, &json!({"lease_id": id})) {
                Told::Answer(told, answer) if told != status => {
                    self.breaks(format!("{path} of a lease, where {status} was due: {told}: {answer}"));
                }
                Told::Answer(..) | Told::NotSent | Told::Unknown => {}
            }
        }
    }

    /// What each node has, at the end.
    pub(crate) fn last_leases(&self, client: &mut Client<'_>) {
        let path = format!("sys/leases/lookup/hello/codes/{}?list=true", self.canary);
        let keys = match client.ask("GET", &path, &Value::Null) {
            Told::Answer(200, answer) => answer.pointer("/data/keys").and_then(Value::as_array).cloned(),
            Told::Answer(404, _) => Some(Vec::new()),
            _ => None,
        };
        let Some(keys) = keys else { return self.breaks("leases could not be listed at the end".to_owned()) };
        let prefix = format!("hello/codes/{}/", self.canary);
        let found = keys.iter().filter_map(Value::as_str).map(|key| format!("{prefix}{key}")).collect();
        let fault = self.noted().leases.fault(&found);
        fault.into_iter().for_each(|fault| self.breaks(fault));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn what_nodes_have_at_the_end_is_judged_by_what_clients_were_told() {
        let leases = Leases { kept: set(&["a", "b"]), doubtful: set(&["c"]), unanswered: 1, revoked: set(&["d"]) };
        for may_be in [&["a", "b"][..], &["a", "b", "c"], &["a", "b", "c", "of no answer"]] {
            assert_eq!(leases.fault(&set(may_be)), None, "{may_be:?}");
        }
        let lost = leases.fault(&set(&["a", "c"]));
        assert!(lost.is_some_and(|fault| fault.starts_with("lease b")));
        let back = leases.fault(&set(&["a", "b", "d"]));
        assert!(back.is_some_and(|fault| fault.starts_with("lease d")));
        assert!(leases.fault(&set(&["a", "b", "nobody's", "of no answer"])).is_some());
    }
}

//! The cluster, as this node sees it and changes it: members, leadership, snapshots.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::seam::cluster::{
    AskError, AutopilotConfig, AutopilotState, Cluster, ClusterError, Contact, Joining, Leader, Peer, ReceivedSnapshot,
    Responder, RestoreStep, SavedSnapshot, SnapshotSeal,
};
use bulkhead_model::seam::ledger::{Ledger, LedgerError};
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{ClientWriteError, RaftError};
use sha2::{Digest, Sha256};
use tokio::time::{sleep, timeout};

use super::{RaftLedger, restoring};
use crate::autopilot::{self, Sight};
use crate::disk::DiskView;
use crate::machine::Machine;
use crate::machine::state::{self, Meta};
use crate::peer::wire::{self, Request, Response};
use crate::peer::{Lane, Target};
use crate::pilot::{Change, ChangeError, Changed, Members};
use crate::raft::{Member, Payload};
use crate::reads;

/// Pause before a change of the members is decided anew that met another one.
const CHANGE_AGAIN: Duration = Duration::from_millis(20);

/// Longest a leader waits for another to take over, before it tries the next.
const HANDOVER_WITHIN: Duration = Duration::from_secs(2);

impl RaftLedger {
    fn sights(&self) -> Result<Vec<Sight>, ClusterError> {
        self.pilot.sights().ok_or_else(|| self.not_leader().into())
    }

    /// The number and the membership of whoever has this name.
    fn named(&self, id: &str) -> Result<(u64, Member, bool), ClusterError> {
        named(&self.pilot.members(), id)
    }

    /// Changes the members by what is decided on those of the moment; decided anew, where
    /// others have become so in between. One change of this node's is made at a time.
    async fn change(
        &self,
        retain: bool,
        decide: impl Fn(&Members) -> Result<Option<Change>, ClusterError>,
    ) -> Result<(), ClusterError> {
        let changed = timeout(self.timings.answer, async {
            let turn = self.pilot.turn().await;
            loop {
                // Only who leads has a word in it.
                self.sights()?;
                let (seen, members) = self.pilot.membership();
                if let Some(id) = seen {
                    // Whom it removed is in the list of those once it was applied.
                    self.wait_for(id.index).await?;
                }
                let Some(change) = decide(&members)? else { return Ok(()) };
                match self.pilot.change(change, retain, seen, &turn).await {
                    Ok(Changed::Done) => return Ok(()),
                    Ok(Changed::Overtaken) => sleep(CHANGE_AGAIN).await,
                    Err(error) => return Err(self.not_changed(error)),
                }
            }
        });
        changed.await.map_err(|_| LedgerError::Timeout)?
    }

    fn not_changed(&self, error: ChangeError) -> ClusterError {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => self.not_leader().into(),
            RaftError::APIError(ClientWriteError::ChangeMembershipError(e)) => refused(&e.to_string()),
            RaftError::APIError(_) => LedgerError::Timeout.into(),
            RaftError::Fatal(e) => self.explain(&e).into(),
        }
    }

    /// The change that removes a member with the name of a new one. Only one that is silent goes.
    fn place_for(&self, node: &Joining, members: &Members) -> Result<Option<Change>, ClusterError> {
        let config = self.pilot.config();
        let named = |number: u64| members.get(&number).is_some_and(|(member, _)| member.name == node.id);
        let same = self.sights()?.into_iter().find(|sight| sight.number != node.number && named(sight.number));
        match same {
            Some(sight) if autopilot::is_alive(&sight, &config) => {
                Err(refused(&format!("a node called {:?} is a member, and alive", node.id)))
            }
            Some(sight) => Ok(Some(without(sight.number, sight.voter))),
            None => Ok(None),
        }
    }

    fn refuse_removed(&self, number: u64) -> Result<(), ClusterError> {
        if !self.others.removed.contains(number) {
            return Ok(());
        }
        Err(refused(
            "this node was removed from the cluster, and its number is never taken again: wipe its data directory, \
             and let it join as a new node",
        ))
    }

    /// The change by which a node is a member, under this name and at this place.
    fn with(&self, node: &Joining, members: &Members) -> Result<Option<Change>, ClusterError> {
        self.refuse_removed(node.number)?;
        let wanted = Member { name: node.id.clone(), address: node.address.clone(), non_voter: node.non_voter };
        Ok(match members.get(&node.number) {
            Some((member, _)) if member.name == wanted.name && member.address == wanted.address => None,
            // Its number is in its certificate, so that nobody else can be at the new place.
            Some((member, _)) => {
                let moved = Member { non_voter: member.non_voter, ..wanted };
                Some(ChangeMembers::SetNodes([(node.number, moved)].into()))
            }
            None if members.values().any(|(member, _)| member.name == node.id) => {
                return Err(refused(&format!("another node called {:?} is just joining", node.id)));
            }
            None => Some(ChangeMembers::AddNodes([(node.number, wanted)].into())),
        })
    }

    /// Voters that could lead, the best first.
    fn heirs(&self, to: Option<&str>) -> Result<Vec<u64>, ClusterError> {
        let sights = self.sights()?;
        if let Some(id) = to {
            let (number, _, voter) = self.named(id)?;
            let fit = voter && number != self.member.0;
            return if fit { Ok(vec![number]) } else { Err(refused("it is no other voter")) };
        }
        let mut heirs: Vec<Sight> = sights.into_iter().filter(|sight| sight.voter && !sight.leader).collect();
        heirs.retain(|sight| sight.last.is_some_and(|last| last <= self.timings.election_max * 2));
        heirs.sort_by_key(|sight| (std::cmp::Reverse(sight.matched_index), sight.last));
        if heirs.is_empty() {
            return Err(refused("no other voter is in reach"));
        }
        Ok(heirs.into_iter().map(|sight| sight.number).collect())
    }

    async fn hand_over(&self, heir: u64) -> Result<bool, ClusterError> {
        self.raft.trigger().transfer_leader(heir).await.map_err(|e| self.explain(&e))?;
        let mut metrics = self.raft.server_metrics();
        let leaving = async {
            // Done once another is known to lead, so that whoever is told can be sent there.
            while metrics.borrow_watched().current_leader.is_none_or(|leader| leader == self.member.0) {
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        Ok(timeout(HANDOVER_WITHIN, leaving).await.is_ok())
    }

    /// The state at one moment, and the note that belongs to it.
    pub(super) async fn moment(&self) -> Result<(DiskView, Meta), LedgerError> {
        let taking = self.raft.with_state_machine(|machine: &mut Machine| {
            let moment = machine.moment();
            Box::pin(async move { moment.into_parts() })
        });
        taking.await.map_err(|e| self.explain(&e))?
    }
}

#[async_trait]
impl Cluster for RaftLedger {
    fn candidate(&self) -> Joining {
        let (number, member) = self.member.clone();
        Joining { number, id: member.name, address: member.address, non_voter: member.non_voter }
    }

    fn leader(&self) -> Option<Leader> {
        reads::leader(&self.raft, self.pilot.roster())
    }

    fn peers(&self) -> Vec<Peer> {
        let sights = self.pilot.sights().unwrap_or_default();
        let leader = self.raft.server_metrics().borrow_watched().current_leader;
        let members = self.pilot.members().into_iter();
        let peers = members.map(|(number, (member, voter))| {
            let about = self.pilot.roster().of(number).unwrap_or_default();
            let sight = sights.iter().find(|sight| sight.number == number);
            Peer {
                number,
                id: member.name,
                address: member.address,
                api_address: about.api_address,
                version: about.version,
                voter,
                non_voter: member.non_voter,
                leader: leader == Some(number),
                contact: sight.map(contact),
            }
        });
        peers.collect()
    }

    fn is_member(&self) -> bool {
        Self::is_member(self)
    }

    fn respond_with(&self, responder: Arc<dyn Responder>) {
        *self.others.above.write() = Some(responder);
    }

    async fn ask(&self, number: u64, question: Vec<u8>, within: Duration) -> Result<Vec<u8>, AskError> {
        let failed = |maybe_acted_on, why: String| AskError { maybe_acted_on, why };
        let members = self.pilot.members();
        let (member, _) = members.get(&number).ok_or_else(|| failed(false, "it is no member".to_owned()))?;
        let question = wire::encode(&Request::Ask(Payload(question.into())));
        if question.len() > wire::MESSAGE_BYTES_MAX {
            return Err(failed(false, "the question is over its limit".to_owned()));
        }
        let target = Target { number, address: member.address.clone() };
        let asking = self.others.link.call(&target, Lane::Above, question);
        let answer = match timeout(within, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(failed(!error.unsent, error.to_string())),
            Err(_) => return Err(failed(true, "no answer came in time".to_owned())),
        };
        match wire::response(&answer) {
            Some(Response::Told(answer)) => Ok(answer.0.into()),
            Some(Response::Refused(why)) => Err(failed(false, why)),
            _ => Err(failed(true, "its answer could not be read".to_owned())),
        }
    }

    async fn join(&self, node: Joining) -> Result<(), ClusterError> {
        // Up to now, so that nobody is missing who was just removed.
        Ledger::linearizable(self).await?;
        self.refuse_removed(node.number)?;
        for _ in self.pilot.members().values().filter(|(member, _)| member.name == node.id) {
            self.change(false, |members| self.place_for(&node, members)).await?;
        }
        self.change(false, |members| self.with(&node, members)).await
    }

    async fn promote(&self, id: &str) -> Result<(), ClusterError> {
        self.change(true, |members| {
            let (number, member, voter) = named(members, id)?;
            if voter {
                return Ok(None);
            }
            let sight = self.sights()?.into_iter().find(|sight| sight.number == number);
            if sight.is_none_or(|sight| !autopilot::is_healthy(&sight, &self.pilot.config())) {
                return Err(refused("it does not answer, or has not caught up"));
            }
            let wanted = ChangeMembers::SetNodes([(number, Member { non_voter: false, ..member })].into());
            let change = vec![wanted, ChangeMembers::AddVoterIds([number].into())];
            Ok(Some(ChangeMembers::Batch(change)))
        })
        .await
    }

    async fn demote(&self, id: &str) -> Result<(), ClusterError> {
        if self.named(id)?.0 == self.member.0 {
            // Raft would let it lead on, without a vote.
            self.step_down(None).await?;
            return Err(self.not_leader().into());
        }
        self.change(true, |members| {
            let (number, member, _) = named(members, id)?;
            refuse_last_voter(members, number)?;
            let wanted = ChangeMembers::SetNodes([(number, Member { non_voter: true, ..member })].into());
            let change = vec![wanted, ChangeMembers::RemoveVoters([number].into())];
            Ok(Some(ChangeMembers::Batch(change)))
        })
        .await
    }

    async fn remove(&self, id: &str) -> Result<(), ClusterError> {
        self.change(false, |members| {
            let (number, _, voter) = named(members, id)?;
            if voter {
                refuse_last_voter(members, number)?;
            }
            Ok(Some(without(number, voter)))
        })
        .await
    }

    async fn step_down(&self, to: Option<&str>) -> Result<(), ClusterError> {
        for heir in self.heirs(to)? {
            if self.hand_over(heir).await? {
                return Ok(());
            }
        }
        Err(refused("no other voter took over"))
    }

    fn autopilot(&self) -> AutopilotConfig {
        self.pilot.config()
    }

    fn set_autopilot(&self, config: AutopilotConfig) {
        self.pilot.set_config(config);
    }

    fn autopilot_state(&self) -> Result<AutopilotState, ClusterError> {
        let sights = self.sights()?;
        Ok(AutopilotState {
            healthy: sights.iter().all(|sight| sight.healthy_for.is_some()),
            failure_tolerance: autopilot::failure_tolerance(&sights),
            peers: self.peers(),
        })
    }

    async fn save_snapshot(&self, seal: &SnapshotSeal<'_>) -> Result<SavedSnapshot, ClusterError> {
        restoring::save(self, seal).await
    }

    async fn receive_snapshot(
        &self,
        stream: Box<dyn Read + Send>,
        bytes_max: u64,
        shown: Vec<Vec<u8>>,
    ) -> Result<ReceivedSnapshot, ClusterError> {
        restoring::receive(self, stream, bytes_max, shown).await
    }

    async fn restore_step(&self, step: RestoreStep) -> Result<u64, ClusterError> {
        restoring::step(self, step).await
    }

    async fn state_digest(&self) -> Result<(u64, [u8; 32]), ClusterError> {
        let (view, meta) = self.moment().await?;
        let hashing = tokio::task::spawn_blocking(move || {
            let mut hash = Sha256::new();
            for record in state::records_and_apart(&view) {
                let (key, value) = record?;
                hash.update((key.len() as u64).to_be_bytes());
                hash.update((value.len() as u64).to_be_bytes());
                hash.update(&*key);
                hash.update(&*value);
            }
            Ok(hash.finalize().into())
        });
        let digest = joined(hashing.await)?;
        Ok((meta.applied.map_or(0, |id| id.index), digest))
    }
}

fn named(members: &Members, id: &str) -> Result<(u64, Member, bool), ClusterError> {
    let found = members.iter().find(|(_, (member, _))| member.name == id);
    let unknown = || ClusterError::UnknownPeer { id: id.to_owned() };
    found.map(|(number, (member, voter))| (*number, member.clone(), *voter)).ok_or_else(unknown)
}

fn refuse_last_voter(members: &Members, number: u64) -> Result<(), ClusterError> {
    let others = members.iter().any(|(other, (_, voter))| *voter && *other != number);
    if others { Ok(()) } else { Err(refused("it is the only voter: without it there is no cluster")) }
}

/// The members without this one.
fn without(number: u64, voter: bool) -> Change {
    let gone = BTreeSet::from([number]);
    if voter { ChangeMembers::RemoveVoters(gone) } else { ChangeMembers::RemoveNodes(gone) }
}

pub(super) fn joined<T>(result: Result<Result<T, LedgerError>, tokio::task::JoinError>) -> Result<T, LedgerError> {
    result.map_err(|e| LedgerError::Stopped { cause: e.to_string() })?
}

fn contact(sight: &Sight) -> Contact {
    Contact {
        last: sight.last,
        silent: sight.silent,
        matched_index: sight.matched_index,
        behind: sight.behind,
        healthy: sight.healthy_for.is_some(),
        healthy_for: sight.healthy_for.unwrap_or_default(),
    }
}

pub(super) fn refused(why: &str) -> ClusterError {
    ClusterError::Refused { why: why.to_owned() }
}

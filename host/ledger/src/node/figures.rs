//! What is told about a node's log, and of its cluster by the one who leads.

use std::time::Duration;

use bulkhead_model::metrics::Sheet;
use bulkhead_model::seam::cluster::{Cluster, Contact, Peer};
use bulkhead_model::seam::ledger::Ledger;
use bulkhead_model::seam::metrics::Measured;

use super::RaftLedger;

impl Measured for RaftLedger {
    fn tell(&self, sheet: &mut Sheet) {
        let commits = self.writing.commits.read();
        sheet.counter("vault.raft.apply", "Changes handed to the log by this node.", &[], commits.count() as f64);
        let committing = "From handing a change to the log until it was committed and applied, in milliseconds.";
        sheet.summary("vault.raft.commitTime", committing, commits);
        let applying = "Applying what was committed to this node's state, a batch at a time, in milliseconds.";
        sheet.summary("vault.raft.fsm.apply", applying, self.state.applying.read());
        let standing = self.standing();
        for (name, help, number) in [
            ("vault.raft_storage.stats.term", "Term of the log.", standing.term),
            ("vault.raft_storage.stats.commit_index", "Last entry known to be committed.", standing.committed_index),
            ("vault.raft_storage.stats.applied_index", "Last entry applied here.", standing.applied_index),
        ] {
            sheet.gauge(name, help, &[], number as f64);
        }
        let leads = f64::from(u8::from(standing.leader));
        sheet.gauge("bulkhead.raft.leader", "1 if this node leads.", &[], leads);
        let peers = self.peers();
        sheet.gauge("vault.raft.peers", "Members of the cluster.", &[], peers.len() as f64);
        if standing.leader {
            peers.iter().for_each(|peer| tell_peer(sheet, peer));
            self.tell_health(sheet);
        }
    }
}

impl RaftLedger {
    fn tell_health(&self, sheet: &mut Sheet) {
        // Fails only where leadership has just gone.
        let Ok(state) = self.autopilot_state() else { return };
        let healthy = f64::from(u8::from(state.healthy));
        sheet.gauge("vault.autopilot.healthy", "1 if every member is healthy.", &[], healthy);
        let tolerance = "Voters that may fail before writes end.";
        sheet.gauge("vault.autopilot.failure_tolerance", tolerance, &[], f64::from(state.failure_tolerance));
    }
}

fn tell_peer(sheet: &mut Sheet, peer: &Peer) {
    let Some(Contact { last, behind, healthy, .. }) = peer.contact else { return };
    let node = [("node_id", peer.id.as_str())];
    let health = "1 if this member answers and keeps up.";
    sheet.gauge("vault.autopilot.node.healthy", health, &node, f64::from(u8::from(healthy)));
    if peer.leader {
        return;
    }
    let follower = [("peer_id", peer.id.as_str())];
    let lag = "Entries that a follower lacks.";
    sheet.gauge("vault.raft_storage.follower.applied_index_delta", lag, &follower, behind as f64);
    if let Some(last) = last {
        let ago = "How long ago a follower answered, in milliseconds.";
        sheet.gauge("vault.raft_storage.follower.last_heartbeat_ms", ago, &follower, ms(last));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

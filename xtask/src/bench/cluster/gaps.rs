//! How long nobody can write once a leader is gone: one client that goes to the next node as
//! soon as one fails it.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::NODES;
use crate::cluster::Cluster;
use crate::http::{Connection, request};
use crate::shell::{Done, Failed};

/// How long the client writes before and after. Why: the first write after a change of leaders may
/// go through and the next one not.
const IN_PEACE: Duration = Duration::from_millis(700);
/// How long it waits for one answer before it asks the next node. Why: a node that waits for a
/// leader says nothing meanwhile, and another may know one already.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Pause after a node failed it.
const AGAIN: Duration = Duration::from_millis(5);
/// Longest outage.
const OUTAGE_MAX: Duration = Duration::from_secs(120);

/// How a leader ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    /// By SIGKILL.
    Killed,
    /// By `sys/step-down`.
    SteppedDown,
}

/// Gaps between two acknowledged writes, in milliseconds.
#[derive(Serialize)]
pub(super) struct Gaps {
    pub(super) count: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Gaps {
    pub(super) fn of(mut gaps: Vec<Duration>) -> Self {
        gaps.sort_unstable();
        let at = |share: f64| {
            let rank = (gaps.len() as f64 * share).ceil() as usize;
            gaps.get(rank.saturating_sub(1)).map_or(0.0, |gap| gap.as_secs_f64() * 1000.0)
        };
        Self { count: gaps.len(), p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

/// Ends the leader, and gives the longest time between two writes that were acknowledged. The
/// cluster is whole again when this returns.
///
/// # Errors
/// Nobody takes a write for two minutes, or the cluster does not recover.
pub(super) fn after(cluster: &mut Cluster, how: Ended) -> Done<Duration> {
    let leader = cluster.until_led()?;
    let mut writer = Writer::new(cluster, leader);
    writer.write_for(IN_PEACE)?;
    writer.longest = Duration::ZERO;
    thread::scope(|scope| {
        let ending = scope.spawn(|| match how {
            Ended::Killed => cluster.kill(leader),
            Ended::SteppedDown => cluster.ask(leader, "PUT", "sys/step-down", &Value::Null).map(drop),
        });
        while !ending.is_finished() {
            writer.write_for(Duration::ZERO)?;
        }
        writer.write_for(IN_PEACE)?;
        ending.join().map_err(|_| Failed::new("ending a leader panicked"))?
    })?;
    cluster.mend()?;
    Ok(writer.longest)
}

struct Writer {
    addresses: Vec<SocketAddr>,
    request: Vec<u8>,
    /// The node that is asked, and the connection to it.
    at: usize,
    connection: Option<Connection>,
    acknowledged: Instant,
    longest: Duration,
}

impl Writer {
    /// It begins with a node that does not lead, as most clients do.
    fn new(cluster: &Cluster, leader: usize) -> Self {
        let body = json!({"data": {"value": "written while leaders come and go"}}).to_string();
        Self {
            addresses: cluster.nodes.iter().map(|node| node.api).collect(),
            request: request("POST", "kv/data/gap", &cluster.token, &body),
            at: (leader + 1) % NODES,
            connection: None,
            acknowledged: Instant::now(),
            longest: Duration::ZERO,
        }
    }

    /// Writes until so much time has passed in which every write but the first went through.
    fn write_for(&mut self, time: Duration) -> Done {
        let outage_end = Instant::now() + OUTAGE_MAX;
        let mut since = None;
        loop {
            if self.write() {
                let began = *since.get_or_insert_with(Instant::now);
                self.longest = self.longest.max(self.acknowledged.elapsed());
                self.acknowledged = Instant::now();
                if began.elapsed() >= time {
                    return Ok(());
                }
            } else {
                since = None;
                if Instant::now() > outage_end {
                    return Err(Failed::new(format!("no write went through for {} s", OUTAGE_MAX.as_secs())));
                }
                thread::sleep(AGAIN);
            }
        }
    }

    fn write(&mut self) -> bool {
        let connection = match self.connection.take() {
            Some(connection) => Some(connection),
            None => Connection::open(self.addresses[self.at], ANSWER_MAX).ok(),
        };
        let Some(mut connection) = connection else { return self.next() };
        match connection.exchange(&self.request) {
            Ok(answer) if answer.status == 200 => {
                self.connection = Some(connection);
                true
            }
            _ => self.next(),
        }
    }

    fn next(&mut self) -> bool {
        self.at = (self.at + 1) % self.addresses.len();
        false
    }
}

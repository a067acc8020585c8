//! Hands a request to the leader and brings back its answer. It travels between members only,
//! with its token, headers and the client's address as they were taken in here; no client can
//! say that it was forwarded.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{LetterAbout, Letters, letter_name};
use bulkhead_model::answer::Answer;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::limits::CHANGE_BYTES_MAX;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Body, Request, Verb};
use bulkhead_model::seam::cluster::{AskError, Cluster};
use tokio::time::{Instant, sleep};

use super::desk::NOT_SERVED;
use super::wire::{self, Question, Told};
use crate::node::Node;
use crate::open::Open;
use crate::step::{gate, inline};

/// Longest a request waits for a leader. Source: ours. Why: an election takes about a second;
/// a client had better hear of an outage than of nothing.
const LEADERLESS_MAX: Duration = Duration::from_secs(10);
/// Longest body handed to the leader, in bytes. Source: ours. Why: a message between nodes has
/// a bound, and no request can write more than this.
const BODY_BYTES_MAX: usize = CHANGE_BYTES_MAX + 2 * 1024 * 1024;
/// Pause before the leader is asked again. Source: ours.
const AGAIN: Duration = Duration::from_millis(25);
/// How often whoever waits for an answer looks whether the one asked leads still.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a node that was asked may still answer once another leads. Source: ours. Why: one that
/// handed over finishes what it had begun; one that died does not.
const FINISHING_MAX: Duration = Duration::from_secs(1);

/// Paths that write and are about the node that is asked.
const OF_THIS_NODE: [&str; 6] = [
    "sys/init",
    "sys/seal",
    "sys/storage/raft/join",
    // Its body is read here, and goes to the leader in small steps.
    "sys/storage/raft/snapshot",
    "sys/storage/raft/snapshot-force",
    "sys/unseal",
];

/// Reads whose answer only the leader knows.
const OF_THE_LEADER: [&str; 9] = [
    "sys/generate-root-token/",
    "sys/generate-root/",
    "sys/ha-status",
    "sys/quotas/lease-count/",
    "sys/rekey-recovery-key/",
    "sys/rekey/",
    "sys/rotate/recovery/",
    "sys/rotate/root/",
    "sys/storage/raft/autopilot/state",
];

/// Whether this node has peers, and does not lead them.
pub(crate) fn is_standby(open: &Open) -> bool {
    open.parts.peers.is_some() && !open.ledger().standing().leader
}

/// Whether a request is none for this node to serve: it must write, and this node does not
/// lead. Reads are served where they are asked.
pub(crate) fn is_for_leader(node: &Node, request: &Request) -> bool {
    // Who leads counts wrong logins, also those that a request brings along.
    let logs_in = inline::is_asked(request) && !is_of_this_node(request) && !gate::is_free(request);
    let needs = logs_in || needs_leader(request);
    node.parts.peers.is_some() && needs && node.open().is_some_and(|open| is_standby(&open))
}

fn needs_leader(request: &Request) -> bool {
    let path = request.path.as_str();
    match request.verb {
        _ if request.help => false,
        Verb::Write | Verb::Patch | Verb::Delete => !is_of_this_node(request),
        Verb::Read | Verb::List | Verb::Scan | Verb::Head => {
            request.wrap_ttl_secs.is_some() || OF_THE_LEADER.iter().any(|prefix| path.starts_with(prefix))
        }
    }
}

/// Whether a request is about this node, though it writes.
pub(crate) fn is_of_this_node(request: &Request) -> bool {
    OF_THIS_NODE.contains(&request.path.as_str())
}

/// Whether the leader may be asked twice. Whatever else comes here writes, or had to.
fn only_reads(request: &Request) -> bool {
    let writes = matches!(request.verb, Verb::Write | Verb::Patch | Verb::Delete) || request.wrap_ttl_secs.is_some();
    !writes && OF_THE_LEADER.iter().any(|prefix| request.path.as_str().starts_with(prefix))
}

/// Hands a request to the leader, and waits for it until the deadline. `None`: this node leads
/// by now, and is to serve it itself.
pub(crate) async fn pass_on(node: &Arc<Node>, request: &Request, deadline: Instant) -> Option<Answer> {
    let leaderless = deadline.min(Instant::now() + LEADERLESS_MAX);
    let bytes = body_bytes(&request.body);
    if bytes > BODY_BYTES_MAX {
        let text = "the body is too large to be handed to the leader: send it to the leader itself";
        return Some(Reply::Failed(Failure::new(FailureKind::TooLarge, text)).into());
    }
    let reads = only_reads(request);
    let mut counted = None;
    node.catalog.figures.forwarded.add_one();
    loop {
        let Some(open) = node.open() else { return Some(failed("Vault is sealed")) };
        let cluster = open.ledger().cluster().filter(|_| !open.ledger().standing().leader)?;
        if counted.is_none() {
            counted = open.peering.handed.take(bytes);
        }
        if counted.is_none() {
            return Some(failed(TOO_MUCH));
        }
        if let Some(leader) = cluster.leader() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(Reply::Failed(Failure::new(FailureKind::Timeout, "the request took too long")).into());
            }
            let within_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            let question = wire::question(request, within_ms);
            match ask(&open, cluster, leader.number, &question, left).await {
                Ok(Told::Served(given)) => return Some(given.into_answer().unwrap_or_else(|| failed(UNCLEAR))),
                Ok(Told::Refused(why)) => return Some(failed(&why)),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(leader = %leader.id, %error, "a request could not be handed to the leader");
                    if error.maybe_acted_on && !reads {
                        return Some(failed(UNCLEAR));
                    }
                }
            }
        }
        if Instant::now() >= leaderless {
            return Some(failed("local node not active but active cluster node not found"));
        }
        sleep(AGAIN).await;
    }
}

fn body_bytes(body: &Body) -> usize {
    match body {
        Body::Empty | Body::Unread(_) => 0,
        Body::Json(bytes) | Body::Raw { bytes, .. } => bytes.expose().len(),
    }
}

/// What a client is told where no more is handed on.
pub(super) const TOO_MUCH: &str = "too much is on its way to the leader at the moment: try again";

const UNCLEAR: &str = "the leader did not answer; the change may or may not apply";

fn failed(text: &str) -> Answer {
    Reply::Failed(Failure::new(FailureKind::Unavailable, text)).into()
}

/// Asks a member, for so long, and not much longer than it leads.
///
/// # Errors
/// [`AskError`].
pub(super) async fn ask(
    open: &Open,
    cluster: &dyn Cluster,
    number: u64,
    question: &Question,
    within: Duration,
) -> Result<Told, AskError> {
    let letters = Letters::of(&open.barrier);
    let about = LetterAbout::Question(cluster.candidate().number, number);
    let letter = letters.seal(about, wire::encode(question), &*open.parts.entropy);
    let name = letter_name(&letter).to_vec();
    let asking = cluster.ask(number, letter, within);
    tokio::pin!(asking);
    let mut led_until = None;
    let answer = loop {
        tokio::select! {
            answer = &mut asking => break answer?,
            () = sleep(LOOK_EVERY) => if cluster.leader().is_some_and(|leader| leader.number != number) {
                let moved = *led_until.get_or_insert_with(Instant::now);
                if moved.elapsed() >= FINISHING_MAX {
                    return Err(AskError { maybe_acted_on: true, why: "it does not lead any more".to_owned() });
                }
            },
        }
    };
    if answer == NOT_SERVED {
        return Ok(Told::NotServed);
    }
    let told = letters.open(LetterAbout::Answer(&name), &answer).and_then(|text| wire::decode(&text));
    told.ok_or_else(|| AskError { maybe_acted_on: true, why: "its answer could not be read".to_owned() })
}

#[cfg(test)]
mod tests {
    use bulkhead_model::request::Verb;
    use serde_json::Value;

    use super::{needs_leader, only_reads};
    use crate::tests::kit::request;

    #[test]
    fn what_writes_is_for_the_leader_unless_it_is_about_this_node() {
        let table = [
            (Verb::Read, "kv/data/a", false),
            (Verb::List, "kv/metadata/a", false),
            (Verb::Write, "kv/data/a", true),
            (Verb::Delete, "kv/data/a", true),
            (Verb::Patch, "kv/data/a", true),
            (Verb::Write, "sys/seal", false),
            (Verb::Write, "sys/step-down", true),
            (Verb::Write, "sys/storage/raft/bootstrap/challenge", true),
            (Verb::Write, "sys/storage/raft/join", false),
            (Verb::Write, "sys/storage/raft/snapshot-force", false),
            (Verb::Write, "sys/storage/raft/snapshot-auto/config/a", true),
            (Verb::Read, "sys/rotate/root/init", true),
            (Verb::Read, "sys/rekey/init", true),
            (Verb::Read, "sys/generate-root/attempt", true),
            (Verb::Read, "sys/ha-status", true),
            (Verb::Read, "sys/storage/raft/configuration", false),
        ];
        for (verb, path, expected) in table {
            assert_eq!(needs_leader(&request(verb, path, "t", &Value::Null)), expected, "{verb:?} {path}");
        }
    }

    #[test]
    fn only_what_cannot_have_written_is_asked_for_twice() {
        let asked = |verb, path| request(verb, path, "t", &Value::Null);
        assert!(only_reads(&asked(Verb::Read, "sys/ha-status")));
        // It came to the leader because it has to write: a lease, or the use of a token.
        assert!(!only_reads(&asked(Verb::Read, "database/creds/a")));
        assert!(!only_reads(&asked(Verb::Write, "sys/rotate/root/init")));
        let mut wrapped = asked(Verb::Read, "sys/ha-status");
        wrapped.wrap_ttl_secs = Some(60);
        assert!(!only_reads(&wrapped));
    }

    #[test]
    fn an_answer_that_is_to_be_wrapped_writes() {
        let mut asked = request(Verb::Read, "kv/data/a", "t", &Value::Null);
        asked.wrap_ttl_secs = Some(60);
        assert!(needs_leader(&asked));
    }
}

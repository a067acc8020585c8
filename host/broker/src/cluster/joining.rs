//! This node's way into a cluster. It asks a node of the cluster for a challenge, which tells
//! how the cluster is sealed; with its shares, or by its key outside, it proves that it belongs there,
//! and gets a certificate; the leader then brings it up to date. No share leaves the node,
//! and it believes only a cluster that knows the same shares.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_barrier::{HmacKey, SealConfig, read_seal_config, sealed_joining_key};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Request;
use bulkhead_model::seam::cluster::Joining;
use bulkhead_model::seam::peer::{ApiAddress, PeerCredentials};
use bulkhead_model::seam::seal::{SealKey, SealKind};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::proof::{self, Candidacy};
use super::{PeerParts, authority};
use crate::fault::Fault;
use crate::fields::Fields;
use crate::node::{Node, UnsealFailure};
use crate::visit::bare;

/// Longest a node of the cluster may take to answer. Source: ours.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long whoever tells this node to join waits, if it can't. Source: ours. Why: the time an
/// answer takes would tell what is at an address.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// What whoever tells it is told then.
const NOT_JOINED: &str = "failed to join raft cluster: no node of a cluster answered there; why is in this node's \
                          log. What is to be tried again belongs into the config, as retry_join";
/// Pause before those of the config are asked again. Source: Vault.
const AGAIN: Duration = Duration::from_secs(2);
/// Longest the last share waits until the leader has sent what there is to unseal. Source: ours.
const FIRST_RECORDS_WITHIN: Duration = Duration::from_secs(20);
/// How often it looks. Source: ours.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Longest certificate taken, in bytes of base64.
const CERTIFICATE_TEXT_MAX: usize = 16 * 1024;

/// How far a node is on its way into a cluster.
pub(crate) struct Joiner {
    pending: Mutex<Option<Pending>>,
    /// The right to ask others: one at a time does.
    turn: Semaphore,
}

impl Default for Joiner {
    fn default() -> Self {
        Self { pending: Mutex::default(), turn: Semaphore::new(1) }
    }
}

/// A cluster that would take this node in, once it has the shares.
#[derive(Clone)]
struct Pending {
    leader: ApiAddress,
    config: SealConfig,
    non_voter: bool,
}

impl Joiner {
    /// How the unseal key of the cluster is split that this node is to join.
    pub(crate) fn config(&self) -> Option<SealConfig> {
        self.pending.lock().as_ref().map(|pending| pending.config)
    }

    /// Whether somebody told this node to join, and not its config.
    pub(crate) fn was_told(&self, peers: &PeerParts) -> bool {
        let pending = self.pending.lock();
        let told = |pending: &Pending| peers.retry_join.iter().all(|known| known.url != pending.leader.url);
        pending.as_ref().is_some_and(told)
    }

    /// Forgets the cluster to join.
    pub(crate) fn forget(&self) {
        *self.pending.lock() = None;
    }

    /// The cluster to join is this one from now on; whether it was another before.
    fn turn_to(&self, now: Pending) -> bool {
        let before = self.pending.lock().replace(now.clone());
        before.is_none_or(|before| !before.is_of_same(&now))
    }
}

impl Pending {
    fn is_of_same(&self, other: &Self) -> bool {
        let of = |pending: &Self| {
            let ApiAddress { url, authorities_pem, server_name, .. } = pending.leader.clone();
            (url, authorities_pem, server_name, pending.config)
        };
        of(self) == of(other)
    }
}

/// Whether the next unsealing has to make this node a member first.
///
/// # Errors
/// [`Fault`] from the ledger.
pub(crate) fn is_under_way(node: &Node) -> Result<bool, Fault> {
    Ok(node.joiner.pending.lock().is_some() && is_wanted(node)?)
}

/// Whether this node belongs to no cluster, or can't show that it does.
fn is_wanted(node: &Node) -> Result<bool, Fault> {
    let (Some(peers), Some(cluster)) = (&node.parts.peers, node.parts.ledger.cluster()) else { return Ok(false) };
    let has_records = read_seal_config(&*node.parts.ledger.view()?)?.is_some();
    let is_known = peers.office.current().is_some() || cluster.peers().len() <= 1;
    Ok(!(has_records && cluster.is_member() && is_known))
}

impl Node {
    /// Asks those of the config, until one of them would take this node in or it is
    /// initialised by itself. Ends with the node.
    pub fn retry_join(self: &Arc<Self>) {
        if self.parts.peers.as_ref().is_none_or(|peers| peers.retry_join.is_empty()) {
            return;
        }
        let node = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(node) = node.upgrade() {
                let Some(peers) = &node.parts.peers else { return };
                if !is_wanted(&node).unwrap_or(false) || node.joiner.pending.lock().is_some() {
                    return;
                }
                for leader in &peers.retry_join {
                    let Ok(_turn) = node.joiner.turn.acquire().await else { return };
                    match approach(&node, peers, leader.clone(), peers.non_voter).await {
                        Ok(()) => return,
                        Err(why) => tracing::info!(leader = %leader.url, %why, "this node can't join there yet"),
                    }
                }
                drop(node);
                sleep(AGAIN).await;
            }
        });
    }
}

/// Asks one node of a cluster whether it would take this one in, and remembers that it would.
async fn approach(node: &Node, peers: &PeerParts, leader: ApiAddress, non_voter: bool) -> Result<(), String> {
    if node.parts.ledger.cluster().is_none_or(|cluster| cluster.candidate().address.is_empty()) {
        return Err("this node has no cluster_addr".to_owned());
    }
    let Challenge { config, .. } = challenge(node, peers, &leader).await?;
    if config.kind() == SealKind::Shamir {
        tracing::info!(leader = %leader.url, "this node joins a cluster as soon as it is given its key shares");
    } else {
        tracing::info!(leader = %leader.url, seal = config.kind().name(), "this node joins a cluster by its seal");
    }
    if node.joiner.turn_to(Pending { leader, config, non_voter }) {
        // Shares that were given so far were meant for another cluster.
        node.reset_unseal();
    }
    Ok(())
}

/// `sys/storage/raft/join`.
///
/// # Errors
/// [`Fault`]: the request is wrong, or nobody would take this node in.
pub(crate) async fn join(node: &Arc<Node>, request: &Request) -> Result<Reply, Fault> {
    if node.parts.ledger.cluster().is_none() {
        return Err(Failure::new(FailureKind::Internal, "raft backend not in use").into());
    }
    let Some(peers) = &node.parts.peers else {
        return Err(Fault::invalid("this node was started without a cluster address: set cluster_addr"));
    };
    let fields = crate::sys::init::fields(request)?;
    if fields.text("auto_join")?.is_some_and(|text| !text.is_empty()) {
        return Err(Fault::invalid("auto_join is not offered: name the leader in leader_api_addr"));
    }
    let asked = (address(&fields)?, fields.flag("non_voter")?.unwrap_or(false));
    if !is_wanted(node)? {
        return Ok(bare(200, &json!({ "joined": true })));
    }
    let (leader, non_voter) = allowed(peers, asked)?;
    let Ok(_turn) = node.joiner.turn.try_acquire() else {
        return Err(Failure::new(FailureKind::Unavailable, "this node is joining already: try again").into());
    };
    let ends = Instant::now() + TOLD_WITHIN;
    let url = leader.url.clone();
    match timeout_at(ends, approach(node, peers, leader, non_voter)).await {
        Ok(Ok(())) => return Ok(bare(200, &json!({ "joined": true }))),
        Ok(Err(why)) => tracing::warn!(leader = %url, %why, "this node was told to join there, and can't"),
        Err(_) => tracing::warn!(leader = %url, "this node was told to join there, and there was no answer in time"),
    }
    // Anybody may ask: neither text nor time tells what is there.
    sleep_until(ends).await;
    Err(Failure::new(FailureKind::Internal, NOT_JOINED).into())
}

/// Whom the node joins, and whether it is never to vote. Where the config says it, anybody
/// else can only choose among those.
fn allowed(peers: &PeerParts, (asked, non_voter): (ApiAddress, bool)) -> Result<(ApiAddress, bool), Fault> {
    if peers.retry_join.is_empty() {
        return Ok((asked, non_voter));
    }
    let plain = |url: &str| url.trim_end_matches('/').to_owned();
    let known = peers.retry_join.iter().find(|known| plain(&known.url) == plain(&asked.url));
    let known = known.ok_or_else(|| Fault::invalid("the config says whom this node joins: add it to retry_join"))?;
    Ok((known.clone(), peers.non_voter))
}

fn address(fields: &Fields) -> Result<ApiAddress, Fault> {
    let url = fields.text_or_empty("leader_api_addr")?;
    // Nothing behind host and port: whoever asks is not to choose what is posted to.
    let place = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if place.is_none_or(|place| place.trim_end_matches('/').contains(['/', '?', '#'])) {
        return Err(Fault::invalid("leader_api_addr must be of the form https://host:port"));
    }
    let key = fields.text_or_empty("leader_client_key")?;
    Ok(ApiAddress {
        url,
        authorities_pem: fields.text_or_empty("leader_ca_cert")?,
        server_name: fields.text_or_empty("leader_tls_servername")?,
        certificate_pem: fields.text_or_empty("leader_client_cert")?,
        key_pem: (!key.is_empty()).then(|| Arc::new(Hidden::new(key.into_bytes()))),
    })
}

/// By what a node shows that it belongs to a cluster.
pub(crate) enum Knowing<'a> {
    /// The joining key that the cluster's shares gave.
    Key(&'a HmacKey),
    /// The key outside, which unwraps it.
    Seal(&'a dyn SealKey),
}

/// Makes this node a member. Returns once there is something to unseal.
///
/// # Errors
/// [`UnsealFailure`]: no node of the cluster believed it, or none was reached.
pub(crate) async fn become_member(node: &Node, knowing: &Knowing<'_>) -> Result<(), UnsealFailure> {
    let pending = node.joiner.pending.lock().clone();
    let (Some(peers), Some(pending)) = (&node.parts.peers, pending) else { return Ok(()) };
    let others = peers.retry_join.iter().filter(|other| other.url != pending.leader.url);
    let mut why = String::new();
    for leader in std::iter::once(&pending.leader).chain(others) {
        match ask(node, peers, leader, (knowing, pending.non_voter)).await {
            Ok(()) => return first_records(node).await,
            Err(error) => {
                tracing::warn!(leader = %leader.url, %error, "this node was not taken in");
                why = error;
            }
        }
    }
    Err(UnsealFailure::Share(format!("this node could not join the cluster: {why}")))
}

async fn first_records(node: &Node) -> Result<(), UnsealFailure> {
    let ends = Instant::now() + FIRST_RECORDS_WITHIN;
    loop {
        // Up to now: what comes first may be from before a snapshot of other keys was restored.
        let up_to_now = node.parts.ledger.linearizable().await.is_ok();
        let view = node.parts.ledger.view().map_err(Fault::from)?;
        if up_to_now && read_seal_config(&*view).map_err(Fault::from)?.is_some() {
            break;
        }
        if Instant::now() >= ends {
            let text = "this node is a member now, and waits for the leader to bring it up to date: unseal it again";
            return Err(UnsealFailure::Broken(text.to_owned()));
        }
        sleep(LOOK_EVERY).await;
    }
    *node.joiner.pending.lock() = None;
    Ok(())
}

/// Proves to one node of the cluster that this one belongs there, and takes its certificate.
async fn ask(
    node: &Node,
    peers: &PeerParts,
    leader: &ApiAddress,
    (knowing, non_voter): (&Knowing<'_>, bool),
) -> Result<(), String> {
    let candidate = node.parts.ledger.cluster().map(|cluster| cluster.candidate()).ok_or("storage is not shared")?;
    let Challenge { nonce, sealed_key, .. } = challenge(node, peers, leader).await?;
    let unwrapped;
    let key = match knowing {
        Knowing::Key(key) => key,
        // As it is now: whatever makes the unseal key anew makes this anew.
        Knowing::Seal(by) => {
            unwrapped = sealed_joining_key(&sealed_key, *by).await.map_err(|error| error.to_string())?;
            &unwrapped
        }
    };
    let Joining { number, id, address, .. } = candidate;
    let made = peers.office.request()?;
    let said = Candidacy { nonce: &nonce, number, id: &id, address: &address, non_voter, request: &made.request };
    let body = json!({
        "server_id": id,
        "cluster_addr": address,
        "non_voter": non_voter,
        "number": format!("{number:016x}"),
        "challenge": STANDARD.encode(&nonce),
        "certificate_request": STANDARD.encode(&made.request),
        "answer": STANDARD.encode(proof::of_candidate(key, &said)),
    });
    let told = post(peers, leader, "sys/storage/raft/bootstrap/answer", &body).await?;
    let shown = taken(key, &said, &told)?;
    let now_secs = node.parts.clock.now_secs();
    let validity = authority::of_node(now_secs);
    let (certificate, authorities) = (shown.0, vec![shown.1]);
    peers.office.install(number, PeerCredentials { certificate, key: made.key, authorities, validity }, now_secs)
}

/// The certificate that this candidate was issued, and the authority's.
fn taken(key: &HmacKey, said: &Candidacy<'_>, told: &Value) -> Result<(Vec<u8>, Vec<u8>), String> {
    let bytes = |name: &str| {
        let text = told.pointer(&format!("/data/{name}")).and_then(Value::as_str).unwrap_or_default();
        let short = Some(text).filter(|text| text.len() <= CERTIFICATE_TEXT_MAX);
        short.and_then(|text| STANDARD.decode(text).ok()).ok_or(format!("its answer has no {name}"))
    };
    let (certificate, authority) = (bytes("certificate")?, bytes("authority")?);
    if !proof::is_of_issuer(key, said, (&certificate, &authority), &bytes("proof")?) {
        return Err("it does not belong to the cluster of these key shares".to_owned());
    }
    Ok((certificate, authority))
}

/// What a node of the cluster told.
struct Challenge {
    nonce: Vec<u8>,
    config: SealConfig,
    sealed_key: Vec<u8>,
}

/// Asks a node of the cluster for a nonce, and how the cluster is sealed.
async fn challenge(node: &Node, peers: &PeerParts, leader: &ApiAddress) -> Result<Challenge, String> {
    let id = node.parts.ledger.cluster().map(|cluster| cluster.candidate().id).unwrap_or_default();
    let body = json!({ "server_id": id });
    let told = post(peers, leader, "sys/storage/raft/bootstrap/challenge", &body).await?;
    let text = |pointer: &str| told.pointer(pointer).and_then(Value::as_str);
    let nonce = text("/data/challenge").filter(|text| text.len() <= 128);
    let nonce = nonce.and_then(|text| STANDARD.decode(text).ok()).ok_or("its answer has no challenge")?;
    let number = |name: &str| told.pointer(&format!("/data/seal_config/{name}")).and_then(Value::as_u64).unwrap_or(0);
    let (shares, threshold) = (number("secret_shares"), number("secret_threshold"));
    let kind = text("/data/seal_config/type").unwrap_or_default();
    let config = match SealKind::parse(kind).ok_or(format!("its seal {kind:?} is not known here"))? {
        SealKind::Shamir => SealConfig::new(shares, threshold),
        kind => SealConfig::outside(kind, shares, threshold),
    };
    let sealed_key = text("/data/sealed_joining_key").filter(|text| text.len() <= CERTIFICATE_TEXT_MAX);
    let sealed_key = sealed_key.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    Ok(Challenge { nonce, config: config.map_err(|error| format!("its seal is odd: {error}"))?, sealed_key })
}

async fn post(peers: &PeerParts, leader: &ApiAddress, path: &str, body: &Value) -> Result<Value, String> {
    let body = bulkhead_model::reply::hidden_json(body);
    let (status, answer) = peers.client.post(leader, path, body, ANSWER_WITHIN).await?;
    let told: Value = serde_json::from_slice(answer.expose()).unwrap_or_default();
    if status == 200 {
        return Ok(told);
    }
    let errors = told.get("errors").and_then(Value::as_array).into_iter().flatten();
    let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
    Err(format!("it answered {status}: {}", errors.join("; ")))
}

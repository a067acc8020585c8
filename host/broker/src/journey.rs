//! The order of the steps, and nothing else.

mod inline;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bulkhead_barrier::{StoreError, Transaction};
use bulkhead_model::answer::Answer;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::limits::CONFLICT_RETRIES_MAX;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Request;
use tokio::time::Instant;

use crate::book::config::Config;
use crate::book::namespaces::Namespace;
use crate::book::tokens::TokenHash;
use crate::cluster::consistency::{self, Consistency, Place};
use crate::cluster::forward;
use crate::components;
use crate::fault::Fault;
use crate::in_flight::Stay;
use crate::node::Node;
use crate::open::Open;
use crate::step::authorize::{Denied, authorize};
use crate::step::record::{Audited, Trail};
use crate::step::route::{Routed, Target};
use crate::step::{dispatch, gate, identify, place, quota, record, route, settle};
use crate::underway::Held;
use crate::visit::{After, Visit, Who};

/// Answers one request: here, or by way of the leader.
pub(crate) async fn run(node: &Arc<Node>, mut request: Request, time_max: Duration) -> Audited {
    // One for all of it, wherever it is served.
    let deadline = Instant::now() + time_max;
    let (consistency, place) = match placed(node, &request, deadline).await {
        Ok(placed) => placed,
        Err(refused) => return Audited::unrecorded(refused.into()),
    };
    // It knows how the request came, and the leader does not.
    if place == Place::Leader
        && let Some(refused) = gate::refuse(&request)
    {
        return Audited::unrecorded(refused.into());
    }
    if place == Place::Leader
        && let Some(answer) = forward::pass_on(node, &request, deadline).await
    {
        return Audited::by_leader(answer);
    }
    match served(node, &mut request, (deadline, consistency)).await {
        Served::Here(audited) => audited,
        Served::NotHere(open, trail) if forward::is_of_this_node(&request) => {
            let text = "this node cannot count a use of the token: use one without a limit";
            record::response(&open, &request, *trail, Failure::new(FailureKind::Unavailable, text).into()).await
        }
        Served::NotHere(open, trail) => {
            let answer = forward::pass_on(node, &request, deadline).await;
            let moved = || Reply::Failed(Failure::new(FailureKind::Unavailable, "leadership moved; try again")).into();
            let Answer { reply, headers } = answer.unwrap_or_else(moved);
            record::response(&open, &request, *trail, reply).await.with(headers)
        }
    }
}

/// How new the state must be that the request is answered from, and where it is to be served.
///
/// # Errors
/// What the client is told: a header is none, or this node lags behind.
async fn placed(node: &Node, request: &Request, deadline: Instant) -> Result<(Consistency, Place), Failure> {
    let Some(open) = node.open() else { return Ok((Consistency::default(), Place::Here)) };
    let consistency = Consistency::of(request, &open)?;
    let place = if forward::is_for_leader(node, request) {
        Place::Leader
    } else if forward::is_of_this_node(request) || gate::is_free(request) {
        Place::Here
    } else {
        consistency.place(&open, deadline).await
    };
    match place {
        Place::Behind => Err(consistency::behind()),
        place => Ok((consistency, place)),
    }
}

/// Answers a request that another member handed to this one. `None`: this node does not lead
/// any more, and nothing was done.
pub(crate) async fn run_here(node: &Arc<Node>, mut request: Request, time_max: Duration) -> Option<Audited> {
    let request = &mut request;
    let consistency = node.open().and_then(|open| Consistency::of(request, &open).ok()).unwrap_or_default();
    match served(node, request, (Instant::now() + time_max, consistency)).await {
        Served::Here(audited) => Some(audited),
        Served::NotHere(open, trail) => {
            let moved = Failure::new(FailureKind::Unavailable, "leadership moved: the request goes to another node");
            record::response(&open, request, *trail, moved.into()).await;
            None
        }
    }
}

/// What became of a request on this node.
enum Served {
    Here(Audited),
    /// It has to write, and this node does not lead. Its line was written, an answer's not.
    NotHere(Arc<Open>, Box<Trail>),
}

async fn served(node: &Arc<Node>, request: &mut Request, terms: (Instant, Consistency)) -> Served {
    match quota::admit(node, request).await {
        Ok(headers) => match admitted(node, request, terms).await {
            Served::Here(audited) => Served::Here(audited.with(headers)),
            not_here => not_here,
        },
        Err(refused) => Served::Here(refused),
    }
}

async fn admitted(node: &Arc<Node>, request: &mut Request, (deadline, consistency): (Instant, Consistency)) -> Served {
    let open = match entered(node, request).await {
        Ok(open) => open,
        Err(reply) => return Served::Here(Audited::unrecorded(reply)),
    };
    let terms = inline::Terms { deadline, consistency: &consistency };
    let login = match inline::login(node, &open, request, terms).await {
        Ok(login) => login,
        Err(inline::Ended::Answered(audited)) => return Served::Here(audited),
        Err(inline::Ended::NotHere) => {
            let trail = Trail::new(&open, request);
            return Served::NotHere(open, Box::new(trail));
        }
    };
    let began = Instant::now();
    let mut trail = Trail::new(&open, request);
    let stay = open.in_flight.begin(request, open.parts.clock.now_ms());
    let course = Course { login, ..Course::new((deadline, consistency), stay) };
    let ended = within(&course, &open, request, &mut trail).await;
    let (reply, after) = match ended {
        Ok((reply, after)) => (finish(reply, request), after),
        Err(fault) if fault.is_not_leader() && node.parts.peers.is_some() => {
            return Served::NotHere(open, Box::new(trail));
        }
        Err(fault) => (Reply::Failed(fault.into_failure()), Vec::new()),
    };
    // First, so that the first line of a new audit device is the answer that made it.
    let sealing = settle::after(&open, after).await;
    let counted = trail.counted();
    let mut audited = record::response(&open, request, trail, reply).await;
    if course.wrote(request) {
        audited = audited.with(consistency::index_line(&open));
    }
    open.catalog.figures.mounts.took(&counted, began.elapsed());
    if sealing {
        drop(open);
        node.seal().await;
    }
    Served::Here(audited)
}

/// Lets a request into an open node, or answers what needs none.
async fn entered(node: &Arc<Node>, request: &Request) -> Result<Arc<Open>, Reply> {
    if let Some(reply) = gate::answer_free(node, request).await {
        return Err(reply);
    }
    let open = gate::enter(node, request)?;
    if let Some(refused) = gate::refuse(request) {
        return Err(refused.into());
    }
    Ok(open)
}

/// What holds for a request however often it is tried, and how far it came.
struct Course {
    deadline: Instant,
    /// What takes long can say so, and what will become of it, in the tenth that is left then.
    ends: Instant,
    consistency: Consistency,
    /// Whom it has logged in for itself.
    login: Option<inline::Login>,
    /// In the list of those that are being served.
    stay: Stay,
    /// It is being committed, and must not be cut off.
    is_committing: AtomicBool,
    /// Something was committed for it.
    has_written: AtomicBool,
}

impl Course {
    fn new((deadline, consistency): (Instant, Consistency), stay: Stay) -> Self {
        let ends = deadline - deadline.saturating_duration_since(Instant::now()) / 10;
        let (is_committing, has_written) = (AtomicBool::default(), AtomicBool::default());
        Self { deadline, ends, consistency, login: None, stay, is_committing, has_written }
    }

    /// Whether the request has, or may have, changed something.
    fn wrote(&self, request: &Request) -> bool {
        self.has_written.load(Ordering::Relaxed) || consistency::writes(request)
    }
}

/// Runs the request, until its time is up at most.
async fn within(
    course: &Course,
    open: &Arc<Open>,
    request: &mut Request,
    trail: &mut Trail,
) -> Result<(Reply, Vec<After>), Fault> {
    let mut work = pin!(attempts(course, open, request, trail));
    match tokio::time::timeout_at(course.deadline, &mut work).await {
        Ok(done) => done,
        // It may be on its way to the disk, and its answer be all there will ever be of it (new
        // key shares): the ledger has a bound of its own.
        Err(_) if course.is_committing.load(Ordering::Relaxed) => work.await,
        Err(_) => Err(Failure::new(FailureKind::Timeout, "the request took too long").into()),
    }
}

/// Runs the request until its commit meets no conflict.
async fn attempts(
    course: &Course,
    open: &Arc<Open>,
    request: &mut Request,
    trail: &mut Trail,
) -> Result<(Reply, Vec<After>), Fault> {
    let mut attempt = 0;
    while attempt < CONFLICT_RETRIES_MAX {
        if attempt > 2 {
            // Losers step aside a little, each for another time.
            let [jitter] = bulkhead_model::seam::entropy::random::<1>(&*open.parts.entropy);
            tokio::time::sleep(Duration::from_micros(u64::from(jitter) * u64::from(attempt) * 8)).await;
        }
        attempt += 1;
        match once((course, attempt - 1), open, request, trail).await {
            Err(Fault::Conflict) => course.is_committing.store(false, Ordering::Relaxed),
            // Nothing was done yet.
            Err(Fault::Uncounted) if Instant::now() < course.ends => {
                course.is_committing.store(false, Ordering::Relaxed);
                let left = course.ends.saturating_duration_since(Instant::now());
                open.tally.counted_within(COUNT_LOOK.min(left)).await;
                attempt = 0;
            }
            // Another node has rotated the key, and this one meets the first record under it.
            Err(Fault::Store(StoreError::UnknownTerm { .. })) if open.learn_keys()? => {}
            done => return done,
        }
    }
    Err(Fault::Conflict)
}

async fn once(
    (course, attempt): (&Course, u32),
    open: &Arc<Open>,
    request: &mut Request,
    trail: &mut Trail,
) -> Result<(Reply, Vec<After>), Fault> {
    course.consistency.fresh(open).await?;
    let (mut visit, routed) = arrived(open, request, trail, (attempt, course.ends)).await?;
    let (now_ms, place) = (visit.now_ms, (&*visit.config, &*visit.namespace, &routed.target));
    let who = match who_asks(course, (open, place), &mut visit.tx, (request, now_ms)) {
        Ok(who) => who,
        Err(fault) => {
            if matches!(fault, Fault::Answer(_)) {
                trail.unknown();
            }
            record::request(open, request, trail).await?;
            return Err(fault);
        }
    };
    trail.identified(who.as_ref());
    course.stay.is_of(who.as_ref());
    let limited = who.as_ref().filter(|who| who.is_counted).map(|who| who.hash);
    visit.who = who;
    let passed = match authorize(&mut visit, request, routed).await {
        Ok(passed) => passed,
        Err(denied) => {
            let Denied { fault, by } = denied;
            trail.denied(by);
            record::request(open, request, trail).await?;
            return refuse(open, limited, fault).await;
        }
    };
    trail.authorized(&passed);
    record::request(open, request, trail).await?;
    let outcome = dispatch::dispatch(&mut visit, request, &passed).await;
    let outcome = match outcome {
        Ok(reply) => crate::mint::wrap_if_asked(&mut visit, request, reply),
        failed => failed,
    };
    course.is_committing.store(true, Ordering::Relaxed);
    match outcome {
        Ok(reply) => settle_visit(course, visit, reply).await,
        Err(Fault::AnswerAndCommit(failure)) => settle_visit(course, visit, Reply::Failed(failure)).await,
        // Too late to begin anew.
        Err(Fault::Uncounted) if visit.outside => refuse(open, limited, Fault::Uncounted.into_failure().into()).await,
        Err(fault) => refuse(open, limited, fault).await,
    }
}

/// Begins a transaction and finds where the request leads. Nobody is known to ask yet.
async fn arrived(
    open: &Arc<Open>,
    request: &mut Request,
    trail: &mut Trail,
    (attempt, ends): (u32, Instant),
) -> Result<(Visit, Routed), Fault> {
    let mut tx = open.begin()?;
    let config = open.config(&mut tx)?;
    let now_ms = open.parts.clock.now_ms();
    let namespace = located((open, &config), &mut tx, request, trail).await?;
    let routed = route::route(&config.mounts, &namespace, request);
    if let Target::Loading { mount } = &routed.target {
        components::serving(open, mount).await?;
    }
    trail.routed(open, &routed);
    let visit = Visit {
        open: open.clone(),
        config,
        namespace,
        tx,
        now_ms,
        who: None,
        after: Vec::new(),
        attempt,
        ends: Some(ends),
        outside: false,
        seats: Vec::new(),
        held: Held::default(),
    };
    Ok((visit, routed))
}

/// The caller: whom the request has logged in for itself, or who has its token.
fn who_asks(
    course: &Course,
    (open, place): (&Open, (&Config, &Namespace, &Target)),
    tx: &mut Transaction,
    (request, now_ms): (&Request, u64),
) -> Result<Option<Who>, Fault> {
    let found = match &course.login {
        Some(login) => login.identified(place, tx, request, now_ms).map(Some),
        None => identify::identify(open, place, tx, request, now_ms),
    };
    match found {
        Err(Fault::Answer(_)) if place.2.is_open_to_bad_tokens(request) => Ok(None),
        found => found,
    }
}

/// How long is waited for a count of leases before it is looked again. Source: ours.
const COUNT_LOOK: Duration = Duration::from_millis(100);

/// The namespace of a request; the transaction is over its books from then on.
async fn located(
    (open, config): (&Open, &Config),
    tx: &mut Transaction,
    request: &mut Request,
    trail: &mut Trail,
) -> Result<Arc<Namespace>, Fault> {
    match place::find(config, request) {
        Ok(namespace) => {
            tx.enter(namespace.realm());
            trail.located(&namespace);
            Ok(namespace)
        }
        Err((refused, namespace)) => {
            trail.unlocated(request, namespace.as_ref());
            record::request(open, request, trail).await?;
            Err(refused.into())
        }
    }
}

async fn settle_visit(course: &Course, visit: Visit, reply: Reply) -> Result<(Reply, Vec<After>), Fault> {
    let outside = visit.outside;
    // A use of a token is counted on the way to the commit.
    let writes = visit.tx.has_writes() || visit.who.as_ref().is_some_and(|who| who.is_counted);
    match settle::commit(visit).await {
        Ok(after) => {
            course.has_written.fetch_or(writes, Ordering::Relaxed);
            Ok((reply, after))
        }
        // What was done outside cannot be done twice; its intent is rolled back later.
        Err(fault) if outside && (matches!(fault, Fault::Conflict) || fault.is_not_leader()) => {
            Err(Failure::new(FailureKind::Unavailable, "the data changed meanwhile; try again").into())
        }
        Err(fault) => Err(fault),
    }
}

/// Ends a refused request; a use of a use-limited token counts all the same.
async fn refuse(open: &Open, limited: Option<TokenHash>, fault: Fault) -> Result<(Reply, Vec<After>), Fault> {
    if let Some(hash) = limited.filter(|_| !matches!(fault, Fault::Conflict | Fault::Uncounted)) {
        settle::commit_use(open, &hash).await?;
    }
    Err(fault)
}

/// Puts the request's id into the envelope, unless the answer is wrapped.
fn finish(mut reply: Reply, request: &Request) -> Reply {
    if let Reply::Envelope(envelope) = &mut reply
        && envelope.wrap.is_none()
    {
        envelope.request_id.clone_from(&request.id);
    }
    reply
}

//! A network in one process, for tests: requests are delayed, lost, doubled and cut off
//! as a seed and the test have it. Within a lane they arrive in order, as over TCP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Answer, Lane, Link, LinkError, Service, Target};

/// Small numbers out of a seed, the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// How bad the network is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Weather {
    pub(crate) delay_us_max: u64,
    pub(crate) lost_per_mille: u64,
    pub(crate) doubled_per_mille: u64,
}

/// The network between all nodes.
pub(crate) struct Net {
    books: Mutex<Books>,
    silence: Duration,
}

struct Books {
    services: BTreeMap<u64, Arc<dyn Service>>,
    /// Nothing passes from the first to the second.
    cut: BTreeSet<(u64, u64)>,
    weather: Weather,
    dice: Dice,
    paths: BTreeMap<(u64, u64, Lane), Path>,
}

struct Path {
    queue: mpsc::UnboundedSender<Passing>,
    last: Instant,
}

struct Passing {
    request: Bytes,
    arrives: Instant,
    copies: u64,
    reply: oneshot::Sender<Bytes>,
}

impl Net {
    pub(crate) fn new(seed: u64, silence: Duration) -> Arc<Self> {
        let books = Books {
            services: BTreeMap::new(),
            cut: BTreeSet::new(),
            weather: Weather::default(),
            dice: Dice::new(seed),
            paths: BTreeMap::new(),
        };
        Arc::new(Self { books: Mutex::new(books), silence })
    }

    pub(crate) fn link(self: &Arc<Self>, from: u64) -> Arc<dyn Link> {
        Arc::new(SimLink { net: Arc::clone(self), from, service: Mutex::default() })
    }

    pub(crate) fn weather(&self, weather: Weather) {
        self.books.lock().weather = weather;
    }

    /// Cuts one direction.
    pub(crate) fn cut(&self, from: u64, to: u64) {
        self.books.lock().cut.insert((from, to));
    }

    /// Cuts both directions between a node and each of the others.
    pub(crate) fn isolate(&self, node: u64, others: &[u64]) {
        for other in others.iter().filter(|other| **other != node) {
            self.cut(node, *other);
            self.cut(*other, node);
        }
    }

    /// Everything from and to a node passes again.
    pub(crate) fn heal_node(&self, node: u64) {
        self.books.lock().cut.retain(|(from, to)| *from != node && *to != node);
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.books.lock().cut.clear();
    }

    /// Whether a message from one to the other is lost.
    fn loses(&self, from: u64, to: u64) -> bool {
        let mut books = self.books.lock();
        let lost = books.weather.lost_per_mille;
        books.cut.contains(&(from, to)) || books.dice.below(1000) < lost
    }

    fn delay(&self) -> Duration {
        let mut books = self.books.lock();
        let most = books.weather.delay_us_max;
        Duration::from_micros(books.dice.below(most + 1))
    }

    fn send(self: &Arc<Self>, from: u64, to: u64, lane: Lane, request: Bytes) -> oneshot::Receiver<Bytes> {
        let delay = self.delay();
        let (reply, answer) = oneshot::channel();
        let mut books = self.books.lock();
        let doubled = books.weather.doubled_per_mille;
        let copies = 1 + u64::from(books.dice.below(1000) < doubled);
        let path = books.paths.entry((from, to, lane)).or_insert_with(|| {
            let (queue, passing) = mpsc::unbounded_channel();
            tokio::spawn(carry(Arc::clone(self), (from, to), passing));
            Path { queue, last: Instant::now() }
        });
        path.last = path.last.max(Instant::now() + delay);
        let passing = Passing { request, arrives: path.last, copies, reply };
        // The path's task ends with the runtime only.
        drop(path.queue.send(passing));
        answer
    }
}

async fn carry(net: Arc<Net>, (from, to): (u64, u64), mut passing: mpsc::UnboundedReceiver<Passing>) {
    while let Some(Passing { request, arrives, copies, reply }) = passing.recv().await {
        sleep_until(arrives).await;
        if net.loses(from, to) {
            // The reply is kept until whoever called has given up.
            let silence = net.silence;
            tokio::spawn(async move {
                sleep(silence * 2).await;
                drop(reply);
            });
            continue;
        }
        let Some(service) = net.books.lock().services.get(&to).cloned() else { continue };
        let mut reply = Some(reply);
        for _ in 0..copies {
            let mut acting = service.take(from, request.clone());
            // Polled here, so that it is handed on in the order it came in.
            let done = match futures::poll!(&mut acting) {
                std::task::Poll::Ready(answer) => Some(answer),
                std::task::Poll::Pending => None,
            };
            let (net, reply) = (Arc::clone(&net), reply.take());
            tokio::spawn(async move {
                let answer = match done {
                    Some(answer) => answer,
                    None => acting.await,
                };
                sleep(net.delay()).await;
                if net.loses(to, from) {
                    sleep(net.silence * 2).await;
                } else if let Some(reply) = reply {
                    drop(reply.send(answer));
                }
            });
        }
    }
}

struct SimLink {
    net: Arc<Net>,
    from: u64,
    service: Mutex<Option<Arc<dyn Service>>>,
}

impl Link for SimLink {
    fn call(&self, target: &Target, lane: Lane, request: Bytes) -> Answer {
        let answer = self.net.send(self.from, target.number, lane, request);
        let (silent, down) = (LinkError::new(target, "no answer came"), LinkError::new(target, "it is down"));
        let silence = self.net.silence;
        Box::pin(async move {
            match timeout(silence, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(down),
                Err(_) => Err(silent),
            }
        })
    }

    fn serve(&self, service: Arc<dyn Service>) {
        *self.service.lock() = Some(Arc::clone(&service));
        self.net.books.lock().services.insert(self.from, service);
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        // The node may have been started anew before the last of the old one was let go.
        if let Some(ours) = self.service.lock().take() {
            let mut books = self.net.books.lock();
            if books.services.get(&self.from).is_some_and(|service| Arc::ptr_eq(service, &ours)) {
                books.services.remove(&self.from);
            }
        }
        Box::pin(async {})
    }
}

//! Vault's HTTP API over hyper and rustls: bytes to [`Request`], within limits, and
//! [`Answer`] to bytes. What a request means, who may make it and what it does is not
//! known here: see the broker.

mod answer;
mod body;
mod cross;
mod crowd;
mod decode;
mod encode;
mod error;
mod figures;
mod flow;
mod forwarded;
mod handshakes;
mod limits;
mod listener;
mod message;
mod pace;
mod proxies;
mod replayed;
mod request_id;
mod site;
mod socket_file;
mod status;
mod straggler;
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::answer::Answer;
use bulkhead_model::cors::Crossing;
use bulkhead_model::request::Request;
use bulkhead_model::seam::entropy::Entropy;
use request_id::RequestIds;
use tokio::sync::Semaphore;

pub use error::ApiError;
pub use figures::HttpFigures;
pub use forwarded::Forwarded;
pub use limits::{ADDRESS_CONNECTIONS_MAX, BUFFERED_BYTES_MAX, CONNECTIONS_MAX, ListenerLimits, SNAPSHOT_BYTES_MAX};
pub use listener::{Behind, Bound, Listener};
pub use proxies::Proxies;
pub use socket_file::SocketFile;
pub use tls::{ClientCertificates, Tls, TlsFiles, TlsVersion};

/// Who answers requests: the broker's node, or a stand-in in tests.
pub trait Front: Send + Sync + 'static {
    /// Answers one request, at the latest after this time: whoever cuts a request off must
    /// be the one who records it. The future runs to its end even if the client hangs up.
    fn answer(&self, request: Request, time_max: Duration) -> impl Future<Output = Answer> + Send;

    /// What becomes of a request that a web page of this origin made; `None`: there are no
    /// rules, and browsers decide as they do by themselves.
    fn crossing(&self, origin: &str, method: &str, asked: Option<&str>) -> Option<Crossing>;
}

/// What all listeners of a node share: who answers, and the bounds that hold for the
/// process as a whole.
pub struct Api<F> {
    front: Arc<F>,
    request_ids: RequestIds,
    /// In KiB; see [`BUFFERED_BYTES_MAX`].
    buffers: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    stragglers: Arc<straggler::Stragglers>,
    figures: Arc<HttpFigures>,
}

impl<F: Front> Api<F> {
    /// An API in front of this, counted here.
    pub fn new(front: Arc<F>, entropy: Arc<dyn Entropy>, figures: Arc<HttpFigures>) -> Arc<Self> {
        Arc::new(Self {
            front,
            request_ids: RequestIds::new(entropy),
            buffers: Arc::new(Semaphore::new(BUFFERED_BYTES_MAX / body::PERMIT_BYTES)),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            stragglers: Arc::default(),
            figures,
        })
    }

    /// Waits for requests whose clients have hung up, but not longer than this. Call it
    /// after every listener has returned from [`Listener::serve`].
    pub async fn drain(&self, patience: Duration) {
        self.stragglers.join(patience).await;
    }
}

#[cfg(test)]
mod tests;

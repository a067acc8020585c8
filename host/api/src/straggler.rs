//! Requests that outlive their connection. A client that hangs up must not cut a
//! request in half: what it began is committed and audited, or refused, as a whole.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bulkhead_model::answer::Answer;
use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use parking_lot::Mutex;
use tokio::task::JoinSet;

/// Owner of the requests without a connection.
#[derive(Default)]
pub(crate) struct Stragglers(Mutex<JoinSet<()>>);

impl Stragglers {
    fn adopt(&self, work: Work) {
        // Outside a runtime nothing can run any more; the work is dropped with the node.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let mut tasks = self.0.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { drop(work.await) });
    }

    /// Waits until all are done, but not longer than this.
    pub(crate) async fn join(&self, patience: Duration) {
        let mut tasks = std::mem::take(&mut *self.0.lock());
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("gave up waiting for requests whose clients had hung up");
        }
    }
}

type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A request in the care of its connection; when the connection drops it, it moves to
/// the [`Stragglers`].
pub(crate) struct Carried {
    work: Option<Work>,
    stragglers: Arc<Stragglers>,
}

impl Carried {
    pub(crate) fn new(work: impl Future<Output = Answer> + Send + 'static, stragglers: Arc<Stragglers>) -> Self {
        Self { work: Some(Box::pin(work)), stragglers }
    }
}

impl Future for Carried {
    type Output = Answer;

    /// A panic in the request costs that request, and neither its connection nor the node.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Ready(reply)) => Poll::Ready(reply),
            Ok(Poll::Pending) => {
                self.work = Some(work);
                Poll::Pending
            }
            Err(_) => {
                tracing::error!("a request panicked");
                Poll::Ready(Reply::Failed(Failure::internal()).into())
            }
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.stragglers.adopt(work);
        }
    }
}

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::*;

/// Does as it is told, line by line, and notes what it got.
struct Puppet {
    steps: Receiver<io::Result<()>>,
    got: Arc<Mutex<Vec<String>>>,
}

impl Carrier for Puppet {
    fn carry(&mut self, line: &[u8], _: Instant) -> io::Result<()> {
        self.got.lock().expect("not poisoned").push(String::from_utf8_lossy(line).into_owned());
        self.steps.recv().unwrap_or(Ok(()))
    }

    fn close(&mut self) {
        self.got.lock().expect("not poisoned").push("closed".to_owned());
    }
}

type Strings = (Sender<io::Result<()>>, Arc<Mutex<Vec<String>>>);

fn queue(timeout_ms: u64) -> (Arc<dyn AuditSink>, Strings) {
    let (tell, steps) = channel();
    let got = Arc::default();
    let puppet = Puppet { steps, got: Arc::clone(&got) };
    let queue = Queue::start("it".to_owned(), Duration::from_millis(timeout_ms), puppet).expect("a thread");
    (queue, (tell, got))
}

#[tokio::test]
async fn a_line_counts_once_it_was_carried() {
    let (queue, (tell, got)) = queue(5_000);
    tell.send(Ok(())).expect("told");
    assert_eq!(queue.write(b"one").await, Ok(()));
    assert_eq!(*got.lock().expect("not poisoned"), ["one"]);
}

#[tokio::test]
async fn a_device_that_failed_rests_and_reopening_ends_the_rest() {
    let (queue, (tell, got)) = queue(5_000);
    tell.send(Err(io::Error::other("no"))).expect("told");
    assert_eq!(queue.write(b"one").await, Err("it: no".to_owned()));
    assert_eq!(queue.write(b"two").await, Err("it: no (a moment ago)".to_owned()));
    tell.send(Ok(())).expect("told");
    queue.reopen().expect("it takes the order");
    assert_eq!(queue.write(b"three").await, Ok(()));
    assert_eq!(*got.lock().expect("not poisoned"), ["one", "closed", "closed", "three"]);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_timeout_and_no_more_wait_than_there_is_room_for() {
    let (queue, (tell, _)) = queue(20);
    assert_eq!(queue.write(b"one").await, Err("it did not take the line in time".to_owned()));
    let waiting = (0..LINES_MAX).map(|_| queue.write(b"x"));
    let results = futures_in_turn(waiting).await;
    assert!(results.iter().all(Result::is_err));
    assert_eq!(queue.write(b"last").await, Err("too many lines wait for it".to_owned()));
    drop(tell);
}

/// All at once: each is queued before the first has timed out.
async fn futures_in_turn<F: Future<Output = Result<(), String>>>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        for future in &mut pinned {
            assert!(future.as_mut().poll(cx).is_pending(), "nothing can be carried yet");
        }
        std::task::Poll::Ready(())
    })
    .await;
    let mut results = Vec::new();
    for future in pinned {
        results.push(future.await);
    }
    results
}

#[tokio::test]
async fn lines_that_are_too_many_bytes_together_are_refused() {
    let (queue, (tell, _)) = queue(5_000);
    let large = vec![b'x'; BYTES_MAX + 1];
    assert_eq!(queue.write(&large).await, Err("too many lines wait for it".to_owned()));
    tell.send(Ok(())).expect("told");
    assert_eq!(queue.write(b"small").await, Ok(()));
}

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;

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
    queue.reopen().await.expect("it closes");
    assert_eq!(queue.write(b"three").await, Ok(()));
    assert_eq!(*got.lock().expect("not poisoned"), ["one", "closed", "closed", "three"]);
}

#[tokio::test]
async fn no_more_lines_wait_than_there_is_room_for() {
    let (queue, (tell, _)) = queue(5_000);
    let mut waiting: Vec<_> = (0..LINES_MAX).map(|_| queue.write(b"x")).collect();
    for write in &mut waiting {
        assert!(begun(write).await, "nothing can be carried yet");
    }
    assert_eq!(queue.write(b"last").await, Err("too many lines wait for it".to_owned()));
    // From here on every line is carried.
    drop(tell);
    for write in waiting {
        assert_eq!(write.await, Ok(()));
    }
    assert_eq!(queue.write(b"after").await, Ok(()));
}

/// Begins something; true if it waits now.
async fn begun<F: Future + Unpin>(what: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *what).poll(cx).is_pending())).await
}

#[tokio::test]
async fn one_that_hangs_is_waited_for_once_and_takes_lines_again_as_soon_as_it_goes_on() {
    let (queue, (tell, got)) = queue(200);
    assert_eq!(queue.write(b"one").await, Err("it did not answer in time".to_owned()));
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(queue.write(b"x").await, Err("it hangs".to_owned()));
    }
    assert!(began.elapsed() < Duration::from_millis(200), "nobody waits for it any more");
    drop(tell);
    while queue.write(b"two").await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*got.lock().expect("not poisoned"), ["one", "two"]);
}

#[tokio::test]
async fn lines_of_others_go_on_where_a_request_is_given_up() {
    let (queue, (tell, got)) = queue(5_000);
    let (mut first, mut second) = (queue.write(b"one"), queue.write(b"two"));
    assert!(begun(&mut first).await && begun(&mut second).await);
    drop(first);
    drop(tell);
    assert_eq!(second.await, Ok(()));
    assert_eq!(*got.lock().expect("not poisoned"), ["one", "two"]);
}

#[tokio::test]
async fn whoever_hands_over_may_be_kept_from_it() {
    let (queue, (tell, _)) = queue(5_000);
    drop(tell);
    let mut first = queue.write(b"one");
    assert!(begun(&mut first).await);
    std::thread::sleep(GATHER_MAX);
    assert_eq!(queue.write(b"two").await, Ok(()), "it does not wait for the first to go on");
    assert_eq!(first.await, Ok(()));
}

#[tokio::test]
async fn lines_that_are_too_many_bytes_together_are_refused() {
    let (queue, (tell, _)) = queue(5_000);
    let large = vec![b'x'; BYTES_MAX + 1];
    assert_eq!(queue.write(&large).await, Err("too many lines wait for it".to_owned()));
    tell.send(Ok(())).expect("told");
    assert_eq!(queue.write(b"small").await, Ok(()));
}

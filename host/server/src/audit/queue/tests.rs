use std::pin::Pin;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;

use super::*;

/// Does as it is told, line by line, and notes how what it got begins.
struct Puppet {
    steps: Receiver<io::Result<()>>,
    got: Arc<Mutex<Vec<String>>>,
}

impl Carrier for Puppet {
    fn carry(&mut self, line: &[u8], _: Instant) -> io::Result<()> {
        let begin = &line[..line.len().min(16)];
        self.got.lock().expect("not poisoned").push(String::from_utf8_lossy(begin).into_owned());
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
    // A busy machine may have begun to carry the line some time after it was given.
    let hangs = Err("it hangs".to_owned());
    let mut waited = 0;
    while queue.write(b"x").await != hangs {
        waited += 1;
        assert!(waited < 3, "it is waited for again and again");
    }
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(queue.write(b"x").await, Err("it hangs".to_owned()));
    }
    assert!(began.elapsed() < Duration::from_millis(200), "nobody waits for it any more");
    drop(tell);
    while queue.write(b"two").await.is_err() {
        tokio::task::yield_now().await;
    }
    let got = got.lock().expect("not poisoned");
    let carried = got.iter().filter(|line| *line == "x").count();
    assert!(carried <= waited, "{carried} of {waited} that were waited for");
    assert_eq!(got.iter().filter(|line| *line != "x").collect::<Vec<_>>(), ["one", "two"]);
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
async fn large_lines_wait_for_room_and_keep_no_small_one_from_the_device() {
    let (queue, (tell, got)) = queue(5_000);
    let large = vec![b'x'; LARGE_BYTES_MAX as usize];
    let (mut first, mut second) = (queue.write(&large), queue.write(&large[..=SMALL_BYTES_MAX]));
    assert!(begun(&mut first).await && begun(&mut second).await);
    let mut small: Vec<_> = (0..LINES_MAX).map(|_| queue.write(&large[..SMALL_BYTES_MAX])).collect();
    for write in &mut small {
        assert!(begun(write).await, "there is room for it");
    }
    drop(tell);
    assert_eq!(first.await, Ok(()));
    for write in small {
        assert_eq!(write.await, Ok(()));
    }
    assert_eq!(second.await, Ok(()));
    assert_eq!(got.lock().expect("not poisoned").len(), LINES_MAX + 2);
}

#[tokio::test]
async fn a_large_line_waits_for_room_no_longer_than_a_device_may_take() {
    let (queue, (tell, _)) = queue(200);
    let large = vec![b'x'; LARGE_BYTES_MAX as usize];
    let (mut first, began) = (queue.write(&large), Instant::now());
    assert!(begun(&mut first).await);
    assert_eq!(queue.write(&large).await, Err("too many lines wait for it".to_owned()));
    assert!(began.elapsed() >= Duration::from_millis(200), "there might have been room in time");
    drop(tell);
}

#[tokio::test]
async fn a_line_beyond_the_room_for_large_ones_waits_there_with_no_other() {
    let (queue, (tell, got)) = queue(5_000);
    let huge = vec![b'x'; LARGE_BYTES_MAX as usize + 1];
    let large = vec![b'y'; SMALL_BYTES_MAX + 1];
    let (mut first, mut second, mut third) = (queue.write(&large), queue.write(&huge), queue.write(&large));
    assert!(begun(&mut first).await && begun(&mut second).await && begun(&mut third).await);
    tell.send(Ok(())).expect("told");
    assert_eq!(first.await, Ok(()));
    drop(tell);
    assert_eq!(second.await, Ok(()));
    assert_eq!(third.await, Ok(()));
    let begins: Vec<_> = got.lock().expect("not poisoned").iter().map(|line| line[..1].to_owned()).collect();
    assert_eq!(begins, ["y", "x", "y"]);
}

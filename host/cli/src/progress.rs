//! How far long work of the server is, on stderr, while a command waits for it: where somebody watches, or
//! asks for it. It is never in the way: what cannot be found out is not told.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::session::Session;
use crate::terminal::Terminal;

/// Work shorter than this shows nothing, but where it is asked for. Source: ours.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// Shortest time between two looks. Source: ours.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How much longer is waited than a look took. Source: ours. Why: to count is work for the server too.
const WAIT_FACTOR: u32 = 10;

/// What is left, where the server says so.
pub(crate) type Left<'a> = &'a (dyn Fn(&Client) -> Option<u64> + Sync);

/// Does the work, and meanwhile tells how much is left of how much; where it is asked for, also before and
/// after it.
pub(crate) fn shown<T>(
    session: &Session,
    (is_asked, unit): (bool, &str),
    left: Left<'_>,
    work: impl FnOnce() -> T,
) -> T {
    let is_wanted = is_asked || session.terminal.is_watched();
    // Whatever is wrong with the settings is told by the work itself.
    let Some(client) = is_wanted.then(|| session.client().ok()).flatten() else { return work() };
    let mut watch = Watch { client, terminal: &session.terminal, unit, left, most: 0 };
    if is_asked {
        watch.look();
    }
    let done = thread::scope(|scope| {
        let (working, over) = channel::<()>();
        let watch = &mut watch;
        let watching = scope.spawn(move || watch.until(&over));
        let done = work();
        drop(working);
        // One that panicked told nothing more: the work is done all the same.
        let _ = watching.join();
        done
    });
    if is_asked {
        watch.look();
    }
    session.terminal.progress_is_over();
    done
}

/// Whoever looks, with a client of its own.
struct Watch<'a> {
    client: Client,
    terminal: &'a Terminal,
    unit: &'a str,
    left: Left<'a>,
    most: u64,
}

impl Watch<'_> {
    /// Tells how it is; `None`: the server does not say.
    fn look(&mut self) -> Option<()> {
        let left = self.client.plainly(self.left)?;
        self.most = left.max(self.most);
        self.terminal.progress(&format!("{left} of {} {} left", self.most, self.unit));
        Some(())
    }

    fn until(&mut self, over: &Receiver<()>) {
        let mut pause = FIRST_AFTER;
        while over.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let asked = Instant::now();
            if self.look().is_none() {
                return;
            }
            pause = (asked.elapsed() * WAIT_FACTOR).max(LOOK_EVERY);
        }
    }
}

//! The way to a server, on which a packet can be late: whoever sent it is told that the way is broken, while the
//! server gets it when the test says so. That is what a network does which loses the answer, or takes its time.
//! And it can fall silent, as that to a machine does that hangs.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Longest time that the test waits for something on the way.
const WAIT: Duration = Duration::from_secs(300);

/// A way to a port of this machine.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the packet has in it that is to be late next.
    wanted: Option<Vec<u8>>,
    is_held: bool,
    is_released: bool,
    /// Nothing reaches the server any more.
    is_silent: bool,
    /// The server has answered the late packet, or ended its session.
    is_over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Whether it came to this within the time.
    fn wait(&self, until: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), WAIT, |state| !until(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Wire {
    /// A way to this port, on which nothing is late yet.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let relay = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let relay = Arc::clone(&relay);
                thread::spawn(move || pass(&relay, client, server));
            }
        });
        Self { port, shared }
    }

    /// The port on 127.0.0.1 that leads there.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Has the next packet be late that has this text in it.
    pub fn hold(&self, text: &str) {
        self.shared.set(|state| *state = State { wanted: Some(text.as_bytes().to_vec()), ..State::default() });
    }

    /// From now on the server gets nothing, and whoever sends is told nothing: it hangs.
    pub fn fall_silent(&self) {
        self.shared.set(|state| state.is_silent = true);
    }

    /// Lets the server have what is late, and waits until it has answered or ended the session.
    ///
    /// # Panics
    /// Nothing is late, or the server does neither.
    pub fn release(&self) {
        assert!(self.shared.wait(|state| state.is_held), "nothing is late");
        self.shared.set(|state| state.is_released = true);
        assert!(self.shared.wait(|state| state.is_over), "the server neither answers nor ends the session");
    }
}

fn pass(shared: &Shared, client: TcpStream, server: u16) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { return };
    let (Ok(mut reads), Ok(mut writes)) = (client.try_clone(), server.try_clone()) else { return };
    let is_late_here = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| back(shared, server, client, &is_late_here));
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = reads.read(&mut buffer) {
            let packet = &buffer[..read];
            if shared.state().is_silent {
                continue;
            }
            if is_late(shared, packet) {
                is_late_here.store(true, Ordering::SeqCst);
                let _ = reads.shutdown(Shutdown::Both);
                shared.wait(|state| state.is_released);
                let _ = writes.write_all(packet);
                // A server may look whether anybody is there before it does what it was told.
                shared.wait(|state| state.is_over);
                break;
            }
            if writes.write_all(packet).is_err() {
                break;
            }
        }
        let _ = writes.shutdown(Shutdown::Both);
    });
}

/// From the server to the client, who may not be there any more.
fn back(shared: &Shared, mut server: TcpStream, mut client: TcpStream, is_late_here: &AtomicBool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        let _ = client.write_all(&buffer[..read]);
        if is_late_here.load(Ordering::SeqCst) && shared.state().is_released {
            shared.set(|state| state.is_over = true);
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    if is_late_here.load(Ordering::SeqCst) {
        shared.set(|state| state.is_over = true);
    }
}

fn is_late(shared: &Shared, packet: &[u8]) -> bool {
    let mut state = shared.state();
    let is_late = state.wanted.as_deref().is_some_and(|text| packet.windows(text.len()).any(|part| part == text));
    if is_late {
        (state.wanted, state.is_held) = (None, true);
        drop(state);
        shared.changed.notify_all();
    }
    is_late
}

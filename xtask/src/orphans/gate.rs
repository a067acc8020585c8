//! The way to a server on this machine, which can be cut: what is on its way is held back for good,
//! and nobody new gets through until it is open again.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::shell::{Done, Tried};

/// How soon a relay notices that the way is cut.
const LOOK: Duration = Duration::from_millis(20);

/// A way that is open or cut.
pub(super) struct Gate {
    open: AtomicBool,
    address: SocketAddr,
}

impl Gate {
    /// Relays to this port of the machine, until the program ends.
    pub(super) fn before(port: u16) -> Done<Arc<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).tried("looking for a free port")?;
        let address = listener.local_addr().tried("looking for a free port")?;
        let gate = Arc::new(Self { open: AtomicBool::new(true), address });
        let relay = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let relay = Arc::clone(&relay);
                thread::spawn(move || relay.pass(client, port));
            }
        });
        Ok(gate)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens or cuts it.
    pub(super) fn set(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    fn pass(self: Arc<Self>, client: TcpStream, port: u16) {
        if !self.is_open() {
            return;
        }
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
        let (Ok(client_reads), Ok(server_reads)) = (client.try_clone(), server.try_clone()) else { return };
        let back = Arc::clone(&self);
        thread::spawn(move || back.pump(server_reads, client));
        self.pump(client_reads, server);
    }

    /// Ends with whichever side ends, and when the way is cut.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 16 * 1024];
        let _ = from.set_read_timeout(Some(LOOK));
        let _ = to.set_nodelay(true);
        while self.is_open() {
            match from.read(&mut buffer) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Ok(read @ 1..) if to.write_all(&buffer[..read]).is_ok() => {}
                _ => break,
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

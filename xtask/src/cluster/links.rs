//! The network between nodes: everything one node says to another goes through a relay
//! here, which can stop each direction by itself. What is stopped is held back, as by a
//! network that loses packets, and goes on when it heals; nothing is closed.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::shell::{Done, Tried};

/// How soon a relay notices that its direction was stopped or goes on.
const LOOK: Duration = Duration::from_millis(10);

/// Which directions are stopped, and which process each node is.
pub(crate) struct Links {
    nodes: usize,
    stopped: Vec<AtomicBool>,
    pids: Vec<AtomicU32>,
}

impl Links {
    pub(crate) fn new(nodes: usize) -> Arc<Self> {
        let stopped = (0..nodes * nodes).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self { nodes, stopped, pids: (0..nodes).map(|_| AtomicU32::new(0)).collect() })
    }

    /// A process became this node.
    pub(crate) fn set_pid(&self, node: usize, pid: u32) {
        self.pids[node].store(pid, Ordering::SeqCst);
    }

    /// Stops what one node says to another, or lets it go on.
    pub(crate) fn set(&self, (from, to): (usize, usize), stopped: bool) {
        self.stopped[from * self.nodes + to].store(stopped, Ordering::SeqCst);
    }

    /// Stops, or lets go on, everything between a node and the others.
    pub(crate) fn set_around(&self, node: usize, stopped: bool) {
        for other in (0..self.nodes).filter(|other| *other != node) {
            self.set((node, other), stopped);
            self.set((other, node), stopped);
        }
    }

    pub(crate) fn heal(&self) {
        self.stopped.iter().for_each(|link| link.store(false, Ordering::SeqCst));
    }

    fn is_stopped(&self, (from, to): (usize, usize)) -> bool {
        self.stopped[from * self.nodes + to].load(Ordering::SeqCst)
    }

    /// Relays to a node what the others send to this listener, until the program ends.
    pub(crate) fn relay(self: &Arc<Self>, listener: TcpListener, to: usize, target: SocketAddr) {
        let links = Arc::clone(self);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let links = Arc::clone(&links);
                thread::spawn(move || links.connection(client, to, target));
            }
        });
    }

    fn connection(self: Arc<Self>, client: TcpStream, to: usize, target: SocketAddr) {
        // Whoever is gone already needs no relay.
        let Some(from) = self.who(&client) else { return };
        while self.is_stopped((from, to)) {
            thread::sleep(LOOK);
        }
        let Ok(server) = TcpStream::connect_timeout(&target, Duration::from_secs(1)) else { return };
        let (Ok(client_reads), Ok(server_reads)) = (client.try_clone(), server.try_clone()) else { return };
        let links = Arc::clone(&self);
        let back = thread::spawn(move || links.pump((to, from), server_reads, client));
        self.pump((from, to), client_reads, server);
        // It ends as this one does: both look at the same two sockets.
        let _ = back.join();
    }

    fn pump(&self, link: (usize, usize), mut from: TcpStream, mut to: TcpStream) {
        // A relay that fails looks like a broken connection, which is what it is.
        let _ = self.pumped(link, &mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    fn pumped(&self, link: (usize, usize), from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
        from.set_read_timeout(Some(Duration::from_millis(200)))?;
        to.set_nodelay(true)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match from.read(&mut buffer) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
                read => read?,
            };
            while self.is_stopped(link) {
                thread::sleep(LOOK);
            }
            if read == 0 {
                return Ok(());
            }
            to.write_all(&buffer[..read])?;
        }
    }

    /// The node whose process has the other end of this connection.
    fn who(&self, client: &TcpStream) -> Option<usize> {
        let inode = inode_of(client.peer_addr().ok()?)?;
        let socket = format!("socket:[{inode}]");
        (0..self.nodes).find(|node| {
            let pid = self.pids[*node].load(Ordering::SeqCst);
            let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
            files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == socket.as_str()))
        })
    }
}

/// The kernel's number of the socket that has this local address.
fn inode_of(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(v4) = address else { return None };
    let local = format!("{:08X}:{:04X}", u32::from_le_bytes(v4.ip().octets()), v4.port());
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        if fields.next() == Some(local.as_str()) { fields.nth(7).map(str::to_owned) } else { None }
    })
}

/// A listener on a free port of this machine.
pub(crate) fn listener() -> Done<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).tried("looking for a free port")?;
    let address = listener.local_addr().tried("looking for a free port")?;
    Ok((listener, address))
}

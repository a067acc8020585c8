//! The load generator's clients, all served from one thread that waits for whichever
//! has its answer. Why not a thread for each: on loopback the server pays for waking it
//! with every answer, which a client on a machine of its own would not have it do.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::ANSWER_MAX;
use crate::http::{ANSWER_BYTES_MAX, whole};

/// Clients that each have one request under way.
pub(crate) struct Lanes<'a> {
    poll: Poll,
    events: Events,
    lanes: Vec<Lane>,
    /// Nodes, to each of which a lane has a connection.
    nodes: usize,
    requests: &'a [Vec<u8>],
}

/// What the connections were answered.
#[derive(Default)]
pub(crate) struct Heard {
    /// Of every answer with status 200.
    pub(crate) latencies_us: Vec<u32>,
    /// Answers with another status.
    pub(crate) errors: u64,
}

struct Lane {
    /// To each node, asked in turn. Why: with a node each, the one that answers soonest would
    /// be asked most.
    streams: Vec<TcpStream>,
    /// Which of them is asked.
    node: usize,
    received: Vec<u8>,
    filled: usize,
    /// Which request comes next.
    next: usize,
    /// When the one under way was sent.
    asked: Option<Instant>,
}

impl<'a> Lanes<'a> {
    /// Connects to all of these, each lane with another node and request to begin with.
    pub(crate) fn open(addresses: &[SocketAddr], requests: &'a [Vec<u8>], lanes: usize) -> io::Result<Self> {
        let (poll, nodes) = (Poll::new()?, addresses.len());
        let open = |place: usize| {
            let connect = |(node, address)| {
                let mut stream = connect(address)?;
                poll.registry().register(&mut stream, Token(place * nodes + node), Interest::READABLE)?;
                Ok(stream)
            };
            let streams = addresses.iter().enumerate().map(connect).collect::<io::Result<_>>()?;
            let next = place * requests.len() / lanes;
            let received = vec![0; ANSWER_BYTES_MAX];
            Ok(Lane { streams, node: place % nodes, received, filled: 0, next, asked: None })
        };
        let open = (0..lanes).map(open).collect::<io::Result<_>>()?;
        Ok(Self { poll, events: Events::with_capacity(lanes), lanes: open, nodes, requests })
    }

    /// Asks on all of them for so long.
    ///
    /// # Errors
    /// A connection breaks.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<Heard> {
        let mut heard = Heard::default();
        let end = Instant::now() + time;
        for lane in self.lanes.iter_mut().filter(|lane| lane.asked.is_none()) {
            lane.ask(self.requests)?;
        }
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.hear(left, &mut heard, true)?;
        }
        Ok(heard)
    }

    /// Waits for what is still under way.
    ///
    /// # Errors
    /// A connection breaks, or an answer does not come.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let end = Instant::now() + ANSWER_MAX;
        while self.lanes.iter().any(|lane| lane.asked.is_some()) {
            let left = end.checked_duration_since(Instant::now()).ok_or(io::ErrorKind::TimedOut)?;
            self.hear(left, &mut Heard::default(), false)?;
        }
        Ok(())
    }

    fn hear(&mut self, wait: Duration, heard: &mut Heard, go_on: bool) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            let lane = &mut self.lanes[event.token().0 / self.nodes];
            if event.token().0 % self.nodes != lane.node {
                // It can only have been closed, which is seen when it is asked again.
                continue;
            }
            let Some((status, took)) = lane.hear()? else { continue };
            match status {
                200 => heard.latencies_us.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)),
                _ => heard.errors += 1,
            }
            if go_on {
                lane.ask(self.requests)?;
            }
        }
        Ok(())
    }
}

fn connect(address: &SocketAddr) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::connect_timeout(address, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

impl Lane {
    fn ask(&mut self, requests: &[Vec<u8>]) -> io::Result<()> {
        self.asked = Some(Instant::now());
        // Far smaller than the socket's buffer, which is empty: nothing was under way.
        self.node = (self.node + 1) % self.streams.len();
        self.streams[self.node].write_all(&requests[self.next])?;
        self.next = (self.next + 1) % requests.len();
        Ok(())
    }

    /// The status of the answer and how long it took, if all of it is there.
    fn hear(&mut self) -> io::Result<Option<(u16, Duration)>> {
        let Some(asked) = self.asked else { return Err(io::Error::other("an answer to no request, or an end")) };
        loop {
            if self.filled == self.received.len() {
                return Err(io::Error::other("an answer is larger than the generator's buffer"));
            }
            match self.streams[self.node].read(&mut self.received[self.filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if let Some(whole) = whole(&self.received[..self.filled])? {
                (self.filled, self.asked) = (0, None);
                return Ok(Some((whole.status, asked.elapsed())));
            }
        }
    }
}

//! Connections that plugins hold: made here, once the sandbox has granted them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::EgressError;
use bulkhead_model::seam::net::{Admits, Dialer, NetAddress, NetTls, TlsFacts, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::egress::fault;
use super::tls::{Tls, facts};

/// Dials.
pub(crate) struct NetDialer;

#[async_trait]
impl Dialer for NetDialer {
    async fn connect(
        &self,
        address: &NetAddress,
        admits: Admits<'_>,
        within: Duration,
    ) -> Result<Box<dyn Wire>, EgressError> {
        in_time(within)?;
        let deadline = Instant::now() + within;
        let plain = match address {
            NetAddress::Unix { path } => {
                let connected = timeout_at(deadline, UnixStream::connect(path)).await;
                Plain::Unix(connected.map_err(|_| EgressError::Timeout)?.map_err(|error| refused(&error))?)
            }
            NetAddress::Tcp { host, port } => Plain::Tcp(dialled((host, *port), admits, deadline).await?),
        };
        Ok(Box::new(Line(Some(Channel::Plain(plain)))))
    }
}

/// What is ready at once would be done even where the time is up: a call that was stopped for long
/// must not go on with what others have taken over.
fn in_time(within: Duration) -> Result<(), EgressError> {
    if within.is_zero() { Err(EgressError::Timeout) } else { Ok(()) }
}

fn refused(error: &io::Error) -> EgressError {
    EgressError::Refused(error.to_string())
}

/// Connects to the first admitted address that takes it; each gets its share of the time.
async fn dialled((host, port): (&str, u16), admits: Admits<'_>, deadline: Instant) -> Result<TcpStream, EgressError> {
    let looked_up = timeout_at(deadline, tokio::net::lookup_host((host, port))).await;
    let found =
        looked_up.map_err(|_| EgressError::Timeout)?.map_err(|error| EgressError::Resolve(error.to_string()))?;
    let (admitted, refused_ones): (Vec<SocketAddr>, Vec<SocketAddr>) = found.partition(|socket| admits(socket.ip()));
    let Some(last) = admitted.len().checked_sub(1) else {
        return Err(match refused_ones.first() {
            Some(SocketAddr::V4(one)) => EgressError::Denied(format!("net tcp://{}:{port}", one.ip())),
            Some(SocketAddr::V6(one)) => EgressError::Denied(format!("net tcp://[{}]:{port}", one.ip())),
            None => EgressError::Resolve(format!("{host} has no address")),
        });
    };
    let mut failed = EgressError::Timeout;
    for (at, socket) in admitted.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(last - at + 1).unwrap_or(1);
        match timeout(share, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| refused(&error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => failed = refused(&error),
            Err(_) => failed = EgressError::Timeout,
        }
    }
    Err(failed)
}

/// A connection without TLS.
enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

enum Channel {
    Plain(Plain),
    Tcp(Box<TlsStream<TcpStream>>),
    Unix(Box<TlsStream<UnixStream>>),
}

/// Gone once it failed in the middle of something.
struct Line(Option<Channel>);

/// Does something with whatever stream it is.
macro_rules! with {
    ($channel:expr, $stream:ident => $does:expr) => {
        match $channel {
            Channel::Plain(Plain::Tcp($stream)) => $does,
            Channel::Plain(Plain::Unix($stream)) => $does,
            Channel::Tcp($stream) => $does,
            Channel::Unix($stream) => $does,
        }
    };
}

#[async_trait]
impl Wire for Line {
    async fn read(&mut self, bytes_max: usize, within: Duration) -> Result<Hidden<Vec<u8>>, EgressError> {
        in_time(within)?;
        let channel = self.0.as_mut().ok_or(EgressError::Closed)?;
        let mut bytes = Hidden::new(vec![0; bytes_max]);
        let read = timeout(within, async { with!(channel, stream => stream.read(bytes.expose_mut()).await) }).await;
        let count = read.map_err(|_| EgressError::Timeout)?.map_err(fault)?;
        bytes.expose_mut().truncate(count);
        Ok(bytes)
    }

    async fn write(&mut self, bytes: &[u8], within: Duration) -> Result<(), EgressError> {
        in_time(within)?;
        let mut channel = self.0.take().ok_or(EgressError::Closed)?;
        let writing = async {
            with!(&mut channel, stream => {
                stream.write_all(bytes).await?;
                stream.flush().await
            })
        };
        // What was written in part cannot be gone on with: the connection is not put back.
        timeout(within, writing).await.map_err(|_| EgressError::Timeout)?.map_err(fault)?;
        self.0 = Some(channel);
        Ok(())
    }

    async fn start_tls(&mut self, name: &str, tls: &NetTls, within: Duration) -> Result<(), EgressError> {
        in_time(within)?;
        let Some(Channel::Plain(plain)) = self.0.take() else {
            return Err(EgressError::Tls("TLS is spoken already".to_owned()));
        };
        let connector = TlsConnector::from(Tls::of_connection(tls).map_err(EgressError::Tls)?);
        let name = tls.asked.server_name.as_deref().unwrap_or(name).to_owned();
        let name = facts::server_name(name).map_err(EgressError::Tls)?;
        let shaken = timeout(within, async {
            Ok(match plain {
                Plain::Tcp(stream) => Channel::Tcp(Box::new(connector.connect(name, stream).await?)),
                Plain::Unix(stream) => Channel::Unix(Box::new(connector.connect(name, stream).await?)),
            })
        });
        let told = |error: io::Error| match fault(error) {
            EgressError::Other(text) => EgressError::Tls(text),
            fault => fault,
        };
        self.0 = Some(shaken.await.map_err(|_| EgressError::Timeout)?.map_err(told)?);
        Ok(())
    }

    fn tls(&self) -> Option<TlsFacts> {
        let connection = match self.0.as_ref()? {
            Channel::Plain(_) => return None,
            Channel::Tcp(stream) => stream.get_ref().1,
            Channel::Unix(stream) => stream.get_ref().1,
        };
        Some(facts::of(connection))
    }

    fn is_quiet(&mut self) -> bool {
        fn quiet(read: io::Result<usize>) -> bool {
            read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        }
        match self.0.as_mut() {
            None => false,
            Some(Channel::Plain(Plain::Tcp(stream))) => quiet(stream.try_read(&mut [0])),
            Some(Channel::Plain(Plain::Unix(stream))) => quiet(stream.try_read(&mut [0])),
            Some(Channel::Tcp(tls)) => {
                let (stream, connection) = tls.get_mut();
                facts::has_nothing(connection) && quiet(stream.try_read(&mut [0]))
            }
            Some(Channel::Unix(tls)) => {
                let (stream, connection) = tls.get_mut();
                facts::has_nothing(connection) && quiet(stream.try_read(&mut [0]))
            }
        }
    }
}

#[cfg(test)]
mod tests;

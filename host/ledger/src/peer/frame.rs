//! Messages on a stream of bytes. Lengths are checked before anything is allocated, and
//! memory grows with what has come, not with what was announced.
//!
//! ```text
//! greeting   magic and version 8 · who calls 8 · who is called 8; answered by the same magic
//! frame      bytes of what follows 4 · number of the call 8 · message
//! ```

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::wire::MESSAGE_BYTES_MAX;

/// What each side begins with. The last byte before the line end is the version.
const MAGIC: [u8; 8] = *b"BkPeer1\n";

/// Bytes of the number in front of a message.
const NUMBER_BYTES: usize = 8;

/// Grown by at most this much at a time, in bytes.
const STEP_BYTES: usize = 256 * 1024;

/// A message, and the call it belongs to.
pub(super) struct Frame {
    pub(super) call: u64,
    pub(super) message: Bytes,
}

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Begins a connection on the calling side.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, greeting: Greeting) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(24);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&greeting.from.to_be_bytes());
    bytes.extend_from_slice(&greeting.to.to_be_bytes());
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    expect_magic(stream).await
}

/// Reads who calls.
pub(super) async fn greeted<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Greeting> {
    expect_magic(stream).await?;
    Ok(Greeting { from: stream.read_u64().await?, to: stream.read_u64().await? })
}

/// Tells the caller that it is heard.
pub(super) async fn welcome<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(&MAGIC).await?;
    stream.flush().await
}

async fn expect_magic<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut magic = [0; 8];
    stream.read_exact(&mut magic).await?;
    if magic == MAGIC { Ok(()) } else { Err(refused("it speaks another protocol, or another version of this one")) }
}

/// Writes a frame; it is on its way after a flush.
pub(super) async fn write<S: AsyncWrite + Unpin>(stream: &mut S, frame: &Frame) -> io::Result<()> {
    if frame.message.len() > MESSAGE_BYTES_MAX {
        return Err(refused("a message is over its limit"));
    }
    stream.write_u32((frame.message.len() + NUMBER_BYTES) as u32).await?;
    stream.write_u64(frame.call).await?;
    stream.write_all(&frame.message).await
}

/// Reads a frame; `None` at the end of the stream, if it ends between two.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Frame>> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let bytes = u32::from_be_bytes(length) as usize;
    if !(NUMBER_BYTES..=MESSAGE_BYTES_MAX + NUMBER_BYTES).contains(&bytes) {
        return Err(refused("a frame is over its limit"));
    }
    let call = stream.read_u64().await?;
    let mut left = bytes - NUMBER_BYTES;
    let mut message = BytesMut::with_capacity(left.min(STEP_BYTES));
    while left > 0 {
        let mut piece = (&mut *stream).take(left as u64);
        message.reserve(left.min(STEP_BYTES));
        let came = piece.read_buf(&mut message).await?;
        if came == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= came;
    }
    Ok(Some(Frame { call, message: message.freeze() }))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests;

//! Bytes on their way into a socket that has not taken them yet. Whoever fills it empties it before reading more: that is what bounds it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Room for most heads, so that writing one line by line does not move it again and again.
const FIRST_BYTES: usize = 1024;

/// The bytes that wait.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbound {
    /// Where bytes are added.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(FIRST_BYTES);
        }
        &mut self.bytes
    }

    /// Whether nothing waits: everything that was added has been taken and flushed.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether the socket has taken some of what is there, and not all.
    pub(crate) fn is_partly_sent(&self) -> bool {
        self.sent > 0
    }

    /// Drops what waits, and the memory.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes until all is taken, and does not stay in a stream that buffers; ready at once when nothing waits.
    pub(crate) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.bytes.len() {
            match ready!(Pin::new(&mut *stream).poll_write(context, &self.bytes[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.sent += taken,
            }
        }
        // A socket has nothing to flush; TLS may have taken more than the socket did.
        ready!(Pin::new(stream).poll_flush(context))?;
        self.bytes.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

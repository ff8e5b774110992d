//! Bytes on their way into a socket that has not taken them yet. Whoever fills it empties it before reading more: that is what bounds it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::http1::body::BodyEncoding;

/// Room for most heads, so that writing one line by line does not move it again and again.
const FIRST_BYTES: usize = 1024;

/// The bytes that wait.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    bytes: Vec<u8>,
    sent: usize,
    /// Whether the stream was given bytes past the buffer and may still hold them.
    holds_passed: bool,
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
        self.bytes.is_empty() && !self.holds_passed
    }

    /// Whether the socket has taken some of what is there, and not all.
    pub(crate) fn is_partly_sent(&self) -> bool {
        self.sent > 0
    }

    /// How many bytes the socket has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Drops what waits, and the memory.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Sends a piece of a body: straight from where it was read when nothing waits before it and its framing adds nothing, so that a large
    /// body is not copied. What the socket does not take waits.
    pub(crate) fn pass<S: AsyncWrite + Unpin>(
        &mut self,
        encoding: BodyEncoding,
        data: &[u8],
        stream: &mut S,
        context: &mut Context<'_>,
    ) {
        let mut rest = data;
        while encoding == BodyEncoding::Plain && self.bytes.is_empty() && !rest.is_empty() {
            // An error comes again, and is told, with the next flush.
            let Poll::Ready(Ok(taken @ 1..)) = Pin::new(&mut *stream).poll_write(context, rest) else {
                break;
            };
            self.holds_passed = true;
            rest = &rest[taken..];
        }
        if !rest.is_empty() {
            encoding.data(rest, self.buffer());
        }
    }

    /// Writes until all is taken, and does not stay in a stream that buffers; ready at once when nothing waits.
    pub(crate) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() && !self.holds_passed {
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
        self.holds_passed = false;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes so many bytes in all, a few at a time, and sends them on when it is flushed.
    #[derive(Default)]
    struct Holding {
        room: usize,
        held: Vec<u8>,
        sent: Vec<u8>,
    }

    impl AsyncWrite for Holding {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.room).min(3);
            if taken == 0 {
                return Poll::Pending;
            }
            self.room -= taken;
            self.held.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let held = std::mem::take(&mut self.held);
            self.sent.extend(held);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_the_socket_does_not_take_waits_in_order() {
        let mut context = Context::from_waker(Waker::noop());
        let mut stream = Holding {
            room: 5,
            ..Holding::default()
        };
        let mut outbound = Outbound::default();
        outbound.pass(BodyEncoding::Plain, b"0123456", &mut stream, &mut context);
        assert_eq!(
            (outbound.bytes.as_slice(), outbound.is_empty()),
            (&b"56"[..], false)
        );
        outbound.pass(BodyEncoding::Plain, b"789", &mut stream, &mut context);
        assert!(outbound.poll_flush(&mut stream, &mut context).is_pending());
        stream.room = 100;
        assert!(outbound.poll_flush(&mut stream, &mut context).is_ready());
        assert_eq!(stream.sent, b"0123456789");
        assert!(outbound.is_empty());
    }

    #[test]
    fn what_went_past_the_buffer_is_flushed_too() {
        let mut context = Context::from_waker(Waker::noop());
        let mut stream = Holding {
            room: 100,
            ..Holding::default()
        };
        let mut outbound = Outbound::default();
        outbound.pass(BodyEncoding::Plain, b"01234", &mut stream, &mut context);
        assert!(!outbound.is_empty(), "the stream may still hold it");
        assert!(outbound.poll_flush(&mut stream, &mut context).is_ready());
        assert_eq!(stream.sent, b"01234");
        outbound.pass(BodyEncoding::Chunked, b"56", &mut stream, &mut context);
        assert!(outbound.poll_flush(&mut stream, &mut context).is_ready());
        assert_eq!(stream.sent, b"012342\r\n56\r\n");
    }
}

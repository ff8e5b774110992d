//! The byte stream under an HTTP/2 connection, read in turns: whatever a client sends, the worker's other connections come in between, and the
//! frames that come are counted. It must change no byte.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;

use super::conduct::Conduct;

/// The bytes before the first frame (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
/// The bytes before a frame's payload (RFC 9113, 4.1).
const FRAME_HEAD_BYTES: usize = 9;

/// The stream.
pub(super) struct Paced<S> {
    stream: S,
    frames: Frames,
    conduct: Rc<Conduct>,
}

impl<S> Paced<S> {
    /// Reads `stream`, from its preface on.
    pub(super) fn new(stream: S, conduct: Rc<Conduct>) -> Self {
        Self {
            stream,
            frames: Frames::default(),
            conduct,
        }
    }
}

/// Where in its frames a stream is.
struct Frames {
    head: [u8; FRAME_HEAD_BYTES],
    head_came: usize,
    payload_left: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            head: [0; FRAME_HEAD_BYTES],
            head_came: 0,
            payload_left: PREFACE_BYTES,
        }
    }
}

impl Frames {
    /// Goes on by these bytes, and says of how many frames they complete the head.
    fn count(&mut self, mut bytes: &[u8]) -> u32 {
        let mut frames = 0;
        loop {
            let payload = self.payload_left.min(bytes.len());
            self.payload_left -= payload;
            bytes = &bytes[payload..];
            if bytes.is_empty() {
                return frames;
            }
            let (head, rest) = bytes.split_at(bytes.len().min(FRAME_HEAD_BYTES - self.head_came));
            self.head[self.head_came..][..head.len()].copy_from_slice(head);
            self.head_came += head.len();
            bytes = rest;
            if self.head_came == FRAME_HEAD_BYTES {
                frames += 1;
                self.head_came = 0;
                let [high, middle, low, ..] = self.head;
                self.payload_left = u32::from_be_bytes([0, high, middle, low]) as usize;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.conduct.may_read() {
            // Woken at once, but only after the runtime has looked at all the other sockets.
            let _ = pin!(yield_now()).poll(context);
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        this.conduct.read(read.len(), this.frames.count(read));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;

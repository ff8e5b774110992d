//! The client's side of a connection: reading heads, writing refusals, and closing so that the client still reads the last answer.
//! An idle connection holds no buffer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;

use crate::alarm::Alarm;
use crate::connections::Phase;
use crate::http1::request::{HeadBounds, RequestError, RequestHead};
use crate::outbound::Outbound;
use crate::worker::{Scratch, Worker};

/// How much of a body that nobody wants is read before the connection is closed all the same.
pub(crate) const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// How long that may take.
pub(crate) const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// A byte stream to a client: a socket, TLS on a socket, or a stream of HTTP/2.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Whether the client has left, as far as that can be known without reading what it sent before. No system call; nobody is woken when
    /// it changes.
    fn has_left(&mut self, context: &mut Context<'_>) -> bool;
}

impl Stream for TcpStream {
    fn has_left(&mut self, _context: &mut Context<'_>) -> bool {
        // Not readiness to be read: that is there already, and stays.
        let looked = self.ready(Interest::PRIORITY | Interest::ERROR).now_or_never();
        looked.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed() || ready.is_error()))
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn has_left(&mut self, context: &mut Context<'_>) -> bool {
        self.get_mut().0.has_left(context)
    }
}

/// Why there is no next request.
#[derive(Debug)]
pub(crate) enum NoRequest {
    /// The client closed, stayed silent for too long, or the server is draining.
    Ended,
    /// What came is no request that can be served.
    Malformed(RequestError),
}

/// A client's connection.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    /// Its place among the open connections.
    pub(crate) place: usize,
    /// Bytes of the next request that came already.
    pub(crate) inbound: Vec<u8>,
    /// Whether what followed the current request is among them already.
    pub(crate) has_taken_following: bool,
    /// Bytes that the client has not taken yet.
    pub(crate) outbound: Outbound,
    /// Rings when nothing has moved for too long.
    pub(crate) alarm: Alarm,
}

impl<S: Stream> Client<S> {
    pub(crate) fn new(stream: S, place: usize, header_timeout: Duration) -> Self {
        Self {
            stream,
            place,
            inbound: Vec::new(),
            has_taken_following: false,
            outbound: Outbound::default(),
            alarm: Alarm::new(header_timeout),
        }
    }

    /// Waits for the head of the next request.
    pub(crate) async fn read_head(&mut self, worker: &Worker) -> Result<RequestHead, NoRequest> {
        let bounds = &worker.shared.bounds;
        let head_bounds = HeadBounds {
            bytes_max: bounds.header_bytes_max,
            headers_max: bounds.headers_max,
        };
        self.outbound.clear();
        self.has_taken_following = false;
        self.alarm.set(worker.now(), bounds.header_timeout);
        let mut seen = 0;
        poll_fn(|context| {
            loop {
                if self.inbound.len() > seen {
                    match RequestHead::take(&mut self.inbound, seen, head_bounds) {
                        Ok(Some(head)) => return Poll::Ready(Ok(head)),
                        Ok(None) => seen = self.inbound.len(),
                        Err(error) => return Poll::Ready(Err(NoRequest::Malformed(error))),
                    }
                }
                if self.inbound.is_empty() && worker.phase() != Phase::Serving {
                    return Poll::Ready(Err(NoRequest::Ended));
                }
                let inbound = &mut self.inbound;
                match worker.scratch.poll_read(&mut self.stream, context, |bytes| {
                    inbound.extend_from_slice(bytes);
                }) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(NoRequest::Ended)),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => return self.alarm.poll_passed(context).map(|()| Err(NoRequest::Ended)),
                }
            }
        })
        .await
    }

    /// Writes all that waits; false when the client is gone or takes nothing for too long after `now`.
    pub(crate) async fn flush(&mut self, now: Instant, silence_max: Duration) -> bool {
        self.alarm.set(now, silence_max);
        poll_fn(
            |context| match self.outbound.poll_flush(&mut self.stream, context) {
                Poll::Ready(result) => Poll::Ready(result.is_ok()),
                Poll::Pending => self.alarm.poll_passed(context).map(|()| false),
            },
        )
        .await
    }

    /// Closes towards a client that may still be sending: a reset would take the last answer from it unread.
    pub(crate) async fn linger(mut self, scratch: &Scratch) {
        let reading = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            let mut left = LINGER_BYTES_MAX;
            while left > 0 {
                match poll_fn(|context| scratch.poll_read(&mut self.stream, context, |_| ())).await {
                    Ok(0) | Err(_) => return,
                    Ok(read) => left = left.saturating_sub(read),
                }
            }
        };
        // Whoever has not read by then will not.
        let _ = timeout(LINGER_TIMEOUT, reading).await;
    }
}

impl Scratch {
    /// Reads once, and hands what came to `take`. Ready with 0 at the stream's end.
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        self.poll_pass(stream, context, |bytes, _| take(bytes))
    }

    /// The same for a `take` that polls where the bytes go.
    pub(crate) fn poll_pass<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8], &mut Context<'_>),
    ) -> Poll<io::Result<usize>> {
        let mut bytes = self.bytes();
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = Pin::new(stream).poll_read(context, &mut buffer)?;
        read.map(|()| {
            let filled = buffer.filled();
            if !filled.is_empty() {
                take(filled, context);
            }
            Ok(filled.len())
        })
    }
}

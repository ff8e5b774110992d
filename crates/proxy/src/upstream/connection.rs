//! One connection to the upstream, driven inline: whoever waits for something from it polls it.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::RequestBody;

/// The most bytes that one connection buffers in each direction.
const BUFFER_BYTES_MAX: usize = 32 * 1024;
/// The most header lines of an answer.
const RESPONSE_HEADERS_MAX: usize = 200;

type Driver = http1::Connection<TokioIo<TcpStream>, RequestBody>;

/// When something last moved on a connection; the request's body marks it from its side.
pub(crate) type Progress = Rc<Cell<Instant>>;

/// An HTTP/1.1 connection and its silence timer.
pub(crate) struct Connection {
    sender: http1::SendRequest<RequestBody>,
    driver: Pin<Box<Driver>>,
    progress: Progress,
    silence_max: Duration,
    alarm: Pin<Box<Sleep>>,
    served_before: bool,
}

/// Why an exchange failed.
pub(crate) enum ExchangeError {
    /// The connection had closed before a byte was sent: here is the request again.
    Unsent(Box<Request<RequestBody>>),
    /// The connection broke; the upstream may have read the request.
    Broken(hyper::Error),
    /// Nothing moved for too long.
    Silent,
}

impl Connection {
    /// Prepares a fresh connection; no byte is sent.
    pub(super) async fn new(stream: TcpStream, silence_max: Duration) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::Builder::new()
            .writev(false)
            .max_buf_size(BUFFER_BYTES_MAX)
            .max_headers(RESPONSE_HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        let now = Instant::now();
        Ok(Self {
            sender,
            driver: Box::pin(driver),
            progress: Rc::new(Cell::new(now)),
            silence_max,
            alarm: Box::pin(sleep_until(now + silence_max)),
            served_before: false,
        })
    }

    /// Whether it has carried a request before.
    pub(crate) fn served_before(&self) -> bool {
        self.served_before
    }

    /// Where a request's body says that it moved.
    pub(crate) fn progress(&self) -> Progress {
        Rc::clone(&self.progress)
    }

    /// Whether it is open and idle. Also makes this task the one that the connection wakes.
    pub(crate) fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        self.driver.as_mut().poll(context).is_pending() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, ExchangeError> {
        self.progress.set(Instant::now());
        let mut answer = pin!(self.sender.try_send_request(request));
        self.served_before = true;
        let (driver, alarm, progress) = (&mut self.driver, &mut self.alarm, &self.progress);
        let silence_max = self.silence_max;
        std::future::poll_fn(move |context| {
            let driven = driver.as_mut().poll(context);
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer.map_err(|mut error| match error.take_message() {
                    Some(request) => ExchangeError::Unsent(Box::new(request)),
                    None => ExchangeError::Broken(error.into_error()),
                }));
            }
            if driven.is_ready() {
                // The answer to be is dropped with its driver and says so at its next poll.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            poll_silence(alarm, progress, silence_max, context).map(|()| Err(ExchangeError::Silent))
        })
        .await
    }

    /// Moves the connection on; ready when it has closed.
    pub(crate) fn poll_drive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.driver.as_mut().poll(context).map(|_| ())
    }

    /// Says that something moved.
    pub(crate) fn moved(&self) {
        self.progress.set(Instant::now());
    }

    /// Ready when nothing has moved for too long.
    pub(crate) fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        poll_silence(&mut self.alarm, &self.progress, self.silence_max, context)
    }

    /// The parts, for an exchange that may end in a tunnel and therefore needs a task of its own.
    pub(crate) fn into_parts(self) -> (http1::SendRequest<RequestBody>, Driver) {
        (self.sender, *Pin::into_inner(self.driver))
    }
}

/// The alarm is set anew only when it rings, not with every byte: a busy stream never touches the timer.
fn poll_silence(
    alarm: &mut Pin<Box<Sleep>>,
    progress: &Progress,
    silence_max: Duration,
    context: &mut Context<'_>,
) -> Poll<()> {
    while alarm.as_mut().poll(context).is_ready() {
        let deadline = progress.get() + silence_max;
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        alarm.as_mut().reset(deadline);
    }
    Poll::Pending
}

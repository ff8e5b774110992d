//! One request and its answer on their way, both at once: the request's body towards the upstream, the answer towards the client. Nothing is
//! kept but what a socket has not taken yet, and more is read only when that is gone.
//!
//! The client's leaving ends the exchange, and dropping the exchange closes the upstream's connection: that is how the upstream
//! hears that nobody listens.

mod answer;
mod presence;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;

use crate::client::{Client, Stream};
use crate::connections::Phase;
use crate::http1::body::{BodyDecoder, BodyEncoding};
use crate::http1::framing::BodyLength;
use crate::http1::request::RequestHead;
use crate::http1::response::ResponseHead;
use crate::upstream::{Connection, UpstreamError};
use crate::worker::Worker;

use answer::Answer;
pub(crate) use answer::encoding_for;
use presence::Presence;

/// The most bytes of further requests that are read while one is under way.
pub(crate) const PIPELINED_BYTES_MAX: usize = 64 * 1024;

/// The most interim answers before the real one.
pub(crate) const INTERIM_ANSWERS_MAX: usize = 100;

/// Why an exchange ended early.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    /// The upstream's fault.
    Upstream(UpstreamError),
    /// The client left.
    ClientGone,
    /// The request's body is malformed.
    ClientMalformed,
    /// The connection had closed before a byte of the request was sent: it can be sent on another one.
    Unsent,
}

impl<E: Into<UpstreamError>> From<E> for ExchangeError {
    fn from(error: E) -> Self {
        Self::Upstream(error.into())
    }
}

/// How far the request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// More is to come from the client.
    Going,
    /// All of it was passed on.
    Done,
    /// The upstream takes no more; its answer may come all the same.
    GivenUp,
}

/// A request under way.
pub(crate) struct Exchange<'e, S> {
    worker: &'e Worker,
    pub(crate) client: &'e mut Client<S>,
    pub(crate) upstream: Connection,
    silence_max: Duration,
    body: BodyDecoder,
    encoding: BodyEncoding,
    sending: Sending,
    has_sent: bool,
    interim_answers: usize,
    presence: Presence,
    /// Whether the answer is awaited although the client is gone.
    is_forsaken: bool,
}

impl<'e, S: Stream> Exchange<'e, S> {
    /// Begins an exchange: `upstream` has the request's head among its outbound bytes already. What came of the body is put behind it.
    pub(crate) fn begin(
        worker: &'e Worker,
        client: &'e mut Client<S>,
        mut upstream: Connection,
        request: &RequestHead,
    ) -> Result<Self, ExchangeError> {
        let mut body = BodyDecoder::new(request.body);
        let encoding = if request.body == BodyLength::Chunked {
            BodyEncoding::Chunked
        } else {
            BodyEncoding::Plain
        };
        let mut input = request.following();
        let out = upstream.outbound.buffer();
        pass(&mut body, &mut input, |data| encoding.data(data, out))?;
        if body.is_done() {
            encoding.end(upstream.outbound.buffer());
        }
        let mut sending = Sending::Going;
        if body.is_done() {
            client.inbound.extend_from_slice(input);
            client.has_taken_following = true;
            sending = Sending::Done;
        } else if request.expects_continue {
            client
                .outbound
                .buffer()
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let silence_max = worker.shared.bounds.stream_idle;
        client.alarm.set(worker.now(), silence_max);
        Ok(Self {
            worker,
            client,
            upstream,
            silence_max,
            body,
            encoding,
            sending,
            has_sent: false,
            interim_answers: 0,
            presence: Presence::default(),
            is_forsaken: false,
        })
    }

    /// Puts the exchange on another connection: nothing was sent on the one that it had. `head` takes the place of the first `head_bytes`.
    pub(crate) fn move_to(&mut self, mut connection: Connection, head_bytes: usize, head: &[u8]) {
        std::mem::swap(&mut self.upstream.outbound, &mut connection.outbound);
        let waiting = connection.outbound.buffer();
        waiting.splice(..head_bytes, head.iter().copied());
        self.upstream = connection;
    }

    /// Waits for the head of the answer. Interim answers are not passed on: they are for whoever asked for them, which is us.
    pub(crate) async fn head(&mut self, to_head: bool) -> Result<ResponseHead, ExchangeError> {
        poll_fn(|context| self.poll_head(to_head, context)).await
    }

    /// The status of the answer, and no more of it, for whoever has to know it although the client is gone. None when it does not come within `limit`, or before the
    /// server drains.
    pub(crate) async fn status_without_client(
        &mut self,
        limit: Duration,
    ) -> Result<Option<u16>, ExchangeError> {
        self.is_forsaken = true;
        let status = poll_fn(|context| {
            if self.worker.phase() != Phase::Serving {
                return Poll::Ready(Ok(None));
            }
            let head = self.poll_head(false, context);
            head.map(|head| head.map(|head| Some(head.status)))
        });
        timeout(limit, status).await.unwrap_or(Ok(None))
    }

    fn poll_head(
        &mut self,
        to_head: bool,
        context: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, ExchangeError>> {
        self.poll_request(context)?;
        loop {
            if !self.upstream.inbound.is_empty()
                && let Some(head) = ResponseHead::take(&mut self.upstream.inbound, to_head)?
            {
                if head.status == 101 || head.status >= 200 {
                    return Poll::Ready(Ok(head));
                }
                self.interim_answers += 1;
                if self.interim_answers > INTERIM_ANSWERS_MAX {
                    return Poll::Ready(Err(UpstreamError::TooManyInterim.into()));
                }
                self.upstream.inbound.extend_from_slice(head.following());
                continue;
            }
            let inbound = &mut self.upstream.inbound;
            let taken = |bytes: &[u8]| inbound.extend_from_slice(bytes);
            match self
                .worker
                .scratch
                .poll_read(&mut self.upstream.stream, context, taken)
            {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(UpstreamError::Closed.into())),
                Poll::Ready(Ok(_)) => self.moved(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => break,
            }
        }
        self.poll_client(context)?;
        self.poll_leaving(context)?;
        self.poll_silence(context)
    }

    /// Passes the answer on. `head` is written by the caller into the client's outbound bytes already. Says whether the client's connection can
    /// carry another request.
    pub(crate) async fn relay(
        mut self,
        head: ResponseHead,
        encoding: BodyEncoding,
    ) -> Result<bool, ExchangeError> {
        let mut answer = Answer {
            decoder: BodyDecoder::new(head.body),
            encoding,
            keeps_alive: head.keeps_alive,
            is_done: false,
            broken: None,
        };
        let mut input = head.following();
        self.client.outbound.buffer().reserve(input.len());
        let out = self.client.outbound.buffer();
        let has_rest = answer.take(&mut input, |data| encoding.data(data, out));
        answer.end_if_done(self.client.outbound.buffer());
        drop(head);
        poll_fn(|context| self.poll_answer(&mut answer, context)).await?;
        let is_clean = self.sending == Sending::Done;
        if is_clean && answer.keeps_alive && !has_rest {
            self.worker.pool.give_back(self.upstream);
        }
        Ok(is_clean)
    }

    fn poll_answer(
        &mut self,
        answer: &mut Answer,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ExchangeError>> {
        loop {
            match self.client.outbound.poll_flush(&mut self.client.stream, context) {
                Poll::Ready(Ok(())) if answer.is_done => return Poll::Ready(Ok(())),
                // What came before the break has gone out; there is nothing more to pass on.
                Poll::Ready(Ok(())) if let Some(error) = answer.broken.take() => {
                    return Poll::Ready(Err(error.into()));
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(ExchangeError::ClientGone)),
                Poll::Pending => break,
            }
            let mut has_rest = false;
            let (client, encoding) = (&mut *self.client, answer.encoding);
            let taken = |mut bytes: &[u8], context: &mut Context<'_>| {
                has_rest = answer.take(&mut bytes, |data| {
                    client.outbound.pass(encoding, data, &mut client.stream, context);
                });
                answer.end_if_done(client.outbound.buffer());
            };
            match self
                .worker
                .scratch
                .poll_pass(&mut self.upstream.stream, context, taken)
            {
                Poll::Ready(Ok(0)) => {
                    answer.end(self.client.outbound.buffer())?;
                    continue;
                }
                Poll::Ready(Ok(_)) => self.moved(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => break,
            }
            if has_rest {
                answer.keeps_alive = false;
            }
        }
        self.poll_request(context)?;
        self.poll_client(context)?;
        self.poll_leaving(context)?;
        self.poll_silence(context)
    }

    /// Passes on what there is of the request.
    fn poll_request(&mut self, context: &mut Context<'_>) -> Result<(), ExchangeError> {
        self.presence.is_heard = false;
        if self.poll_continue(context)?.is_pending() {
            return Ok(());
        }
        loop {
            match self
                .upstream
                .outbound
                .poll_flush(&mut self.upstream.stream, context)
            {
                Poll::Ready(Ok(())) => self.has_sent = true,
                Poll::Ready(Err(_)) if !self.may_have_sent() => return Err(ExchangeError::Unsent),
                Poll::Ready(Err(_)) => {
                    self.upstream.outbound.clear();
                    self.sending = Sending::GivenUp;
                }
                Poll::Pending => {
                    self.has_sent |= self.upstream.outbound.is_partly_sent();
                    return Ok(());
                }
            }
            if self.sending != Sending::Going {
                return Ok(());
            }
            let mut outcome = Ok(());
            let (body, encoding) = (&mut self.body, self.encoding);
            let (upstream, inbound) = (&mut self.upstream, &mut self.client.inbound);
            let taken = |mut bytes: &[u8], context: &mut Context<'_>| {
                outcome = pass(body, &mut bytes, |data| {
                    upstream
                        .outbound
                        .pass(encoding, data, &mut upstream.stream, context);
                });
                if body.is_done() {
                    encoding.end(upstream.outbound.buffer());
                }
                inbound.extend_from_slice(bytes);
            };
            match self
                .worker
                .scratch
                .poll_pass(&mut self.client.stream, context, taken)
            {
                Poll::Ready(Ok(0) | Err(_)) => return Err(ExchangeError::ClientGone),
                Poll::Ready(Ok(_)) => self.moved(),
                Poll::Pending => {
                    self.presence.is_heard = true;
                    return Ok(());
                }
            }
            outcome?;
            if self.body.is_done() {
                self.sending = Sending::Done;
            }
        }
    }

    /// Whether some of the request is still to be passed on.
    pub(crate) fn is_sending(&self) -> bool {
        self.sending != Sending::Done
    }

    /// Whether the upstream may have read a byte of the request.
    fn may_have_sent(&self) -> bool {
        self.has_sent || self.upstream.outbound.is_partly_sent() || self.upstream.stream.hides_what_was_sent()
    }

    /// A client that waits for a 100 gets it before more of its body is read.
    fn poll_continue(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, ExchangeError> {
        if self.sending != Sending::Going {
            return Ok(Poll::Ready(()));
        }
        match self.client.outbound.poll_flush(&mut self.client.stream, context) {
            Poll::Ready(Err(_)) => Err(ExchangeError::ClientGone),
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Notices that the client leaves, and keeps what it sends ahead.
    fn poll_client(&mut self, context: &mut Context<'_>) -> Result<(), ExchangeError> {
        let is_read = self.sending == Sending::Done && !self.is_forsaken;
        while is_read && self.client.inbound.len() < PIPELINED_BYTES_MAX {
            let inbound = &mut self.client.inbound;
            let taken = |bytes: &[u8]| inbound.extend_from_slice(bytes);
            match self
                .worker
                .scratch
                .poll_read(&mut self.client.stream, context, taken)
            {
                Poll::Ready(Ok(0) | Err(_)) => return Err(ExchangeError::ClientGone),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    self.presence.is_heard = true;
                    break;
                }
            }
        }
        Ok(())
    }

    fn poll_leaving(&mut self, context: &mut Context<'_>) -> Result<(), ExchangeError> {
        if !self.is_forsaken && self.presence.has_left(&mut self.client.stream, context) {
            return Err(ExchangeError::ClientGone);
        }
        Ok(())
    }

    fn poll_silence<T>(&mut self, context: &mut Context<'_>) -> Poll<Result<T, ExchangeError>> {
        self.client
            .alarm
            .poll_passed(context)
            .map(|()| Err(UpstreamError::Silent.into()))
    }

    fn moved(&mut self) {
        self.client.alarm.set(self.worker.now(), self.silence_max);
    }
}

/// Passes the next bytes of a request's body on; leaves in `input` what is behind the body.
fn pass(body: &mut BodyDecoder, input: &mut &[u8], mut data: impl FnMut(&[u8])) -> Result<(), ExchangeError> {
    while let Some(decoded) = body.decode(input).map_err(|_| ExchangeError::ClientMalformed)? {
        data(decoded);
    }
    Ok(())
}

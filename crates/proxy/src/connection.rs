//! One client connection, request after request, until it closes, drains or is cut.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Method;
use tokio::time::timeout;

use crate::client::{Client, NoRequest, Stream};
use crate::connections::Phase;
use crate::exchange::{ExchangeError, encoding_for};
use crate::forward::Forwarded;
use crate::forward_auth;
use crate::headers::{ResponseContext, write_response};
use crate::http1::body::{BodyDecoder, BodyEncoding};
use crate::http1::framing::{BodyLength, Version};
use crate::http1::request::{RequestError, RequestHead};
use crate::http2::is_preface;
use crate::lifecycle::{self, Stop};
use crate::listener::Peer;
use crate::record;
use crate::refusal::{self, Refusal};
use crate::upgrade;
use crate::worker::Worker;

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// It can carry another one.
    Next,
    /// It is closed, but the client may still be sending and has an answer to read.
    Linger,
    /// It is over.
    Close,
}

/// Serves one connection, unless it has to end before it is over: because the server closes, or its key's binding changed. Gives it
/// back, with what was read of it, when its client turns out to speak HTTP/2.
pub(crate) async fn serve<S: Stream>(worker: Rc<Worker>, peer: &Peer, stream: S) -> Option<Client<S>> {
    let place = Place::enter(Rc::clone(&worker)).await;
    let mut serving = pin!(serve_requests(&worker, peer, stream, place.index));
    poll_fn(|context| {
        if place.is_over() {
            return Poll::Ready(None);
        }
        worker.tick();
        serving.as_mut().poll(context)
    })
    .await
}

/// A connection's place among the open ones, given up when it ends, however it ends.
pub(crate) struct Place {
    worker: Rc<Worker>,
    index: usize,
}

impl Place {
    pub(crate) async fn enter(worker: Rc<Worker>) -> Self {
        let entering =
            |context: &mut Context<'_>| worker.connections.borrow_mut().enter(context.waker().clone());
        let index = poll_fn(|context| Poll::Ready(entering(context))).await;
        Self { worker, index }
    }

    /// Whether the connection has to end at once.
    pub(crate) fn is_over(&self) -> bool {
        self.worker.connections.borrow().is_over(self.index)
    }

    /// What `future` gives, if it does so within `limit` and before the server drains.
    pub(crate) async fn while_serving<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let mut future = pin!(timeout(limit, future));
        poll_fn(|context| {
            if self.worker.phase() != Phase::Serving {
                return Poll::Ready(None);
            }
            future.as_mut().poll(context).map(Result::ok)
        })
        .await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.connections.borrow_mut().leave(self.index);
    }
}

async fn serve_requests<S: Stream>(
    worker: &Rc<Worker>,
    peer: &Peer,
    stream: S,
    place: usize,
) -> Option<Client<S>> {
    let mut client = Client::new(stream, place, worker.shared.bounds.header_timeout);
    let mut is_first = true;
    loop {
        let after = match client.read_head(worker).await {
            Ok(request) => serve_request(worker, peer, &mut client, &request).await,
            Err(NoRequest::Ended) => After::Close,
            Err(NoRequest::Malformed(RequestError::Version)) if is_first && is_preface(&client.inbound) => {
                return Some(client);
            }
            Err(NoRequest::Malformed(error)) => {
                let client_ip = peer.proxied().unwrap_or(peer.ip());
                let refusal = refusal::malformed(worker, error.into(), client_ip);
                refusal.write(true, false, client.outbound.buffer());
                flushed(worker, &mut client, After::Linger).await
            }
        };
        worker.connections.borrow_mut().set_live(place, None);
        match after {
            After::Next => is_first = false,
            After::Linger => {
                client.linger(&worker.scratch).await;
                return None;
            }
            After::Close => return None,
        }
    }
}

async fn serve_request<S: Stream>(
    worker: &Rc<Worker>,
    peer: &Peer,
    client: &mut Client<S>,
    request: &RequestHead,
) -> After {
    if let Some(asked) = peer.forward_auth(worker) {
        return match forward_auth::serve(worker, asked, peer, request).await {
            Ok(permit) => {
                let write = |closes, out: &mut Vec<u8>| forward_auth::write_permitted(permit, closes, out);
                answer(worker, client, request, write).await
            }
            Err(refusal) => refuse(worker, client, request, &refusal).await,
        };
    }
    match lifecycle::serve(worker, peer, client, request).await {
        Ok(forwarded) if forwarded.head.status == 101 => {
            let Forwarded { exchange, head } = forwarded;
            let context = ResponseContext {
                chunked: false,
                closes: false,
                version: Version::Http11,
            };
            write_response(&head, context, exchange.client.outbound.buffer());
            Box::pin(upgrade::tunnel(worker, exchange, head)).await;
            After::Close
        }
        Ok(forwarded) => relay(worker, forwarded, request).await,
        Err(Stop::Refused(refusal)) => refuse(worker, client, request, &refusal).await,
        Err(Stop::ClientGone) => After::Close,
    }
}

/// Passes the answer on.
async fn relay<S: Stream>(worker: &Worker, forwarded: Forwarded<'_, S>, request: &RequestHead) -> After {
    let Forwarded { exchange, head } = forwarded;
    let encoding = encoding_for(head.body, request.version);
    // Without chunks, an answer of unknown length ends with its connection.
    let ends_with_connection =
        matches!(head.body, BodyLength::Chunked | BodyLength::UntilClose) && encoding == BodyEncoding::Plain;
    // An answer that comes before the whole request leaves a rest that would be taken for the next one.
    let closes = !request.keeps_alive
        || ends_with_connection
        || exchange.is_sending()
        || worker.phase() != Phase::Serving;
    let context = ResponseContext {
        chunked: encoding == BodyEncoding::Chunked,
        closes,
        version: request.version,
    };
    write_response(&head, context, exchange.client.outbound.buffer());
    match exchange.relay(head, encoding).await {
        Ok(true) if !closes => After::Next,
        Ok(_) => After::Linger,
        Err(ExchangeError::Upstream(error)) => {
            // The client sees the answer break off; there is no other way left to tell it.
            tracing::debug!(%error, "an answer broke off");
            After::Close
        }
        Err(_) => After::Close,
    }
}

async fn refuse<S: Stream>(
    worker: &Rc<Worker>,
    client: &mut Client<S>,
    request: &RequestHead,
    refusal: &Refusal,
) -> After {
    if let Some(ticket) = refusal.ticket {
        // Without the record it would be as if this never happened.
        record::settled(worker, ticket).await;
    }
    let to_head = request.method() == Method::HEAD.as_str();
    let write = |closes, out: &mut Vec<u8>| refusal.write(closes, to_head, out);
    answer(worker, client, request, write).await
}

/// Answers by ourselves. `write` is told whether the connection closes: it stays only if all of the request is here already, since nobody wants to
/// read the rest of it.
async fn answer<S: Stream>(
    worker: &Worker,
    client: &mut Client<S>,
    request: &RequestHead,
    write: impl FnOnce(bool, &mut Vec<u8>),
) -> After {
    let rest = rest_behind_body(request);
    let is_connect = request.method() == Method::CONNECT.as_str();
    let stays = rest.is_some() && request.keeps_alive && !is_connect && worker.phase() == Phase::Serving;
    client.outbound.clear();
    write(!stays, client.outbound.buffer());
    if let Some(rest) = rest.filter(|_| stays && !client.has_taken_following) {
        client.inbound.extend_from_slice(rest);
    }
    flushed(worker, client, if stays { After::Next } else { After::Linger }).await
}

/// What came behind the request's body; none unless the whole body came.
fn rest_behind_body(request: &RequestHead) -> Option<&[u8]> {
    let mut body = BodyDecoder::new(request.body);
    let mut rest = request.following();
    while body.decode(&mut rest).ok()?.is_some() {}
    body.is_done().then_some(rest)
}

async fn flushed<S: Stream>(worker: &Worker, client: &mut Client<S>, after: After) -> After {
    if client.flush(worker.now(), worker.shared.bounds.stream_idle).await {
        after
    } else {
        After::Close
    }
}

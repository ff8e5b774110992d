//! HTTP/2 from clients, agreed on in the TLS handshake or begun by a client that knows. The `h2` crate keeps the connection; each of its
//! streams becomes a client connection of its own, with one request, for the same lifecycle that serves HTTP/1.1.
//!
//! Every stream has its end here: a connection drives its own streams, and takes them with it when it ends.

mod bucket;
mod conduct;
mod head;
mod paced;
mod seats;
mod stream;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::Request;

use crate::alarm::Alarm;
use crate::client::Stream;
use crate::config::Bounds;
use crate::connection::{self, Place};
use crate::connections::Phase;
use crate::listener::Peer;
use crate::worker::Worker;

use conduct::Conduct;
use paced::Paced;
use seats::{Seat, Seats};
use stream::Http2Stream;

/// The most requests that one connection has under way at once. A client that begins more is refused the further ones, which it may send again.
pub(crate) const STREAMS_MAX: u32 = 100;
/// The most bytes of one request's body that wait for the upstream.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// The most bytes of all request bodies of one connection that wait for the upstream.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// The most bytes of one answer that wait for the client.
pub(crate) const SEND_BUFFER_BYTES_MAX: usize = 32 * 1024;
/// The most requests that may be taken back before they were looked at; one more ends the connection.
pub(crate) const UNSEEN_RESETS_MAX: usize = 20;
/// The most streams that are remembered after they were reset here, so that what still comes on them is not taken for a mistake.
pub(crate) const RESETS_REMEMBERED_MAX: usize = 50;
/// The most malformed requests of one connection; one more ends it.
pub(crate) const MALFORMED_STREAMS_MAX: usize = 100;
/// How long a client may take to hear that the connection ends.
pub(crate) const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a connection of HTTP/2 begins (RFC 9113, 3.4), as far as it looks like a request's head.
const PREFACE_HEAD: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Whether these first bytes of a connection, of which no request could be made, are the beginning of HTTP/2.
pub(crate) fn is_preface(bytes: &[u8]) -> bool {
    bytes.starts_with(PREFACE_HEAD)
}

/// A request, and the way to answer it.
type Accepted = (Request<RecvStream>, SendResponse<Bytes>);

/// How the requests of a connection ended.
#[derive(Default)]
struct Endings {
    /// What they say of the client.
    conduct: Rc<Conduct>,
    /// Answers that broke off. The client gets what came of them before it hears so.
    broken: RefCell<Vec<SendStream<Bytes>>>,
}

impl Endings {
    fn broken(&self, answer: SendStream<Bytes>) {
        self.broken.borrow_mut().push(answer);
    }

    /// Says of the answers that broke off that they did. True when there were any.
    fn reset_broken(&self) -> bool {
        let broken = self.broken.take();
        let any = !broken.is_empty();
        for mut answer in broken {
            answer.send_reset(Reason::INTERNAL_ERROR);
        }
        any
    }
}

/// Serves one connection.
pub(crate) async fn serve<S: Stream>(worker: &Rc<Worker>, peer: &Peer, stream: S) {
    let place = Place::enter(Rc::clone(worker)).await;
    let mut serving = pin!(serve_streams(worker, peer, &place, stream));
    poll_fn(|context| {
        if place.is_over() {
            return Poll::Ready(());
        }
        worker.tick();
        serving.as_mut().poll(context)
    })
    .await;
}

async fn serve_streams<S: Stream>(worker: &Rc<Worker>, peer: &Peer, place: &Place, stream: S) {
    let endings = Rc::new(Endings::default());
    let conduct = &endings.conduct;
    let stream = Paced::new(stream, Rc::clone(conduct));
    let Some(connection) = shake_hands(worker, place, stream).await else {
        return;
    };
    let mut driven = Driven::new(worker, connection);
    let seats = Seats::new(worker, peer.counted());
    let mut streams = FuturesUnordered::new();
    poll_fn(|context| {
        conduct.begin_turn();
        loop {
            while let Poll::Ready(Some(())) = streams.poll_next_unpin(context) {
                driven.rest();
            }
            driven.heed(conduct);
            match driven.poll_request(context, streams.len()) {
                Poll::Ready(Some((request, respond))) => {
                    let Some(stream) = Http2Stream::begin(request, respond, &endings) else {
                        continue;
                    };
                    match seats.take() {
                        Some(seat) => streams.push(serve_stream(worker, peer, stream, seat)),
                        // Nobody has looked at it: dropping it tells the client that it may send it again.
                        None => worker.figures().streams_refused.increment(),
                    }
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending if endings.reset_broken() => {}
                Poll::Pending if driven.heed(conduct) => {}
                Poll::Pending if driven.ends_soon(context, streams.is_empty()) => {}
                Poll::Pending => return driven.poll_goodbye(context, streams.is_empty()),
            }
        }
    })
    .await;
    // Without their connection the streams' client is gone. Each hears of it and comes to its own end, as a connection of HTTP/1.1 does.
    drop(driven);
    while streams.next().await.is_some() {}
}

/// One request, as a connection that carries no other.
async fn serve_stream(worker: &Rc<Worker>, peer: &Peer, stream: Http2Stream, seat: Seat) {
    let unserved = connection::serve(Rc::clone(worker), peer, stream).await;
    debug_assert!(unserved.is_none(), "a stream's head is written here, as HTTP/1.1");
    drop(seat);
}

async fn shake_hands<S: Stream>(
    worker: &Worker,
    place: &Place,
    stream: Paced<S>,
) -> Option<Connection<Paced<S>, Bytes>> {
    let bounds = &worker.shared.bounds;
    let handshake = builder(bounds).handshake(stream);
    place.while_serving(bounds.header_timeout, handshake).await?.ok()
}

fn builder(bounds: &Bounds) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX)
        .max_header_list_size(u32::try_from(bounds.header_bytes_max).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .max_concurrent_reset_streams(RESETS_REMEMBERED_MAX)
        .max_local_error_reset_streams(Some(MALFORMED_STREAMS_MAX));
    builder
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    NotYet,
    /// With what is under way.
    Soon,
    /// Whatever is under way.
    Now,
}

/// The connection that the streams share.
struct Driven<'w, S> {
    worker: &'w Worker,
    connection: Connection<Paced<S>, Bytes>,
    ends: Ends,
    /// Rings when nothing has been under way for too long.
    idle: Alarm,
}

impl<'w, S: Stream> Driven<'w, S> {
    fn new(worker: &'w Worker, connection: Connection<Paced<S>, Bytes>) -> Self {
        Self {
            worker,
            connection,
            ends: Ends::NotYet,
            idle: Alarm::new(worker.shared.bounds.header_timeout),
        }
    }

    /// Reads and writes what there is, and gives the next request when there is room for one. None at the connection's end.
    fn poll_request(&mut self, context: &mut Context<'_>, under_way: usize) -> Poll<Option<Accepted>> {
        if under_way >= STREAMS_MAX as usize || self.ends == Ends::Now {
            return self.connection.poll_closed(context).map(|_| None);
        }
        self.connection.poll_accept(context).map(|accepted| {
            accepted?
                .inspect_err(|error| tracing::debug!(%error, "an HTTP/2 connection broke"))
                .ok()
        })
    }

    /// A request has ended.
    fn rest(&mut self) {
        let wait = match self.ends {
            Ends::NotYet => self.worker.shared.bounds.header_timeout,
            Ends::Soon => GOODBYE_TIMEOUT,
            Ends::Now => return,
        };
        self.idle.set(self.worker.now(), wait);
    }

    /// Says goodbye when the server drains or the client has nothing to ask. True when that is news, and has to be sent.
    fn ends_soon(&mut self, context: &mut Context<'_>, is_idle: bool) -> bool {
        let is_time = self.ends == Ends::NotYet
            && (self.worker.phase() != Phase::Serving
                || is_idle && self.idle.poll_passed(context).is_ready());
        if is_time {
            self.say_goodbye();
        }
        is_time
    }

    /// Ends a connection whose client keeps the worker busy for too little. True when that is news, and has to be sent.
    fn heed(&mut self, conduct: &Conduct) -> bool {
        if conduct.is_flood() && self.ends != Ends::Now {
            self.end_now();
            return true;
        }
        if conduct.is_wasteful() && self.ends == Ends::NotYet {
            self.say_goodbye();
            return true;
        }
        false
    }

    /// Takes no further requests.
    fn say_goodbye(&mut self) {
        self.ends = Ends::Soon;
        self.connection.graceful_shutdown();
        self.rest();
    }

    /// Ends at once, and says that it was too much.
    fn end_now(&mut self) {
        tracing::debug!("an HTTP/2 client asks too much for nothing");
        self.ends = Ends::Now;
        self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.idle.set(self.worker.now(), GOODBYE_TIMEOUT);
    }

    /// Ready when the client has had its time to hear the goodbye.
    fn poll_goodbye(&mut self, context: &mut Context<'_>, is_idle: bool) -> Poll<()> {
        match self.ends {
            Ends::Soon if is_idle => self.idle.poll_passed(context),
            Ends::Now => self.idle.poll_passed(context),
            Ends::NotYet | Ends::Soon => Poll::Pending,
        }
    }
}

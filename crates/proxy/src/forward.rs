//! Sending a permitted request on and getting the head of its answer.
//!
//! A request whose bytes the upstream may have read is never sent a second time.

use std::rc::Rc;

use http::Method;
use http::header::HeaderName;
use sentinel_core::credential::CredentialFilter;
use sentinel_core::decision::Permit;
use sentinel_core::network::ClientIp;
use sentinel_core::profile::{Carrier, Place};

use crate::client::{Client, Stream};
use crate::config::HostHeader;
use crate::exchange::{Exchange, ExchangeError};
use crate::headers::{RequestContext, switched_to_websocket, write_request};
use crate::http1::framing::BodyLength;
use crate::http1::request::RequestHead;
use crate::http1::response::ResponseHead;
use crate::listener::Peer;
use crate::upstream::{Connection, Member, UpstreamError};
use crate::worker::Worker;

/// How many idle connections may turn out closed before a fresh one is made.
const STALE_CONNECTIONS_MAX: usize = 3;

/// An exchange whose answer has begun.
pub(crate) struct Forwarded<'e, S> {
    pub(crate) exchange: Exchange<'e, S>,
    pub(crate) head: ResponseHead,
}

/// A request whose answer did not begin.
pub(crate) struct Unanswered<'e, S> {
    /// Why not.
    pub(crate) error: ExchangeError,
    /// The exchange, when the upstream has all of the request and may still answer it.
    pub(crate) pending: Option<Box<Exchange<'e, S>>>,
}

impl<'e, S: Stream> Unanswered<'e, S> {
    fn new(error: ExchangeError, exchange: Exchange<'e, S>) -> Self {
        let may_come = matches!(
            error,
            ExchangeError::ClientGone | ExchangeError::Upstream(UpstreamError::Silent)
        );
        let pending = (may_come && !exchange.is_sending()).then(|| Box::new(exchange));
        Self { error, pending }
    }
}

impl<S, E: Into<ExchangeError>> From<E> for Unanswered<'_, S> {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            pending: None,
        }
    }
}

/// Forwards a request that has a permit. `checked` is where the checked credential stands; no other goes on.
pub(crate) async fn forward<'e, S: Stream>(
    permit: Permit,
    worker: &'e Rc<Worker>,
    peer: &Peer,
    client: &'e mut Client<S>,
    request: &RequestHead,
    client_ip: ClientIp,
    checked: Option<&Carrier>,
) -> Result<Forwarded<'e, S>, Unanswered<'e, S>> {
    // Nothing beyond this line asks whether the request may go on: the permit is the answer, and it is used up here.
    drop(permit);
    let shared = &worker.shared;
    let upgrades = asks_for_websocket(request);
    let address_text = peer.address_text(client_ip);
    let write_head = |member: &Member, out: &mut Vec<u8>| {
        let context = RequestContext {
            filter: CredentialFilter::new(&shared.profile, checked, upgrades),
            checked: checked.and_then(header_of),
            client_ip: &address_text,
            peer_is_trusted: peer.vouches(),
            client_ip_header: shared.client_ip_header.as_ref().filter(|_| !peer.vouches()),
            peer_scheme: peer.scheme(),
            upstream_host: member.endpoint().origin.authority().as_bytes(),
            replaces_host: shared.host_header == HostHeader::Upstream,
            upgrades,
        };
        write_request(request, &context, out);
    };
    let mut connection = take_connection(worker, 0).await?;
    write_head(connection.address.member(), connection.outbound.buffer());
    let head_bytes = connection.outbound.buffer().len();
    let mut exchange = Exchange::begin(worker, client, connection, request)?;
    let head = match first_head(worker, &mut exchange, request, head_bytes, write_head).await {
        Ok(head) => head,
        Err(error) => return Err(Unanswered::new(error, exchange)),
    };
    if head.status == 101 && !(upgrades && switched_to_websocket(&head)) {
        return Err(UpstreamError::UnaskedUpgrade.into());
    }
    Ok(Forwarded { exchange, head })
}

fn header_of(carrier: &Carrier) -> Option<&HeaderName> {
    match &carrier.place {
        Place::Header { name, .. } => Some(name),
        _ => None,
    }
}

/// The head of the answer, on the first connection that takes the request. The request's own head, `head_bytes` long, is written anew for
/// each further one: it may name the host that it goes to.
async fn first_head<S: Stream>(
    worker: &Worker,
    exchange: &mut Exchange<'_, S>,
    request: &RequestHead,
    mut head_bytes: usize,
    write_head: impl Fn(&Member, &mut Vec<u8>),
) -> Result<ResponseHead, ExchangeError> {
    let to_head = request.method() == Method::HEAD.as_str();
    for attempt in 1..=STALE_CONNECTIONS_MAX {
        match exchange.head(to_head).await {
            Err(ExchangeError::Unsent) => {
                worker.figures().upstream_retried.increment();
                let connection = take_connection(worker, attempt).await?;
                let mut head = Vec::new();
                write_head(connection.address.member(), &mut head);
                exchange.move_to(connection, head_bytes, &head);
                head_bytes = head.len();
            }
            outcome => {
                match &outcome {
                    Ok(_) => exchange.upstream.note(Ok(())),
                    Err(ExchangeError::Upstream(error)) => exchange.upstream.note(Err(error)),
                    Err(_) => {}
                }
                return outcome;
            }
        }
    }
    Err(UpstreamError::ClosedUnused.into())
}

/// An idle connection, or a fresh one when there is none or enough of them have turned out closed.
async fn take_connection(worker: &Worker, attempt: usize) -> Result<Connection, UpstreamError> {
    let mut address = worker.pool.choose();
    if attempt < STALE_CONNECTIONS_MAX
        && let Some(chosen) = address.take()
    {
        match worker.pool.take_idle(chosen, &worker.scratch).await {
            Ok(idle) => {
                worker.figures().upstream_reused.increment();
                return Ok(idle);
            }
            Err(chosen) => address = Some(chosen),
        }
    }
    // Connecting is rare and its future is large: it has no place in every connection's memory.
    let connection = Box::pin(worker.pool.connect(address)).await?;
    worker.figures().upstream_connected.increment();
    Ok(connection)
}

/// Only WebSocket is tunnelled. Anything else that an upgrade could lead to (HTTP/2 above all) would carry requests that nobody decides on.
fn asks_for_websocket(request: &RequestHead) -> bool {
    request.method() == Method::GET.as_str()
        && request.body == BodyLength::Empty
        && request
            .requested_upgrade()
            .is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

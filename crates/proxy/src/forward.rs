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
use crate::http1::request::RequestHead;
use crate::http1::response::ResponseHead;
use crate::listener::Peer;
use crate::outbound::Outbound;
use crate::upstream::{Connection, UpstreamError};
use crate::worker::Worker;

/// How many idle connections may turn out closed before a fresh one is made.
const STALE_CONNECTIONS_MAX: usize = 3;

/// An exchange whose answer has begun.
pub(crate) struct Forwarded<'e, S> {
    pub(crate) exchange: Exchange<'e, S>,
    pub(crate) head: ResponseHead,
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
) -> Result<Forwarded<'e, S>, ExchangeError> {
    // Nothing beyond this line asks whether the request may go on: the permit is the answer, and it is used up here.
    drop(permit);
    let shared = &worker.shared;
    let upgrades = asks_for_websocket(request);
    let mut outbound = Outbound::default();
    let context = RequestContext {
        filter: CredentialFilter::new(&shared.profile, checked, upgrades),
        checked: checked.and_then(header_of),
        client_ip: &peer.address_text(client_ip),
        peer_is_trusted: peer.is_trusted(),
        upstream_host: (shared.host_header == HostHeader::Upstream)
            .then(|| shared.upstream.authority().as_bytes()),
        upgrades,
    };
    write_request(request, &context, outbound.buffer());
    let mut connection = take_connection(worker, 0).await?;
    connection.outbound = outbound;
    let mut exchange = Exchange::begin(worker, client, connection, request).map_err(|(error, unused)| {
        worker.pool.give_back(unused);
        error
    })?;
    let head = first_head(worker, &mut exchange, request).await?;
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

/// The head of the answer, on the first connection that takes the request.
async fn first_head<S: Stream>(
    worker: &Worker,
    exchange: &mut Exchange<'_, S>,
    request: &RequestHead,
) -> Result<ResponseHead, ExchangeError> {
    let to_head = request.method() == Method::HEAD.as_str();
    for attempt in 1..=STALE_CONNECTIONS_MAX {
        match exchange.head(to_head).await {
            Err(ExchangeError::Unsent) => {
                worker.figures().upstream_retried.increment();
                exchange.move_to(take_connection(worker, attempt).await?);
            }
            outcome => return outcome,
        }
    }
    Err(UpstreamError::ClosedUnused.into())
}

/// An idle connection, or a fresh one when there is none or enough of them have turned out closed.
async fn take_connection(worker: &Worker, attempt: usize) -> Result<Connection, UpstreamError> {
    if attempt < STALE_CONNECTIONS_MAX
        && let Some(idle) = worker.pool.take_idle(&worker.scratch).await
    {
        worker.figures().upstream_reused.increment();
        return Ok(idle);
    }
    // Connecting is rare and its future is large: it has no place in every connection's memory.
    let connection = Box::pin(worker.pool.connect()).await?;
    worker.figures().upstream_connected.increment();
    Ok(connection)
}

/// Only WebSocket is tunnelled. Anything else that an upgrade could lead to (HTTP/2 above all) would carry requests that nobody decides on.
fn asks_for_websocket(request: &RequestHead) -> bool {
    request.method() == Method::GET.as_str()
        && request
            .requested_upgrade()
            .is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

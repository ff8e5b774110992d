//! Sending a permitted request on, and its answer back: both as they come, neither kept.
//!
//! A request whose bytes the upstream may have read is never sent a second time.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use sentinel_core::credential::keep_only;
use sentinel_core::decision::Permit;
use sentinel_core::network::ClientIp;
use sentinel_core::profile::Carrier;

use crate::body::{RequestBody, ResponseBody, UpstreamBody};
use crate::config::HostHeader;
use crate::headers;
use crate::listener::Peer;
use crate::upgrade;
use crate::upstream::{Connection, ExchangeError, UpstreamError};
use crate::worker::Worker;

/// How many idle connections may turn out closed before a fresh one is made.
const STALE_CONNECTIONS_MAX: usize = 3;

/// Why a request could not be forwarded.
#[derive(Debug)]
pub(crate) enum ForwardError {
    /// The upstream's fault.
    Upstream(UpstreamError),
    /// The client broke its own request off.
    ClientGone,
}

impl From<UpstreamError> for ForwardError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Broken(error) if error.is_user() => Self::ClientGone,
            error => Self::Upstream(error),
        }
    }
}

/// Forwards a request that has a permit. `checked` is where the checked credential stands; no other goes on.
pub(crate) async fn forward(
    permit: Permit,
    worker: &Rc<Worker>,
    peer: &Peer,
    mut request: Request<Incoming>,
    client_ip: ClientIp,
    checked: Option<&Carrier>,
) -> Result<Response<ResponseBody>, ForwardError> {
    // Nothing beyond this line asks whether the request may go on: the permit is the answer, and it is used up here.
    drop(permit);
    let protocol = headers::requested_upgrade(request.headers());
    let clients_side = protocol.as_ref().map(|_| hyper::upgrade::on(&mut request));
    let mut request = prepare(worker, peer, request, client_ip, checked);
    if let (Some(protocol), Some(clients_side)) = (protocol, clients_side) {
        headers::set_upgrade(request.headers_mut(), protocol);
        return Box::pin(upgrade::forward(worker, request, clients_side)).await;
    }
    let (response, connection) = exchange(worker, request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(UpstreamError::UnaskedUpgrade.into());
    }
    let response = response.map(|incoming| UpstreamBody::new(incoming, connection, Rc::clone(worker)));
    Ok(release_if_empty(strip(response))
        .await
        .map(ResponseBody::Upstream))
}

/// The request as the upstream gets it.
fn prepare(
    worker: &Worker,
    peer: &Peer,
    request: Request<Incoming>,
    client_ip: ClientIp,
    checked: Option<&Carrier>,
) -> Request<RequestBody> {
    let shared = &worker.shared;
    let (mut head, body) = request.into_parts();
    head.extensions.clear();
    head.version = Version::HTTP_11;
    if head.uri.authority().is_some() {
        let target = head.uri.path_and_query().cloned();
        head.uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
    keep_only(&shared.profile, checked, &mut head.headers, &mut head.uri);
    headers::strip_request(&mut head.headers, peer.is_trusted());
    headers::set_forwarding(&mut head.headers, peer.address_value(client_ip));
    if shared.host_header == HostHeader::Upstream {
        headers::set_host(&mut head.headers, shared.upstream.authority().clone());
    }
    Request::from_parts(head, RequestBody::new(body))
}

/// Sends the request on an idle connection or a fresh one, and waits for the head of the answer.
async fn exchange(
    worker: &Worker,
    mut request: Request<RequestBody>,
) -> Result<(Response<Incoming>, Connection), UpstreamError> {
    for attempt in 0..=STALE_CONNECTIONS_MAX {
        let idle = if attempt < STALE_CONNECTIONS_MAX {
            worker.pool.take_idle().await
        } else {
            None
        };
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(worker).await?,
        };
        if connection.served_before() {
            worker.figures().upstream_reused.increment();
        }
        request.body_mut().mark_progress(connection.progress());
        match connection.exchange(request).await {
            Ok(response) => return Ok((response, connection)),
            Err(ExchangeError::Unsent(unsent)) => {
                worker.figures().upstream_retried.increment();
                request = *unsent;
            }
            Err(ExchangeError::Broken(error)) => return Err(UpstreamError::Broken(error)),
            Err(ExchangeError::Silent) => return Err(UpstreamError::Silent),
        }
    }
    Err(UpstreamError::ClosedUnused)
}

/// A fresh connection to the upstream.
pub(crate) async fn connect(worker: &Worker) -> Result<Connection, UpstreamError> {
    let connection = worker.pool.connect().await?;
    worker.figures().upstream_connected.increment();
    Ok(connection)
}

/// The answer as the client gets it.
pub(crate) fn strip<B>(mut response: Response<B>) -> Response<B> {
    headers::strip_response(response.headers_mut());
    response.extensions_mut().clear();
    response
}

/// An answer without a body is over already: nobody will poll it to its end.
async fn release_if_empty(mut response: Response<UpstreamBody>) -> Response<UpstreamBody> {
    let body = response.body_mut();
    if body.is_over() {
        poll_fn(|context| {
            body.release(context);
            Poll::Ready(())
        })
        .await;
    }
    response
}

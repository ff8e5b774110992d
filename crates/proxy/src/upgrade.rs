//! Tunnels: WebSocket and other upgrades. Bytes are spliced only after the upstream has switched with a 101; any other answer
//! goes back as an ordinary one. The two directions end one by one, as their senders end them.

use std::rc::Rc;

use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::time::timeout;

use crate::body::{RequestBody, ResponseBody, UpstreamBody};
use crate::forward::{ForwardError, connect, strip};
use crate::headers;
use crate::upstream::UpstreamError;
use crate::worker::Worker;

/// The most bytes that a tunnel holds in each direction.
const TUNNEL_BUFFER_BYTES_MAX: usize = 16 * 1024;

/// Forwards a request that asks to switch protocols, always on a connection of its own.
pub(crate) async fn forward(
    worker: &Rc<Worker>,
    mut request: Request<RequestBody>,
    clients_side: OnUpgrade,
) -> Result<Response<ResponseBody>, ForwardError> {
    let connection = connect(worker).await?;
    request.body_mut().mark_progress(connection.progress());
    let (mut sender, driver) = connection.into_parts();
    tokio::task::spawn_local(async move {
        // How it ended is told to whoever waits for its answer or its other half.
        let _ = driver.with_upgrades().await;
    });
    let answer = timeout(worker.shared.bounds.stream_idle, sender.send_request(request));
    let mut response = answer
        .await
        .map_err(|_| UpstreamError::Silent)?
        .map_err(UpstreamError::Broken)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let incoming = |incoming| UpstreamBody::driven_elsewhere(incoming, Rc::clone(worker));
        return Ok(strip(response).map(incoming).map(ResponseBody::Upstream));
    }
    let protocol = headers::requested_upgrade(response.headers()).ok_or(UpstreamError::UnaskedUpgrade)?;
    let upstreams_side = hyper::upgrade::on(&mut response);
    tokio::task::spawn_local(splice(Rc::clone(worker), clients_side, upstreams_side));
    let mut response = strip(response).map(|_| ResponseBody::Own(None));
    headers::set_upgrade(response.headers_mut(), protocol);
    Ok(response)
}

/// Passes bytes both ways until both directions have ended or one of them breaks.
async fn splice(worker: Rc<Worker>, clients_side: OnUpgrade, upstreams_side: OnUpgrade) {
    let (Ok(client), Ok(upstream)) = futures_util::future::join(clients_side, upstreams_side).await else {
        return;
    };
    let _open = OpenTunnel::new(Rc::clone(&worker));
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    let bytes = TUNNEL_BUFFER_BYTES_MAX;
    let ended = copy_bidirectional_with_sizes(&mut client, &mut upstream, bytes, bytes).await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a tunnel broke");
    }
}

/// Counts a tunnel while it is open.
struct OpenTunnel(Rc<Worker>);

impl OpenTunnel {
    fn new(worker: Rc<Worker>) -> Self {
        worker.figures().tunnels_open.increment();
        Self(worker)
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.figures().tunnels_open.decrement();
    }
}

//! Tunnels: WebSocket connections, spliced only after the upstream has switched with a 101. The two directions end one by one,
//! as their senders end them.

use std::rc::Rc;

use tokio::io::copy_bidirectional_with_sizes;

use crate::client::Stream;
use crate::exchange::Exchange;
use crate::http1::response::ResponseHead;
use crate::worker::Worker;

/// The most bytes that a tunnel holds in each direction.
const TUNNEL_BUFFER_BYTES_MAX: usize = 16 * 1024;

/// Passes bytes both ways until both directions have ended or one of them breaks. The 101 is among the client's outbound bytes already.
pub(crate) async fn tunnel<S: Stream>(worker: &Rc<Worker>, exchange: Exchange<'_, S>, head: ResponseHead) {
    let _open = OpenTunnel::new(Rc::clone(worker));
    let Exchange {
        client, mut upstream, ..
    } = exchange;
    // What came early is passed on first: behind the 101, and behind the request.
    client.outbound.buffer().extend_from_slice(head.following());
    drop(head);
    upstream.outbound.buffer().append(&mut client.inbound);
    let silence_max = worker.shared.bounds.stream_idle;
    if !client.flush(silence_max).await || !upstream.flush(silence_max).await {
        return;
    }
    let bytes = TUNNEL_BUFFER_BYTES_MAX;
    let ended = copy_bidirectional_with_sizes(&mut client.stream, &mut upstream.stream, bytes, bytes).await;
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

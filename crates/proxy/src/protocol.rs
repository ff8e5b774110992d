//! What a client speaks: TLS or not, then HTTP/1.1 or HTTP/2. Decided here once for each connection, and nothing else is.

mod rewound;

use std::rc::Rc;

use tokio::net::TcpStream;

use crate::client::Stream;
use crate::connection::{self, Place};
use crate::http2;
use crate::listener::{Door, Peer};
use crate::tls::{HANDSHAKE_TIMEOUT, Tls, agreed_on_http2};
use crate::worker::Worker;

use rewound::Rewound;

/// Serves an accepted connection, whatever is spoken on it.
pub(crate) async fn serve(worker: Rc<Worker>, peer: &Peer, stream: TcpStream) {
    let tls = worker.shared.tls.as_ref();
    match tls.filter(|_| peer.door() == Door::Proxy) {
        None => serve_http(&worker, peer, stream).await,
        // What TLS needs is large: it has no place in the memory of connections without it.
        Some(tls) => Box::pin(serve_tls(&worker, peer, tls, stream)).await,
    }
}

async fn serve_tls(worker: &Rc<Worker>, peer: &Peer, tls: &Tls, stream: TcpStream) {
    let limit = HANDSHAKE_TIMEOUT.min(worker.shared.bounds.header_timeout);
    let place = Place::enter(Rc::clone(worker)).await;
    let shaken = place.while_serving(limit, tls.accept(stream)).await;
    drop(place);
    let stream = match shaken {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        None => return,
    };
    if agreed_on_http2(&stream) {
        http2::serve(worker, peer, stream).await;
    } else {
        serve_http(worker, peer, stream).await;
    }
}

/// HTTP/1.1, unless the client's first bytes are those of HTTP/2.
async fn serve_http<S: Stream>(worker: &Rc<Worker>, peer: &Peer, stream: S) {
    if let Some(client) = connection::serve(Rc::clone(worker), peer, stream).await {
        let stream = Rewound::new(client.inbound, client.stream);
        Box::pin(http2::serve(worker, peer, stream)).await;
    }
}

//! Accepting connections on one worker, and serving each until it closes, drains or is cut.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::network::{ClientIp, PeerAddr};
use sentinel_core::proxy_protocol::{self, ProxyHeader};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout};

use crate::connections::Phase;
use crate::live::{self, Changes};
use crate::protocol;
use crate::upstream::tune;
use crate::worker::Worker;

/// How long to wait after the kernel refused to give a connection, as it does when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a trusted proxy may take for its PROXY protocol header.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often idle upstream connections are looked through.
const REAP_INTERVAL: Duration = Duration::from_secs(1);

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    address: PeerAddr,
    ip: ClientIp,
    text: Box<str>,
    is_trusted: bool,
    scheme: &'static str,
    /// Whom the PROXY protocol named.
    proxied: Option<ClientIp>,
}

impl Peer {
    fn new(worker: &Worker, address: SocketAddr) -> Self {
        let address = PeerAddr(address);
        let ip = address.ip();
        Self {
            address,
            ip,
            text: ip.to_string().into_boxed_str(),
            is_trusted: worker.shared.client_ip.is_trusted(ip),
            scheme: if worker.shared.tls.is_some() {
                "https"
            } else {
                "http"
            },
            proxied: None,
        }
    }

    /// The socket's other end.
    pub(crate) fn address(&self) -> PeerAddr {
        self.address
    }

    /// Its address.
    pub(crate) fn ip(&self) -> ClientIp {
        self.ip
    }

    /// Whom a trusted proxy named before the first request.
    pub(crate) fn proxied(&self) -> Option<ClientIp> {
        self.proxied
    }

    /// Whether it is a trusted proxy.
    pub(crate) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// What its client calls us by: `https` over TLS, else `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// A client's address as text; made once per connection where the peer is the client.
    pub(crate) fn address_text(&self, client_ip: ClientIp) -> Cow<'_, [u8]> {
        if client_ip == self.ip {
            Cow::Borrowed(self.text.as_bytes())
        } else {
            Cow::Owned(client_ip.to_string().into_bytes())
        }
    }
}

/// Accepts until the phase says otherwise, then waits until every connection has ended or is to be cut.
pub(crate) async fn run(
    worker: Rc<Worker>,
    listener: TcpListener,
    connections_max: usize,
    mut phase: watch::Receiver<Phase>,
    changes: Changes,
) {
    tokio::task::spawn_local(watch_bindings(Rc::clone(&worker), changes));
    let permits = Arc::new(Semaphore::new(connections_max));
    let mut reap = interval(REAP_INTERVAL);
    reap.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = accept(&listener, &permits) => {
                let (stream, address, permit) = accepted;
                let worker = Rc::clone(&worker);
                tokio::task::spawn_local(async move {
                    serve(worker, stream, address).await;
                    drop(permit);
                });
            }
            _ = reap.tick() => worker.pool.reap(),
            _ = phase.changed() => break,
        }
    }
    drop(listener);
    drain(&worker, &permits, connections_max, phase).await;
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Judges what is under way anew when a binding changes, and now and then. Ends with the worker.
async fn watch_bindings(worker: Rc<Worker>, mut changes: Changes) {
    // Nothing is under way yet, so the first look is after the interval.
    let mut recheck = interval_at(Instant::now() + live::RECHECK_INTERVAL, live::RECHECK_INTERVAL);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            change = changes.next() => live::apply(&worker, change).await,
            _ = recheck.tick() => live::recheck(&worker).await,
        }
    }
}

/// Passes each change of phase on to the open connections until none is left.
async fn drain(
    worker: &Worker,
    permits: &Semaphore,
    connections_max: usize,
    mut phase: watch::Receiver<Phase>,
) {
    let all = u32::try_from(connections_max).unwrap_or(u32::MAX);
    let mut ended = pin!(permits.acquire_many(all));
    loop {
        let now = *phase.borrow_and_update();
        worker.connections.borrow_mut().change_phase(now);
        tokio::select! {
            _ = &mut ended => return,
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}

/// Serves one connection, unless its address has too many already.
async fn serve(worker: Rc<Worker>, mut stream: TcpStream, address: SocketAddr) {
    if let Err(error) = tune(&stream) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    let mut peer = Peer::new(&worker, address);
    let Some(open) = OpenConnection::enter(Rc::clone(&worker), &peer) else {
        worker.figures().connections_refused.increment();
        return;
    };
    if worker.shared.client_ip.expects_proxy_header(peer.address) {
        match timeout(PROXY_HEADER_TIMEOUT, read_proxy_header(&mut stream)).await {
            Ok(Ok(header)) => peer.proxied = header.client,
            outcome => {
                tracing::debug!(?outcome, peer = %peer.ip, "a trusted proxy sent no PROXY protocol header");
                return;
            }
        }
    }
    protocol::serve(worker, &peer, stream).await;
    drop(open);
}

/// Reads the header and not a byte more: what follows it belongs to somebody else.
async fn read_proxy_header(stream: &mut TcpStream) -> std::io::Result<ProxyHeader> {
    let mut bytes = Vec::new();
    loop {
        let malformed = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        if let Some(header) = proxy_protocol::parse(&bytes).map_err(malformed)? {
            return Ok(header);
        }
        let start = bytes.len();
        bytes.resize(start + proxy_protocol::bytes_wanted(&bytes), 0);
        stream.read_exact(&mut bytes[start..]).await?;
    }
}

/// A client's connection, counted while it is open, however it ends.
struct OpenConnection {
    worker: Rc<Worker>,
    counted: Option<ClientIp>,
}

impl OpenConnection {
    /// None when the address has too many already.
    fn enter(worker: Rc<Worker>, peer: &Peer) -> Option<Self> {
        let most = worker.connections_per_address_max();
        let counted = (most > 0 && !peer.is_trusted()).then_some(peer.ip());
        if let Some(address) = counted
            && !worker.per_address.borrow_mut().enter(address, most)
        {
            return None;
        }
        worker.figures().connections_accepted.increment();
        worker.figures().connections_open.increment();
        Some(Self { worker, counted })
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        if let Some(address) = self.counted {
            self.worker.per_address.borrow_mut().leave(address);
        }
        self.worker.figures().connections_open.decrement();
    }
}

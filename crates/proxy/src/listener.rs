//! Accepting connections on one worker, and serving each until it closes, drains or is cut.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join;
use sentinel_core::client_ip::ClientIpRules;
use sentinel_core::network::{ClientIp, PeerAddr};
use sentinel_core::proxy_protocol::{self, ProxyHeader};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout};

use crate::admission::{Accepted, Share};
use crate::config::ForwardAuth;
use crate::connections::Phase;
use crate::live::{self, Changes, Heard};
use crate::protocol;
use crate::upstream::tune;
use crate::worker::Worker;

/// How long to wait after the kernel refused to give a connection, as it does when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a trusted proxy may take for its PROXY protocol header.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often idle upstream connections are looked through.
const REAP_INTERVAL: Duration = Duration::from_secs(1);

/// Which listener a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// That of clients: their requests are forwarded.
    Proxy,
    /// That of other proxies: they ask whether a request may go on.
    ForwardAuth,
}

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    door: Door,
    address: PeerAddr,
    ip: ClientIp,
    text: Box<str>,
    vouches: bool,
    scheme: &'static str,
    /// Whom the PROXY protocol named.
    proxied: Option<ClientIp>,
    /// For whom its connections count; for nobody those of a trusted proxy.
    counted: Option<ClientIp>,
}

impl Peer {
    fn new(worker: &Worker, address: SocketAddr, door: Door) -> Self {
        let address = PeerAddr(address);
        let ip = address.ip();
        let is_trusted = rules(worker, door).is_trusted(ip);
        Self {
            door,
            address,
            ip,
            text: ip.to_string().into_boxed_str(),
            vouches: is_trusted,
            scheme: if worker.shared.tls.is_some() {
                "https"
            } else {
                "http"
            },
            proxied: None,
            counted: (!is_trusted).then_some(ip),
        }
    }

    /// Takes over whom a trusted proxy named before the first request. It passes bytes on, and so does not vouch for what stands in them.
    fn name(&mut self, worker: &Worker, client: Option<ClientIp>) {
        self.vouches = false;
        self.proxied = client;
        let rules = self.rules(worker);
        self.counted = client.filter(|client| !rules.is_trusted(*client));
    }

    /// Whom its listener believes about client addresses.
    pub(crate) fn rules<'w>(&self, worker: &'w Worker) -> &'w ClientIpRules {
        rules(worker, self.door)
    }

    /// What the listener is told that it came to, if that is the one of other proxies.
    pub(crate) fn forward_auth<'w>(&self, worker: &'w Worker) -> Option<&'w ForwardAuth> {
        forward_auth(worker, self.door)
    }

    /// Which listener it came to.
    pub(crate) fn door(&self) -> Door {
        self.door
    }

    /// For whom its connections and streams count; for nobody those of a trusted proxy, which stands for many clients.
    pub(crate) fn counted(&self) -> Option<ClientIp> {
        self.counted
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

    /// Whether it is a trusted proxy that writes headers: then its word on the client's scheme and host stands.
    pub(crate) fn vouches(&self) -> bool {
        self.vouches
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

fn forward_auth(worker: &Worker, door: Door) -> Option<&ForwardAuth> {
    let forward_auth = worker.shared.forward_auth.as_ref();
    forward_auth.filter(|_| door == Door::ForwardAuth)
}

fn rules(worker: &Worker, door: Door) -> &ClientIpRules {
    forward_auth(worker, door).map_or(&worker.shared.client_ip, ForwardAuth::client_ip)
}

/// A worker's listeners.
pub(crate) struct Listeners {
    /// That of clients.
    pub(crate) proxy: TcpListener,
    /// That of other proxies, if there is one.
    pub(crate) forward_auth: Option<TcpListener>,
}

/// Accepts until the phase says otherwise, then waits until every connection has ended or is to be cut.
pub(crate) async fn run(
    worker: Rc<Worker>,
    listeners: Listeners,
    mut phase: watch::Receiver<Phase>,
    heard: Heard,
) {
    tokio::task::spawn_local(watch_bindings(Rc::clone(&worker), heard.changes));
    tokio::task::spawn_local(live::asked::answer(Rc::clone(&worker), heard.questions));
    let mut reap = interval(REAP_INTERVAL);
    reap.set_missed_tick_behavior(MissedTickBehavior::Delay);
    {
        let accepting = async {
            let proxy = accept_all(&worker, &listeners.proxy, Door::Proxy);
            match &listeners.forward_auth {
                Some(asked) => drop(join(proxy, accept_all(&worker, asked, Door::ForwardAuth)).await),
                None => proxy.await,
            }
        };
        let mut accepting = pin!(accepting);
        loop {
            tokio::select! {
                () = &mut accepting => {}
                _ = reap.tick() => worker.pool.reap(),
                _ = phase.changed() => break,
            }
        }
    }
    drop(listeners);
    drain(&worker, phase).await;
}

/// Serves each connection in a task of its own. When all places are taken the next one waits here for its turn, and others in the kernel's queue:
/// a worker to which nobody connects keeps no place from another.
async fn accept_all(worker: &Rc<Worker>, listener: &TcpListener, door: Door) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let accepted = Accepted::new(worker, worker.shared.places.wait().await);
        let worker = Rc::clone(worker);
        tokio::task::spawn_local(async move {
            serve(worker, stream, address, door).await;
            drop(accepted);
        });
    }
}

/// Judges what is under way anew when a binding changes, and now and then. Ends with the worker.
async fn watch_bindings(worker: Rc<Worker>, mut changes: Changes) {
    // Nothing is under way yet, so the first look is after the interval.
    let mut recheck = interval_at(Instant::now() + live::RECHECK_INTERVAL, live::RECHECK_INTERVAL);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_known = tokio::select! {
            change = changes.next() => live::apply(&worker, change).await,
            _ = recheck.tick() => false,
        };
        if !is_known {
            live::recheck(&worker, &mut changes).await;
        }
    }
}

/// Passes each change of phase on to the open connections until none is left.
async fn drain(worker: &Worker, mut phase: watch::Receiver<Phase>) {
    while worker.open.get() > 0 {
        let now = *phase.borrow_and_update();
        worker.connections.borrow_mut().change_phase(now);
        tokio::select! {
            () = worker.all_closed.notified() => {}
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}

/// Serves one connection, unless its client has too many already.
async fn serve(worker: Rc<Worker>, mut stream: TcpStream, address: SocketAddr, door: Door) {
    if let Err(error) = tune(&stream) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    let mut peer = Peer::new(&worker, address, door);
    if peer.rules(&worker).expects_proxy_header(peer.address) {
        match timeout(PROXY_HEADER_TIMEOUT, read_proxy_header(&mut stream)).await {
            Ok(Ok(Some(header))) => peer.name(&worker, header.client),
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return complain_of_proxy(&worker, &peer, &error),
            Err(error) => return complain_of_proxy(&worker, &peer, &error),
        }
    }
    let Some(share) = Share::take(&worker, peer.counted()) else {
        worker.figures().connections_refused.increment();
        return;
    };
    worker.figures().connections_accepted.increment();
    protocol::serve(worker, &peer, stream).await;
    drop(share);
}

/// Every client behind such a proxy is turned away, and hears nothing of why: the operator has to.
fn complain_of_proxy(worker: &Worker, peer: &Peer, error: &dyn std::fmt::Display) {
    worker.figures().proxy_headers_missing.increment();
    if worker.may_complain() {
        tracing::warn!(
            %error,
            peer = %peer.ip,
            "a trusted proxy's connection was closed: it did not begin with a PROXY protocol header. Let the proxy send one, or choose another \
             SENTINEL_CLIENT_IP_HEADER"
        );
    }
}

/// Reads the header and not a byte more: what follows it belongs to somebody else. None when the peer leaves without a word, as balancers do
/// that only see whether anybody listens.
async fn read_proxy_header(stream: &mut TcpStream) -> std::io::Result<Option<ProxyHeader>> {
    if !matches!(stream.peek(&mut [0]).await, Ok(1..)) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    loop {
        let malformed = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        if let Some(header) = proxy_protocol::parse(&bytes).map_err(malformed)? {
            return Ok(Some(header));
        }
        let start = bytes.len();
        bytes.resize(start + proxy_protocol::bytes_wanted(&bytes), 0);
        stream.read_exact(&mut bytes[start..]).await?;
    }
}

//! An upstream on a port of its own that records what it sees and answers as a test scripted it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::answer::Answer;
use crate::connection;
use crate::framing::parse_head;
use crate::wait::bounded;

/// The most bytes of one body that are kept; all are counted.
pub(crate) const BODY_BYTES_KEPT_MAX: usize = 1024 * 1024;

/// One request as the upstream saw it.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// The head as it came, with its final empty line.
    pub head: Vec<u8>,
    /// The method.
    pub method: String,
    /// The target as it was written: path and query.
    pub target: String,
    /// The headers, lines in order within one name.
    pub headers: HeaderMap,
    /// The body so far, without its framing, at most the first 1 MiB.
    pub body: Vec<u8>,
    /// How many bytes of body came so far.
    pub body_bytes: u64,
    /// Whether the body is complete.
    pub complete: bool,
}

impl SeenRequest {
    pub(crate) fn new(connection: usize, head: Vec<u8>) -> Self {
        let (line, headers) = parse_head(&head);
        let mut words = line.split(' ').map(str::to_owned);
        Self {
            connection,
            head,
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            headers,
            body: Vec::new(),
            body_bytes: 0,
            complete: false,
        }
    }

    /// All values of a header, in order.
    pub fn header_values(&self, name: &str) -> Vec<String> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }

    /// The only value of a header; none when it is absent. Panics when there are several.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.header_values(name);
        assert!(values.len() <= 1, "{name} came {} times", values.len());
        values.pop()
    }
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<SeenRequest>,
    pub(crate) connections: usize,
    pub(crate) closed_by_client: usize,
    pub(crate) closed: usize,
    pub(crate) tunnelled: Vec<u8>,
}

/// What the connections share with the test.
pub(crate) struct Shared {
    pub(crate) seen: watch::Sender<Seen>,
    pub(crate) close: watch::Sender<CloseOrder>,
    queued: Mutex<VecDeque<Answer>>,
    otherwise: Box<dyn Fn(&SeenRequest) -> Answer + Send + Sync>,
}

/// Which connections the test wants closed: those that existed before the order was given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CloseOrder {
    /// Connections below this number that wait for a request.
    pub(crate) idle_below: usize,
    /// Connections below this number, whatever they do.
    pub(crate) all_below: usize,
}

impl Shared {
    pub(crate) fn answer_for(&self, request: &SeenRequest) -> Answer {
        let queued = self
            .queued
            .lock()
            .expect("no test panics while it queues")
            .pop_front();
        queued.unwrap_or_else(|| (self.otherwise)(request))
    }
}

/// An HTTP/1.1 upstream on 127.0.0.1. Dropping it closes its listener and all its connections.
pub struct ScriptedUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

impl ScriptedUpstream {
    /// Answers every request with `answer`, unless [`ScriptedUpstream::answer_next`] queued another.
    pub async fn start(answer: Answer) -> Self {
        Self::start_with(move |_| answer.clone()).await
    }

    /// Answers every request as `script` says, unless [`ScriptedUpstream::answer_next`] queued another.
    pub async fn start_with(script: impl Fn(&SeenRequest) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            seen: watch::Sender::default(),
            close: watch::Sender::default(),
            queued: Mutex::default(),
            otherwise: Box::new(script),
        });
        let acceptor = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            acceptor,
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL without a path: `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Queues the answer to the next request that no earlier call has taken.
    pub fn answer_next(&self, answer: Answer) {
        self.shared
            .queued
            .lock()
            .expect("no test panics while it queues")
            .push_back(answer);
    }

    /// The requests so far, in the order of their heads' arrival.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.seen.borrow().requests.clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.seen.borrow().connections
    }

    /// Waits until `count` heads have arrived and gives all requests.
    pub async fn wait_for_requests(&self, count: usize) -> Vec<SeenRequest> {
        self.wait_until(&format!("{count} requests at the upstream"), |seen| {
            seen.requests.len() >= count
        })
        .await;
        self.requests()
    }

    /// Waits until the body of request `index` is complete and gives the request.
    pub async fn wait_for_body(&self, index: usize) -> SeenRequest {
        self.wait_until(&format!("the whole body of request {index}"), |seen| {
            seen.requests.get(index).is_some_and(|request| request.complete)
        })
        .await;
        self.requests().swap_remove(index)
    }

    /// Waits until at least `bytes` of the body of request `index` have arrived.
    pub async fn wait_for_body_bytes(&self, index: usize, bytes: u64) {
        self.wait_until(&format!("{bytes} bytes of the body of request {index}"), |seen| {
            seen.requests
                .get(index)
                .is_some_and(|request| request.body_bytes >= bytes)
        })
        .await;
    }

    /// Waits until `count` connections were closed by their client, in an orderly way or not.
    pub async fn wait_for_clients_gone(&self, count: usize) {
        self.wait_until(&format!("{count} connections closed by the client"), |seen| {
            seen.closed_by_client >= count
        })
        .await;
    }

    /// Waits until this many bytes came through tunnels and gives them.
    pub async fn wait_for_tunnelled(&self, bytes: usize) -> Vec<u8> {
        self.wait_until(&format!("{bytes} tunnelled bytes"), |seen| {
            seen.tunnelled.len() >= bytes
        })
        .await;
        self.shared.seen.borrow().tunnelled.clone()
    }

    /// Closes the connections that wait for their next request, and returns once they are closed here.
    pub async fn close_idle(&self) {
        let connections = self.connections();
        let closed = self.shared.seen.borrow().closed;
        self.shared
            .close
            .send_modify(|order| order.idle_below = connections);
        self.wait_until("an idle connection to close", |seen| seen.closed > closed)
            .await;
    }

    /// Closes every connection, whatever it does, and returns once they are closed here.
    pub async fn close_all(&self) {
        let connections = self.connections();
        self.shared
            .close
            .send_modify(|order| order.all_below = connections);
        self.wait_until("every connection to close", |seen| seen.closed >= connections)
            .await;
    }

    async fn wait_until(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let mut changes = self.shared.seen.subscribe();
        bounded(what, changes.wait_for(condition))
            .await
            .expect("the upstream holds the sender");
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.shared
            .close
            .send_modify(|order| order.all_below = usize::MAX);
    }
}

/// An address on 127.0.0.1 where nothing listens, nor ever will while the test's process runs: the port is taken, and no connection
/// to it is.
pub async fn unreachable_address() -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind((Ipv4Addr::LOCALHOST, 0).into())
        .expect("a free port on 127.0.0.1");
    let address = socket.local_addr().expect("a bound socket has an address");
    // Given back with the process; until then nobody else gets the port.
    std::mem::forget(socket);
    address
}

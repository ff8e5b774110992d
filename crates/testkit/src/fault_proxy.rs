//! A TCP proxy between a client and a server that fails the way networks do, when a test says so: late, slow, silent,
//! deaf on one side, cut, or not there. Must never lose a byte of a stream that then goes on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::relay::Relay;
use crate::process::HeldPort;
use crate::wait::bounded;

mod relay;

#[cfg(test)]
mod tests;

/// The most connections at once; more are reset.
pub const PROXIED_CONNECTIONS_MAX: usize = 256;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What goes wrong between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: all bytes pass at once.
    None,
    /// All bytes arrive, this much later each way. Streams keep their pace: what follows is not delayed twice.
    Delay {
        /// How much later the server gets what the client sends.
        to_server: Duration,
        /// How much later the client gets what the server sends.
        to_client: Duration,
    },
    /// All bytes arrive, but each way no more than this many a second; at least 1.
    Throttle {
        /// How many.
        bytes_per_second: u32,
    },
    /// Connections are accepted and what comes is swallowed: nobody ever hears anything. A connection that lost bytes
    /// is reset as soon as it could go on.
    Blackhole,
    /// What the client sends is swallowed, as above; what the server sends passes.
    DropToServer,
    /// What the server sends is swallowed, as above; what the client sends passes.
    DropToClient,
    /// New connections are refused: nothing listens. Open ones go on; see [`FaultProxy::cut`].
    Refuse,
}

/// A proxy in front of one server, with one [`Fault`] at a time. It is gone, and its connections with it, when dropped.
pub struct FaultProxy {
    server: SocketAddr,
    port: HeldPort,
    fault: watch::Sender<Fault>,
    swallowed_bytes: watch::Sender<u64>,
    connections: Arc<Mutex<JoinSet<()>>>,
    accepting: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl FaultProxy {
    /// A proxy on a free port of `127.0.0.1` that passes everything on to `server`, for now.
    pub async fn in_front_of(server: SocketAddr) -> Self {
        let proxy = Self {
            server,
            port: HeldPort::new(),
            fault: watch::Sender::new(Fault::None),
            swallowed_bytes: watch::Sender::new(0),
            connections: Arc::default(),
            accepting: tokio::sync::Mutex::default(),
        };
        proxy.set(Fault::None).await;
        proxy
    }

    /// Where clients connect to instead of the server.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// From now on, and on all connections, this goes wrong and nothing else.
    pub async fn set(&self, fault: Fault) {
        let mut accepting = self.accepting.lock().await;
        self.swallowed_bytes.send_replace(0);
        self.fault.send_replace(fault);
        if fault == Fault::Refuse {
            if let Some(task) = accepting.take() {
                task.abort();
                // The listener is closed once the task is gone.
                let _ = task.await;
            }
        } else if accepting.is_none() {
            *accepting = Some(self.accept());
        }
    }

    /// Waits until bytes have been swallowed since the fault was set: until a request is lost for certain.
    pub async fn swallowed(&self) {
        let mut bytes = self.swallowed_bytes.subscribe();
        let some = bytes.wait_for(|bytes| *bytes > 0);
        bounded("bytes to be swallowed", some)
            .await
            .expect("the sender is ours");
    }

    /// Resets all connections that are open, and waits until they are closed. New ones are accepted as before.
    pub async fn cut(&self) {
        let mut open = std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        bounded("the connections to close", open.shutdown()).await;
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        open_ones(&mut self.connections.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Listens, and accepts in a task of its own.
    fn accept(&self) -> JoinHandle<()> {
        let listener = listen(self.address());
        let connections = Arc::clone(&self.connections);
        let relay = Relay {
            server: self.server,
            faults: self.fault.subscribe(),
            swallowed_bytes: self.swallowed_bytes.clone(),
        };
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a listener accepts");
                let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
                if open_ones(&mut connections) == PROXIED_CONNECTIONS_MAX {
                    let _ = client.set_zero_linger();
                } else {
                    connections.spawn(relay.clone().run(client));
                }
            }
        })
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.get_mut().take() {
            task.abort();
        }
        // A set that is dropped aborts its tasks; the accepting one may hold on to this one for a moment more.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_reuseaddr(true)
        .expect("a socket that others may share");
    socket.bind(address).expect("a port that is held for us");
    socket.listen(BACKLOG).expect("nobody else listens there")
}

fn open_ones(connections: &mut JoinSet<()>) -> usize {
    while connections.try_join_next().is_some() {}
    connections.len()
}

//! What stands in front of an upstream in a test: it can be stopped and started again on the same port, and speak TLS.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Passes every connection on.
pub(super) struct Relay {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(super) async fn start(to: SocketAddr) -> Self {
        Self::start_on(([127, 0, 0, 1], 0).into(), to).await
    }

    pub(super) async fn start_on(on: SocketAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind(on).await.expect("the port is free");
        Self::run(listener, to, None)
    }

    pub(super) async fn start_tls(to: SocketAddr, acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        Self::run(listener, to, Some(acceptor))
    }

    fn run(listener: TcpListener, to: SocketAddr, acceptor: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let accepting = tokio::spawn(async move {
            // Dropped with the task, and with it every connection.
            let mut connections = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let Some(acceptor) = acceptor else {
                        return pass(client, to).await;
                    };
                    if let Ok(client) = acceptor.accept(client).await {
                        pass(client, to).await;
                    }
                });
            }
        });
        Self { address, accepting }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening and closes every connection; returns when that is done.
    pub(super) async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) {
    if let Ok(mut upstream) = TcpStream::connect(to).await {
        let _ = copy_bidirectional(&mut client, &mut upstream).await;
    }
}

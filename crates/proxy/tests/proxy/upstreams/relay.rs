//! What stands in front of an upstream in a test: it can be stopped and started again on the same port, and speak TLS.

use std::net::SocketAddr;

use sentinel_testkit::HeldPort;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Passes every connection on.
pub(super) struct Relay {
    port: HeldPort,
    /// One task; it ends with this.
    accepting: JoinSet<()>,
}

impl Relay {
    pub(super) async fn start(to: SocketAddr) -> Self {
        Self::start_on(HeldPort::new(), to).await
    }

    pub(super) async fn start_on(port: HeldPort, to: SocketAddr) -> Self {
        Self::run(port, to, None).await
    }

    pub(super) async fn start_tls(to: SocketAddr, acceptor: TlsAcceptor) -> Self {
        Self::run(HeldPort::new(), to, Some(acceptor)).await
    }

    async fn run(port: HeldPort, to: SocketAddr, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(port.address())
            .await
            .expect("the port is held for us");
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
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
        Self { port, accepting }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Stops listening and closes every connection. Gives the port, on which nobody answers until somebody starts there again.
    pub(super) async fn stop(self) -> HeldPort {
        let Self { port, mut accepting } = self;
        accepting.shutdown().await;
        port
    }
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) {
    if let Ok(mut upstream) = TcpStream::connect(to).await {
        let _ = copy_bidirectional(&mut client, &mut upstream).await;
    }
}

//! A port on the loopback address that is ours for as long as we hold it, whether or not a server listens on it.
//! Must never listen itself.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A socket that is bound and never listens. The system gives its port to nobody who asks for a free one, yet a
/// server that sets `SO_REUSEADDR`, as all of them do, may listen on it; while none does, connecting is refused. So
/// a server finds its port free at every start, and nobody else answers there in between.
pub struct HeldPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl HeldPort {
    /// Takes a port that is free now.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_reuseaddr(true)
            .expect("a socket that others may share");
        socket
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("a free port on 127.0.0.1");
        let address = socket.local_addr().expect("a bound socket has an address");
        Self {
            address,
            _socket: socket,
        }
    }

    /// The port, on `127.0.0.1`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for HeldPort {
    fn default() -> Self {
        Self::new()
    }
}

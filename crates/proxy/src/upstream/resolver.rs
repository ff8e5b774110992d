//! Looking names up: behind a trait, so that tests say what a name means and when.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// Looks the upstream's names up.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of a name, each with `port`. May block: it is called on a thread of its own, never on a request's path.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// As this machine is set up: `/etc/hosts`, then DNS.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (host, port).to_socket_addrs().map(Iterator::collect)
    }
}

//! Connections to the upstream, owned by one worker. A connection is driven by the task of the request that uses it: there
//! is no hop to another task. What may have been read by the upstream is never sent again.

mod connector;
mod directory;
mod endpoint;
mod health;
mod pool;
mod probe;
mod resolver;
mod stream;
mod upkeep;

use std::net::SocketAddr;
use std::time::Duration;

use sentinel_core::decision::RefusalReason;
use tokio::sync::OwnedSemaphorePermit;

use crate::http1::body::BodyError;
use crate::http1::response::ResponseError;
use crate::outbound::Outbound;

pub(crate) use connector::tune;
pub use connector::{TrustError, UpstreamTrust};
pub(crate) use directory::Directory;
pub(crate) use health::Failure;
pub(crate) use pool::{InUse, Member, Pool};
pub use probe::{AddressReport, probe};
pub use resolver::{Resolver, SystemResolver};
pub(crate) use stream::UpstreamStream;
pub(crate) use upkeep::run as keep_up;

/// How long a TCP connection may be silent before the kernel asks whether the other side is still there: below the 60 s after which the
/// most impatient NATs forget it.
pub(crate) const TCP_KEEPALIVE: Duration = Duration::from_secs(45);

/// A connection to the upstream.
pub(crate) struct Connection {
    pub(crate) stream: UpstreamStream,
    /// Bytes that the upstream has not taken yet.
    pub(crate) outbound: Outbound,
    /// Bytes of an answer's head that came already.
    pub(crate) inbound: Vec<u8>,
    /// Whether it has carried a request before.
    pub(crate) served_before: bool,
    /// Where it leads.
    pub(crate) address: InUse,
    /// Its place among those that may be open.
    place: OwnedSemaphorePermit,
}

impl Connection {
    fn fresh(stream: UpstreamStream, address: InUse, place: OwnedSemaphorePermit) -> Self {
        Self::new(stream, address, place, false)
    }

    fn used(stream: UpstreamStream, address: InUse, place: OwnedSemaphorePermit) -> Self {
        Self::new(stream, address, place, true)
    }

    fn new(stream: UpstreamStream, address: InUse, place: OwnedSemaphorePermit, served_before: bool) -> Self {
        Self {
            stream,
            outbound: Outbound::default(),
            inbound: Vec::new(),
            served_before,
            address,
            place,
        }
    }

    /// Notes what became of a request, for the choice of addresses. A used connection that breaks says little: the upstream may have
    /// been about to close it as idle.
    pub(crate) fn note(&self, outcome: Result<(), &UpstreamError>) {
        let endpoint = self.address.member().endpoint();
        match outcome {
            Ok(()) => endpoint.answered(),
            Err(error @ (UpstreamError::Broken(_) | UpstreamError::Closed)) if !self.served_before => {
                endpoint.failed(Failure::Exchange, error);
            }
            Err(_) => {}
        }
    }
}

/// Why no answer came, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// Connecting failed.
    #[error("cannot connect to the upstream at {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    /// This machine has no file, port or memory left for a connection: nothing is wrong with the address.
    #[error("no connection can be made from here: {0}")]
    Local(std::io::Error),
    /// The upstream is not who it should be, or speaks no TLS that we speak.
    #[error("no TLS with the upstream at {0}: {1}")]
    Tls(SocketAddr, std::io::Error),
    /// No address of the upstream is known.
    #[error("the upstream's name cannot be looked up: {0}")]
    Unresolved(String),
    /// The bound of concurrent attempts left no time for one.
    #[error("too many connections to the upstream are being made at once")]
    ConnectsFull,
    /// As many connections are open as may be, and none was given up in time.
    #[error("too many connections to the upstream are open")]
    ConnectionsFull,
    /// Connecting took longer than its bound.
    #[error("connecting to the upstream timed out")]
    ConnectTimeout,
    /// The connection broke.
    #[error("the upstream broke off: {0}")]
    Broken(#[from] std::io::Error),
    /// The connection ended before an answer.
    #[error("the upstream closed without an answer")]
    Closed,
    /// What came is no HTTP.
    #[error(transparent)]
    Malformed(#[from] ResponseError),
    /// The answer's body broke off.
    #[error("the upstream's answer: {0}")]
    Body(#[from] BodyError),
    /// One interim answer after the other, and no real one.
    #[error("the upstream sends interim answers only")]
    TooManyInterim,
    /// Nothing moved for longer than the bound, in either direction.
    #[error("nothing moved for too long")]
    Silent,
    /// Every connection closed before a byte of the request was sent.
    #[error("the upstream closes its connections unused")]
    ClosedUnused,
    /// The upstream switched protocols although nobody asked, or to another one.
    #[error("the upstream switched protocols unasked")]
    UnaskedUpgrade,
}

impl UpstreamError {
    /// As the client hears it.
    pub(crate) fn reason(&self) -> RefusalReason {
        match self {
            Self::ConnectTimeout | Self::ConnectsFull | Self::ConnectionsFull | Self::Silent => {
                RefusalReason::UpstreamTimeout
            }
            _ => RefusalReason::UpstreamUnreachable,
        }
    }
}

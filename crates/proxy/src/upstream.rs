//! Connections to the upstream, owned by one worker. A connection is driven by the task of the request that uses it: there
//! is no hop to another task. What may have been read by the upstream is never sent again.

mod connection;
mod pool;

use sentinel_core::decision::RefusalReason;

pub(crate) use connection::{Connection, ExchangeError, Progress};
pub(crate) use pool::{Pool, tune};

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// Connecting failed.
    #[error("cannot connect to the upstream: {0}")]
    Connect(std::io::Error),
    /// Connecting took longer than its bound.
    #[error("connecting to the upstream timed out")]
    ConnectTimeout,
    /// The connection broke, or what came is no HTTP.
    #[error("the upstream broke off: {0}")]
    Broken(hyper::Error),
    /// Nothing moved for longer than the bound, in either direction.
    #[error("the upstream stayed silent")]
    Silent,
    /// Every connection closed before a byte of the request was sent.
    #[error("the upstream closes its connections unused")]
    ClosedUnused,
    /// The upstream switched protocols although nobody asked.
    #[error("the upstream switched protocols unasked")]
    UnaskedUpgrade,
}

impl UpstreamError {
    /// As the client hears it.
    pub(crate) fn reason(&self) -> RefusalReason {
        match self {
            Self::ConnectTimeout | Self::Silent => RefusalReason::UpstreamTimeout,
            Self::Connect(_) | Self::Broken(_) | Self::ClosedUnused | Self::UnaskedUpgrade => {
                RefusalReason::UpstreamUnreachable
            }
        }
    }
}

//! Connections to the upstream, owned by one worker. A connection is driven by the task of the request that uses it: there
//! is no hop to another task. What may have been read by the upstream is never sent again.

mod pool;

use std::future::poll_fn;
use std::time::Duration;

use sentinel_core::decision::RefusalReason;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http1::body::BodyError;
use crate::http1::response::ResponseError;
use crate::outbound::Outbound;

pub(crate) use pool::{Pool, tune};

/// A connection to the upstream.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Bytes that the upstream has not taken yet.
    pub(crate) outbound: Outbound,
    /// Bytes of an answer's head that came already.
    pub(crate) inbound: Vec<u8>,
    /// Whether it has carried a request before.
    pub(crate) served_before: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            outbound: Outbound::default(),
            inbound: Vec::new(),
            served_before: false,
        }
    }

    /// Writes all that waits; false when the upstream is gone or takes nothing for too long.
    pub(crate) async fn flush(&mut self, silence_max: Duration) -> bool {
        let flushing = poll_fn(|context| self.outbound.poll_flush(&mut self.stream, context));
        matches!(timeout(silence_max, flushing).await, Ok(Ok(())))
    }
}

/// Why no answer came, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// Connecting failed.
    #[error("cannot connect to the upstream: {0}")]
    Connect(std::io::Error),
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
            Self::ConnectTimeout | Self::Silent => RefusalReason::UpstreamTimeout,
            _ => RefusalReason::UpstreamUnreachable,
        }
    }
}

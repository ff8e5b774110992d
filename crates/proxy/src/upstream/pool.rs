//! The idle upstream connections of one worker. The last one returned is the first one taken, so that a small number
//! stays warm and the rest can go.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Connection, UpstreamError};
use crate::config::{Bounds, UpstreamTarget};
use crate::worker::Scratch;

/// How long a TCP connection may be silent before the kernel asks whether the other side is still there: below the 60 s after which the
/// most impatient NATs forget it.
pub(crate) const TCP_KEEPALIVE: Duration = Duration::from_secs(45);

struct Idle {
    connection: Connection,
    since: Instant,
}

/// The pool.
pub(crate) struct Pool {
    target: UpstreamTarget,
    connect_timeout: Duration,
    idle_life: Duration,
    idle_max: usize,
    idle: RefCell<VecDeque<Idle>>,
}

impl Pool {
    pub(crate) fn new(target: UpstreamTarget, bounds: &Bounds) -> Self {
        Self {
            target,
            connect_timeout: bounds.connect_timeout,
            idle_life: bounds.upstream_idle,
            idle_max: bounds.upstream_idle_connections_max,
            idle: RefCell::new(VecDeque::new()),
        }
    }

    /// An idle connection that still seems open and has nothing to say, if there is one. What an upstream says unasked would be
    /// taken for the answer to the next request, so a connection with any of it is closed.
    pub(crate) async fn take_idle(&self, scratch: &Scratch) -> Option<Connection> {
        poll_fn(|context| {
            while let Some(mut idle) = self.pop() {
                let is_young = idle.since.elapsed() < self.idle_life;
                if is_young
                    && scratch
                        .poll_read(&mut idle.connection.stream, context, |_| ())
                        .is_pending()
                {
                    return Poll::Ready(Some(idle.connection));
                }
            }
            Poll::Ready(None)
        })
        .await
    }

    fn pop(&self) -> Option<Idle> {
        self.idle.borrow_mut().pop_back()
    }

    /// A fresh connection.
    pub(crate) async fn connect(&self) -> Result<Connection, UpstreamError> {
        let connecting = TcpStream::connect((self.target.host(), self.target.port()));
        let stream = timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| UpstreamError::ConnectTimeout)?
            .map_err(UpstreamError::Connect)?;
        tune(&stream).map_err(UpstreamError::Connect)?;
        Ok(Connection::new(stream))
    }

    /// Takes a connection back whose exchange is over, without its buffers. Beyond the bound it is closed.
    pub(crate) fn give_back(&self, mut connection: Connection) {
        connection.outbound.clear();
        connection.inbound = Vec::new();
        connection.served_before = true;
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.idle_max {
            idle.push_back(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// Closes what has been idle for too long.
    pub(crate) fn reap(&self) {
        let mut idle = self.idle.borrow_mut();
        while idle
            .front()
            .is_some_and(|oldest| oldest.since.elapsed() >= self.idle_life)
        {
            idle.pop_front();
        }
    }
}

/// No delay for small writes, and a question now and then whether a silent peer still lives.
pub(crate) fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(TCP_KEEPALIVE)
            .with_interval(TCP_KEEPALIVE / 3),
    )
}

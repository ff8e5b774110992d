//! Tunnels: WebSocket connections, spliced only after the upstream has switched with a 101. The two directions end one by one,
//! as their senders end them. A tunnel holds what one read brought and the other side has not taken yet; a silent one holds nothing, and does
//! not stay for ever.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::alarm::Alarm;
use crate::client::Stream;
use crate::exchange::Exchange;
use crate::http1::body::BodyEncoding;
use crate::http1::response::ResponseHead;
use crate::outbound::Outbound;
use crate::worker::Worker;

/// Passes bytes both ways until both directions have ended, one of them breaks, nothing moves for too long, or one side takes nothing for too
/// long. The 101 is among the client's outbound bytes already.
pub(crate) async fn tunnel<S: Stream>(worker: &Rc<Worker>, exchange: Exchange<'_, S>, head: ResponseHead) {
    let _open = OpenTunnel::new(Rc::clone(worker));
    let Exchange {
        client, mut upstream, ..
    } = exchange;
    // What came early is passed on first: behind the 101, and behind the request.
    client.outbound.buffer().extend_from_slice(head.following());
    drop(head);
    upstream.outbound.buffer().append(&mut client.inbound);
    let (mut up, mut down) = (Direction::new(), Direction::new());
    let mut moved_at = worker.now();
    let ended = poll_fn(|context| {
        let to_upstream = (&mut upstream.stream, &mut upstream.outbound);
        let up_ended = up.poll(worker, &mut client.stream, to_upstream, context)?;
        let to_client = (&mut client.stream, &mut client.outbound);
        let down_ended = down.poll(worker, &mut upstream.stream, to_client, context)?;
        if up_ended.is_ready() && down_ended.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if std::mem::take(&mut up.has_moved) | std::mem::take(&mut down.has_moved) {
            moved_at = worker.now();
        }
        poll_silence(worker, &mut client.alarm, moved_at, [&up, &down], context)
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a tunnel broke");
    }
}

/// Ready when nothing moved for too long, or one side took nothing of what waits for it.
fn poll_silence(
    worker: &Worker,
    alarm: &mut Alarm,
    moved_at: Instant,
    directions: [&Direction; 2],
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let bounds = &worker.shared.bounds;
    let stuck = directions
        .into_iter()
        .filter_map(|direction| direction.stuck_since);
    let deadline = stuck
        .map(|since| since + bounds.stream_idle)
        .fold(moved_at + bounds.tunnel_idle, Instant::min);
    let now = worker.now();
    alarm.set(now, deadline.saturating_duration_since(now));
    alarm.poll_passed(context).map(|()| {
        let error = "nothing moved for too long, or one side took nothing";
        Err(io::Error::new(io::ErrorKind::TimedOut, error))
    })
}

/// How far one direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// More may come.
    Flows,
    /// Its sender has ended it; its receiver is to be told.
    Ending,
    /// Its receiver was told.
    Ended,
}

/// One direction of a tunnel.
struct Direction {
    phase: Phase,
    /// Since when its receiver has taken nothing of what waits.
    stuck_since: Option<Instant>,
    /// Whether bytes came or went since that was last asked.
    has_moved: bool,
}

impl Direction {
    fn new() -> Self {
        Self {
            phase: Phase::Flows,
            stuck_since: None,
            has_moved: false,
        }
    }

    /// Passes on what there is. Ready when its sender has ended it, and its receiver knows.
    fn poll(
        &mut self,
        worker: &Worker,
        from: &mut (impl AsyncRead + Unpin),
        (to, waiting): (&mut (impl AsyncWrite + Unpin), &mut Outbound),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let before = waiting.waiting();
            let flushed = waiting.poll_flush(to, context)?;
            let has_taken = waiting.waiting() < before;
            self.has_moved |= has_taken;
            if flushed.is_pending() {
                if has_taken || self.stuck_since.is_none() {
                    self.stuck_since = Some(worker.now());
                }
                return Poll::Pending;
            }
            self.stuck_since = None;
            match self.phase {
                Phase::Flows => {}
                Phase::Ending => {
                    ready!(std::pin::Pin::new(&mut *to).poll_shutdown(context))?;
                    self.phase = Phase::Ended;
                    return Poll::Ready(Ok(()));
                }
                Phase::Ended => return Poll::Ready(Ok(())),
            }
            let pass = |bytes: &[u8], context: &mut Context<'_>| {
                waiting.pass(BodyEncoding::Plain, bytes, to, context);
            };
            match worker.scratch.poll_pass(from, context, pass)? {
                Poll::Ready(0) => self.phase = Phase::Ending,
                Poll::Ready(_) => self.has_moved = true,
                Poll::Pending => {
                    waiting.clear();
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Counts a tunnel while it is open.
struct OpenTunnel(Rc<Worker>);

impl OpenTunnel {
    fn new(worker: Rc<Worker>) -> Self {
        worker.figures().tunnels_open.increment();
        Self(worker)
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.figures().tunnels_open.decrement();
    }
}

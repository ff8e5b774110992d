//! Bodies on their way through: nothing is collected, every frame goes on as it comes.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::upstream::{Connection, Progress};
use crate::worker::Worker;

/// A client's body on its way to the upstream.
pub(crate) struct RequestBody {
    incoming: Incoming,
    progress: Option<Progress>,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self {
            incoming,
            progress: None,
        }
    }

    /// From now on the body marks each frame there.
    pub(crate) fn mark_progress(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        if frame.is_ready()
            && let Some(progress) = &self.progress
        {
            progress.set(Instant::now());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The upstream's connection broke.
    #[error("the upstream broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// Nothing moved for too long.
    #[error("the upstream stayed silent")]
    Silent,
}

/// An answer on its way to the client.
pub(crate) enum ResponseBody {
    /// Sentinel's own words.
    Own(Option<Bytes>),
    /// The upstream's.
    Upstream(UpstreamBody),
}

/// The upstream's body, and the connection that it comes on. Dropping it early closes the connection, which tells the
/// upstream that nobody listens.
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    connection: Option<Connection>,
    broken: Option<BodyError>,
    worker: Rc<Worker>,
}

impl UpstreamBody {
    /// A body that comes on `connection`, which goes back to the pool at the body's end.
    pub(crate) fn new(incoming: Incoming, connection: Connection, worker: Rc<Worker>) -> Self {
        Self {
            incoming,
            connection: Some(connection),
            broken: None,
            worker,
        }
    }

    /// A body whose connection another task drives.
    pub(crate) fn driven_elsewhere(incoming: Incoming, worker: Rc<Worker>) -> Self {
        Self {
            incoming,
            connection: None,
            broken: None,
            worker,
        }
    }

    /// Whether nothing of it is to come.
    pub(crate) fn is_over(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// At the body's end the connection goes back, unless it is closing or still busy with the request's body.
    pub(crate) fn release(&mut self, context: &mut Context<'_>) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_idle(context)
        {
            self.worker.pool.give_back(connection);
        }
    }

    /// An error makes the server close at once, with what it has not yet sent. So it is told at the next poll: what came before
    /// the break goes out first.
    fn break_off<T>(&mut self, error: BodyError, context: &Context<'_>) -> Poll<T> {
        self.connection = None;
        self.broken = Some(error);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_upstream(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let mut is_driven = self.connection.is_none();
        loop {
            match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if self.incoming.is_end_stream() {
                        self.release(context);
                    } else if let Some(connection) = &self.connection {
                        connection.moved();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Err(error))) => return self.break_off(error.into(), context),
                Poll::Ready(None) => {
                    self.release(context);
                    return Poll::Ready(None);
                }
                Poll::Pending if is_driven => {
                    let Some(connection) = &mut self.connection else {
                        return Poll::Pending;
                    };
                    return connection
                        .poll_silence(context)
                        .map(|()| Some(Err(BodyError::Silent)));
                }
                Poll::Pending => {}
            }
            // Driving may bring the next frame, so the body is asked once more afterwards.
            is_driven = true;
            if let Some(connection) = &mut self.connection
                && connection.poll_drive(context).is_ready()
            {
                self.connection = None;
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Upstream(body) => body.poll_upstream(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(text) => text.is_none(),
            Self::Upstream(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Upstream(body) => body.incoming.size_hint(),
        }
    }
}

//! One stream of an HTTP/2 connection as a connection of HTTP/1.1 with one request: what is read from it is that request, what is written to it
//! has to be its answer.
//!
//! Nothing is kept: a piece of a body is taken from the stream when it is read, and one of an answer is taken from its writer when the
//! client has room for it. So both sides feel each other, and a client that takes the stream back is a client that is gone.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conduct::Conduct;
use super::{Endings, SEND_BUFFER_BYTES_MAX, head};
use crate::client::Stream;
use crate::http1::body::{BodyDecoder, BodyEncoding};
use crate::http1::framing::BodyLength;
use crate::http1::response::ResponseHead;

/// A stream, to be served as a connection.
pub(crate) struct Http2Stream {
    /// What waits to be read: the head at first, then a piece of the body.
    waiting: Waiting,
    body: RequestBody,
    answer: Answer,
    /// Whether it answers a HEAD request, whose answer has no body.
    to_head: bool,
    /// Whether anybody has looked at the request.
    is_seen: bool,
    /// Whether the client has taken it back, or is gone.
    is_gone: bool,
    respond: SendResponse<Bytes>,
    endings: Rc<Endings>,
}

/// The rest of the request's body.
struct RequestBody {
    incoming: RecvStream,
    encoding: BodyEncoding,
    /// The bytes that are still to come, when that was said.
    left: Option<u64>,
    is_done: bool,
}

/// How far the answer is.
enum Answer {
    /// So much of its head was written.
    Head(Vec<u8>),
    /// The body is under way.
    Body(BodyDecoder, SendStream<Bytes>),
    /// All of it was handed over.
    Done,
}

impl Http2Stream {
    /// None when the request is malformed: the client was told so.
    pub(super) fn begin(
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        endings: &Rc<Endings>,
    ) -> Option<Self> {
        let (parts, incoming) = request.into_parts();
        let has_body = !incoming.is_end_stream();
        let Ok((bytes, length)) = head::request(&parts, has_body) else {
            respond.send_reset(Reason::PROTOCOL_ERROR);
            endings.conduct.cancelled();
            return None;
        };
        endings.conduct.head_passed();
        let (encoding, left) = match length {
            BodyLength::Chunked => (BodyEncoding::Chunked, None),
            BodyLength::Known(length) => (BodyEncoding::Plain, Some(length)),
            BodyLength::Empty | BodyLength::UntilClose => (BodyEncoding::Plain, Some(0)),
        };
        Some(Self {
            waiting: Waiting { bytes, read: 0 },
            body: RequestBody {
                incoming,
                encoding,
                left,
                is_done: !has_body,
            },
            answer: Answer::Head(Vec::new()),
            to_head: parts.method == Method::HEAD,
            is_seen: false,
            is_gone: false,
            respond,
            endings: Rc::clone(endings),
        })
    }

    /// Ready when the client has taken the stream back, or the connection broke.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.answer {
            Answer::Head(_) => self.respond.poll_reset(context).map(drop),
            Answer::Body(_, outgoing) => outgoing.poll_reset(context).map(drop),
            Answer::Done => Poll::Ready(()),
        }
    }

    /// Takes what there is of the answer's head, and sends it when it is complete. Says how much was taken.
    fn write_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Answer::Head(written) = &mut self.answer else {
            return Ok(0);
        };
        written.extend_from_slice(bytes);
        let Some(head) = ResponseHead::take(written, self.to_head).map_err(broken)? else {
            return Ok(bytes.len());
        };
        let taken = bytes.len() - head.following().len();
        let response = head::response(&head).ok_or(ErrorKind::InvalidData)?;
        if head.status < 200 {
            self.send_interim(response.status())?;
            return Ok(taken);
        }
        let decoder = BodyDecoder::new(head.body);
        let is_empty = decoder.is_done();
        let outgoing = self.respond.send_response(response, is_empty).map_err(broken)?;
        self.endings.conduct.head_passed();
        self.answer = if is_empty {
            Answer::Done
        } else {
            Answer::Body(decoder, outgoing)
        };
        Ok(taken)
    }

    fn send_interim(&mut self, status: StatusCode) -> io::Result<()> {
        let mut interim = Response::new(());
        *interim.status_mut() = status;
        self.respond.send_informational(interim).map_err(broken)
    }

    /// Takes what comes next of the answer's body, as far as the client has room for it.
    fn poll_write_body(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Answer::Body(decoder, outgoing) = &mut self.answer else {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        };
        let (framing, length) = next_data(*decoder, bytes)?;
        // Framing needs no room: the end of a body comes through when its data has used up all there was.
        let room = match poll_room(outgoing, length, context) {
            Poll::Ready(room) => room?.min(length),
            Poll::Pending if framing > 0 => 0,
            Poll::Pending => return Poll::Pending,
        };
        let mut input = &bytes[..framing + room];
        let data = decoder.decode(&mut input).map_err(broken)?;
        let data = data.map_or_else(Bytes::new, Bytes::copy_from_slice);
        let mut taken = framing + data.len();
        // What says that there is no more often stands right behind, and then goes in the same frame.
        let (framing, _) = next_data(*decoder, &bytes[taken..])?;
        decoder
            .decode(&mut &bytes[taken..taken + framing])
            .map_err(broken)?;
        taken += framing;
        let is_done = decoder.is_done();
        if is_done || !data.is_empty() {
            self.endings.conduct.data_passed(data.len());
            outgoing.send_data(data, is_done).map_err(broken)?;
        }
        if is_done {
            self.answer = Answer::Done;
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_written(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &self.answer {
            Answer::Head(_) => Poll::Ready(self.write_head(bytes)),
            Answer::Body(..) => self.poll_write_body(context, bytes),
            Answer::Done => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
        }
    }
}

/// How many bytes of framing stand before the next data, and how much data there is. Takes nothing.
fn next_data(mut decoder: BodyDecoder, bytes: &[u8]) -> io::Result<(usize, usize)> {
    let mut rest = bytes;
    let data = decoder.decode(&mut rest).map_err(broken)?.unwrap_or_default();
    Ok((bytes.len() - rest.len() - data.len(), data.len()))
}

/// How many bytes of `wanted` the client has room for; at once when none are wanted.
fn poll_room(
    outgoing: &mut SendStream<Bytes>,
    wanted: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if wanted == 0 {
        return Poll::Ready(Ok(0));
    }
    outgoing.reserve_capacity(wanted.min(SEND_BUFFER_BYTES_MAX));
    loop {
        let room = outgoing.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match ready!(outgoing.poll_capacity(context)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            None => return Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
        }
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::BrokenPipe, error)
}

impl RequestBody {
    /// Puts the next piece behind what waits to be read.
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        conduct: &Conduct,
        ready: &mut Vec<u8>,
    ) -> Poll<io::Result<()>> {
        let Some(data) = ready!(self.incoming.poll_data(context)) else {
            // Trailers are for nobody, but they have to be right.
            ready!(self.incoming.poll_trailers(context)).map_err(broken)?;
            if self.left.is_some_and(|left| left > 0) {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
            self.is_done = true;
            self.encoding.end(ready);
            return Poll::Ready(Ok(()));
        };
        let data = data.map_err(broken)?;
        conduct.data_passed(data.len());
        self.incoming
            .flow_control()
            .release_capacity(data.len())
            .map_err(broken)?;
        if let Some(left) = &mut self.left {
            // More than was said would be read as another request.
            *left = left
                .checked_sub(data.len() as u64)
                .ok_or(ErrorKind::InvalidData)?;
        }
        if !data.is_empty() {
            self.encoding.data(&data, ready);
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream for Http2Stream {
    fn has_left(&mut self, context: &mut Context<'_>) -> bool {
        self.is_gone |= self.poll_gone(context).is_ready();
        self.is_gone
    }
}

impl AsyncRead for Http2Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.answer, Answer::Done) {
            // Nothing follows the one request, and nobody wants the rest of it.
            return Poll::Ready(Ok(()));
        }
        while this.waiting.is_empty() {
            if this.body.is_done {
                ready!(this.poll_gone(context));
                this.is_gone = true;
                return Poll::Ready(Ok(()));
            }
            if let Err(error) = ready!(this.body.poll_next(
                context,
                &this.endings.conduct,
                this.waiting.buffer()
            )) {
                this.is_gone = true;
                return Poll::Ready(Err(error));
            }
        }
        this.is_seen = true;
        this.waiting.read(buffer);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(this.poll_written(context, bytes));
        this.is_gone |= written.is_err();
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.answer, Answer::Done) {
            Answer::Done => self.endings.conduct.answered(),
            // It may have been cancelled, too, but no more than many an answer that its reader has seen enough of.
            Answer::Body(_, outgoing) => self.endings.broken(outgoing),
            Answer::Head(_) => {
                if self.is_gone {
                    self.endings.conduct.cancelled();
                }
                let reason = if self.is_seen {
                    Reason::INTERNAL_ERROR
                } else {
                    // What nobody has looked at may be sent again.
                    Reason::REFUSED_STREAM
                };
                self.respond.send_reset(reason);
            }
        }
    }
}

/// Bytes that wait to be read.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    read: usize,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.read == self.bytes.len()
    }

    /// Where bytes are added, when none wait.
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn read(&mut self, buffer: &mut ReadBuf<'_>) {
        let waiting = &self.bytes[self.read..];
        let length = waiting.len().min(buffer.remaining());
        buffer.put_slice(&waiting[..length]);
        self.read += length;
        if self.is_empty() {
            // An answer may take long: its request needs no memory meanwhile.
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests;

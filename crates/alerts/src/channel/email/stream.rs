//! The stream that a mail goes over, and the words before TLS. It ends after so many bytes of answers: the library would read a line
//! without end. Must never hand on a byte that came before TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::channel::Failure;
use crate::outbound::OutboundStream;

/// The most bytes of answers that are read for one mail.
pub const SMTP_ANSWERS_BYTES_MAX: usize = 64 * 1024;

/// What the library reads first: after STARTTLS the server does not greet again, but the library waits for it.
const GREETING: &[u8] = b"220 after STARTTLS\r\n";

/// A stream to a mail server.
#[derive(Debug)]
pub(super) struct SmtpStream {
    inner: OutboundStream,
    greeting: &'static [u8],
    left: usize,
}

impl SmtpStream {
    pub(super) fn new(inner: OutboundStream) -> Self {
        Self {
            inner,
            greeting: b"",
            left: SMTP_ANSWERS_BYTES_MAX,
        }
    }

    /// One on which the server has greeted already.
    pub(super) fn greeted(inner: OutboundStream) -> Self {
        Self {
            greeting: GREETING,
            ..Self::new(inner)
        }
    }
}

impl AsyncTokioStream for SmtpStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl AsyncRead for SmtpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.greeting.is_empty() {
            let (now, later) = this
                .greeting
                .split_at(this.greeting.len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let mut limited = buffer.take(this.left);
        if limited.remaining() == 0 {
            let error = io::Error::new(io::ErrorKind::InvalidData, "the mail server says too much");
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut this.inner).poll_read(context, &mut limited);
        let read = limited.filled().len();
        let initialised = limited.initialized().len();
        // `limited` writes into the front of what is left of `buffer`.
        buffer.initialize_unfilled_to(initialised.max(read));
        buffer.advance(read);
        this.left -= read;
        polled
    }
}

impl AsyncWrite for SmtpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

/// Speaks until the server is ready for TLS (RFC 3207).
pub(super) async fn start_tls(socket: &mut TcpStream, hello: &ClientId) -> Result<(), Failure> {
    let mut left = SMTP_ANSWERS_BYTES_MAX;
    answer(socket, &mut left, "220").await?;
    say(socket, &format!("EHLO {hello}\r\n")).await?;
    let capabilities = answer(socket, &mut left, "250").await?;
    let offers = capabilities
        .iter()
        .any(|line| line.eq_ignore_ascii_case("STARTTLS"));
    if !offers {
        return Err(Failure::never(
            "the mail server offers no STARTTLS, and nothing is sent without",
        ));
    }
    say(socket, "STARTTLS\r\n").await?;
    answer(socket, &mut left, "220").await?;
    Ok(())
}

async fn say(socket: &mut TcpStream, line: &str) -> Result<(), Failure> {
    socket
        .write_all(line.as_bytes())
        .await
        .map_err(|error| lost(&error))
}

fn lost(error: &io::Error) -> Failure {
    Failure::later(format!("the mail server is gone: {}", error.kind()))
}

/// The texts of one answer's lines. Read to its last byte and no further: what came along with it, unasked, is refused.
async fn answer(socket: &mut TcpStream, left: &mut usize, code: &str) -> Result<Vec<String>, Failure> {
    let mut read = Vec::new();
    let mut lines = Vec::new();
    loop {
        let mut chunk = [0; 512];
        let count = socket.read(&mut chunk).await.map_err(|error| lost(&error))?;
        *left = left.saturating_sub(count);
        if count == 0 || *left == 0 {
            return Err(Failure::later("the mail server ended the conversation"));
        }
        read.extend_from_slice(&chunk[..count]);
        while let Some(end) = read.windows(2).position(|pair| pair == b"\r\n") {
            let line = String::from_utf8_lossy(&read[..end]).into_owned();
            read.drain(..end + 2);
            if !line.starts_with(code) {
                let said = crate::text::cut(&line, 200);
                return Err(Failure::later(format!("the mail server said: {said}")));
            }
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if is_last && read.is_empty() {
                return Ok(lines);
            }
            if is_last {
                return Err(Failure::later(
                    "the mail server said something unasked before TLS",
                ));
            }
        }
    }
}

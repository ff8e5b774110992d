//! A client that writes exactly the bytes it is given and reads answers piece by piece.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::framing::{Body, Decoded, parse_head, take_head};
use crate::wait::bounded;

/// The head of a response.
#[derive(Clone, Debug)]
pub struct RawHead {
    /// The head as it came, with its final empty line.
    pub bytes: Vec<u8>,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
}

impl RawHead {
    /// The first value of a header, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// Its head.
    pub head: RawHead,
    /// Its body without framing.
    pub body: Vec<u8>,
}

impl RawResponse {
    /// The status.
    pub const fn status(&self) -> u16 {
        self.head.status
    }

    /// The first value of a header, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One HTTP/1.1 connection. Dropping it closes it. Every wait is bounded by [`crate::WAIT_MAX`].
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    buffer: BytesMut,
    body: Body,
}

impl RawClient {
    /// Connects from 127.0.0.1.
    pub async fn connect(to: SocketAddr) -> Self {
        Self::connect_from(IpAddr::V4(Ipv4Addr::LOCALHOST), to).await
    }

    /// Connects from this address of the machine: every 127.x.y.z is one on Linux.
    pub async fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket = match from {
            IpAddr::V4(_) => TcpSocket::new_v4(),
            IpAddr::V6(_) => TcpSocket::new_v6(),
        }
        .expect("a socket");
        socket
            .bind(SocketAddr::new(from, 0))
            .unwrap_or_else(|error| panic!("cannot connect from {from}: {error}"));
        let stream = bounded(&format!("a connection to {to}"), socket.connect(to))
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {to}: {error}"));
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            buffer: BytesMut::new(),
            body: Body::Ended,
        }
    }

    /// This end of the connection.
    pub fn local_address(&self) -> SocketAddr {
        self.stream
            .local_addr()
            .expect("a connected socket has an address")
    }

    /// Writes these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes)
            .await
            .expect("the other end takes what is written");
    }

    /// Writes these bytes; the other end may have closed.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        bounded(
            "the other end to take what is written",
            self.stream.write_all(bytes.as_ref()),
        )
        .await
    }

    /// Says that nothing more will be written, and stays to read.
    pub async fn finish_sending(&mut self) {
        self.stream
            .shutdown()
            .await
            .expect("the other end has not closed");
    }

    /// Writes the bytes of one request and reads the whole answer.
    pub async fn request(&mut self, bytes: impl AsRef<[u8]>) -> RawResponse {
        self.send(bytes).await;
        self.read_response().await
    }

    /// Writes `GET path` with these headers beside `Host`, and reads the whole answer.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> RawResponse {
        let head = request_head("GET", path, headers);
        self.request(head).await
    }

    /// Writes `POST path` with these headers beside `Host` and `Content-Length`, and reads the whole answer.
    pub async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> RawResponse {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        all.push(("content-length", &length));
        let head = request_head("POST", path, &all);
        self.request(head + body).await
    }

    /// Reads the head of the next response, interim ones included; then its body can be read.
    pub async fn read_head(&mut self) -> RawHead {
        let bytes = loop {
            if let Some(head) = take_head(&mut self.buffer) {
                break head;
            }
            let read = self.fill("the head of a response").await;
            assert!(
                matches!(read, Ok(1..)),
                "the connection ended before a head: {read:?}, after {:?}",
                self.buffer
            );
        };
        let (line, headers) = parse_head(&bytes);
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {line:?}"));
        self.body = Body::of_response(status, &headers);
        RawHead {
            bytes,
            status,
            headers,
        }
    }

    /// Reads the next piece of the body, a whole chunk where it is chunked; none at its end. Panics when it is cut short.
    pub async fn read_chunk(&mut self) -> Option<Vec<u8>> {
        self.try_read_chunk().await.expect("the body is complete")
    }

    /// As [`RawClient::read_chunk`]; an error when the connection ends within the body.
    pub async fn try_read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.body.decode(&mut self.buffer) {
                Decoded::Data(data) => return Ok(Some(data)),
                Decoded::End => return Ok(None),
                Decoded::Incomplete => {}
            }
            if self.fill("the next piece of a body").await? == 0 {
                if matches!(self.body, Body::UntilClose) {
                    self.body = Body::Ended;
                    return Ok(None);
                }
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads the body until it contains `text`, and gives what was read.
    pub async fn read_body_until(&mut self, text: &str) -> String {
        let mut body = Vec::new();
        while !String::from_utf8_lossy(&body).contains(text) {
            let chunk = self.read_chunk().await;
            body.extend(chunk.unwrap_or_else(|| {
                panic!(
                    "the body ended without {text:?}: {:?}",
                    String::from_utf8_lossy(&body)
                )
            }));
        }
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Reads what is left of the body.
    pub async fn read_body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(chunk) = self.read_chunk().await {
            body.extend(chunk);
        }
        body
    }

    /// Reads a whole response.
    pub async fn read_response(&mut self) -> RawResponse {
        let head = self.read_head().await;
        let body = self.read_body().await;
        RawResponse { head, body }
    }

    /// Reads exactly so many bytes as they come: what a tunnel carries.
    pub async fn read_exactly(&mut self, bytes: usize) -> Vec<u8> {
        while self.buffer.len() < bytes {
            let read = self.fill("bytes of a tunnel").await;
            assert!(matches!(read, Ok(1..)), "the connection ended: {read:?}");
        }
        self.buffer.split_to(bytes).to_vec()
    }

    /// Waits until the other end closes or resets the connection, and gives the bytes that came before.
    pub async fn wait_for_close(&mut self) -> Vec<u8> {
        while matches!(self.fill("the connection to close").await, Ok(1..)) {}
        self.buffer.split().to_vec()
    }

    /// Resets the connection instead of closing it in an orderly way.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a socket can be reset");
    }

    async fn fill(&mut self, what: &str) -> io::Result<usize> {
        bounded(what, self.stream.read_buf(&mut self.buffer)).await
    }
}

fn request_head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test.invalid\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head + "\r\n"
}

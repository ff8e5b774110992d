//! A client of HTTP/2 that sends whatever frames a test wants.

use std::net::SocketAddr;

use sentinel_testkit::bounded;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinHandle;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
/// Of a kind that nobody has defined.
pub(crate) const UNKNOWN: u8 = 0xfa;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error that a GOAWAY or a RST_STREAM names.
    pub(crate) fn error(&self) -> u32 {
        let start = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[start..start + 4].try_into().expect("four bytes"))
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short payload")
        .to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Header lines, each written out (RFC 7541, 6.2.2): as the parser on the other side sees them.
pub(crate) fn fields(lines: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in lines {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).expect("shorter than 127 bytes"));
            bytes.extend_from_slice(text);
        }
    }
    bytes
}

/// The lines of a plain request, and more.
pub(crate) fn request(more: &[(&str, &str)]) -> Vec<u8> {
    let mut lines: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":path", b"/v1/models"),
        (b":authority", b"api.example"),
    ];
    lines.extend(
        more.iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    );
    fields(&lines)
}

/// A connection.
pub(crate) struct RawHttp2 {
    pub(crate) stream: TcpStream,
}

impl RawHttp2 {
    /// Connects and says the preface.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let mut client = Self::connect_silently(to).await;
        client.send(PREFACE).await;
        client.send(frame(SETTINGS, 0, 0, &[])).await;
        client
    }

    /// Connects and says nothing.
    pub(crate) async fn connect_silently(to: SocketAddr) -> Self {
        let stream = bounded("a connection", TcpStream::connect(to))
            .await
            .expect("it listens");
        stream.set_nodelay(true).expect("an open socket");
        Self { stream }
    }

    /// Sends these bytes; whether the other side still takes them is for the test to find out by reading.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// A request whose body is empty.
    pub(crate) async fn request(&mut self, stream: u32, lines: &[u8]) {
        self.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, lines))
            .await;
    }

    /// The next frame; none when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        bounded("a frame", self.stream.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        bounded("a payload", self.stream.read_exact(&mut payload))
            .await
            .ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The next frame of this kind.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the frame before the connection's end");
            if frame.kind == kind {
                return frame;
            }
            assert_ne!(frame.kind, GOAWAY, "error {}", frame.error());
        }
    }

    /// The error with which the server ends the connection, which it then closes.
    pub(crate) async fn ended_with(&mut self) -> u32 {
        let mut error = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                error = Some(frame.error());
            }
        }
        error.expect("a goodbye")
    }

    /// Sends these bytes again and again, reading meanwhile, until the connection ends. Gives the errors of the goodbyes that came.
    pub(crate) async fn flooded_with(&mut self, bytes: &[u8]) -> Vec<u32> {
        let (mut reading, mut writing) = self.stream.split();
        let mut came = Vec::new();
        let flooding = async { while writing.write_all(bytes).await.is_ok() {} };
        // It may end in a reset: not all that was sent will have been read.
        let reading = async { drop(reading.read_to_end(&mut came).await) };
        bounded("the end of a flood", async { tokio::join!(flooding, reading) }).await;
        goodbyes(&came)
    }

    /// Splits off what comes: all of it until the connection's end.
    pub(crate) fn into_split(self) -> (OwnedWriteHalf, JoinHandle<Vec<u8>>) {
        let (mut reading, writing) = self.stream.into_split();
        let came = tokio::spawn(async move {
            let mut came = Vec::new();
            drop(reading.read_to_end(&mut came).await);
            came
        });
        (writing, came)
    }
}

/// The errors of the GOAWAY frames among these.
pub(crate) fn goodbyes(mut frames: &[u8]) -> Vec<u32> {
    let mut errors = Vec::new();
    while let [high, middle, low, kind, _, _, _, _, _, rest @ ..] = frames {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        if *kind == GOAWAY {
            errors.push(u32::from_be_bytes(payload[4..8].try_into().expect("four bytes")));
        }
        frames = rest;
    }
    errors
}

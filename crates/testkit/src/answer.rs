//! What a scripted upstream does with one request, step by step.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};

/// The most chunks that may wait in a [`ChunkSender`].
pub(crate) const CHUNKS_QUEUED_MAX: usize = 1024;

/// One thing that the upstream does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Writes these bytes as they are.
    Write(Bytes),
    /// Waits until the whole request body is there.
    ReadBody,
    /// Writes what the test sends, each piece as one chunk, until it finishes or aborts.
    Relay(Arc<Mutex<mpsc::Receiver<Chunk>>>),
    /// Keeps the connection and says nothing more, until the client leaves or the test closes it.
    Hang,
    /// Reads nothing more, not even the end of the connection, and says nothing.
    HangUnread,
    /// Closes the connection in an orderly way.
    Close,
    /// Resets the connection.
    Reset,
    /// Sends back every byte that arrives, until the client leaves.
    Echo,
}

/// What a test lets the upstream write next.
#[derive(Debug)]
pub(crate) enum Chunk {
    Data(Bytes),
    Finish,
    Abort,
}

/// What the upstream does with one request. A clone of a streamed answer shares its [`ChunkSender`].
///
/// Unless it says otherwise the request's body is read first, and the connection is kept for the next request.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) steps: Vec<Step>,
}

impl Answer {
    /// This status and body with `Content-Length`, as `application/json`.
    pub fn new(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::with_headers(status, &[("content-type", "application/json")], body)
    }

    /// This status, these headers and `Content-Length`, and the body.
    pub fn with_headers(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if status != 204 && status != 304 {
            headers.push(("content-length", &length));
        }
        let mut bytes = head(status, &headers).into_bytes();
        bytes.extend_from_slice(body);
        Self::raw(bytes)
    }

    /// An OpenAI-style 401.
    pub fn unauthorized() -> Self {
        Self::new(
            401,
            r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        )
    }

    /// Exactly these bytes; the connection stays open.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self {
            steps: vec![Step::ReadBody, Step::Write(bytes.into())],
        }
    }

    /// The head at once, then a chunked body whose pieces go out when the test says so.
    pub fn streamed(status: u16, headers: &[(&str, &str)]) -> (ChunkSender, Self) {
        let mut headers = headers.to_vec();
        headers.push(("transfer-encoding", "chunked"));
        let (sender, receiver) = mpsc::channel(CHUNKS_QUEUED_MAX);
        let steps = vec![
            Step::ReadBody,
            Step::Write(head(status, &headers).into()),
            Step::Relay(Arc::new(Mutex::new(receiver))),
        ];
        (ChunkSender(sender), Self { steps })
    }

    /// [`Answer::streamed`] with 200 and `text/event-stream`.
    pub fn events() -> (ChunkSender, Self) {
        Self::streamed(200, &[("content-type", "text/event-stream")])
    }

    /// Closes the connection without a byte of an answer, once the request's body is read.
    pub fn close() -> Self {
        Self {
            steps: vec![Step::ReadBody, Step::Close],
        }
    }

    /// Resets the connection without a byte of an answer, once the request's head is read.
    pub fn reset() -> Self {
        Self {
            steps: vec![Step::Reset],
        }
    }

    /// Announces `announced` bytes of body, sends `body`, and closes.
    pub fn cut_short(announced: usize, body: impl AsRef<[u8]>) -> Self {
        let mut bytes = head(200, &[("content-length", &announced.to_string())]).into_bytes();
        bytes.extend_from_slice(body.as_ref());
        Self::raw(bytes).then_close()
    }

    /// Never answers; reads on, so that it notices when the client leaves.
    pub fn never() -> Self {
        Self {
            steps: vec![Step::Hang],
        }
    }

    /// Never answers and never reads the request's body either, so that the writer feels the full socket.
    pub fn never_reading() -> Self {
        Self {
            steps: vec![Step::HangUnread],
        }
    }

    /// 101 with this `Upgrade`, then sends back every byte.
    pub fn upgrade(protocol: &str, headers: &[(&str, &str)]) -> Self {
        let mut headers = headers.to_vec();
        headers.extend([("connection", "Upgrade"), ("upgrade", protocol)]);
        Self {
            steps: vec![
                Step::ReadBody,
                Step::Write(head(101, &headers).into()),
                Step::Echo,
            ],
        }
    }

    /// Answers without waiting for the request's body.
    #[must_use]
    pub fn before_body(mut self) -> Self {
        self.steps.retain(|step| !matches!(step, Step::ReadBody));
        self
    }

    /// Writes these bytes first, before the request's body is read: an interim response such as 100.
    #[must_use]
    pub fn after_interim(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.insert(0, Step::Write(bytes.into()));
        self
    }

    /// Closes the connection after this answer.
    #[must_use]
    pub fn then_close(mut self) -> Self {
        self.steps.push(Step::Close);
        self
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> String {
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unnamed");
    let mut text = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").expect("writing to a string cannot fail");
    }
    text.push_str("\r\n");
    text
}

/// Lets the chunks of one streamed answer out. Dropping it resets nothing: the stream just stays open.
#[derive(Debug)]
pub struct ChunkSender(mpsc::Sender<Chunk>);

impl ChunkSender {
    /// Lets one chunk out.
    pub fn send(&self, data: impl Into<Bytes>) {
        self.push(Chunk::Data(data.into()));
    }

    /// Ends the body properly; the connection stays open.
    pub fn finish(&self) {
        self.push(Chunk::Finish);
    }

    /// Closes the connection in the middle of the body.
    pub fn abort(&self) {
        self.push(Chunk::Abort);
    }

    /// Whether the upstream has given this answer up, as it does when its client leaves.
    pub fn is_given_up(&self) -> bool {
        self.0.is_closed()
    }

    fn push(&self, chunk: Chunk) {
        self.0
            .try_send(chunk)
            .unwrap_or_else(|error| panic!("the upstream takes no more chunks: {error}"));
    }
}

//! A real HTTP/2 client, on whatever stream it is given.

use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode};
use sentinel_testkit::bounded;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{CHAT, KEY};

/// What all answers together may have waiting; each alone has the usual 64 KiB.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A connection.
pub(crate) struct Http2Client {
    pub(crate) requests: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

impl Http2Client {
    /// Over TCP, from 127.0.0.1, without asking whether the server speaks HTTP/2.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let stream = bounded("a connection", TcpStream::connect(to))
            .await
            .expect("it listens");
        stream.set_nodelay(true).expect("an open socket");
        Self::over(stream).await
    }

    /// The same from another address.
    pub(crate) async fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("an address of this machine");
        Self::over(
            bounded("a connection", socket.connect(to))
                .await
                .expect("it listens"),
        )
        .await
    }

    /// Over anything.
    pub(crate) async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Self {
        let handshake = h2::client::Builder::new()
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(stream);
        let (requests, connection) = bounded("a handshake", handshake)
            .await
            .expect("the server speaks HTTP/2");
        Self {
            requests,
            driver: tokio::spawn(connection),
        }
    }

    /// Begins a request.
    pub(crate) async fn begin(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut ready = bounded("room for a request", self.requests.clone().ready())
            .await
            .expect("the connection is open");
        ready
            .send_request(request, ends)
            .expect("a request that can be sent")
    }

    /// Sends a request with a whole body, and reads the answer.
    pub(crate) async fn request(&mut self, request: Request<()>, body: &[u8]) -> Result<Answered, h2::Error> {
        let (answer, mut outgoing) = self.begin(request, body.is_empty()).await;
        if !body.is_empty() {
            send(&mut outgoing, body, true).await?;
        }
        read(answer).await
    }

    /// One chat request with [`KEY`].
    pub(crate) async fn chat(&mut self) -> Answered {
        self.request(post().body(()).expect("a request"), b"{}")
            .await
            .expect("an answer")
    }

    /// Closes the connection under its requests.
    pub(crate) async fn cut(self) {
        self.driver.abort();
        let _ = self.driver.await;
    }

    /// Waits until the connection has ended, and says how.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        drop(self.requests);
        bounded("the end of a connection", self.driver)
            .await
            .expect("no panic")
    }
}

/// A chat request with [`KEY`].
pub(crate) fn post() -> http::request::Builder {
    Request::post(format!("http://api.example{CHAT}")).header("authorization", KEY)
}

/// Sends a piece of a body as the server has room for it.
pub(crate) async fn send(outgoing: &mut SendStream<Bytes>, body: &[u8], ends: bool) -> Result<(), h2::Error> {
    let mut body = Bytes::copy_from_slice(body);
    while !body.is_empty() {
        outgoing.reserve_capacity(body.len());
        while outgoing.capacity() == 0 {
            let room = std::future::poll_fn(|context| outgoing.poll_capacity(context));
            if let Some(Err(error)) = bounded("room for a body", room).await {
                return Err(error);
            }
        }
        let piece = body.split_to(outgoing.capacity().min(body.len()));
        outgoing.send_data(piece, ends && body.is_empty())?;
    }
    Ok(())
}

/// Reads an answer to its end.
pub(crate) async fn read(answer: ResponseFuture) -> Result<Answered, h2::Error> {
    let (head, mut incoming) = bounded("an answer", answer).await?.into_parts();
    let mut body = BytesMut::new();
    while let Some(piece) = piece(&mut incoming).await? {
        body.extend_from_slice(&piece);
    }
    Ok(Answered {
        status: head.status,
        headers: head.headers,
        body: body.to_vec(),
    })
}

/// The next piece of an answer's body.
pub(crate) async fn piece(incoming: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    while let Some(piece) = bounded("a piece of a body", incoming.data()).await.transpose()? {
        incoming.flow_control().release_capacity(piece.len())?;
        // An empty one only says that it was the last.
        if !piece.is_empty() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

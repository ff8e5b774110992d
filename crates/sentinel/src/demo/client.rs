//! The demo's client: one real request from a chosen address of this machine, on a connection of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

/// The longest that one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What is asked, and where from.
pub(super) struct Request<'a> {
    /// The address of this machine that the connection comes from.
    pub(super) from: IpAddr,
    /// The path.
    pub(super) path: &'a str,
    /// The headers beside `Host` and the framing.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The body of a POST; a GET when none.
    pub(super) body: Option<&'a str>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    /// The status.
    pub(super) status: u16,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The whole body.
    pub(super) body: String,
    /// In how many pieces the body arrived.
    pub(super) pieces: usize,
}

impl Reply {
    /// The first value of a header, as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The data of each server-sent event in the body.
    pub(super) fn events(&self) -> impl Iterator<Item = &str> {
        self.body.lines().filter_map(|line| line.strip_prefix("data: "))
    }
}

/// Makes the request and reads the whole answer.
pub(super) async fn send(to: SocketAddr, request: &Request<'_>) -> io::Result<Reply> {
    tokio::time::timeout(REQUEST_MAX, send_unbounded(to, request)).await?
}

/// Whether a connection can come from this address: not every system gives itself all of 127.0.0.0/8.
pub(super) fn can_come_from(address: IpAddr) -> io::Result<()> {
    socket_at(address).map(drop)
}

fn socket_at(address: IpAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.bind(SocketAddr::new(address, 0))?;
    Ok(socket)
}

async fn send_unbounded(to: SocketAddr, request: &Request<'_>) -> io::Result<Reply> {
    let stream = socket_at(request.from)?.connect(to).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let exchange = async {
        let answer = sender
            .send_request(message(to, request)?)
            .await
            .map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let (body, pieces) = read(body).await?;
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            pieces,
        })
    };
    // The connection must be driven for the exchange to move; the exchange decides when both are over.
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        reply = &mut exchange => reply,
        ended = connection => {
            ended.map_err(io::Error::other)?;
            exchange.await
        }
    }
}

fn message(to: SocketAddr, request: &Request<'_>) -> io::Result<http::Request<Full<Bytes>>> {
    let method = if request.body.is_some() {
        Method::POST
    } else {
        Method::GET
    };
    let mut builder = http::Request::builder()
        .method(method)
        .uri(request.path)
        .header("host", to.to_string());
    for (name, value) in request.headers {
        builder = builder.header(*name, *value);
    }
    let body = request.body.unwrap_or_default().to_owned();
    builder.body(Full::from(body)).map_err(io::Error::other)
}

async fn read(mut body: hyper::body::Incoming) -> io::Result<(Vec<u8>, usize)> {
    let (mut bytes, mut pieces) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer is too long"));
        }
        bytes.extend_from_slice(data);
        pieces += 1;
    }
    Ok((bytes, pieces))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::net::TcpListener;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn request() -> Request<'static> {
        Request {
            from: HOME,
            path: "/",
            headers: &[],
            body: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_given_up() {
        let silent = TcpListener::bind((HOME, 0)).await.expect("a free port");
        let begun = tokio::time::Instant::now();
        let reply = send(silent.local_addr().expect("bound"), &request()).await;
        let error = reply.expect_err("no answer");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= REQUEST_MAX);
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_bound() {
        for (length, accepted) in [(ANSWER_BYTES_MAX, true), (ANSWER_BYTES_MAX + 1, false)] {
            let listener = TcpListener::bind((HOME, 0)).await.expect("a free port");
            let address = listener.local_addr().expect("bound");
            let router = Router::new().fallback(move || async move { "x".repeat(length) });
            tokio::spawn(axum::serve(listener, router).into_future());
            let reply = send(address, &request()).await;
            assert_eq!(reply.is_ok(), accepted, "{length} bytes");
        }
    }
}

//! One request, one answer, over a connection of its own. Alerts are rare: a pool would keep connections that nobody needs. Must never
//! follow a redirect, and never read more of an answer than its bound.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sentinel_core::time::Timestamp;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Dialer, HttpUrl, OutboundError, OutboundStream};

/// The most bytes of an answer that are read; what follows is left where it is.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest that a call takes, from the name to the end of the answer.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest pause that an answer may ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
/// The most bytes of an answer's head.
pub const ANSWER_HEAD_BYTES_MAX: usize = 32 * 1024;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// How long to wait before the next call, when it was said.
    pub retry_after: Option<Duration>,
    /// The body, at most [`ANSWER_BYTES_MAX`] bytes of it.
    pub body: Bytes,
}

/// Makes calls.
#[derive(Clone)]
pub struct HttpClient {
    dialer: Dialer,
}

impl HttpClient {
    /// Connects as `dialer` does.
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer }
    }

    /// Posts a JSON body and reads the answer, within [`HTTP_TIMEOUT`].
    pub async fn post_json(
        &self,
        url: &HttpUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Reply, OutboundError> {
        let mut headers = headers;
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(0, (CONTENT_TYPE, json));
        self.call(Method::POST, url, headers, body, now).await
    }

    /// Makes any request and reads the answer, within [`HTTP_TIMEOUT`].
    pub async fn call(
        &self,
        method: Method,
        url: &HttpUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Reply, OutboundError> {
        let request = request(method, url, headers, body)?;
        timeout(HTTP_TIMEOUT, self.exchange(url, request, now))
            .await
            .unwrap_or_else(|_| Err(OutboundError::Timeout(url.destination().host.to_string())))
    }

    async fn exchange(
        &self,
        url: &HttpUrl,
        request: Request<Full<Bytes>>,
        now: Timestamp,
    ) -> Result<Reply, OutboundError> {
        let socket = self.dialer.connect(url.destination()).await?;
        let stream = if url.is_tls() {
            self.dialer
                .secure(url.destination(), socket, &[b"http/1.1"])
                .await?
        } else {
            OutboundStream::Plain(socket)
        };
        let failed = |error: hyper::Error| OutboundError::Protocol {
            host: url.destination().host.to_string(),
            cause: error.to_string(),
        };
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(ANSWER_HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        // Ends with this call, however that ends.
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        Ok(Reply {
            status: head.status.as_u16(),
            retry_after: retry_after(&head.headers, now),
            body: read(body).await.map_err(failed)?,
        })
    }
}

fn request(
    method: Method,
    url: &HttpUrl,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, OutboundError> {
    let mut request = Request::builder()
        .method(method)
        .uri(url.target())
        .header(HOST, url.authority())
        .header(USER_AGENT, concat!("Key-IP-Sentinel/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Full::new(body))
        .map_err(|_| OutboundError::Unwritable)?;
    request.headers_mut().extend(headers);
    Ok(request)
}

async fn read(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = ANSWER_BYTES_MAX - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if read.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(read.freeze())
}

/// The pause that the answer asks for, in seconds or until a date (RFC 9110, section 10.2.3), at most [`RETRY_AFTER_MAX`].
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        Timestamp::from_unix_ms(0).plus(since_epoch).since(now)
    };
    Some(pause.min(RETRY_AFTER_MAX))
}

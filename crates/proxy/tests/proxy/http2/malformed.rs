//! Requests that must not become lines of HTTP/1.1, and connections that break the rules of HTTP/2.

use sentinel_testkit::ScriptedUpstream;

use super::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, Frame, GOAWAY,
    HEADERS, PING, PROTOCOL_ERROR, RST_STREAM, RawHttp2, SETTINGS, WINDOW_UPDATE, fields, frame, request,
};
use crate::support::{Sentinel, upstream};

async fn started() -> (ScriptedUpstream, Sentinel) {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    (upstream, sentinel)
}

/// What becomes of a request: a frame of headers, or what ended it.
async fn outcome(client: &mut RawHttp2) -> Frame {
    loop {
        let frame = client.next().await.expect("an outcome");
        if [HEADERS, RST_STREAM, GOAWAY].contains(&frame.kind) {
            return frame;
        }
    }
}

/// The refused ones end with a stream error, or with the connection where the parser of HTTP/2 is that strict.
async fn is_refused(sentinel: &Sentinel, lines: &[u8]) -> bool {
    let mut client = RawHttp2::connect(sentinel.address).await;
    client.request(1, lines).await;
    let outcome = outcome(&mut client).await;
    [RST_STREAM, GOAWAY].contains(&outcome.kind) && outcome.error() == PROTOCOL_ERROR
}

#[tokio::test]
async fn no_field_becomes_a_line_of_its_own() {
    let (upstream, sentinel) = started().await;
    for value in [
        "a\r\nx-real-ip: 6.6.6.6",
        "a\nb",
        "a\rb",
        "a\0b",
        " a",
        "a ",
        "\ta",
    ] {
        assert!(
            is_refused(&sentinel, &request(&[("x-value", value)])).await,
            "{value:?}"
        );
        assert!(
            is_refused(&sentinel, &request(&[("cookie", value)])).await,
            "cookie {value:?}"
        );
    }
    for name in [
        "x\r\ny", "x y", "x:y", "", "X-Upper", "x\0", ":unknown", ":status",
    ] {
        assert!(is_refused(&sentinel, &request(&[(name, "a")])).await, "{name:?}");
    }
    for path in [
        "/v1 HTTP/1.1\r\nx: y",
        "/v1\r\n",
        "/v1 /v2",
        "",
        "v1",
        "http://other/v1",
        "*",
        "/v1\0",
        "/\x7f",
    ] {
        let lines: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":path", path.as_bytes()),
            (b":authority", b"api.example"),
        ];
        assert!(is_refused(&sentinel, &fields(&lines)).await, "{path:?}");
    }
    for method in ["GET /v1 HTTP/1.1\r\n", "", "G T", "GET\0"] {
        let lines: [(&[u8], &[u8]); 4] = [
            (b":method", method.as_bytes()),
            (b":scheme", b"http"),
            (b":path", b"/v1/models"),
            (b":authority", b"api.example"),
        ];
        assert!(is_refused(&sentinel, &fields(&lines)).await, "{method:?}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn lines_of_the_connection_are_malformed() {
    let (upstream, sentinel) = started().await;
    for (name, value) in [
        ("connection", "close"),
        ("connection", "x-real-ip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
    ] {
        assert!(
            is_refused(&sentinel, &request(&[(name, value)])).await,
            "{name}: {value}"
        );
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_request_names_one_host_and_one_length() {
    let (upstream, sentinel) = started().await;
    for lines in [
        &[("host", "other.example")][..],
        &[("host", "api.example"), ("host", "other.example")],
        &[("host", "api.example"), ("host", "api.example")],
        &[(":authority", "api.example")],
        &[("content-length", "5")],
        &[("content-length", "0"), ("content-length", "1")],
        &[("content-length", "+0")],
        &[("content-length", "0, 0")],
    ] {
        assert!(is_refused(&sentinel, &request(lines)).await, "{lines:?}");
    }
    assert!(upstream.requests().is_empty());
    let mut client = RawHttp2::connect(sentinel.address).await;
    client
        .request(1, &request(&[("host", "API.example"), ("content-length", "0")]))
        .await;
    assert_eq!(outcome(&mut client).await.kind, HEADERS, "said twice, but alike");
    assert_eq!(
        upstream.requests()[0].header("host").as_deref(),
        Some("api.example")
    );
}

#[tokio::test]
async fn a_body_has_the_length_that_was_said() {
    let (upstream, sentinel) = started().await;
    for body in [
        &b"1234"[..],
        b"123456",
        b"12345GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut client = RawHttp2::connect(sentinel.address).await;
        client
            .send(frame(
                HEADERS,
                END_HEADERS,
                1,
                &request(&[("content-length", "5")]),
            ))
            .await;
        client.send(frame(DATA, END_STREAM, 1, body)).await;
        assert_eq!(outcome(&mut client).await.kind, RST_STREAM, "{body:?}");
    }
    let seen = upstream.requests();
    assert!(seen.iter().all(|request| !request.complete), "{seen:?}");
}

#[tokio::test]
async fn what_breaks_the_rules_ends_the_connection() {
    let (upstream, sentinel) = started().await;
    let block = request(&[]);
    let cases = [
        (
            "a frame too large",
            frame(DATA, 0, 1, &vec![0; 16_385]),
            FRAME_SIZE_ERROR,
        ),
        (
            "headers on stream 0",
            frame(HEADERS, END_HEADERS | END_STREAM, 0, &block),
            PROTOCOL_ERROR,
        ),
        (
            "an even stream",
            frame(HEADERS, END_HEADERS | END_STREAM, 2, &block),
            PROTOCOL_ERROR,
        ),
        ("data on an idle stream", frame(DATA, 0, 1, b"x"), PROTOCOL_ERROR),
        ("data on stream 0", frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        (
            "a reset of an idle stream",
            frame(RST_STREAM, 0, 1, &[0; 4]),
            PROTOCOL_ERROR,
        ),
        (
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &block),
            PROTOCOL_ERROR,
        ),
        (
            "a window beyond all bounds",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            FLOW_CONTROL_ERROR,
        ),
        // The standard has another number for these two; the connection ends all the same.
        (
            "a ping of seven bytes",
            frame(PING, 0, 0, &[0; 7]),
            PROTOCOL_ERROR,
        ),
        (
            "settings of five bytes",
            frame(SETTINGS, 0, 0, &[0; 5]),
            PROTOCOL_ERROR,
        ),
        (
            "another frame within a head",
            [frame(HEADERS, END_STREAM, 1, &block), frame(PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL_ERROR,
        ),
        (
            "a number used again",
            [
                frame(HEADERS, END_HEADERS | END_STREAM, 3, &block),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block),
            ]
            .concat(),
            PROTOCOL_ERROR,
        ),
    ];
    for (what, bytes, error) in cases {
        let mut client = RawHttp2::connect(sentinel.address).await;
        client.send(bytes).await;
        assert_eq!(client.ended_with().await, error, "{what}");
    }
    let mut client = RawHttp2::connect_silently(sentinel.address).await;
    client.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    while let Some(frame) = client.next().await {
        assert_ne!(frame.kind, HEADERS);
    }
    assert!(upstream.requests().len() <= 1, "{:?}", upstream.requests());
}

//! How requests and answers pass: as they come, with the right headers, on connections that are used again.

use sentinel_proxy::HostHeader;
use sentinel_testkit::Answer;

use crate::support::{CHAT, KEY, Sentinel, upstream};

fn head(extra: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: api.example\r\nauthorization: {KEY}\r\n{extra}\r\n")
}

#[tokio::test]
async fn events_pass_one_by_one() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = sentinel.client().await;
    client.send(head("content-length: 2\r\n") + "{}").await;
    assert_eq!(
        client.read_head().await.header("content-type"),
        Some("text/event-stream")
    );
    for event in ["data: one\n\n", "data: two\n\n", "data: [DONE]\n\n"] {
        events.send(event);
        assert_eq!(client.read_chunk().await.expect("an event"), event.as_bytes());
    }
    events.finish();
    assert!(client.read_chunk().await.is_none());
    assert_eq!(
        client.get("/v1/models", &[("authorization", KEY)]).await.status(),
        200,
        "the connection is good for more"
    );
}

/// Slowloris: a body must not wait in memory for its end.
#[tokio::test]
async fn a_request_body_passes_before_it_is_complete() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    client
        .send(head("transfer-encoding: chunked\r\n") + "5\r\nhello\r\n")
        .await;
    upstream.wait_for_body_bytes(0, 5).await;
    client.send("6\r\n world\r\n0\r\n\r\n").await;
    assert_eq!(client.read_response().await.status(), 200);
    let seen = upstream.wait_for_body(0).await;
    assert_eq!(seen.body, b"hello world");
    assert_eq!(seen.header("content-length"), None);
}

#[tokio::test]
async fn a_body_of_known_length_keeps_its_length() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    // Many times what a connection holds at once (BUFFER_BYTES_MAX), so it must pass in pieces.
    let body = "x".repeat(300_000);
    let answer = sentinel
        .client()
        .await
        .post(CHAT, &[("authorization", KEY)], &body)
        .await;
    assert_eq!(answer.status(), 200);
    let seen = upstream.wait_for_body(0).await;
    assert_eq!(seen.header("content-length").as_deref(), Some("300000"));
    assert_eq!(seen.header("transfer-encoding"), None);
    assert_eq!(seen.body, body.as_bytes());
}

/// new-api believes the `X-Forwarded-For` of private addresses: nothing that a client says of itself must reach it. CVE-2022-31813, CVE-2024-45410,
/// CVE-2026-29054: nor must `Connection` take our own lines away.
#[tokio::test]
async fn headers_of_one_hop_end_and_forwarding_ones_are_ours() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let spoofed = "x-forwarded-for: 6.6.6.6\r\nx-real-ip: 6.6.6.6\r\nforwarded: for=6.6.6.6\r\ncf-connecting-ip: 6.6.6.6\r\nx_real_ip: 6.6.6.6\r\n\
        connection: keep-alive, X-Real-IP, x-once\r\nx-once: 1\r\nte: trailers\r\ncontent-length: 2\r\nuser-agent: test\r\n";
    let mut client = sentinel.client().await;
    client.send(head(spoofed) + "{}").await;
    client.read_response().await;
    let seen = &upstream.requests()[0];
    assert!(!String::from_utf8_lossy(&seen.head).contains("6.6.6.6"));
    assert_eq!(seen.header("x-real-ip").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.header("host").as_deref(), Some("api.example"));
    assert_eq!(seen.header("user-agent").as_deref(), Some("test"));
    for gone in ["x-once", "te", "connection", "x_real_ip"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn the_upstream_may_be_called_by_its_own_name() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.host_header = HostHeader::Upstream;
    });
    sentinel.chat().await;
    let seen = &upstream.requests()[0];
    assert_eq!(seen.header("host"), Some(upstream.address().to_string()));
    assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("test.invalid"));
}

#[tokio::test]
async fn an_absolute_target_is_forwarded_as_a_path() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    let request = format!(
        "GET http://api.example/v1/models?a=1 HTTP/1.1\r\nhost: api.example\r\nauthorization: {KEY}\r\n\r\n"
    );
    assert_eq!(client.request(request).await.status(), 200);
    assert_eq!(upstream.requests()[0].target, "/v1/models?a=1");
}

#[tokio::test]
async fn encodings_and_unusual_answers_pass_untouched() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    upstream.answer_next(Answer::with_headers(
        429,
        &[
            ("content-encoding", "gzip"),
            ("retry-after", "7"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ],
        [0x1f, 0x8b, 8, 0],
    ));
    let answer = client
        .get(
            "/v1/models",
            &[("authorization", KEY), ("accept-encoding", "gzip")],
        )
        .await;
    assert_eq!(
        (
            answer.status(),
            answer.header("content-encoding"),
            answer.header("retry-after")
        ),
        (429, Some("gzip"), Some("7"))
    );
    assert_eq!(answer.head.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(answer.body, [0x1f, 0x8b, 8, 0]);
    assert_eq!(
        upstream.requests()[0].header("accept-encoding").as_deref(),
        Some("gzip")
    );
    for status in [204, 304] {
        upstream.answer_next(Answer::with_headers(status, &[("etag", "x")], ""));
        assert_eq!(
            client.get("/v1/models", &[("authorization", KEY)]).await.status(),
            status
        );
    }
    upstream.answer_next(Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"));
    client
        .send(format!(
            "HEAD /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\n\r\n"
        ))
        .await;
    let head = client.read_head().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
}

/// hyper#4181: a length beside a transfer coding.
#[tokio::test]
async fn an_answer_with_two_framings_leaves_with_one() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ));
    let answer = sentinel.chat().await;
    assert_eq!(
        (
            answer.header("content-length"),
            answer.header("transfer-encoding")
        ),
        (None, Some("chunked"))
    );
    assert_eq!(answer.body, b"hello");
}

#[tokio::test]
async fn upstream_connections_are_used_again() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    for _ in 0..5 {
        assert_eq!(
            client.post(CHAT, &[("authorization", KEY)], "{}").await.status(),
            200
        );
    }
    upstream.answer_next(Answer::with_headers(204, &[], ""));
    client.get("/v1/models", &[("authorization", KEY)]).await;
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    events.send("data: 1\n\n");
    events.finish();
    client.post(CHAT, &[("authorization", KEY)], "{}").await;
    client.get("/v1/models", &[("authorization", KEY)]).await;
    assert_eq!(upstream.connections(), 1);
    assert_eq!(sentinel.engine.figures().snapshot().upstream_reused, 7);
}

#[tokio::test]
async fn a_refusal_is_decided_from_the_head_before_any_100() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let request = head("expect: 100-continue\r\ncontent-length: 2\r\n");
    let mut client = sentinel.client().await;
    client.send(&request).await;
    assert_eq!(client.read_head().await.status, 100);
    client.send("{}").await;
    assert_eq!(client.read_response().await.status(), 200);
    let mut elsewhere = sentinel.client_elsewhere().await;
    elsewhere.send(&request).await;
    assert_eq!(
        elsewhere.read_head().await.status,
        403,
        "no interim answer came first"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    let one = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\n\r\n");
    let keyless = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".to_owned();
    client.send(one.clone() + &keyless + &one).await;
    for _ in 0..3 {
        assert_eq!(client.read_response().await.status(), 200);
    }
    let seen = upstream.requests();
    assert_eq!(
        seen.iter()
            .map(|request| request.header("authorization").is_some())
            .collect::<Vec<_>>(),
        [true, false, true]
    );
}

#[tokio::test]
async fn several_workers_share_one_port() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| options.cores = 3);
    for _ in 0..20 {
        assert_eq!(sentinel.chat().await.status(), 200);
    }
    assert_eq!(sentinel.engine.figures().snapshot().requests, 20);
}

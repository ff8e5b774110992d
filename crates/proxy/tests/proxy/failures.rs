//! Clients and upstreams that leave, stay silent or break off: the right outcome, and nothing sent twice.

use std::time::Duration;

use sentinel_core::decision::RefusalReason;
use sentinel_proxy::Malformed;
use sentinel_testkit::{Answer, bounded, unreachable_address};

use crate::support::{CHAT, KEY, Sentinel, code, upstream};

fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ncontent-length: 2\r\n\r\n{{}}")
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_cancels_it() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    upstream.answer_next(Answer::never());
    let mut client = sentinel.client().await;
    client.send(post(CHAT)).await;
    upstream.wait_for_requests(2).await;
    drop(client);
    upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn a_client_that_leaves_within_a_stream_cancels_it() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = sentinel.client().await;
    client.send(post(CHAT)).await;
    events.send("data: 1\n\n");
    client.read_head().await;
    client.read_chunk().await;
    client.reset();
    upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn an_upstream_that_nobody_can_reach_is_a_502_in_the_callers_dialect() {
    let sentinel = Sentinel::start(unreachable_address().await);
    let refused = sentinel.chat().await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (502, "upstream_unreachable")
    );
    let anthropic = sentinel
        .client()
        .await
        .post("/v1/messages", &[("authorization", KEY)], "{}")
        .await;
    assert!(
        anthropic.text().contains(r#""type":"api_error""#),
        "{}",
        anthropic.text()
    );
    let records = sentinel.sink.wait_for(2).await;
    assert_eq!(records[0].reason, RefusalReason::UpstreamUnreachable);
    assert_eq!(
        refused.header("x-sentinel-reference"),
        Some(records[0].reference.as_str())
    );
}

#[tokio::test]
async fn an_upstream_that_stays_silent_is_a_504() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.stream_idle = Duration::from_millis(200);
    });
    upstream.answer_next(Answer::never());
    let refused = sentinel.chat().await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (504, "upstream_timeout")
    );
    upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_cut_and_one_that_moves_is_not() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.stream_idle = Duration::from_millis(400);
    });
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = sentinel.client().await;
    client.send(post(CHAT)).await;
    client.read_head().await;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..8 {
        ticks.tick().await;
        events.send("data: 1\n\n");
        assert!(
            client.read_chunk().await.is_some(),
            "twice the bound in all, but never silent"
        );
    }
    assert!(client.try_read_chunk().await.is_err(), "cut, and seen to be cut");
    upstream.wait_for_clients_gone(1).await;
}

/// What the upstream may have read is never sent again.
/// hyper#2136: a POST on a connection that the upstream closes must not be sent again.
#[tokio::test]
async fn a_request_that_was_sent_is_not_sent_twice() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    upstream.answer_next(Answer::close());
    let refused = sentinel.chat().await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (502, "upstream_unreachable")
    );
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(sentinel.chat().await.status(), 200);
}

/// hyper#2136: an idle connection that was closed must not fail a request.
#[tokio::test]
async fn an_idle_connection_that_the_upstream_closed_costs_nothing() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    for _ in 0..3 {
        assert_eq!(sentinel.chat().await.status(), 200);
        upstream.close_idle().await;
    }
    assert_eq!(sentinel.chat().await.status(), 200);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::cut_short(100, "partial"));
    let mut client = sentinel.client().await;
    client.send(post(CHAT)).await;
    assert_eq!(client.read_head().await.status, 200);
    assert_eq!(client.read_chunk().await.expect("what came"), b"partial");
    assert!(client.try_read_chunk().await.is_err());
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = sentinel.client().await;
    client.send(post(CHAT)).await;
    client.read_head().await;
    events.send("data: 1\n\n");
    client.read_chunk().await;
    events.abort();
    assert!(client.try_read_chunk().await.is_err());
}

#[tokio::test]
async fn nonsense_from_the_upstream_is_a_502() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    for nonsense in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    ] {
        upstream.answer_next(Answer::raw(nonsense));
        let refused = sentinel.chat().await;
        assert_eq!(refused.status(), 502, "{nonsense:?}");
    }
}

#[tokio::test]
async fn an_answer_with_too_many_headers_is_a_502() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    // RESPONSE_HEADERS_MAX is 256, the length among them.
    for (lines, status) in [(255, 200), (256, 502)] {
        let headers = vec![("x-line", "1"); lines];
        upstream.answer_next(Answer::with_headers(200, &headers, ""));
        assert_eq!(sentinel.chat().await.status(), status, "{lines} lines");
    }
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::new(413, "too large").before_body());
    let mut client = sentinel.client().await;
    client
        .send(format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ncontent-length: 1000000\r\n\r\n"
        ))
        .await;
    let answer = client.read_response().await;
    let connection = answer.header("connection");
    assert_eq!(
        (answer.status(), connection),
        (413, Some("close")),
        "and hears that it is the last one"
    );
}

#[tokio::test]
async fn a_client_that_breaks_its_body_off_leaves_no_record() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    client.send(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")).await;
    upstream.wait_for_body_bytes(0, 5).await;
    client.send("nonsense\r\n").await;
    client.wait_for_close().await;
    upstream.wait_for_clients_gone(1).await;
    assert!(sentinel.sink.intercepts().is_empty());
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_closes_the_rest() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut idle = sentinel.client().await;
    idle.get("/v1/models", &[]).await;
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut busy = sentinel.client().await;
    busy.send(post(CHAT)).await;
    busy.read_head().await;
    let stopping = tokio::spawn(sentinel.stop(Duration::from_secs(30)));
    bounded("the idle connection to close", idle.wait_for_close()).await;
    events.send("data: last\n\n");
    events.finish();
    assert_eq!(busy.read_body().await, b"data: last\n\n");
    assert!(stopping.await.expect("no panic"), "everything finished");
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::never());
    let mut busy = sentinel.client().await;
    busy.send(post(CHAT)).await;
    upstream.wait_for_requests(1).await;
    assert!(!sentinel.stop(Duration::ZERO).await);
    busy.wait_for_close().await;
    upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn interim_answers_without_end_are_a_502() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    // INTERIM_ANSWERS_MAX is 100.
    for (interim, status) in [(100, 200), (101, 502)] {
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(interim);
        upstream.answer_next(Answer::new(200, "{}").after_interim(interim));
        assert_eq!(sentinel.chat().await.status(), status);
    }
}

/// An operator who is shown such an answer can tell that it is ours, and how often there was one.
#[tokio::test]
async fn what_cannot_be_read_is_answered_with_a_code_and_counted() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let large = format!(
        "GET /v1/models HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    let chunked = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n");
    let cases = [
        ("GET /v1/models HTTP/1.1\r\n\r\n", 400, Malformed::Request),
        (chunked.as_str(), 400, Malformed::Body),
        (large.as_str(), 431, Malformed::HeaderTooLarge),
        (
            "GET /v1/models HTTP/1.2\r\nhost: x\r\n\r\n",
            505,
            Malformed::Version,
        ),
        (
            "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n",
            405,
            Malformed::Method,
        ),
    ];
    for (request, status, kind) in cases {
        let mut client = sentinel.client().await;
        let _ = client.try_send(request).await;
        let answer = client.read_response().await;
        assert_eq!(answer.status(), status, "{kind:?}");
        let reference = answer.header("x-sentinel-reference").expect("a reference");
        let text = answer.text();
        assert!(text.starts_with(&format!("{}: ", kind.code())), "{text}");
        assert!(text.contains(reference), "{text}");
    }
    let counted = sentinel.engine.figures().snapshot().malformed;
    // The forward-auth listener's own ones cannot happen here.
    let expected = |kind| u64::from(!matches!(kind, Malformed::Question | Malformed::UntrustedPeer));
    assert_eq!(counted, Malformed::ALL.map(|kind| (kind, expected(kind))));
    assert!(sentinel.sink.intercepts().is_empty(), "no rule was broken");
}

//! The test kit's own promises: what it records, when it lets things out, and that no wait is endless.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use sentinel_core::binding::Networks;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
use sentinel_core::network::ClientIp;
use sentinel_core::ports::InterceptSink as _;
use sentinel_core::time::{Clock as _, Timestamp};

use super::*;

#[tokio::test]
async fn the_upstream_shows_what_it_saw_and_keeps_the_connection() {
    let upstream = ScriptedUpstream::start(Answer::new(200, "{}")).await;
    let mut client =
        RawClient::connect_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), upstream.address()).await;
    assert_eq!(client.local_address().ip().to_string(), "127.0.0.2");

    let answer = client
        .post("/v1/x?a=1", &[("X-One", "a"), ("x-one", "b")], "hello")
        .await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, "{}"));
    assert_eq!(client.get("/v1/y", &[]).await.status(), 200);

    let seen = upstream.wait_for_requests(2).await;
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str()),
        ("POST", "/v1/x?a=1")
    );
    assert!(seen[0].head.starts_with(b"POST /v1/x?a=1 HTTP/1.1\r\n"));
    assert_eq!(seen[0].header_values("x-one"), ["a", "b"]);
    assert_eq!((seen[0].body.as_slice(), seen[0].complete), (&b"hello"[..], true));
    assert_eq!(seen[1].connection, 0);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn chunks_go_out_when_the_test_says_so() {
    let upstream = ScriptedUpstream::start(Answer::unauthorized()).await;
    let (chunks, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = RawClient::connect(upstream.address()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(
        client.read_head().await.header("content-type"),
        Some("text/event-stream")
    );
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        chunks.send(event);
        assert_eq!(client.read_chunk().await.as_deref(), Some(event.as_bytes()));
    }
    chunks.finish();
    assert_eq!(client.read_chunk().await, None);
    assert_eq!(client.get("/", &[]).await.status(), 401);
}

#[tokio::test]
async fn a_stream_can_be_cut_by_either_side() {
    let upstream = ScriptedUpstream::start(Answer::never()).await;
    let (chunks, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = RawClient::connect(upstream.address()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    client.read_head().await;
    chunks.abort();
    assert!(client.try_read_chunk().await.is_err());

    let (chunks, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = RawClient::connect(upstream.address()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    client.read_head().await;
    drop(client);
    upstream.wait_for_clients_gone(1).await;
    assert!(chunks.is_given_up());
}

#[tokio::test]
async fn a_body_is_seen_while_it_arrives() {
    let upstream = ScriptedUpstream::start(Answer::new(200, "")).await;
    let mut client = RawClient::connect(upstream.address()).await;
    client
        .send("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    upstream.wait_for_body_bytes(0, 3).await;
    assert!(!upstream.requests()[0].complete);
    client.send("2\r\nde\r\n0\r\n\r\n").await;
    assert_eq!(upstream.wait_for_body(0).await.body, b"abcde");
    assert_eq!(client.read_response().await.status(), 200);
}

#[tokio::test]
async fn answers_may_come_early_or_never_or_broken() {
    let upstream = ScriptedUpstream::start(Answer::new(413, "").before_body()).await;
    let mut client = RawClient::connect(upstream.address()).await;
    let head = "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(client.request(head).await.status(), 413);
    client.send("12345").await;

    upstream.answer_next(Answer::new(200, "x").after_interim("HTTP/1.1 100 Continue\r\n\r\n"));
    client.send(head).await;
    assert_eq!(client.read_head().await.status, 100);
    client.send("12345").await;
    assert_eq!(client.read_response().await.status(), 200);

    upstream.answer_next(Answer::cut_short(10, "abc"));
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    client.read_head().await;
    assert_eq!(client.read_chunk().await.as_deref(), Some(&b"abc"[..]));
    assert!(client.try_read_chunk().await.is_err());

    for answer in [Answer::close(), Answer::reset()] {
        upstream.answer_next(answer);
        let mut client = RawClient::connect(upstream.address()).await;
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        assert!(client.wait_for_close().await.is_empty());
    }

    upstream.answer_next(Answer::never());
    let mut client = RawClient::connect(upstream.address()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    upstream.wait_for_requests(6).await;
    client.reset();
    upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn idle_connections_and_all_others_close_on_demand() {
    let upstream = ScriptedUpstream::start(Answer::new(200, "")).await;
    let mut client = RawClient::connect(upstream.address()).await;
    client.get("/", &[]).await;
    upstream.close_idle().await;
    assert!(client.wait_for_close().await.is_empty());

    upstream.answer_next(Answer::never_reading());
    let mut client = RawClient::connect(upstream.address()).await;
    client.send("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n").await;
    upstream.wait_for_requests(2).await;
    upstream.close_all().await;
    assert!(client.wait_for_close().await.is_empty());
}

#[tokio::test]
async fn a_tunnel_gives_back_what_it_gets() {
    let upstream = ScriptedUpstream::start(Answer::upgrade(
        "websocket",
        &[("sec-websocket-protocol", "realtime")],
    ))
    .await;
    let mut client = RawClient::connect(upstream.address()).await;
    client
        .send("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nearly")
        .await;
    let head = client.read_head().await;
    assert_eq!((head.status, head.header("upgrade")), (101, Some("websocket")));
    assert_eq!(client.read_exactly(5).await, b"early");
    client.send("late").await;
    assert_eq!(client.read_exactly(4).await, b"late");
    assert_eq!(upstream.wait_for_tunnelled(9).await, b"earlylate");
    client.finish_sending().await;
    assert!(client.wait_for_close().await.is_empty());
}

#[tokio::test]
async fn a_body_may_end_with_the_connection() {
    let upstream = ScriptedUpstream::start(Answer::raw("HTTP/1.1 200 OK\r\n\r\nabc").then_close()).await;
    let mut client = RawClient::connect(upstream.address()).await;
    assert_eq!(client.get("/", &[]).await.text(), "abc");
}

#[tokio::test]
async fn nothing_listens_at_an_unreachable_address() {
    let address = unreachable_address().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_sink_keeps_records_in_order() {
    let sink = MemorySink::new();
    let record = Intercept {
        reference: Reference::random(),
        at: Timestamp::from_unix_ms(1),
        last_at: Timestamp::from_unix_ms(1),
        reason: RefusalReason::KeyIpMismatch,
        outcome: InterceptOutcome::Refused,
        binding: None,
        networks: Networks::default(),
        fingerprint: None,
        hint: None,
        client_ip: ClientIp::new(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        user_agent: String::new(),
        count: 1,
        profile: "".into(),
        replica: "".into(),
    };
    sink.record(record.clone());
    assert_eq!(sink.wait_for(1).await.first(), Some(&record));
    assert_eq!(sink.intercepts(), [record]);
}

#[test]
fn the_clock_shows_what_it_was_set_to() {
    let clock = SettableClock::at(Timestamp::from_unix_ms(1_000));
    clock.advance(Duration::from_secs(2));
    assert_eq!(clock.now().unix_ms(), 3_000);
    clock.set(Timestamp::from_unix_ms(5));
    assert_eq!(clock.now().unix_ms(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_bound() {
    let waited = tokio::spawn(bounded("what never comes", std::future::pending::<()>()));
    let failure = waited.await.expect_err("the wait fails").into_panic();
    let text = failure.downcast::<String>().expect("a sentence");
    assert_eq!(*text, "waited 10 s for: what never comes");
}

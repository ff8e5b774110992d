//! What happens at each bound of the data plane.

use std::time::Duration;

use sentinel_proxy::StartError;
use sentinel_testkit::{Answer, RawClient, unreachable_address};

use crate::support::{CHAT, KEY, Sentinel, upstream};

/// Endless headers: a head must not grow for ever.
#[tokio::test]
async fn a_head_beyond_the_bound_is_a_431() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.header_bytes_max = 10_000;
        options.bounds.headers_max = 20;
    });
    let with = async |headers: &[(&str, &str)]| {
        let mut client = sentinel.client().await;
        client
            .try_send(request(headers))
            .await
            .expect("the head is taken");
        client.read_head().await.status
    };
    assert_eq!(with(&[("x-large", &"x".repeat(9_000))]).await, 200);
    assert_eq!(with(&[("x-large", &"x".repeat(11_000))]).await, 431);
    let lines = |count: usize| vec![("x-line", "1"); count];
    assert_eq!(with(&lines(18)).await, 200);
    assert_eq!(with(&lines(21)).await, 431);
}

fn request(headers: &[(&str, &str)]) -> String {
    let line = |(name, value): &(&str, &str)| format!("{name}: {value}\r\n");
    let lines: Vec<String> = headers.iter().map(line).collect();
    format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{}\r\n", lines.concat())
}

/// Slowloris: a head that does not end must not hold a connection.
#[tokio::test]
async fn a_head_that_takes_too_long_ends_its_connection() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.header_timeout = Duration::from_millis(200);
    });
    let mut slow = sentinel.client().await;
    slow.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n").await;
    slow.wait_for_close().await;
    let mut silent = sentinel.client().await;
    silent.wait_for_close().await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn beyond_the_bound_connections_wait_for_their_turn() {
    connections_wait_for_their_turn(1).await;
}

/// Whichever workers the kernel gives them to.
#[tokio::test]
async fn the_bound_is_the_same_on_any_number_of_cores() {
    connections_wait_for_their_turn(4).await;
}

async fn connections_wait_for_their_turn(cores: usize) {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.cores = cores;
        options.bounds.connections_max = 2;
    });
    let mut first = sentinel.client().await;
    let mut second = sentinel.client().await;
    assert_eq!(first.get("/v1/models", &[]).await.status(), 200);
    assert_eq!(second.get("/v1/models", &[]).await.status(), 200);
    let mut third = sentinel.client().await;
    third.send(request(&[])).await;
    assert_eq!(first.get("/v1/models", &[]).await.status(), 200);
    assert_eq!(sentinel.engine.figures().snapshot().connections_open, 2);
    assert_eq!(upstream.requests().len(), 3, "the third one waits");
    drop(first);
    assert_eq!(third.read_response().await.status(), 200);
}

#[tokio::test]
async fn idle_upstream_connections_are_bounded() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.upstream_idle_connections_max = 1;
    });
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut streaming = sentinel.client().await;
    streaming
        .send(format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ncontent-length: 2\r\n\r\n{{}}"
        ))
        .await;
    streaming.read_head().await;
    assert_eq!(sentinel.chat().await.status(), 200);
    events.finish();
    streaming.read_body().await;
    upstream.wait_for_clients_gone(1).await;
    assert_eq!(upstream.connections(), 2);
}

/// hyper#2136: an idle connection must not be kept until the upstream closes it.
#[tokio::test]
async fn idle_upstream_connections_have_a_short_life() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.upstream_idle = Duration::from_millis(50);
    });
    assert_eq!(sentinel.chat().await.status(), 200);
    upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn a_port_in_use_is_said_at_the_start() {
    let upstream = unreachable_address().await;
    let running = Sentinel::start_with(upstream, |options| options.cores = 2);
    let error = crate::support::start_on(running.address, upstream).expect_err("the port is taken");
    assert!(
        matches!(error, StartError::Listen { address, .. } if address == running.address),
        "{error}"
    );
}

/// Slowloris: one address must not hold all connections.
#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.connections_per_address_max = 2;
        options.trusted = vec!["127.0.0.9/32".parse().expect("a network")];
    });
    let mut first = sentinel.client().await;
    let mut second = sentinel.client().await;
    assert_eq!(first.get("/v1/models", &[]).await.status(), 200);
    assert_eq!(second.get("/v1/models", &[]).await.status(), 200);
    let mut third = sentinel.client().await;
    third.wait_for_close().await;
    assert_eq!(
        sentinel
            .client_elsewhere()
            .await
            .get("/v1/models", &[])
            .await
            .status(),
        200,
        "others are served"
    );
    for _ in 0..3 {
        let mut proxy = RawClient::connect_from([127, 0, 0, 9].into(), sentinel.address).await;
        assert_eq!(
            proxy
                .get("/v1/models", &[("x-real-ip", "192.0.2.1")])
                .await
                .status(),
            200,
            "a trusted proxy is many"
        );
    }
    drop(first);
    second.get("/v1/models", &[]).await;
    assert_eq!(sentinel.engine.figures().snapshot().connections_refused, 1);
}

/// All that an address may have, it may have, whichever workers the kernel gives them to.
#[tokio::test]
async fn an_address_has_the_same_bound_on_any_number_of_cores() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.cores = 4;
        options.bounds.connections_per_address_max = 8;
    });
    let mut open = Vec::new();
    for number in 0..8 {
        let mut client = sentinel.client().await;
        assert_eq!(client.get("/v1/models", &[]).await.status(), 200, "{number}");
        open.push(client);
    }
    sentinel.client().await.wait_for_close().await;
    let figures = sentinel.engine.figures().snapshot();
    assert_eq!(
        (figures.connections_accepted, figures.connections_refused),
        (8, 1)
    );
}

/// A client that does not read holds an answer only as long as nothing moves.
#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.stream_idle = Duration::from_millis(300);
    });
    upstream.answer_next(Answer::new(200, vec![b'x'; 32 * 1024 * 1024]));
    let mut client = sentinel.client().await;
    client.send(request(&[])).await;
    upstream.wait_for_clients_gone(1).await;
    assert!(client.wait_for_close().await.len() < 32 * 1024 * 1024);
}

/// Beyond PIPELINED_BYTES_MAX nothing is read ahead, and nothing of it is lost.
#[tokio::test]
async fn requests_sent_far_ahead_wait_in_the_socket() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = sentinel.client().await;
    client.send(request(&[])).await;
    client.read_head().await;
    let ahead = request(&[("x-large", &"x".repeat(20_000))]);
    client.send(ahead.repeat(10)).await;
    events.finish();
    client.read_body().await;
    for _ in 0..10 {
        assert_eq!(client.read_response().await.status(), 200);
    }
    assert_eq!(upstream.requests().len(), 11);
}

/// A refused body is read up to LINGER_BYTES_MAX, so that the client reads the refusal instead of a reset.
#[tokio::test]
async fn a_refusal_is_read_by_a_client_that_is_still_sending() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    let mut elsewhere = sentinel.client_elsewhere().await;
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ncontent-length: 500000\r\n\r\n");
    elsewhere.send(head + &"x".repeat(400_000)).await;
    let refused = elsewhere.read_response().await;
    assert_eq!(
        (refused.status(), refused.header("connection")),
        (403, Some("close"))
    );
}

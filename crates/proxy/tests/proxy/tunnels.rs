//! WebSocket and other upgrades.

use std::net::SocketAddr;
use std::time::Duration;

use sentinel_testkit::{Answer, bounded};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::interval;

use crate::support::{KEY, Sentinel, upstream};

fn handshake(extra: &str) -> String {
    format!(
        "GET /v1/realtime?model=x HTTP/1.1\r\nhost: api.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\norigin: https://app.example\r\n{extra}\r\n"
    )
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::upgrade(
        "websocket",
        &[
            ("sec-websocket-accept", "x"),
            ("sec-websocket-protocol", "realtime"),
        ],
    ));
    let mut client = sentinel.client().await;
    client
        .send(handshake(
            "sec-websocket-protocol: realtime, openai-insecure-api-key.sk-browser\r\n",
        ))
        .await;
    let head = client.read_head().await;
    assert_eq!(
        (
            head.status,
            head.header("upgrade"),
            head.header("sec-websocket-protocol")
        ),
        (101, Some("websocket"), Some("realtime"))
    );
    // The last one is more than one read brings.
    for message in ["hello", "again", &"x".repeat(100_000)] {
        client.send(message).await;
        assert_eq!(client.read_exactly(message.len()).await, message.as_bytes());
    }
    let seen = &upstream.requests()[0];
    assert_eq!(seen.header("connection").as_deref(), Some("upgrade"));
    assert_eq!(seen.header("origin").as_deref(), Some("https://app.example"));
    assert_eq!(
        seen.header("sec-websocket-protocol").as_deref(),
        Some("realtime, openai-insecure-api-key.sk-browser")
    );
    assert_eq!(sentinel.lookup.bindings().len(), 1, "the browser's key was bound");
    client.finish_sending().await;
    client.wait_for_close().await;
    upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_403() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    let mut elsewhere = sentinel.client_elsewhere().await;
    elsewhere
        .send(handshake(&format!("authorization: {KEY}\r\n")))
        .await;
    let refused = elsewhere.read_response().await;
    assert_eq!(refused.status(), 403);
    assert!(refused.header("x-sentinel-reference").is_some());
    assert_eq!(upstream.requests().len(), 1);
}

/// CVE-2026-2833: no raw bytes before the upstream has switched.
/// Echo CVE-2026-118264: nor must what follows a refused upgrade get past the decision.
#[tokio::test]
async fn nothing_is_spliced_before_the_upstreams_101() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = sentinel.client().await;
    let smuggled = "GET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    client
        .send(handshake(&format!("authorization: {KEY}\r\n")) + smuggled)
        .await;
    assert_eq!(
        client.read_response().await.status(),
        200,
        "the upstream did not switch"
    );
    assert_eq!(
        client.read_response().await.status(),
        200,
        "what follows is a request of its own"
    );
    let seen = upstream.wait_for_requests(2).await;
    assert_eq!(seen[1].target, "/v1/smuggled");
    assert_eq!(
        seen[1].header("x-real-ip").as_deref(),
        Some("127.0.0.1"),
        "decided on like any other"
    );
}

#[tokio::test]
async fn a_tunnel_ends_when_the_upstream_leaves() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::upgrade("websocket", &[]));
    let mut client = sentinel.client().await;
    client.send(handshake("")).await;
    client.read_head().await;
    client.send("x").await;
    client.read_exactly(1).await;
    assert_eq!(sentinel.engine.figures().snapshot().tunnels_open, 1);
    upstream.close_all().await;
    client.wait_for_close().await;
}

#[tokio::test]
async fn an_upgrade_to_an_upstream_that_is_away_is_a_502() {
    let away: SocketAddr = sentinel_testkit::unreachable_address().await;
    let sentinel = Sentinel::start(away);
    let mut client = sentinel.client().await;
    client.send(handshake("")).await;
    assert_eq!(client.read_response().await.status(), 502);
}

#[tokio::test]
async fn a_silent_tunnel_ends_and_one_that_is_used_now_and_then_stays() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.tunnel_idle = Duration::from_secs(1);
    });
    let mut clients = Vec::new();
    for _ in 0..2 {
        upstream.answer_next(Answer::upgrade("websocket", &[]));
        let mut client = sentinel.client().await;
        client.send(handshake("")).await;
        assert_eq!(client.read_head().await.status, 101);
        clients.push(client);
    }
    let (mut silent, mut used) = (clients.remove(0), clients.remove(0));
    let mut pings = interval(Duration::from_millis(50));
    let pinging = async {
        loop {
            pings.tick().await;
            used.send("ping").await;
            used.read_exactly(4).await;
        }
    };
    tokio::select! {
        rest = silent.wait_for_close() => assert!(rest.is_empty()),
        () = pinging => {}
    }
    upstream.wait_for_clients_gone(1).await;
    used.send("ping").await;
    assert_eq!(used.read_exactly(4).await, b"ping");
    used.wait_for_close().await;
    upstream.wait_for_clients_gone(2).await;
}

/// Its own messages must not make up for what it does not take.
#[tokio::test]
async fn a_tunnel_whose_client_does_not_read_ends() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let talkative = listener.local_addr().expect("it is bound");
    let upstream = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (mut reader, mut writer) = stream.into_split();
        let reading = tokio::spawn(async move {
            let mut bytes = vec![0; 4096];
            while matches!(reader.read(&mut bytes).await, Ok(1..)) {}
        });
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        writer.write_all(head.as_bytes()).await.expect("it is taken");
        while writer.write_all(&[b'x'; 8_192]).await.is_ok() {}
        reading.await.expect("no panic");
    });
    let sentinel = Sentinel::start_with(talkative, |options| {
        options.bounds.stream_idle = Duration::from_millis(300);
    });
    let mut client = sentinel.client().await;
    client.send(handshake("")).await;
    let mut pings = interval(Duration::from_millis(20));
    bounded("the tunnel to end", async {
        while client.try_send("ping").await.is_ok() {
            pings.tick().await;
        }
    })
    .await;
    bounded("the upstream to hear of it", upstream)
        .await
        .expect("no panic");
    assert_eq!(sentinel.engine.figures().snapshot().tunnels_open, 0);
}

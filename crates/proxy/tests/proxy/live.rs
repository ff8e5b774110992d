//! Streams and tunnels that are under way when their key's binding changes.

use sentinel_core::binding::BindingStatus;
use sentinel_core::network::Network;
use sentinel_core::ports::BindingChange;
use sentinel_testkit::{Answer, ChunkSender, RawClient, ScriptedUpstream};

use crate::support::{CHAT, KEY, Sentinel, upstream};

fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

fn post(key: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-length: 2\r\n\r\n{{}}")
}

/// A stream that has begun.
async fn stream(sentinel: &Sentinel, upstream: &ScriptedUpstream, key: &str) -> (RawClient, ChunkSender) {
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = sentinel.client().await;
    client.send(post(key)).await;
    client.read_head().await;
    events.send("data: 1\n\n");
    client.read_chunk().await;
    (client, events)
}

fn tell(sentinel: &Sentinel) {
    let binding = sentinel.lookup.bindings().remove(0);
    sentinel
        .engine
        .watcher()
        .changed(BindingChange::Now(Box::new(binding)));
}

#[tokio::test]
async fn a_ban_ends_the_keys_streams_and_no_others() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| options.cores = 2);
    let (mut banned, _events) = stream(&sentinel, &upstream, KEY).await;
    sentinel
        .lookup
        .change(|binding| binding.status = BindingStatus::Banned);
    let (mut other, other_events) = stream(&sentinel, &upstream, "sk-other").await;
    let banned_binding = sentinel
        .lookup
        .bindings()
        .into_iter()
        .find(|binding| binding.status == BindingStatus::Banned);
    sentinel.engine.watcher().changed(BindingChange::Now(Box::new(
        banned_binding.expect("one was banned"),
    )));
    assert!(
        banned.try_read_chunk().await.is_err(),
        "ended, and seen to be ended"
    );
    upstream.wait_for_clients_gone(1).await;
    other_events.send("data: 2\n\n");
    assert_eq!(other.read_chunk().await.expect("goes on"), b"data: 2\n\n");
    assert_eq!(sentinel.engine.figures().snapshot().requests_ended, 1);
}

#[tokio::test]
async fn an_unbind_ends_them_too_and_a_network_that_still_fits_does_not() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (mut client, events) = stream(&sentinel, &upstream, KEY).await;
    sentinel
        .lookup
        .change(|binding| binding.networks = network("127.0.0.0/8").into());
    tell(&sentinel);
    events.send("data: 2\n\n");
    assert_eq!(client.read_chunk().await.expect("goes on"), b"data: 2\n\n");
    let fingerprint = sentinel.lookup.bindings()[0].fingerprint;
    sentinel
        .engine
        .watcher()
        .changed(BindingChange::Gone(fingerprint));
    assert!(client.try_read_chunk().await.is_err());
}

/// axum-server#40: an upgraded connection must not outlive what permitted it.
#[tokio::test]
async fn a_changed_network_ends_a_tunnel() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::upgrade("websocket", &[]));
    let mut client = sentinel.client().await;
    let handshake = "GET /v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n";
    client
        .send(format!("{handshake}authorization: {KEY}\r\n\r\n"))
        .await;
    client.read_head().await;
    client.send("x").await;
    client.read_exactly(1).await;
    sentinel
        .lookup
        .change(|binding| binding.networks = network("192.0.2.0/24").into());
    tell(&sentinel);
    client.wait_for_close().await;
    upstream.wait_for_clients_gone(1).await;
}

/// As after a change by another process: nobody says what has changed.
#[tokio::test]
async fn what_changed_elsewhere_is_looked_up() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (mut client, _events) = stream(&sentinel, &upstream, KEY).await;
    sentinel
        .lookup
        .change(|binding| binding.status = BindingStatus::Banned);
    sentinel.engine.watcher().changed(BindingChange::Unknown);
    assert!(client.try_read_chunk().await.is_err());

    let (mut unbound, _events) = stream(&sentinel, &upstream, "sk-other").await;
    let other = sentinel
        .lookup
        .bindings()
        .into_iter()
        .find(|binding| binding.status == BindingStatus::Active);
    sentinel
        .lookup
        .forget(&other.expect("the other key's").fingerprint);
    sentinel.engine.watcher().changed(BindingChange::Unknown);
    assert!(unbound.try_read_chunk().await.is_err());
}

/// Keys that pass unbound, as dashboards' do, have nothing that could change.
#[tokio::test]
async fn what_was_never_bound_goes_on() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = sentinel.client().await;
    client
        .send("GET /api/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer dashboard\r\n\r\n")
        .await;
    client.read_head().await;
    sentinel.engine.watcher().changed(BindingChange::Unknown);
    let (mut other, _other_events) = stream(&sentinel, &upstream, KEY).await;
    sentinel
        .lookup
        .change(|binding| binding.status = BindingStatus::Banned);
    tell(&sentinel);
    assert!(
        other.try_read_chunk().await.is_err(),
        "the worker has heard of both"
    );
    events.send("data: 1\n\n");
    assert_eq!(client.read_chunk().await.expect("goes on"), b"data: 1\n\n");
}

/// A key that was held back after a 401 is bound only when its next answer comes: the request was let on without a binding.
#[tokio::test]
async fn a_key_that_its_own_answer_bound_is_reached_too() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::unauthorized());
    assert_eq!(sentinel.chat().await.status(), 401);
    let (mut client, _events) = stream(&sentinel, &upstream, KEY).await;
    sentinel
        .lookup
        .change(|binding| binding.status = BindingStatus::Banned);
    tell(&sentinel);
    assert!(client.try_read_chunk().await.is_err());
}

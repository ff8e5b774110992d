//! Streams and tunnels that are under way when their key's binding changes.

use sentinel_core::binding::{Binding, BindingStatus, Version};
use sentinel_core::network::Network;
use sentinel_core::ports::BindingChange;
use sentinel_testkit::{Answer, ChunkSender, RawClient, ScriptedUpstream, bounded};

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
async fn the_requests_of_a_key_that_are_under_way_are_counted() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| options.cores = 2);
    let live = sentinel.engine.live_requests();
    let mut clients = vec![stream(&sentinel, &upstream, KEY).await];
    let fingerprint = sentinel.lookup.bindings()[0].fingerprint;
    assert_eq!(live.of(&fingerprint).await, Some(1));
    clients.push(stream(&sentinel, &upstream, KEY).await);
    let other = stream(&sentinel, &upstream, "sk-other").await;
    assert_eq!(live.of(&fingerprint).await, Some(2));
    drop((clients, other));
    bounded("the streams to end", async {
        while live.of(&fingerprint).await != Some(0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(sentinel.stop(std::time::Duration::from_secs(5)).await);
    assert_eq!(live.of(&fingerprint).await, None, "nobody is there to answer");
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
    sentinel.lookup.forget(&fingerprint);
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

/// A key that was unbound elsewhere, and is claimed anew while the old requests are looked at.
#[tokio::test]
async fn what_was_claimed_during_a_look_goes_on() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (mut old, _events) = stream(&sentinel, &upstream, KEY).await;
    sentinel.lookup.forget(&sentinel.lookup.bindings()[0].fingerprint);
    let look = sentinel.lookup.hold_next_find();
    sentinel.engine.watcher().changed(BindingChange::Unknown);
    let let_go = bounded("the look", look).await.expect("it is asked");
    let (mut new, events) = stream(&sentinel, &upstream, KEY).await;
    let_go.send(()).expect("the look goes on");
    assert!(old.try_read_chunk().await.is_err(), "its binding is gone");
    events.send("data: 2\n\n");
    assert_eq!(new.read_chunk().await.expect("goes on"), b"data: 2\n\n");
    assert_eq!(sentinel.engine.figures().snapshot().requests_ended, 1);
}

/// The change waited in the queue; the key was claimed anew before it was heard of.
#[tokio::test]
async fn a_change_that_comes_late_is_judged_by_what_is_current() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (mut client, events) = stream(&sentinel, &upstream, KEY).await;
    let current = sentinel.lookup.bindings().remove(0);
    let mut earlier = current.clone();
    earlier.version = Version(-1);
    earlier.status = BindingStatus::Banned;
    let watcher = sentinel.engine.watcher();
    // As every request does: known from here on.
    assert_eq!(sentinel.chat().await.status(), 200);
    watcher.changed(BindingChange::Now(Box::new(earlier)));
    watcher.changed(BindingChange::Gone(current.fingerprint));
    let (mut other, _other_events) = stream(&sentinel, &upstream, "sk-other").await;
    ban(&sentinel, "sk-other's", |binding| binding.id != current.id);
    assert!(
        other.try_read_chunk().await.is_err(),
        "the worker has heard of all"
    );
    events.send("data: 2\n\n");
    assert_eq!(client.read_chunk().await.expect("goes on"), b"data: 2\n\n");
}

/// A claim that the upstream's 401 took back: neither the 401 itself nor what goes on beside it is cut.
#[tokio::test]
async fn a_released_claim_ends_nothing() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, unauthorized) = Answer::streamed(401, &[]);
    upstream.answer_next(unauthorized);
    let mut first = sentinel.client().await;
    first.send(post(KEY).strip_suffix("{}").expect("a body")).await;
    upstream.wait_for_requests(1).await;
    // Under the first one's claim, and without an answer until its body is there.
    let mut second = sentinel.client().await;
    second.send(post(KEY).strip_suffix("{}").expect("a body")).await;
    upstream.wait_for_requests(2).await;
    first.send("{}").await;
    assert_eq!(first.read_head().await.status, 401);
    assert!(sentinel.lookup.bindings().is_empty(), "the claim was released");
    sentinel.engine.watcher().changed(BindingChange::Unknown);
    let (mut other, _other_events) = stream(&sentinel, &upstream, "sk-other").await;
    ban(&sentinel, "sk-other's", |_| true);
    assert!(
        other.try_read_chunk().await.is_err(),
        "the worker has heard of both"
    );
    events.send("why");
    assert_eq!(first.read_chunk().await.expect("goes on"), b"why");
    second.send("{}").await;
    assert_eq!(second.read_response().await.status(), 200);
    assert_eq!(sentinel.engine.figures().snapshot().requests_ended, 1);
}

/// Bans the one binding that is meant, and says so.
fn ban(sentinel: &Sentinel, whose: &str, is_meant: impl Fn(&Binding) -> bool) {
    let mut banned = sentinel.lookup.bindings();
    banned.retain(is_meant);
    assert_eq!(banned.len(), 1, "{whose}");
    let mut binding = banned.remove(0);
    binding.status = BindingStatus::Banned;
    binding.version = Version(i64::MAX);
    let change = BindingChange::Now(Box::new(binding));
    sentinel.engine.watcher().changed(change);
}

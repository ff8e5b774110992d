//! How requests and connections of HTTP/2 end: by their client, their upstream, their bounds, and by us.

use std::time::Duration;

use h2::Reason;
use http::{Request, StatusCode};
use sentinel_core::binding::BindingStatus;
use sentinel_core::ports::BindingChange;
use sentinel_testkit::{Answer, bounded, unreachable_address};

use super::client::{Http2Client, piece, post, read, send};
use super::raw::{GOAWAY, HEADERS, NO_ERROR, RawHttp2, request};
use crate::support::{KEY, Sentinel, upstream};

#[tokio::test]
async fn a_request_taken_back_ends_at_the_upstream() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;

    assert_eq!(client.chat().await.status, StatusCode::OK, "the key is known");
    upstream.answer_next(Answer::never());
    let (answer, mut outgoing) = client.begin(post().body(()).expect("a request"), false).await;
    send(&mut outgoing, b"{}", true).await.expect("it goes");
    upstream.wait_for_body(1).await;
    outgoing.send_reset(Reason::CANCEL);
    upstream.wait_for_clients_gone(1).await;
    drop(answer);

    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let (answer, mut outgoing) = client.begin(post().body(()).expect("a request"), true).await;
    let mut incoming = bounded("the head", answer).await.expect("an answer").into_body();
    events.send("data: one\n\n");
    piece(&mut incoming).await.expect("it goes on");
    outgoing.send_reset(Reason::CANCEL);
    upstream.wait_for_clients_gone(2).await;

    let (answer, mut outgoing) = client.begin(post().body(()).expect("a request"), false).await;
    send(&mut outgoing, b"half of", false).await.expect("it goes");
    upstream.wait_for_body_bytes(3, 7).await;
    outgoing.send_reset(Reason::CANCEL);
    upstream.wait_for_clients_gone(3).await;
    drop(answer);
    assert_eq!(
        client.chat().await.status,
        StatusCode::OK,
        "the connection is good for more"
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_all_its_requests() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = RawHttp2::connect(sentinel.address).await;
    for stream in [1, 3, 5] {
        upstream.answer_next(Answer::never());
        client.request(stream, &request(&[])).await;
    }
    upstream.wait_for_requests(3).await;
    drop(client);
    upstream.wait_for_clients_gone(3).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    upstream.answer_next(Answer::cut_short(10, "abc"));
    let (answer, _) = client.begin(post().body(()).expect("a request"), true).await;
    let mut incoming = bounded("the head", answer).await.expect("an answer").into_body();
    let error = loop {
        match piece(&mut incoming).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the answer seems whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(
        client.chat().await.status,
        StatusCode::OK,
        "the connection is good for more"
    );
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502() {
    let sentinel = Sentinel::start(unreachable_address().await);
    let mut client = Http2Client::connect(sentinel.address).await;
    assert_eq!(client.chat().await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_stalled_window_is_let_go() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.stream_idle = Duration::from_millis(200);
    });
    upstream.answer_next(Answer::new(200, vec![b'x'; 1024 * 1024]));
    let mut client = Http2Client::connect(sentinel.address).await;
    let (answer, _) = client.begin(post().body(()).expect("a request"), true).await;
    let mut incoming = bounded("the head", answer).await.expect("an answer").into_body();
    // All that comes is taken, but no room is given for more.
    let error = loop {
        match bounded("the end", incoming.data()).await.expect("no good end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn a_ban_ends_a_keys_requests_and_no_others_on_the_connection() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    let mut streams = Vec::new();
    for key in [KEY, "Bearer sk-BBBBBBBBBBBBBBBBBBBBBBBB"] {
        let (events, answer) = Answer::events();
        upstream.answer_next(answer);
        let request = Request::post("http://api.example/v1/chat/completions").header("authorization", key);
        let (answer, _) = client.begin(request.body(()).expect("a request"), true).await;
        let incoming = bounded("the head", answer).await.expect("an answer").into_body();
        streams.push((events, incoming));
        if streams.len() == 1 {
            sentinel
                .lookup
                .change(|binding| binding.status = BindingStatus::Banned);
        }
    }
    let banned = sentinel.lookup.bindings();
    let banned = banned
        .iter()
        .find(|binding| binding.status == BindingStatus::Banned);
    let banned = Box::new(banned.expect("the first").clone());
    sentinel.engine.watcher().changed(BindingChange::Now(banned));
    let (_, incoming) = &mut streams[0];
    let error = piece(incoming).await.expect_err("it ended");
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    let (events, incoming) = &mut streams[1];
    events.send("data: still here\n\n");
    assert!(piece(incoming).await.expect("it goes on").is_some());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.header_timeout = Duration::from_millis(200);
    });
    let mut client = Http2Client::connect(sentinel.address).await;
    assert_eq!(client.chat().await.status, StatusCode::OK);
    client.ended().await.expect("a goodbye");

    // One that says nothing, not even that it heard the goodbye.
    let mut silent = RawHttp2::connect(sentinel.address).await;
    assert_eq!(silent.ended_with().await, NO_ERROR);
    // One that never gets past the preface.
    let mut slow = RawHttp2::connect_silently(sentinel.address).await;
    slow.send(b"PRI * HTTP/2.0\r\n\r\nSM").await;
    while slow.next().await.is_some() {}
}

#[tokio::test]
async fn a_request_under_way_keeps_the_connection() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.header_timeout = Duration::from_millis(50);
    });
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = Http2Client::connect(sentinel.address).await;
    let (answer, _) = client.begin(post().body(()).expect("a request"), true).await;
    let mut idle = sentinel.client().await;
    idle.wait_for_close().await;
    events.send("data: one\n\n");
    events.finish();
    assert_eq!(read(answer).await.expect("an answer").body, b"data: one\n\n");
}

#[tokio::test]
async fn a_drain_says_goodbye_and_waits_for_what_is_under_way() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = Http2Client::connect(sentinel.address).await;
    let idle = Http2Client::connect(sentinel.address).await;
    let mut raw = RawHttp2::connect(sentinel.address).await;
    raw.request(1, &request(&[])).await;
    let (answer, _) = client.begin(post().body(()).expect("a request"), true).await;
    let answer = bounded("the head", answer).await.expect("an answer");
    raw.next_of(HEADERS).await;
    let stopped = tokio::spawn(sentinel.stop(Duration::from_secs(9)));
    idle.ended().await.expect("a goodbye");
    while raw.next().await.expect("a goodbye").kind != GOAWAY {}
    drop(raw);
    events.send("data: one\n\n");
    events.finish();
    let mut incoming = answer.into_body();
    assert!(piece(&mut incoming).await.expect("it goes on").is_some());
    assert_eq!(piece(&mut incoming).await.expect("it ends well"), None);
    client.ended().await.expect("a goodbye");
    assert!(
        bounded("the stop", stopped).await.expect("no panic"),
        "all finished in time"
    );
}

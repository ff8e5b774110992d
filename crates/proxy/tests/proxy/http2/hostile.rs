//! Clients that want to be expensive, and the bound that each of them meets.

use std::time::Duration;

use sentinel_testkit::{Answer, bounded};
use tokio::io::AsyncWriteExt as _;

use super::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY, HEADERS, NO_ERROR, PING,
    RST_STREAM, RawHttp2, SETTINGS, fields, frame, request,
};
use crate::support::{Sentinel, upstream};

/// `STREAMS_MAX`
const STREAMS_MAX: u32 = 100;
/// `MALFORMED_STREAMS_MAX`
const MALFORMED_STREAMS_MAX: u32 = 100;
/// `UNSEEN_RESETS_MAX`
const UNSEEN_RESETS_MAX: u32 = 20;
/// `RESETS_REMEMBERED_MAX`
const RESETS_REMEMBERED_MAX: u32 = 50;
/// `CANCELLED_AHEAD_MAX`
const CANCELLED_AHEAD_MAX: u32 = 200;
const REFUSED_STREAM: u32 = 7;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// The client's streams, as many as wanted.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|index| 2 * index + 1)
}

/// hyper#3623: as many requests as one connection may have must not wait for each other at the upstream.
#[tokio::test]
async fn a_connection_has_so_many_requests_under_way() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = RawHttp2::connect(sentinel.address).await;
    let settings = client.next_of(SETTINGS).await.payload;
    let said = settings
        .chunks(6)
        .find(|setting| setting[..2] == [0, 3])
        .expect("it is said");
    assert_eq!(said[2..], STREAMS_MAX.to_be_bytes());
    for stream in streams(STREAMS_MAX) {
        upstream.answer_next(Answer::never());
        client.request(stream, &request(&[])).await;
    }
    upstream.wait_for_requests(STREAMS_MAX as usize).await;
    client.request(2 * STREAMS_MAX + 1, &request(&[])).await;
    let refused = client.next_of(RST_STREAM).await;
    assert_eq!(
        (refused.stream, refused.error()),
        (2 * STREAMS_MAX + 1, REFUSED_STREAM)
    );
    client.send(frame(RST_STREAM, 0, 1, &CANCEL)).await;
    upstream.wait_for_clients_gone(1).await;
    client.request(2 * STREAMS_MAX + 3, &request(&[])).await;
    assert_eq!(client.next_of(HEADERS).await.stream, 2 * STREAMS_MAX + 3);
}

/// CVE-2023-44487 (rapid reset): requests that are taken back must not cost more than a few.
#[tokio::test]
async fn requests_taken_back_at_once_end_the_connection() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = RawHttp2::connect(sentinel.address).await;
    let mut flood = Vec::new();
    for stream in streams(10_000) {
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(&[])));
        flood.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    client.send(flood).await;
    assert_eq!(client.ended_with().await, ENHANCE_YOUR_CALM);
    assert!(upstream.requests().len() <= CANCELLED_AHEAD_MAX as usize);
    assert_eq!(
        sentinel.client().await.get("/v1/models", &[]).await.status(),
        200,
        "others are served"
    );
}

#[tokio::test]
async fn so_many_may_be_taken_back_at_once() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    for (count, ends) in [(UNSEEN_RESETS_MAX, false), (UNSEEN_RESETS_MAX + 1, true)] {
        let mut client = RawHttp2::connect(sentinel.address).await;
        client.next_of(SETTINGS).await;
        let mut at_once = Vec::new();
        for stream in streams(count) {
            at_once.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(&[])));
            at_once.extend(frame(RST_STREAM, 0, stream, &CANCEL));
        }
        client.send(at_once).await;
        if ends {
            assert_eq!(client.ended_with().await, ENHANCE_YOUR_CALM);
        } else {
            client.request(2 * count + 1, &request(&[])).await;
            assert_eq!(client.next_of(HEADERS).await.stream, 2 * count + 1);
        }
    }
}

#[tokio::test]
async fn what_still_comes_on_a_stream_that_was_reset_is_no_mistake() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = RawHttp2::connect(sentinel.address).await;
    for stream in streams(RESETS_REMEMBERED_MAX) {
        let malformed = request(&[("connection", "close")]);
        client.send(frame(HEADERS, END_HEADERS, stream, &malformed)).await;
        assert_eq!(client.next_of(RST_STREAM).await.stream, stream);
        client.send(frame(DATA, END_STREAM, stream, b"late")).await;
    }
    client.request(2 * RESETS_REMEMBERED_MAX + 1, &request(&[])).await;
    assert_eq!(
        client.next_of(HEADERS).await.stream,
        2 * RESETS_REMEMBERED_MAX + 1
    );
}

/// CVE-2023-44487 (rapid reset): nor when each of them reaches the upstream first.
#[tokio::test]
async fn requests_taken_back_one_by_one_end_it_too() {
    let upstream = sentinel_testkit::ScriptedUpstream::start(Answer::never()).await;
    let sentinel = Sentinel::start(upstream.address());
    let (mut writing, mut came) = RawHttp2::connect(sentinel.address).await.into_split();
    let mut taken_back = 0;
    for stream in streams(2 * CANCELLED_AHEAD_MAX) {
        let headers = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(&[]));
        let _ = writing.write_all(&headers).await;
        tokio::select! {
            _ = upstream.wait_for_requests(taken_back + 1) => {}
            _ = &mut came => break,
        }
        let _ = writing.write_all(&frame(RST_STREAM, 0, stream, &CANCEL)).await;
        taken_back += 1;
        upstream.wait_for_clients_gone(taken_back).await;
    }
    assert!((CANCELLED_AHEAD_MAX as usize..2 * CANCELLED_AHEAD_MAX as usize).contains(&taken_back));
}

#[tokio::test]
async fn answered_requests_make_up_for_cancelled_ones() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = RawHttp2::connect(sentinel.address).await;
    let mut gone = 0;
    for (index, stream) in streams(2 * CANCELLED_AHEAD_MAX + 40).enumerate() {
        let is_cancelled = index % 2 == 0;
        if is_cancelled {
            upstream.answer_next(Answer::never());
        }
        client.request(stream, &request(&[])).await;
        if is_cancelled {
            upstream.wait_for_requests(index + 1).await;
            client.send(frame(RST_STREAM, 0, stream, &CANCEL)).await;
            gone += 1;
            upstream.wait_for_clients_gone(gone).await;
        } else {
            assert_eq!(client.next_of(HEADERS).await.stream, stream);
        }
    }
}

#[tokio::test]
async fn malformed_requests_end_the_connection_at_last() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = RawHttp2::connect(sentinel.address).await;
    for stream in streams(MALFORMED_STREAMS_MAX) {
        client.request(stream, &request(&[("connection", "close")])).await;
        assert_eq!(client.next_of(RST_STREAM).await.stream, stream);
    }
    client
        .request(
            2 * MALFORMED_STREAMS_MAX + 1,
            &request(&[("connection", "close")]),
        )
        .await;
    assert_eq!(client.ended_with().await, ENHANCE_YOUR_CALM);
    // Those that only the way to HTTP/1.1 finds malformed count as taken back.
    let mut client = RawHttp2::connect(sentinel.address).await;
    let two_hosts = request(&[("host", "other.example")]);
    let mut goodbyes = Vec::new();
    'connection: for stream in streams(2 * CANCELLED_AHEAD_MAX) {
        client.request(stream, &two_hosts).await;
        loop {
            match client.next().await {
                Some(frame) if frame.kind == RST_STREAM => break,
                Some(frame) if frame.kind == GOAWAY => goodbyes.push(frame.error()),
                Some(_) => {}
                None => break 'connection,
            }
        }
    }
    assert_eq!(goodbyes, [NO_ERROR, ENHANCE_YOUR_CALM], "first softly, then hard");
    assert!(upstream.requests().is_empty());
}

/// RUSTSEC-2024-0332 (CONTINUATION flood): a head without end must not be collected.
#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = RawHttp2::connect(sentinel.address).await;
    client.send(frame(HEADERS, END_STREAM, 1, &request(&[]))).await;
    let more = fields(&[(b"x-more", b"1")]);
    client.send(frame(CONTINUATION, 0, 1, &more).repeat(10_000)).await;
    assert_eq!(client.ended_with().await, ENHANCE_YOUR_CALM);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_head_beyond_the_bound_is_a_431() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.header_bytes_max = 10_000;
        options.bounds.headers_max = 20;
    });
    let long = "x".repeat(120);
    let status = async |lines: Vec<(&str, &str)>| {
        let mut client = RawHttp2::connect(sentinel.address).await;
        client.request(1, &request(&lines)).await;
        let headers: Frame = client.next_of(HEADERS).await;
        // 200 has a place of its own in the static table of HPACK; all else is written out.
        if headers.payload[0] == 0x88 { 200 } else { 431 }
    };
    assert_eq!(status(vec![("x-line", &long); 10]).await, 200);
    assert_eq!(status(vec![("x-line", &long); 70]).await, 431, "too many bytes");
    assert_eq!(status(vec![("x-line", "1"); 21]).await, 431, "too many lines");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn whoever_asks_and_never_listens_is_let_go() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.header_timeout = Duration::from_millis(300);
    });
    let flooded = async |kind, payload: &[u8]| {
        let mut client = RawHttp2::connect(sentinel.address).await;
        let flood = frame(kind, 0, 0, payload).repeat(1_000);
        // Its answers fill the way back, and then nobody reads what it says.
        let flooding = async { while client.stream.write_all(&flood).await.is_ok() {} };
        bounded("the end of a flood", flooding).await;
    };
    tokio::join!(flooded(PING, &[0; 8]), flooded(SETTINGS, &[]));
    assert_eq!(sentinel.chat().await.status(), 200, "others are served");
}

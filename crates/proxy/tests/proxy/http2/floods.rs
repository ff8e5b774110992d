//! Frames for nothing, which end a connection, and the many that honest clients send, which do not.

use bytes::Bytes;
use http::StatusCode;
use sentinel_testkit::{Answer, bounded};

use super::client::{Http2Client, piece, post};
use super::raw::{
    DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PRIORITY, RST_STREAM, RawHttp2,
    SETTINGS, UNKNOWN, WINDOW_UPDATE, frame, request,
};
use crate::support::{CHAT, Sentinel, upstream};

/// `FRAMES_AHEAD_MAX`
const FRAMES_AHEAD_MAX: usize = 10_000;
/// `CANCELLED_BEFORE_GOODBYE_MAX`
const CANCELLED_BEFORE_GOODBYE_MAX: usize = 100;
/// `CANCELLED_AHEAD_MAX`
const CANCELLED_AHEAD_MAX: usize = 200;
/// So little that its window stays open for longer than a flood may last.
const ONE: [u8; 4] = [0, 0, 0, 1];

/// CVE-2019-9512 (pings), CVE-2019-9515 (settings), CVE-2019-9518 (empty frames), and their like.
#[tokio::test]
async fn frames_without_end_end_the_connection() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let floods: [(&str, Vec<u8>); 9] = [
        ("windows of a stream", frame(WINDOW_UPDATE, 0, 3, &ONE)),
        ("windows of the connection", frame(WINDOW_UPDATE, 0, 0, &ONE)),
        (
            "windows of a stream that has ended",
            frame(WINDOW_UPDATE, 0, 1, &ONE),
        ),
        ("priorities", frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 16])),
        ("pings", frame(PING, 0, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("empty pieces of a body", frame(DATA, 0, 3, &[])),
        ("frames of an unknown kind", frame(UNKNOWN, 0, 0, b"what?")),
        (
            "resets of a stream that has ended",
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        ),
    ];
    for (index, (what, flood)) in floods.into_iter().enumerate() {
        let mut client = RawHttp2::connect(sentinel.address).await;
        client.request(1, &request(&[])).await;
        assert_eq!(client.next_of(HEADERS).await.stream, 1);
        upstream.answer_next(Answer::never());
        client.send(frame(HEADERS, END_HEADERS, 3, &request(&[]))).await;
        upstream.wait_for_requests(3 * index + 2).await;
        let goodbyes = client.flooded_with(&flood.repeat(100)).await;
        // Where each frame has an answer, these may leave no room for the goodbye: then the end itself is all there is.
        let is_answered = [PING, SETTINGS].contains(&flood[3]);
        if !(is_answered && goodbyes.is_empty()) {
            assert_eq!(goodbyes, [ENHANCE_YOUR_CALM], "{what}");
        }
        assert_eq!(sentinel.chat().await.status(), 200, "{what}: others are served");
    }
}

#[tokio::test]
async fn a_large_answer_may_be_taken_in_many_small_windows() {
    const WINDOW: u32 = 64;
    let body = vec![b'x'; 1024 * 1024];
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::new(200, &body));
    let mut client = RawHttp2::connect(sentinel.address).await;
    client.request(1, &request(&[])).await;
    let window = WINDOW.to_be_bytes();
    let windows = [
        frame(WINDOW_UPDATE, 0, 1, &window),
        frame(WINDOW_UPDATE, 0, 0, &window),
    ]
    .concat();
    let (mut came, mut opened) = (0, 0);
    loop {
        let data = client.next_of(DATA).await;
        came += data.payload.len();
        if data.flags & END_STREAM != 0 {
            break;
        }
        let count = came / WINDOW as usize - opened;
        client.send(windows.repeat(count)).await;
        opened += count;
    }
    assert_eq!(came, body.len());
    assert!(2 * opened > 2 * FRAMES_AHEAD_MAX, "{opened} pairs of windows");
    client.request(3, &request(&[])).await;
    assert_eq!(client.next_of(HEADERS).await.stream, 3, "and it goes on");
}

#[tokio::test]
async fn whoever_cancels_too_much_keeps_what_is_under_way() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = Http2Client::connect(sentinel.address).await;
    let (answer, _) = client.begin(post().body(()).expect("a request"), true).await;
    let mut incoming = bounded("the head", answer).await.expect("an answer").into_body();
    let mut cancelled = 0;
    while let Ok(mut requests) = client.requests.clone().ready().await {
        assert!(cancelled < CANCELLED_AHEAD_MAX, "no goodbye");
        upstream.answer_next(Answer::never());
        let Ok((answer, _)) = requests.send_request(post().body(()).expect("a request"), true) else {
            break;
        };
        tokio::select! {
            _ = upstream.wait_for_requests(cancelled + 2) => {}
            answer = answer => {
                answer.expect_err("it is never answered");
                break;
            }
        }
        cancelled += 1;
        upstream.wait_for_clients_gone(cancelled).await;
    }
    assert!(cancelled >= CANCELLED_BEFORE_GOODBYE_MAX, "{cancelled} cancelled");
    events.send("data: still here\n\n");
    events.finish();
    let event = piece(&mut incoming).await.expect("it goes on");
    assert_eq!(event, Some(Bytes::from("data: still here\n\n")));
    assert_eq!(piece(&mut incoming).await.expect("it ends well"), None);
}

#[tokio::test]
async fn an_answer_that_began_may_be_cancelled_as_often_as_one_likes() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    for cancelled in 1..=CANCELLED_AHEAD_MAX + 20 {
        let (_events, answer) = Answer::events();
        upstream.answer_next(answer);
        let (answer, _) = client.begin(post().body(()).expect("a request"), true).await;
        let answer = bounded("the head", answer).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        drop(answer);
        upstream.wait_for_clients_gone(cancelled).await;
    }
    assert_eq!(client.chat().await.status, StatusCode::OK);
    assert!(upstream.requests().iter().all(|seen| seen.target == CHAT));
}

//! Answers that are large, many, or early.

use sentinel_testkit::Answer;

use super::super::{PROBE, echoing_upstream, get, post};
use crate::support::Sentinel;

/// The engine's bound.
const HEAD_BYTES: usize = 256 * 1024;
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn heads_of_answers_have_their_bounds() {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let of_size = |size: usize| {
        let empty = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\na: \r\n\r\n";
        empty.replace("a: ", &format!("a: {}", "v".repeat(size - empty.len())))
    };
    let endless = format!("HTTP/1.1 200 OK\r\na: {}", "v".repeat(HEAD_BYTES + 1));
    for (name, answer, status) in [
        ("a head of 100 KiB", of_size(100 * 1024), 200),
        ("a head of 256 KiB", of_size(HEAD_BYTES), 200),
        ("one byte more", of_size(HEAD_BYTES + 1), 502),
        ("a line without an end", endless, 502),
    ] {
        upstream.answer_next(Answer::raw(answer));
        let mut client = sentinel.client().await;
        assert_eq!(client.request(get("")).await.status(), status, "{name}");
        assert_eq!(client.request(PROBE).await.text(), "GET /probe", "{name}");
    }
}

/// Interim answers are for us. Nobody gets one, and some hundreds of them are no reason to fail.
#[tokio::test]
async fn many_interim_answers_are_passed_over() {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
    upstream.answer_next(Answer::raw(ANSWER).after_interim(interim));
    let mut client = sentinel.client().await;
    assert_eq!(client.request(get("")).await.text(), "hello");
    assert_eq!(client.request(PROBE).await.text(), "GET /probe");
    assert_eq!(upstream.connections(), 1);
}

/// An answer that comes before the request's body is whole reaches the client, and neither connection is used again: the rest of
/// the body would be taken for the next request.
#[tokio::test]
async fn an_answer_before_the_body_ends_both_connections() {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::raw(ANSWER).before_body());
    let mut client = sentinel.client().await;
    client.send(post("content-length: 100\r\n", "begin")).await;
    assert_eq!(client.read_response().await.text(), "hello");
    client.send("GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.wait_for_close().await.is_empty());
    let mut client = sentinel.client().await;
    assert_eq!(client.request(PROBE).await.text(), "GET /probe");
    assert_eq!(upstream.connections(), 2);
    let targets: Vec<String> = upstream
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(targets, ["/v1/chat/completions", "/probe"]);
}

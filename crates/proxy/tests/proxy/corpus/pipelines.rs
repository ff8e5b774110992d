//! Several requests on one connection: each is judged by itself, answered in its turn, and begins exactly where the one before it ended.

use sentinel_testkit::Answer;

use super::{Case, Seen, Then, echoing_upstream, get, post, run, seen_get, seen_post, text};
use crate::support::Sentinel;

const LENGTH: &[&str] = &["content-length: 2"];

fn one() -> String {
    post("content-length: 2\r\n", "{}")
}

fn seen_one() -> Seen {
    seen_post(LENGTH, "{}")
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn requests_follow_each_other() {
    let head = "HEAD /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    let seen_head = || Seen::new("HEAD /v1/models", &["host: x"]);
    let chunked = post("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\na: b\r\n\r\n");
    let seen_chunked = || seen_post(&["transfer-encoding: chunked"], "{}");
    let ambiguous = get("authorization: a\r\nauthorization: b\r\n");
    run(vec![
        Case::new(
            "good and good",
            one() + &get(""),
            &[200, 200],
            Then::Open,
            &[seen_one(), seen_get(&[])],
        ),
        Case::new(
            "four in a row",
            one() + &chunked + &get("") + &one(),
            &[200; 4],
            Then::Open,
            &[seen_one(), seen_chunked(), seen_get(&[]), seen_one()],
        ),
        Case::new(
            "an empty line between two",
            get("") + "\r\n" + &get(""),
            &[200, 200],
            Then::Open,
            &[seen_get(&[]), seen_get(&[])],
        ),
        Case::new(
            "good, refused and good",
            get("") + &ambiguous + &get(""),
            &[200, 400, 200],
            Then::Open,
            &[seen_get(&[]), seen_get(&[])],
        ),
        Case::new(
            "a GET whose body is a request",
            get(&format!("content-length: {}\r\n", SMUGGLED.len())) + SMUGGLED + &get(""),
            &[200, 200],
            Then::Open,
            &[
                seen_get(&[&format!("content-length: {}", SMUGGLED.len())]).body(SMUGGLED),
                seen_get(&[]),
            ],
        ),
        Case::new(
            "a GET without a length, and a request behind it",
            get("") + SMUGGLED,
            &[200, 200],
            Then::Open,
            &[seen_get(&[]), Seen::new("GET /smuggled", &["host: x"])],
        ),
        Case::new(
            "HEAD and GET",
            head.to_owned() + &get(""),
            &[200, 200],
            Then::Open,
            &[seen_head(), seen_get(&[])],
        ),
        Case::new(
            "HEAD, HEAD and GET",
            head.repeat(2) + &get(""),
            &[200; 3],
            Then::Open,
            &[seen_head(), seen_head(), seen_get(&[])],
        ),
        Case::new(
            "a body longer than its length",
            post("content-length: 2\r\n", "{}X") + SMUGGLED,
            &[200, 200],
            Then::Open,
            &[seen_one(), Seen::new("XGET /smuggled", &["host: x"])],
        ),
    ])
    .await;
}

/// CVE-2026-2833, CVE-2026-2835: what stands behind a refused or a last request must not be served.
#[tokio::test]
async fn nothing_is_served_behind_what_ends_a_connection() {
    let bad = "GET /bad HTTP/1.1\r\nhost: x\r\na : b\r\n\r\n";
    run(vec![
        Case::new(
            "good and bad",
            one() + bad + SMUGGLED,
            &[200, 400],
            Then::Closed,
            &[seen_one()],
        ),
        Case::new(
            "bad and good",
            bad.to_owned() + SMUGGLED,
            &[400],
            Then::Closed,
            &[],
        ),
        Case::new(
            "good and too large",
            one() + &get(&format!("a: {}\r\n", "v".repeat(33_000))),
            &[200, 431],
            Then::Closed,
            &[seen_one()],
        ),
        Case::new(
            "good and of another version",
            one() + "GET / HTTP/2.0\r\n\r\n" + SMUGGLED,
            &[200, 505],
            Then::Closed,
            &[seen_one()],
        ),
        Case::new(
            "good and CONNECT",
            get("") + "CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED,
            &[200, 405],
            Then::Closed,
            &[seen_get(&[])],
        ),
        Case::new(
            "nothing is served behind Connection: close",
            get("connection: close\r\n") + SMUGGLED,
            &[200],
            Then::Closed,
            &[seen_get(&[])],
        ),
        Case::new(
            "nothing is served behind HTTP/1.0",
            format!("GET /v1/models HTTP/1.0\r\nhost: x\r\n\r\n{SMUGGLED}"),
            &[200],
            Then::Closed,
            &[seen_get(&[])],
        ),
        Case::new(
            "garbage behind a body",
            one() + "XYZ\r\n\r\n",
            &[200, 400],
            Then::Closed,
            &[seen_one()],
        ),
        Case::new(
            "malformed chunks behind a good request",
            one() + &post("transfer-encoding: chunked\r\n", "x\r\n") + SMUGGLED,
            &[200, 400],
            Then::Closed,
            &[seen_one()],
        )
        .at_once(),
        Case::new(
            "half a request behind a good one",
            one() + "GET /half HTTP/1.1\r\nho",
            &[200],
            Then::Waits,
            &[seen_one()],
        ),
    ])
    .await;
}

/// An upstream that fails one request has no say in how often the ones behind it are served.
#[tokio::test]
async fn what_follows_a_failed_request_is_served_once() {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::close());
    let mut client = sentinel.client().await;
    client
        .send(one() + &post("x-number: 2\r\ncontent-length: 2\r\n", "{}") + &get("x-number: 3\r\n"))
        .await;
    for status in [502, 200, 200] {
        assert_eq!(client.read_response().await.status(), status);
    }
    assert_eq!(
        client.get("/last", &[]).await.text(),
        "GET /last",
        "each answer has its own request"
    );
    let numbers: Vec<_> = upstream
        .requests()
        .iter()
        .map(|request| request.header("x-number"))
        .collect();
    assert_eq!(numbers, [None, Some("2".to_owned()), Some("3".to_owned()), None]);
}

/// The same when the answer was there but may not be handed out.
#[tokio::test]
async fn what_follows_a_refused_answer_is_served_once() {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::raw("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"));
    let mut client = sentinel.client().await;
    client.send(one() + &get("x-number: 2\r\n")).await;
    assert_eq!(client.read_response().await.status(), 502);
    assert_eq!(client.read_response().await.text(), "GET /v1/models");
    assert_eq!(
        client.get("/last", &[]).await.text(),
        "GET /last",
        "each answer has its own request"
    );
    let heads: Vec<String> = upstream
        .requests()
        .iter()
        .map(|request| text(&request.head))
        .collect();
    assert_eq!(heads.len(), 3, "{heads:?}");
}

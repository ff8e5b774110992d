//! HTTP/2 from clients: the same decisions and the same streaming, by a real client.

pub(crate) mod client;
mod ends;
mod floods;
mod hostile;
mod malformed;
mod raw;
mod seats;

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{Method, Request, StatusCode};
use sentinel_testkit::{Answer, bounded};

use crate::support::{CHAT, KEY, OTHER_ADDRESS, Sentinel, upstream};
use client::{Http2Client, piece, post, read, send};

#[tokio::test]
async fn a_request_goes_through_the_same_lifecycle() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    let request = post()
        .header("x-forwarded-for", "6.6.6.6")
        .header("x_real_ip", "6.6.6.6")
        .header("x-api-key", "sk-ant-another")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers");
    let answer = client
        .request(request.body(()).expect("a request"), b"{}")
        .await
        .expect("an answer");
    assert_eq!(
        (answer.status, &*answer.body),
        (StatusCode::OK, &br#"{"ok":true}"#[..])
    );
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["content-length"], "11");
    let seen = upstream.wait_for_body(0).await;
    assert_eq!(
        (&*seen.method, &*seen.target, &*seen.body),
        ("POST", CHAT, &b"{}"[..])
    );
    assert_eq!(seen.header("host").as_deref(), Some("api.example"));
    assert_eq!(seen.header("authorization").as_deref(), Some(KEY));
    assert_eq!(seen.header("cookie").as_deref(), Some("a=1; b=2"));
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
    for gone in ["x-api-key", "x_real_ip", "te"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(sentinel.lookup.bindings().len(), 1);
    assert_eq!(client.chat().await.status, StatusCode::OK, "and another one");
    assert_eq!(sentinel.engine.figures().snapshot().connections_accepted, 1);
}

#[tokio::test]
async fn a_binding_holds() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    assert_eq!(sentinel.chat().await.status(), 200, "bound over HTTP/1.1");
    let mut thief = Http2Client::connect_from(OTHER_ADDRESS, sentinel.address).await;
    for _ in 0..2 {
        let answer = thief.chat().await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.headers.contains_key("x-sentinel-reference"));
        assert!(!answer.headers.contains_key("connection"));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(body["error"]["code"], "key_ip_mismatch");
    }
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(sentinel.sink.wait_for(2).await.len(), 2);
}

#[tokio::test]
async fn a_mebibyte_passes_each_way() {
    let body = vec![b'x'; 1024 * 1024];
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    for (index, length) in [None, Some("1048576")].into_iter().enumerate() {
        upstream.answer_next(Answer::new(200, &body));
        let request = length
            .into_iter()
            .fold(post(), |request, length| request.header("content-length", length));
        let request = request.body(()).expect("a request");
        let answer = client.request(request, &body).await.expect("an answer");
        assert!(answer.body == body, "{} bytes came", answer.body.len());
        let seen = upstream.wait_for_body(index).await;
        assert_eq!(
            (seen.body_bytes, seen.header("content-length").as_deref()),
            (1_048_576, length)
        );
    }
    let (chunks, answer) = Answer::streamed(200, &[]);
    upstream.answer_next(answer);
    body.chunks(8_192).for_each(|chunk| chunks.send(chunk.to_vec()));
    chunks.finish();
    assert!(client.chat().await.body == body, "in chunks of the upstream");
}

#[tokio::test]
async fn events_pass_one_by_one() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (events, answer) = Answer::events();
    upstream.answer_next(answer);
    let mut client = Http2Client::connect(sentinel.address).await;
    let (answer, mut outgoing) = client.begin(post().body(()).expect("a request"), false).await;
    send(&mut outgoing, b"{}", true).await.expect("the body goes");
    let answer = bounded("the head", answer).await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut incoming = answer.into_body();
    for event in ["data: one\n\n", "data: two\n\n", "data: [DONE]\n\n"] {
        events.send(event);
        let piece = piece(&mut incoming).await.expect("it goes on");
        assert_eq!(piece, Some(Bytes::from(event)));
    }
    events.finish();
    assert_eq!(piece(&mut incoming).await.expect("it ends well"), None);
}

#[tokio::test]
async fn a_request_body_passes_before_it_is_complete() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    let (answer, mut outgoing) = client.begin(post().body(()).expect("a request"), false).await;
    send(&mut outgoing, b"hello", false).await.expect("it goes");
    upstream.wait_for_body_bytes(0, 5).await;
    send(&mut outgoing, b" world", true).await.expect("it goes");
    assert_eq!(read(answer).await.expect("an answer").status, StatusCode::OK);
    assert_eq!(upstream.wait_for_body(0).await.body, b"hello world");
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    assert_eq!(sentinel.chat().await.status(), 200);
    let mut client = Http2Client::connect(sentinel.address).await;
    let mut under_way = Vec::new();
    for _ in 0..10 {
        let (events, answer) = Answer::events();
        upstream.answer_next(answer);
        let (answer, _) = client.begin(post().body(()).expect("a request"), true).await;
        let incoming = bounded("the head", answer).await.expect("an answer").into_body();
        under_way.push((events, incoming));
    }
    for (index, (events, incoming)) in under_way.iter_mut().enumerate().rev() {
        events.send(format!("data: {index}\n\n"));
        events.finish();
        let event = piece(incoming).await.expect("it goes on").expect("an event");
        assert_eq!(event, format!("data: {index}\n\n"));
        assert_eq!(piece(incoming).await.expect("it ends well"), None);
    }
    assert_eq!(
        sentinel.engine.figures().snapshot().connections_open,
        1,
        "one for all ten"
    );
}

#[tokio::test]
async fn methods_and_statuses_without_a_body() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    let url = "http://api.example/v1/models?a=1";
    let mut answer_to = async |method: Method| {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .body(())
            .expect("a request");
        client.request(request, b"").await.expect("an answer")
    };
    upstream.answer_next(Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"));
    let answer = answer_to(Method::HEAD).await;
    assert_eq!(
        (&answer.headers["content-length"], answer.body.len()),
        (&"5".parse().expect("a value"), 0)
    );
    upstream.answer_next(Answer::new(204, ""));
    assert_eq!(answer_to(Method::DELETE).await.status, StatusCode::NO_CONTENT);
    assert_eq!(answer_to(Method::POST).await.status, StatusCode::OK);
    assert_eq!(answer_to(Method::GET).await.status, StatusCode::OK);
    let lengths: Vec<_> = upstream
        .requests()
        .iter()
        .map(|seen| seen.header("content-length"))
        .collect();
    assert_eq!(lengths, [None, None, Some("0".to_owned()), None]);
    assert_eq!(upstream.requests()[0].target, "/v1/models?a=1");
    let connect = Request::connect("api.example:443").body(()).expect("a request");
    let answer = client.request(connect, b"").await.expect("an answer");
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_client_that_waits_for_a_100_gets_it() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    let request = post()
        .header("expect", "100-continue")
        .body(())
        .expect("a request");
    let (mut answer, mut outgoing) = client.begin(request, false).await;
    let interim = std::future::poll_fn(|context| answer.poll_informational(context));
    let interim = bounded("a 100", interim).await.expect("one").expect("a good one");
    assert_eq!(interim.status(), StatusCode::CONTINUE);
    send(&mut outgoing, b"{}", true).await.expect("it goes");
    assert_eq!(read(answer).await.expect("an answer").status, StatusCode::OK);
    assert_eq!(upstream.wait_for_body(0).await.body, b"{}");
}

#[tokio::test]
async fn an_answer_may_come_before_the_whole_request() {
    let upstream = upstream().await;
    upstream.answer_next(Answer::new(413, "too much").before_body());
    let sentinel = Sentinel::start(upstream.address());
    let mut client = Http2Client::connect(sentinel.address).await;
    let (answer, mut outgoing) = client.begin(post().body(()).expect("a request"), false).await;
    send(&mut outgoing, b"a piece", false).await.expect("it goes");
    let answer = read(answer).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), &*answer.body), (413, &b"too much"[..]));
    let reset = std::future::poll_fn(|context| outgoing.poll_reset(context));
    let reason = bounded("word that the rest is not wanted", reset)
        .await
        .expect("a reset");
    assert_eq!(reason, Reason::NO_ERROR);
    assert_eq!(
        client.chat().await.status,
        StatusCode::OK,
        "the connection is good for more"
    );
}

#[tokio::test]
async fn the_preface_may_come_in_pieces_and_only_first() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let (before, after) = raw::PREFACE.split_at(20);
    let mut client = raw::RawHttp2::connect_silently(sentinel.address).await;
    for piece in [
        &before[..3],
        &before[3..],
        after,
        &raw::frame(raw::SETTINGS, 0, 0, &[]),
    ] {
        client.send(piece).await;
    }
    client.request(1, &raw::request(&[])).await;
    assert_eq!(client.next_of(raw::HEADERS).await.stream, 1);

    let mut late = sentinel.client().await;
    assert_eq!(late.get("/v1/models", &[]).await.status(), 200);
    late.send(raw::PREFACE).await;
    assert_eq!(late.read_head().await.status, 505);
    assert_eq!(
        sentinel
            .client()
            .await
            .request("PRI * HTTP/2.0\r\nhost: x\r\n\r\n")
            .await
            .status(),
        505
    );
}

#[tokio::test]
async fn a_slow_reader_slows_its_upstream_and_loses_nothing() {
    let body = vec![b'x'; 4 * 1024 * 1024];
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.stream_idle = Duration::from_mins(1);
    });
    let (chunks, answer) = Answer::streamed(200, &[]);
    upstream.answer_next(answer);
    let mut client = Http2Client::connect(sentinel.address).await;
    let (answer, _) = client.begin(post().body(()).expect("a request"), true).await;
    let mut incoming = bounded("the head", answer).await.expect("an answer").into_body();
    body.chunks(64 * 1024)
        .for_each(|chunk| chunks.send(chunk.to_vec()));
    chunks.finish();
    let first = bounded("a piece", incoming.data())
        .await
        .expect("one")
        .expect("a good one");
    // Another request's answer comes all the same, although this one's window is used up.
    assert_eq!(client.chat().await.status, StatusCode::OK);
    let mut came = first.len();
    incoming
        .flow_control()
        .release_capacity(came)
        .expect("it was used");
    while let Some(piece) = piece(&mut incoming).await.expect("it goes on") {
        came += piece.len();
    }
    assert_eq!(came, body.len());
}

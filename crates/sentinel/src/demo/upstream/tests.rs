//! What the demo upstream promises: its answers in each dialect, its 401, its bounds, and that it stops.

use sentinel_core::time::SystemClock;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::demo::client::{Reply, Request, send};
use crate::demo::keys::DEMO_KEY;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn upstream() -> DemoUpstream {
    DemoUpstream::start(LOOPBACK, DemoKeys::public(), Arc::new(SystemClock))
        .await
        .expect("a free port")
}

async fn post(upstream: &DemoUpstream, path: &str, header: (&str, &str), body: &str) -> Reply {
    let request = Request {
        from: LOOPBACK.ip(),
        path,
        headers: &[header],
        body: Some(body),
    };
    send(upstream.address(), &request).await.expect("an answer")
}

fn bearer() -> String {
    format!("Bearer {DEMO_KEY}")
}

fn json(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).expect("JSON")
}

#[tokio::test]
async fn whole_answers_hold_the_sentence_and_the_usage() {
    let upstream = upstream().await;
    let bearer = bearer();
    for (path, header, text, usage) in [
        (
            "/v1/chat/completions",
            ("authorization", bearer.as_str()),
            "/choices/0/message/content",
            "/usage/total_tokens",
        ),
        (
            "/v1/responses",
            ("authorization", bearer.as_str()),
            "/output/0/content/0/text",
            "/usage/total_tokens",
        ),
        (
            "/v1/messages",
            ("x-api-key", DEMO_KEY),
            "/content/0/text",
            "/usage/output_tokens",
        ),
        (
            "/v1beta/models/demo:generateContent",
            ("x-goog-api-key", DEMO_KEY),
            "/candidates/0/content/parts/0/text",
            "/usageMetadata/totalTokenCount",
        ),
    ] {
        let reply = post(&upstream, path, header, r#"{"model":"m"}"#).await;
        assert_eq!(reply.status, 200, "{path}");
        let answer = json(&reply);
        assert_eq!(
            answer.pointer(text).and_then(Value::as_str),
            Some(reply::SENTENCE),
            "{path}"
        );
        assert!(
            answer.pointer(usage).and_then(Value::as_u64) > Some(0),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn streams_name_their_events_and_end() {
    let upstream = upstream().await;
    let chat = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let reply = post(
        &upstream,
        "/v1/chat/completions",
        ("authorization", &bearer()),
        chat,
    )
    .await;
    assert!(reply.pieces > 1, "{} pieces", reply.pieces);
    assert!(reply.body.contains(r#""total_tokens""#));
    assert!(reply.body.ends_with("data: [DONE]\n\n"));

    let reply = post(
        &upstream,
        "/v1/messages",
        ("x-api-key", DEMO_KEY),
        r#"{"stream":true}"#,
    )
    .await;
    let mut names: Vec<_> = reply
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );

    let reply = post(
        &upstream,
        "/v1/responses",
        ("authorization", &bearer()),
        r#"{"stream":true}"#,
    )
    .await;
    assert!(reply.body.starts_with("event: response.created\n"));
    assert!(reply.body.contains("event: response.completed\n"));
}

#[tokio::test]
async fn a_key_it_does_not_know_hears_401_in_its_dialect() {
    let upstream = upstream().await;
    for (path, header, pointer, word) in [
        (
            "/v1/chat/completions",
            ("authorization", "Bearer sk-x"),
            "/error/code",
            "invalid_api_key",
        ),
        (
            "/v1/chat/completions",
            ("x-api-key", DEMO_KEY),
            "/error/code",
            "invalid_api_key",
        ),
        (
            "/v1/messages",
            ("x-api-key", "sk-x"),
            "/error/type",
            "authentication_error",
        ),
        (
            "/v1beta/models/m:generateContent",
            ("x-goog-api-key", "x"),
            "/error/status",
            "UNAUTHENTICATED",
        ),
    ] {
        let reply = post(&upstream, path, header, "{}").await;
        assert_eq!(reply.status, 401, "{path}");
        let answer = json(&reply);
        assert_eq!(
            answer.pointer(pointer).and_then(Value::as_str),
            Some(word),
            "{path}"
        );
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_json() {
    let upstream = upstream().await;
    let bearer = bearer();
    let header = ("authorization", bearer.as_str());
    let filled = |length: usize| format!("{{\"model\":\"{}\"}}", "m".repeat(length - 12));
    let named = "m".repeat(reply::MODEL_CHARACTERS_MAX + 1);
    let body = format!("{{\"model\":\"{named}\"}}");
    let answer = json(&post(&upstream, "/v1/chat/completions", header, &body).await);
    assert_eq!(answer["model"], named[1..], "a name is cut at its bound");
    for (body, status) in [
        (filled(BODY_BYTES_MAX), 200),
        (filled(BODY_BYTES_MAX + 1), 413),
        ("no JSON".to_owned(), 400),
    ] {
        let reply = post(&upstream, "/v1/chat/completions", header, &body).await;
        assert_eq!(reply.status, status, "{}", body.len());
    }
}

#[tokio::test]
async fn models_are_listed_and_other_paths_are_not_there() {
    let upstream = upstream().await;
    let bearer = bearer();
    for (path, status) in [("/v1/models", 200), ("/", 404)] {
        let request = Request {
            from: LOOPBACK.ip(),
            path,
            headers: &[("authorization", bearer.as_str())],
            body: None,
        };
        let reply = send(upstream.address(), &request).await.expect("an answer");
        assert_eq!(reply.status, status, "{path}");
    }
    upstream.shutdown().await;
}

#[tokio::test]
async fn serving_says_where_and_ends_when_it_is_told_to() {
    let mut output = Vec::new();
    serve_upstream(
        LOOPBACK,
        DemoKeys::public(),
        Arc::new(SystemClock),
        &mut output,
        std::future::ready(()),
    )
    .await
    .expect("served");
    let said = String::from_utf8(output).expect("text");
    let address = said.strip_prefix("listening on http://").expect("where");
    assert!(address.trim_end().parse::<SocketAddr>().is_ok(), "{said}");
}

#[tokio::test]
async fn a_shutdown_waits_for_a_request_but_not_for_ever() {
    let upstream = upstream().await;
    let mut client = tokio::net::TcpStream::connect(upstream.address())
        .await
        .expect("connects");
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\nx-api-key: {DEMO_KEY}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.expect("taken");
    // The interim answer says that the request is under way; its body never comes.
    let mut interim = [0; 12];
    client.read_exact(&mut interim).await.expect("an interim answer");
    assert_eq!(&interim, b"HTTP/1.1 100");

    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    upstream.shutdown().await;
    assert!(begun.elapsed() >= SHUTDOWN_MAX);
}

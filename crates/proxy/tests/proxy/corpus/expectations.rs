//! `Expect` and `Upgrade`: what a client waits for before it goes on.

use super::{Case, Seen, Then, get, post, run, seen_get, seen_post};

/// Lines that ask for a switch which is none of ours: the request goes on without them.
const NO_SWITCH: &[(&str, &str)] = &[
    (
        "h2c",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
    ),
    (
        "h2c without its settings",
        "connection: upgrade\r\nupgrade: h2c\r\n",
    ),
    ("h2", "connection: upgrade\r\nupgrade: h2\r\n"),
    ("TLS", "connection: upgrade\r\nupgrade: TLS/1.2\r\n"),
    (
        "WebSocket and h2c",
        "connection: upgrade\r\nupgrade: websocket, h2c\r\n",
    ),
    (
        "h2c and WebSocket",
        "connection: upgrade\r\nupgrade: h2c, websocket\r\n",
    ),
    (
        "WebSocket with a version",
        "connection: upgrade\r\nupgrade: websocket/13\r\n",
    ),
    ("WebSocket without Connection", "upgrade: websocket\r\n"),
    (
        "WebSocket with Connection naming something else",
        "connection: keep-alive\r\nupgrade: websocket\r\n",
    ),
    ("Connection without Upgrade", "connection: upgrade\r\n"),
    ("an empty Upgrade", "connection: upgrade\r\nupgrade:\r\n"),
    ("an unknown protocol", "connection: upgrade\r\nupgrade: x\r\n"),
];

#[tokio::test]
async fn only_websocket_is_switched_to() {
    let mut cases: Vec<Case> = NO_SWITCH
        .iter()
        .map(|(name, lines)| Case::passes(name, get(lines), seen_get(&[])))
        .collect();
    let asks = "connection: Upgrade\r\nupgrade: WebSocket\r\n";
    let switching = ["connection: upgrade", "upgrade: websocket"];
    cases.extend([
        // An upstream that does not switch answers as always.
        Case::passes("WebSocket", get(asks), seen_get(&switching)),
        Case::passes(
            "WebSocket with its lines",
            get(&format!(
                "{asks}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
            )),
            seen_get(&[
                "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
                "sec-websocket-version: 13",
                switching[0],
                switching[1],
            ]),
        ),
        Case::passes(
            "WebSocket in a POST",
            post(&format!("{asks}content-length: 2\r\n"), "{}"),
            seen_post(&["content-length: 2"], "{}"),
        ),
        Case::passes(
            "WebSocket in a HEAD",
            format!("HEAD /v1/models HTTP/1.1\r\nhost: x\r\n{asks}\r\n"),
            Seen::new("HEAD /v1/models", &["host: x"]),
        ),
        Case::new(
            "WebSocket on HTTP/1.0",
            format!("GET /v1/models HTTP/1.0\r\nhost: x\r\n{asks}\r\n"),
            &[200],
            Then::Closed,
            &[seen_get(&[])],
        ),
        Case::new(
            "what follows an upgrade that was not made is a request",
            get(asks) + &get("a: b\r\n"),
            &[200, 200],
            Then::Open,
            &[seen_get(&switching), seen_get(&["a: b"])],
        ),
    ]);
    run(cases).await;
}

#[tokio::test]
async fn a_client_that_waits_for_a_100_gets_it_and_the_upstream_no_question() {
    let length = "content-length: 5\r\n";
    let seen = || seen_post(&["content-length: 5"], "hello");
    let cut = || seen_post(&["content-length: 5"], "").cut();
    let expecting = |value: &str| format!("expect: {value}\r\n{length}");
    run(vec![
        Case::new("100-continue, and no body yet", post(&expecting("100-continue"), ""), &[100], Then::Waits, &[cut()]),
        Case::new("100-Continue in capitals", post(&expecting("100-CONTINUE"), ""), &[100], Then::Waits, &[cut()]),
        Case::new("100-continue in front of a beginning", post(&expecting("100-continue"), "he"), &[100], Then::Waits, &[
            seen_post(&["content-length: 5"], "he").cut(),
        ]),
        Case::new(
            "100-continue for chunks",
            post("expect: 100-continue\r\ntransfer-encoding: chunked\r\n", ""),
            &[100],
            Then::Waits,
            &[seen_post(&["transfer-encoding: chunked"], "").cut()],
        ),
        // RFC 9110, 10.1.1: with the body there, the 100 may be left out.
        Case::passes("100-continue, and the body is there", post(&expecting("100-continue"), "hello"), seen()).at_once(),
        Case::passes("100-continue without a body", get("expect: 100-continue\r\n"), seen_get(&[])),
        Case::passes("another expectation is not met, and not passed on", post(&expecting("200-ok"), "hello"), seen()),
        Case::passes("an empty expectation", post(&expecting(""), "hello"), seen()),
        Case::new("another expectation gets no 100", post(&expecting("x=100-continue"), ""), &[], Then::Waits, &[cut()]),
        Case::new(
            "100-continue on HTTP/1.0 is for nobody",
            "POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
            &[],
            Then::Waits,
            &[cut()],
        ),
        Case::refused("100-continue and a choice about the body", post("expect: 100-continue\r\ncontent-length: 5\r\ncontent-length: 6\r\n", ""), 400),
        Case::new(
            "a refused request with its body outstanding is closed",
            post("expect: 100-continue\r\nauthorization: a\r\nauthorization: b\r\ncontent-length: 5\r\n", ""),
            &[400],
            Then::Closed,
            &[],
        ),
    ])
    .await;
}

//! Header lines of one hop, those that say who the client is under every name, and credentials.

use super::{Case, Seen, get, post, run, seen_get, seen_post};

const KEY: &str = "authorization: Bearer sk-AAAAAAAAAAAAAAAAAAAAAAAA";

/// Lines that end here; nothing of them goes on.
const ENDING: &[(&str, &str)] = &[
    ("Connection: keep-alive", "connection: keep-alive\r\n"),
    ("Connection naming a line", "connection: x-once\r\nx-once: 1\r\n"),
    (
        "Connection naming a line in other letters",
        "connection: X-ONCE\r\nx-Once: 1\r\n",
    ),
    (
        "Connection naming lines in front of itself",
        "x-once: 1\r\nconnection: x-once\r\n",
    ),
    (
        "Connection naming lines in two lines",
        "connection: x-one\r\nx-one: 1\r\nconnection: x-two\r\nx-two: 2\r\n",
    ),
    (
        "Connection naming a line among empty elements",
        "connection: ,,x-once , ,\r\nx-once: 1\r\n",
    ),
    (
        "Connection naming every copy of a line",
        "connection: x-once\r\nx-once: 1\r\nx-once: 2\r\n",
    ),
    ("Connection naming what is not there", "connection: x-never\r\n"),
    ("an empty Connection", "connection:\r\n"),
    ("Keep-Alive", "keep-alive: timeout=5\r\n"),
    ("Proxy-Connection", "proxy-connection: close\r\n"),
    ("Proxy-Authorization", "proxy-authorization: Basic eDp5\r\n"),
    ("Proxy-Authenticate", "proxy-authenticate: Basic\r\n"),
    ("TE", "te: trailers\r\n"),
    ("Trailer", "trailer: x-checksum\r\n"),
    ("Upgrade without Connection", "upgrade: websocket\r\n"),
    ("HTTP2-Settings", "http2-settings: AAMAAABkAAQAAP__\r\n"),
    ("X-Real-IP", "x-real-ip: 6.6.6.6\r\n"),
    ("X-Real-IP twice", "x-real-ip: 6.6.6.6\r\nX-Real-Ip: 7.7.7.7\r\n"),
    ("X-Real-IP with underscores", "x_real_ip: 6.6.6.6\r\n"),
    ("X-Real-IP with one underscore", "x-real_ip: 6.6.6.6\r\n"),
    ("X-Real-IP with dots", "x.real.ip: 6.6.6.6\r\n"),
    ("X-Real-IP with a dot and an underscore", "X.Real_IP: 6.6.6.6\r\n"),
    ("X-Forwarded-For", "x-forwarded-for: 6.6.6.6, 7.7.7.7\r\n"),
    ("X-Forwarded-For with underscores", "X_FORWARDED_FOR: 6.6.6.6\r\n"),
    ("X-Forwarded-For with dots", "x.forwarded.for: 6.6.6.6\r\n"),
    ("Forwarded", "forwarded: for=6.6.6.6;host=y;proto=https\r\n"),
    ("X-Forwarded-Host", "x-forwarded-host: y\r\n"),
    ("X-Forwarded-Proto", "x-forwarded-proto: https\r\n"),
    ("X-Forwarded-Port", "x-forwarded-port: 443\r\n"),
    ("X-Forwarded-Prefix", "x-forwarded-prefix: /y\r\n"),
    ("CF-Connecting-IP", "cf-connecting-ip: 6.6.6.6\r\n"),
    (
        "CF-Connecting-IP with underscores",
        "cf_connecting_ip: 6.6.6.6\r\n",
    ),
    ("True-Client-IP", "true-client-ip: 6.6.6.6\r\n"),
    ("X-Client-IP", "x-client-ip: 6.6.6.6\r\n"),
    ("X-Cluster-Client-IP", "x-cluster-client-ip: 6.6.6.6\r\n"),
    (
        "X-Envoy-External-Address",
        "x-envoy-external-address: 6.6.6.6\r\n",
    ),
    (
        "X-Original-Forwarded-For",
        "x-original-forwarded-for: 6.6.6.6\r\n",
    ),
    ("X-Appengine-User-IP", "x-appengine-user-ip: 6.6.6.6\r\n"),
    ("Fastly-Client-IP", "fastly-client-ip: 6.6.6.6\r\n"),
    ("Fly-Client-IP", "fly-client-ip: 6.6.6.6\r\n"),
    ("Client-IP", "client-ip: 6.6.6.6\r\n"),
    (
        "a long alias",
        "x_a_very_long_name_that_no_table_of_ours_has_in_it: 1\r\n",
    ),
    ("an alias of the key's header", "x_api_key: sk-BBBB\r\n"),
    ("Connection naming X-Real-IP", "connection: x-real-ip\r\n"),
    (
        "Connection naming X-Forwarded-For",
        "connection: close-not, X-Forwarded-For\r\n",
    ),
    (
        "Connection naming Content-Length takes no length away",
        "connection: content-length\r\n",
    ),
    (
        "Connection naming Transfer-Encoding takes no coding away",
        "connection: transfer-encoding\r\n",
    ),
    (
        "Connection naming Cookie",
        "connection: cookie\r\ncookie: a=b\r\n",
    ),
];

/// CVE-2026-54763, CVE-2026-88011: no underscore or dot alias must go on. CVE-2022-31813, CVE-2024-45410, CVE-2026-29054: `Connection` must not
/// take our own lines away. new-api believes private addresses: no header of any proxy or CDN that names a client must reach it.
#[tokio::test]
async fn what_is_of_one_hop_or_says_who_the_client_is_ends_here() {
    let case = |(name, lines): &(&str, &str)| {
        let sent = post(&format!("{lines}content-length: 2\r\nuser-agent: t\r\n"), "{}");
        Case::passes(
            name,
            sent,
            seen_post(&["content-length: 2", "user-agent: t"], "{}"),
        )
    };
    run(ENDING.iter().map(case).collect()).await;
}

/// Lines of a chat request that could be read as two keys, or as none.
const AMBIGUOUS: &[(&str, &str)] = &[
    (
        "two keys in Authorization",
        "authorization: Bearer sk-AAAA\r\nauthorization: Bearer sk-BBBB\r\n",
    ),
    (
        "two keys in Authorization, apart",
        "authorization: Bearer sk-AAAA\r\na: b\r\nAUTHORIZATION: Bearer sk-BBBB\r\n",
    ),
    (
        "one key in two spellings",
        "authorization: Bearer sk-AAAA\r\nauthorization: sk-AAAA\r\n",
    ),
    (
        "a key and nothing",
        "authorization: Bearer sk-AAAA\r\nauthorization:\r\n",
    ),
    (
        "a list of keys",
        "authorization: Bearer sk-AAAA, Bearer sk-BBBB\r\n",
    ),
    ("a key with obs-text", "authorization: Bearer sk-\u{e9}\r\n"),
    ("a key with a tab", "authorization: Bearer sk-AA\tAA\r\n"),
    (
        "Connection naming Authorization",
        "authorization: Bearer sk-AAAA\r\nconnection: authorization\r\n",
    ),
    (
        "Connection naming Authorization in other letters",
        "authorization: Bearer sk-AAAA\r\nConnection: close, AuthoriZation\r\n",
    ),
    (
        "Connection naming a header that could hold a key",
        "authorization: Bearer sk-AAAA\r\nconnection: x-api-key\r\n",
    ),
    (
        "Connection naming Host",
        "authorization: Bearer sk-AAAA\r\nconnection: host\r\n",
    ),
];

#[tokio::test]
async fn ambiguous_credentials_are_refused_and_not_seen() {
    let case = |(name, lines): &(&str, &str)| {
        // Nothing is wrong with the framing: with the body there and without a wish to close, the connection stays.
        let then = if lines.contains("close") {
            super::Then::Closed
        } else {
            super::Then::Open
        };
        Case::new(
            name,
            post(&format!("{lines}content-length: 2\r\n"), "{}"),
            &[400],
            then,
            &[],
        )
        .at_once()
    };
    run(AMBIGUOUS.iter().map(case).collect()).await;
}

#[tokio::test]
async fn only_the_checked_credential_goes_on() {
    let with = |lines: &str| post(&format!("{lines}content-length: 2\r\n"), "{}");
    let seen = || seen_post(&[KEY, "content-length: 2"], "{}");
    let gemini = |query: &str| format!("GET /v1beta/models{query} HTTP/1.1\r\nhost: x\r\n\r\n");
    run(vec![
        Case::passes("a key", with(&format!("{KEY}\r\n")), seen()),
        Case::passes(
            "the same line twice becomes one",
            with(&format!("{KEY}\r\n{KEY}\r\n")),
            seen(),
        ),
        Case::passes(
            "other carriers",
            with(&format!(
                "x-api-key: sk-B\r\n{KEY}\r\napi-key: sk-C\r\nx-goog-api-key: sk-D\r\nmj-api-secret: sk-E\r\n"
            )),
            seen(),
        ),
        Case::passes(
            "a key among the subprotocols, and no upgrade",
            with("sec-websocket-protocol: realtime, openai-insecure-api-key.sk-B\r\n"),
            seen_post(
                &[
                    "content-length: 2",
                    "sec-websocket-protocol: openai-insecure-api-key.sk-B",
                ],
                "{}",
            ),
        ),
        Case::passes(
            "cookies are sessions",
            get("cookie: session=1\r\n"),
            seen_get(&["cookie: session=1"]),
        ),
        Case::passes(
            "a key in the query",
            gemini("?key=sk-AAAA&alt=sse"),
            Seen::new("GET /v1beta/models?key=sk-AAAA&alt=sse", &["host: x"]),
        ),
        Case::passes(
            "the query's key goes without the header's",
            "GET /v1beta/models?key=sk-BBBB&alt=sse HTTP/1.1\r\nhost: x\r\nx-goog-api-key: sk-AAAA\r\n\r\n",
            Seen::new(
                "GET /v1beta/models?alt=sse",
                &["host: x", "x-goog-api-key: sk-AAAA"],
            ),
        ),
        Case::new(
            "two keys in the query",
            gemini("?key=sk-AAAA&key=sk-BBBB"),
            &[400],
            super::Then::Open,
            &[],
        ),
        Case::new(
            "two spellings of the query's name",
            gemini("?key=sk-AAAA&k%65y=sk-BBBB"),
            &[400],
            super::Then::Open,
            &[],
        ),
    ])
    .await;
}

//! What went wrong in systems like this one and has no better place here. Each test names the reports that it is for.

use std::time::Duration;

use http::HeaderName;
use sentinel_core::binding::BindingStatus;
use sentinel_core::client_ip::ClientIpSource;
use sentinel_core::network::Network;
use sentinel_core::ports::BindingChange;
use sentinel_testkit::{Answer, RawClient, ScriptedUpstream};

use crate::http2::client::{Http2Client, read};
use crate::support::{CHAT, KEY, Sentinel, code, upstream};

fn networks(texts: &[&str]) -> Vec<Network> {
    texts
        .iter()
        .map(|text| text.parse().expect("a network"))
        .collect()
}

/// A chat request with [`KEY`] and these lines.
fn chat(lines: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ncontent-length: 2\r\n{lines}\r\n{{}}")
}

/// CVE-2022-31813, CVE-2024-45410, CVE-2026-29054 (in lower case): a client must not make `Connection` take away the header that says who
/// it is, neither from us nor from the gateway.
#[tokio::test]
async fn connection_takes_no_clients_address_away() {
    for nominated in [
        "X-Real-IP",
        "x-real-ip",
        "close-not, X-REAL-IP",
        "x-forwarded-for, x-real-ip",
    ] {
        let upstream = upstream().await;
        let sentinel = Sentinel::start_with(upstream.address(), |options| {
            options.trusted = networks(&["127.0.0.1/32"]);
        });
        let lines = format!("connection: {nominated}\r\nx-real-ip: 203.0.113.7\r\n");
        let answer = sentinel.client().await.request(chat(&lines)).await;
        assert_eq!(answer.status(), 200, "{nominated}");
        let bindings = sentinel.lookup.bindings();
        assert_eq!(
            bindings[0].networks[0].to_string(),
            "203.0.113.7/32",
            "{nominated}"
        );
        let seen = &upstream.requests()[0];
        for name in ["x-real-ip", "x-forwarded-for"] {
            assert_eq!(seen.header(name).as_deref(), Some("203.0.113.7"), "{nominated}");
        }
        assert_eq!(seen.header("connection"), None, "{nominated}");
    }
}

/// CVE-2026-54763, CVE-2026-88011: an underscore or dot alias must neither say who the client is nor go on, not even from a trusted proxy.
#[tokio::test]
async fn an_alias_of_the_clients_header_says_nothing() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.trusted = networks(&["127.0.0.1/32"]);
    });
    let mut proxy = sentinel.client().await;
    for alias in ["X_Real_IP", "x-real_ip", "x.real.ip", "X_Forwarded_For"] {
        let alone = proxy.request(chat(&format!("{alias}: 6.6.6.6\r\n"))).await;
        assert_eq!(
            (alone.status(), code(&alone).as_str()),
            (400, "client_ip_unresolvable"),
            "{alias}"
        );
        let beside = format!("{alias}: 6.6.6.6\r\nx-real-ip: 203.0.113.7\r\n{alias}: 6.6.6.6\r\n");
        assert_eq!(proxy.request(chat(&beside)).await.status(), 200, "{alias}");
    }
    for seen in upstream.requests() {
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        assert!(!head.contains("6.6.6.6"), "{head}");
    }
}

/// new-api#6627, new-api#6752, sub2api#1724, Vault#2559, Vault#12334: no key must be bound to the address of a proxy, however the proxies
/// say it.
#[tokio::test]
async fn a_proxys_own_address_is_never_bound() {
    for (header, value) in [
        ("x-real-ip", "172.17.0.1"),
        ("x-real-ip", "::ffff:172.17.0.1"),
        ("x-forwarded-for", "172.17.0.1"),
        ("x-forwarded-for", "172.17.0.9, 172.17.0.1"),
        ("forwarded", "for=172.17.0.9, for=\"172.17.0.1:80\""),
    ] {
        let upstream = upstream().await;
        let sentinel = Sentinel::start_with(upstream.address(), |options| {
            options.trusted = networks(&["127.0.0.1/32", "172.16.0.0/12"]);
            options.source = ClientIpSource::from_header(HeaderName::from_static(header));
        });
        let line = format!("{header}: {value}\r\n");
        let refused = sentinel.client().await.request(chat(&line)).await;
        assert_eq!(
            (refused.status(), code(&refused).as_str()),
            (400, "client_ip_unresolvable"),
            "{line}"
        );
        assert!(sentinel.lookup.bindings().is_empty(), "{line}");
        assert!(upstream.requests().is_empty(), "{line}");
    }
}

/// Heimdall GHSA-3q34-rx83-r6mq, CVE-2025-71399, CVE-2026-50559 (paths), LiteLLM CVE-2026-49468 (`Host`): no spelling of a path and no name
/// of a host must lead to something of our own, or around a binding.
#[tokio::test]
async fn no_path_and_no_host_is_our_own() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    let (mut here, mut elsewhere) = (sentinel.client().await, sentinel.client_elsewhere().await);
    for path in [
        "/admin",
        "/metrics",
        "/healthz",
        "/readyz",
        "//admin",
        "/user/../admin",
        "/user/%2e%2e/admin",
        "/%2e%2e/admin",
        "/admin%3Ba=b",
        "/v1/chat%2Fcompletions",
    ] {
        for host in ["x", "admin", "localhost", "127.0.0.1:9090"] {
            let request = |lines: &str| {
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n{lines}\r\n")
            };
            assert_eq!(here.request(request("")).await.status(), 200, "{path} {host}");
            let seen = upstream.requests().pop().expect("it went on");
            assert_eq!(
                (seen.target.as_str(), seen.header("host").as_deref()),
                (path, Some(host))
            );
            let with_key = request(&format!("authorization: {KEY}\r\n"));
            assert_eq!(
                elsewhere.request(with_key).await.status(),
                403,
                "{path} {host} with a key that is bound elsewhere"
            );
        }
    }
}

/// A tunnel that carries bytes.
async fn tunnel(sentinel: &Sentinel, upstream: &ScriptedUpstream) -> RawClient {
    upstream.answer_next(Answer::upgrade("websocket", &[]));
    let mut client = sentinel.client().await;
    let handshake = "GET /v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n";
    client
        .send(format!("{handshake}authorization: {KEY}\r\n\r\n"))
        .await;
    assert_eq!(client.read_head().await.status, 101);
    client.send("x").await;
    client.read_exactly(1).await;
    client
}

/// axum-server#40: an upgraded connection must not outlive the ban of its key; both of its sides end.
#[tokio::test]
async fn no_tunnel_outlives_a_ban() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = tunnel(&sentinel, &upstream).await;
    sentinel
        .lookup
        .change(|binding| binding.status = BindingStatus::Banned);
    let binding = sentinel.lookup.bindings().remove(0);
    let watcher = sentinel.engine.watcher();
    watcher.changed(BindingChange::Now(Box::new(binding)));
    client.wait_for_close().await;
    upstream.wait_for_clients_gone(1).await;
}

/// axum-server#40: an upgraded connection must not outlive a shutdown; both of its sides end.
#[tokio::test]
async fn no_tunnel_outlives_a_shutdown() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut client = tunnel(&sentinel, &upstream).await;
    sentinel.stop(Duration::ZERO).await;
    client.wait_for_close().await;
    upstream.wait_for_clients_gone(1).await;
}

/// Slowloris, in a body: a client that begins one and falls silent must not hold its connection, nor one to the upstream.
#[tokio::test]
async fn a_body_that_falls_silent_ends_both_connections() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.stream_idle = Duration::from_millis(200);
    });
    for (lines, begun) in [
        ("content-length: 10\r\n", "abc"),
        ("transfer-encoding: chunked\r\n", "a\r\nabc"),
    ] {
        upstream.answer_next(Answer::never());
        let mut client = sentinel.client().await;
        client
            .send(format!(
                "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\n{lines}\r\n{begun}"
            ))
            .await;
        client.wait_for_close().await;
    }
    upstream.wait_for_clients_gone(2).await;
    assert!(upstream.requests().iter().all(|request| !request.complete));
}

/// RUSTSEC-2026-0258: the HTTP/2 library must not be older than its correction.
#[test]
fn the_http_2_library_is_corrected() {
    let lock = include_str!("../../../../Cargo.lock");
    let (_, behind) = lock
        .split_once("name = \"h2\"\nversion = \"")
        .expect("it is used");
    let (version, _) = behind.split_once('"').expect("it ends");
    let parts: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    assert!(parts >= vec![0, 4, 16], "h2 {version}");
}

/// gin believes `X-Appengine-Remote-Addr`, Java gateways `WL-Proxy-Client-IP`: whatever proxies call it, a client does not say who it is.
/// Some gateways take the path from a header (Symfony CVE-2018-14773), and CGI ones a proxy to use (httpoxy, CVE-2016-5385).
#[tokio::test]
async fn a_client_speaks_no_proxys_words() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.source = ClientIpSource::from_header(HeaderName::from_static("x-our-client"));
        options.trusted = networks(&["127.0.0.2/32"]);
    });
    let names = [
        "X-Appengine-Remote-Addr",
        "WL-Proxy-Client-IP",
        "Proxy-Client-IP",
        "HTTP-Client-IP",
        "X-Forwarded",
        "Forwarded-For",
        "X-Vercel-Forwarded-For",
        "X-NF-Client-Connection-IP",
        "DO-Connecting-IP",
        "CDN-Src-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Proxy",
        "X-Our-Client",
    ];
    let lines = names.map(|name| format!("{name}: 6.6.6.6\r\n")).concat();
    let answer = sentinel.client().await.request(chat(&lines)).await;
    assert_eq!(answer.status(), 200);
    for name in names {
        assert_eq!(upstream.requests()[0].header(name), None, "{name}");
    }
    // What the trusted proxy says in its own header stands, and goes on.
    let lines = "x-our-client: 127.0.0.1\r\n";
    assert_eq!(
        sentinel
            .client_elsewhere()
            .await
            .request(chat(lines))
            .await
            .status(),
        200
    );
    let seen = upstream.requests();
    assert_eq!(seen[1].header("x-our-client").as_deref(), Some("127.0.0.1"));
}

/// `Alt-Svc` is about the upstream's own port and protocols: a client that follows it goes around us.
#[tokio::test]
async fn an_upstream_does_not_send_clients_elsewhere() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    upstream.answer_next(Answer::with_headers(
        200,
        &[
            ("alt-svc", "h3=\"gateway.example:443\"; ma=86400"),
            ("x-kept", "1"),
        ],
        "{}",
    ));
    let answer = sentinel.chat().await;
    assert_eq!(
        (answer.header("alt-svc"), answer.header("x-kept")),
        (None, Some("1"))
    );
}

/// Whoever reads a reference takes the answer for one of ours, and looks for a record that is not there.
#[tokio::test]
async fn an_upstream_does_not_speak_for_us() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let forged = || {
        let headers = [("X-Sentinel-Reference", "sr_forged"), ("x-kept", "1")];
        Answer::with_headers(403, &headers, "{}")
    };
    upstream.answer_next(forged());
    let answer = sentinel.chat().await;
    assert_eq!(
        (answer.header("x-sentinel-reference"), answer.header("x-kept")),
        (None, Some("1"))
    );
    upstream.answer_next(forged());
    let mut client = Http2Client::connect(sentinel.address).await;
    let request = http::Request::get("http://api.example/v1/models").body(());
    let (answer, _) = client.begin(request.expect("a request"), true).await;
    let headers = read(answer).await.expect("an answer").headers;
    assert_eq!(
        (
            headers.get("x-sentinel-reference"),
            headers.get("x-kept").is_some()
        ),
        (None, true)
    );
}

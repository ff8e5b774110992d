//! Behind a balancer that speaks the PROXY protocol.

use http::HeaderName;
use sentinel_core::client_ip::ClientIpSource;
use sentinel_testkit::ScriptedUpstream;

use crate::support::{CHAT, KEY, Sentinel, code, upstream};

fn start(upstream: &ScriptedUpstream) -> Sentinel {
    Sentinel::start_with(upstream.address(), |options| {
        options.trusted = vec!["127.0.0.1/32".parse().expect("a network")];
        options.source = ClientIpSource::from_header(HeaderName::from_static("proxy-protocol"));
    })
}

#[tokio::test]
async fn the_client_is_whom_the_header_names() {
    let upstream = upstream().await;
    let sentinel = start(&upstream);
    for (client, status) in [("203.0.113.7", 200), ("203.0.113.7", 200), ("203.0.113.8", 403)] {
        let mut balancer = sentinel.client().await;
        balancer
            .send(format!("PROXY TCP4 {client} 192.0.2.1 5000 443\r\n"))
            .await;
        for _ in 0..2 {
            let answer = balancer
                .post(CHAT, &[("authorization", KEY), ("x-real-ip", "6.6.6.6")], "{}")
                .await;
            assert_eq!(answer.status(), status, "{client}");
        }
    }
    assert_eq!(
        upstream.requests()[0].header("x-real-ip").as_deref(),
        Some("203.0.113.7")
    );
    let mut in_pieces = sentinel.client().await;
    in_pieces.send("PROXY TCP4 203.0.113").await;
    in_pieces
        .send(format!(
            ".7 192.0.2.1 5000 443\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\n\r\n"
        ))
        .await;
    assert_eq!(in_pieces.read_response().await.status(), 200);
}

#[tokio::test]
async fn without_the_header_a_balancer_is_nobody() {
    let upstream = upstream().await;
    let sentinel = start(&upstream);
    let mut balancer = sentinel.client().await;
    balancer.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(balancer.wait_for_close().await, b"");
    let mut cut_short = sentinel.client().await;
    cut_short.send("PROXY TCP4 x\r\n").await;
    assert_eq!(cut_short.wait_for_close().await, b"");
    // Somebody who only sees whether anybody listens.
    drop(sentinel.client().await);
    let mut health_check = sentinel.client().await;
    health_check.send("PROXY UNKNOWN\r\n").await;
    let refused = health_check.get("/v1/models", &[]).await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (400, "client_ip_unresolvable")
    );
    assert_eq!(sentinel.engine.figures().snapshot().proxy_headers_missing, 2);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn nobody_else_may_speak_it() {
    let upstream = upstream().await;
    let sentinel = start(&upstream);
    let mut stranger = sentinel.client_elsewhere().await;
    stranger
        .send("PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n\r\n")
        .await;
    assert_eq!(
        stranger.read_head().await.status,
        505,
        "a request line of some other protocol"
    );
    let mut stranger = sentinel.client_elsewhere().await;
    assert_eq!(
        stranger
            .get("/v1/models", &[("authorization", KEY)])
            .await
            .status(),
        200
    );
    assert_eq!(
        sentinel.lookup.bindings()[0].networks[0].to_string(),
        "127.0.0.2/32"
    );
}

/// Behind a balancer every client has the balancer's address: those whom it names are counted.
#[tokio::test]
async fn the_clients_that_it_names_have_their_bounds() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.trusted = vec!["127.0.0.1/32".parse().expect("a network")];
        options.source = ClientIpSource::from_header(HeaderName::from_static("proxy-protocol"));
        options.bounds.connections_per_address_max = 2;
    });
    let connect = async |client: &str| {
        let mut balancer = sentinel.client().await;
        balancer
            .send(format!("PROXY TCP4 {client} 192.0.2.1 5000 443\r\n"))
            .await;
        balancer
    };
    let mut open = Vec::new();
    for client in ["203.0.113.7", "203.0.113.7", "203.0.113.8"] {
        let mut balancer = connect(client).await;
        assert_eq!(balancer.get("/v1/models", &[]).await.status(), 200, "{client}");
        open.push(balancer);
    }
    connect("203.0.113.7").await.wait_for_close().await;
    assert_eq!(sentinel.engine.figures().snapshot().connections_refused, 1);
}

/// The balancer passes bytes on: what stands in them is its client's word, not its own.
#[tokio::test]
async fn its_clients_do_not_speak_for_it() {
    let upstream = upstream().await;
    let sentinel = start(&upstream);
    let mut balancer = sentinel.client().await;
    balancer
        .send("PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n")
        .await;
    let answer = balancer
        .get(
            "/v1/models",
            &[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "evil.example"),
            ],
        )
        .await;
    assert_eq!(answer.status(), 200);
    let seen = &upstream.requests()[0];
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), None);
}

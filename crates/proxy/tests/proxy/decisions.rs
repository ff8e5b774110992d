//! Who gets in, and what is written down of those who do not.

use sentinel_core::binding::BindingStatus;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::InterceptOutcome;
use sentinel_core::policy::{Failsafe, Keyless, Mode, Rules};
use sentinel_core::ports::StoreError;
use sentinel_testkit::RawClient;

use crate::support::{CHAT, KEY, Sentinel, code, upstream};

#[tokio::test]
async fn the_first_use_binds_and_another_address_is_refused() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    assert_eq!(sentinel.chat().await.status(), 200);
    assert_eq!(sentinel.chat().await.status(), 200);
    let bindings = sentinel.lookup.bindings();
    assert_eq!(bindings[0].networks[0].to_string(), "127.0.0.1/32");

    let refused = sentinel.chat_elsewhere().await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (403, "key_ip_mismatch")
    );
    assert!(
        refused.text().contains("127.0.0.2"),
        "the caller's own address is named"
    );
    assert!(
        !refused.text().contains("127.0.0.1"),
        "the permitted network is not"
    );
    let records = sentinel.sink.wait_for(1).await;
    assert_eq!(
        refused.header("x-sentinel-reference"),
        Some(records[0].reference.as_str())
    );
    assert_eq!(records[0].reason, RefusalReason::KeyIpMismatch);
    assert_eq!(records[0].binding, Some(bindings[0].id));
    assert_eq!(records[0].path, CHAT);
    assert_eq!(
        records[0].hint.as_ref().map(|hint| hint.as_str().to_owned()),
        Some("sk-AA…AAAA".to_owned())
    );
    assert_eq!(upstream.requests().len(), 2, "the refused request went nowhere");
    assert_eq!(sentinel.lookup.uses(), 2);
    let figures = sentinel.engine.figures().snapshot();
    assert_eq!((figures.requests, figures.allowed, figures.claimed), (3, 2, 1));
    assert!(figures.refused.contains(&(RefusalReason::KeyIpMismatch, 1)));
}

#[tokio::test]
async fn every_spelling_of_a_key_is_the_same_key() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    assert_eq!(sentinel.chat().await.status(), 200);
    for spelling in [
        "Bearer AAAAAAAAAAAAAAAAAAAAAAAA",
        "Bearer sk-AAAAAAAAAAAAAAAAAAAAAAAA-12",
        "sk-aaaaaaaaaaaaaaaaaaaaaaaa",
        "bearer  sk-AAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let answer = sentinel
            .client_elsewhere()
            .await
            .post(CHAT, &[("authorization", spelling)], "{}")
            .await;
        assert_eq!(answer.status(), 403, "{spelling}");
    }
    assert_eq!(sentinel.lookup.bindings().len(), 1);
}

/// Heimdall GHSA-3q34-rx83-r6mq, CVE-2025-71399, CVE-2026-50559: no spelling of a path must get around a binding.
#[tokio::test]
async fn no_path_and_no_method_is_a_way_around_a_binding() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    let mut elsewhere = sentinel.client_elsewhere().await;
    for path in [
        "/",
        "/api/user/self",
        "//v1/chat/completions",
        "/v1/%63hat/completions",
        "/unlisted",
        "/v1/models?x=1",
    ] {
        assert_eq!(
            elsewhere.get(path, &[("authorization", KEY)]).await.status(),
            403,
            "{path}"
        );
    }
    let options = format!("OPTIONS * HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\n\r\n");
    assert_eq!(elsewhere.request(options).await.status(), 403);
    let absolute = format!(
        "GET http://gateway.example/v1/models HTTP/1.1\r\nhost: gateway.example\r\nauthorization: {KEY}\r\n\r\n"
    );
    assert_eq!(elsewhere.request(absolute).await.status(), 403);
    let connect = format!(
        "CONNECT gateway.example:443 HTTP/1.1\r\nhost: gateway.example:443\r\nauthorization: {KEY}\r\n\r\n"
    );
    elsewhere.send(connect).await;
    assert_eq!(elsewhere.read_head().await.status, 405);
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn the_upstream_sees_the_checked_credential_only() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let both = [
        ("authorization", KEY),
        ("x-api-key", "sk-stolen"),
        ("api-key", "sk-stolen"),
        ("x-goog-api-key", "sk-stolen"),
    ];
    let mut client = sentinel.client().await;
    client
        .post("/v1/chat/completions?api-key=sk-stolen&a=1", &both, "{}")
        .await;
    client.post("/v1/messages", &both, "{}").await;
    let seen = upstream.requests();
    assert_eq!(seen[0].target, "/v1/chat/completions?a=1");
    assert!(!String::from_utf8_lossy(&seen[0].head).contains("stolen"));
    assert_eq!(seen[1].header("x-api-key").as_deref(), Some("sk-stolen"));
    assert_eq!(seen[1].header("authorization"), None);
    let twice = client
        .post(
            CHAT,
            &[("authorization", KEY), ("authorization", "Bearer sk-other")],
            "{}",
        )
        .await;
    assert_eq!(
        (twice.status(), code(&twice).as_str()),
        (400, "credential_ambiguous")
    );
}

#[tokio::test]
async fn a_ban_holds_from_everywhere() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    sentinel
        .lookup
        .change(|binding| binding.status = BindingStatus::Banned);
    let refused = sentinel.chat().await;
    assert_eq!((refused.status(), code(&refused).as_str()), (403, "key_banned"));
}

#[tokio::test]
async fn requests_without_a_key_follow_the_policy() {
    let upstream = upstream().await;
    let pass = Sentinel::start(upstream.address());
    assert_eq!(pass.client().await.get("/v1/models", &[]).await.status(), 200);
    let deny = Sentinel::start_with(upstream.address(), |options| {
        options.rules.keyless = Keyless::Deny;
    });
    let refused = deny.client().await.get("/v1/models", &[]).await;
    assert_eq!((refused.status(), code(&refused).as_str()), (401, "key_missing"));
}

#[tokio::test]
async fn an_observed_breach_passes_and_is_recorded() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| options.rules.mode = Mode::Observe);
    sentinel.chat().await;
    assert_eq!(sentinel.chat_elsewhere().await.status(), 200);
    let records = sentinel.sink.wait_for(1).await;
    assert_eq!(records[0].outcome, InterceptOutcome::Observed);
    assert_eq!(records[0].client_ip.to_string(), "127.0.0.2");
}

#[tokio::test]
async fn changed_rules_count_from_the_next_request_on_also_on_open_connections() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    let mut elsewhere = sentinel.client_elsewhere().await;
    let mut status = async || {
        let answer = elsewhere.post(CHAT, &[("authorization", KEY)], "{}").await;
        answer.status()
    };
    assert_eq!(status().await, 403);
    sentinel.rules.set(Rules {
        mode: Mode::Observe,
        ..Rules::default()
    });
    assert_eq!(status().await, 200);
    sentinel.rules.set(Rules::default());
    assert_eq!(status().await, 403);
}

#[tokio::test]
async fn a_key_learns_as_many_networks_as_it_has_slots() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.rules = Rules {
            slots: 2,
            ..Rules::default()
        };
    });
    sentinel.chat().await;
    assert_eq!(sentinel.chat_elsewhere().await.status(), 200);
    let mut third = RawClient::connect_from([127, 0, 0, 3].into(), sentinel.address).await;
    assert_eq!(
        third.post(CHAT, &[("authorization", KEY)], "{}").await.status(),
        403
    );
    assert_eq!(sentinel.lookup.bindings()[0].networks.len(), 2);
}

#[tokio::test]
async fn without_the_store_unknown_keys_follow_the_failsafe_mode() {
    let upstream = upstream().await;
    let away = || Some(StoreError::Unavailable("test".to_owned()));
    let closed = Sentinel::start(upstream.address());
    closed.chat().await;
    closed.chat().await;
    closed.lookup.fail_with(away());
    assert_eq!(closed.chat().await.status(), 200, "a known key is served");
    assert_eq!(
        closed.chat_elsewhere().await.status(),
        403,
        "and held to its network"
    );
    let refused = closed
        .client()
        .await
        .post(CHAT, &[("authorization", "Bearer sk-unknown")], "{}")
        .await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (503, "binding_store_unavailable")
    );
    assert_eq!(refused.header("retry-after"), Some("5"));

    let open = Sentinel::start_with(upstream.address(), |options| {
        options.rules.failsafe = Failsafe::Open;
    });
    open.lookup.fail_with(away());
    assert_eq!(open.chat().await.status(), 200);
    let records = open.sink.wait_for(1).await;
    assert_eq!(
        (records[0].reason, records[0].outcome),
        (RefusalReason::BindingStoreUnavailable, InterceptOutcome::Observed)
    );
}

/// sub2api#6112, oauth2-proxy CVE-2026-76835: nobody else must be believed. new-api#6627, new-api#6752, sub2api#1724, Vault#2559, Vault#12334: the
/// proxy's own address must not be bound.
#[tokio::test]
async fn behind_a_trusted_proxy_its_header_decides() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.trusted = vec!["127.0.0.1/32".parse().expect("a network")];
    });
    let mut proxy = sentinel.client().await;
    let from = |address: &'static str| [("authorization", KEY), ("x-real-ip", address)];
    assert_eq!(proxy.post(CHAT, &from("203.0.113.7"), "{}").await.status(), 200);
    assert_eq!(
        sentinel.lookup.bindings()[0].networks[0].to_string(),
        "203.0.113.7/32"
    );
    assert_eq!(
        proxy.post(CHAT, &from("::ffff:203.0.113.7"), "{}").await.status(),
        200
    );
    assert_eq!(proxy.post(CHAT, &from("203.0.113.8"), "{}").await.status(), 403);
    let seen = upstream.requests();
    assert_eq!(seen[0].header("x-real-ip").as_deref(), Some("203.0.113.7"));
    assert_eq!(seen[0].header("x-forwarded-for").as_deref(), Some("203.0.113.7"));

    for headers in [&[("authorization", KEY)][..], &from("nonsense")] {
        let refused = proxy.post(CHAT, headers, "{}").await;
        assert_eq!(
            (refused.status(), code(&refused).as_str()),
            (400, "client_ip_unresolvable")
        );
    }
    let own = proxy
        .post(
            CHAT,
            &[("authorization", "sk-new"), ("x-real-ip", "127.0.0.1")],
            "{}",
        )
        .await;
    assert_eq!(
        (own.status(), code(&own).as_str()),
        (400, "client_ip_unresolvable"),
        "a proxy's address is never bound"
    );
    let spoofed = sentinel
        .client_elsewhere()
        .await
        .post(CHAT, &from("203.0.113.7"), "{}")
        .await;
    assert_eq!(spoofed.status(), 403, "nobody else is believed");
}

#[tokio::test]
async fn refusals_speak_the_dialect_of_the_route() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    let mut elsewhere = sentinel.client_elsewhere().await;
    let anthropic = elsewhere
        .post("/v1/messages", &[("authorization", KEY)], "{}")
        .await;
    assert!(
        anthropic.text().starts_with(r#"{"type":"error","error":{"#),
        "{}",
        anthropic.text()
    );
    let gemini = elsewhere
        .post(
            "/v1beta/models/x:generateContent",
            &[("authorization", KEY)],
            "{}",
        )
        .await;
    assert!(
        gemini.text().contains(r#""status":"PERMISSION_DENIED""#),
        "{}",
        gemini.text()
    );
}

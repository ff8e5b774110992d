//! Forged words, doubled words, two keys, odd spellings: whoever cannot be the proxy gets no answer about a request, and no request is permitted
//! whose key could be another one to the gateway.

use sentinel_proxy::{AuthConvention, Malformed};
use sentinel_testkit::RawClient;

use super::{ELSEWHERE, HOME, ask, start};
use crate::support::{CHAT, KEY, OTHER_ADDRESS, Sentinel, code};

const STOLEN: &str = "sk-BBBBBBBBBBBBBBBBBBBBBBBB";

async fn stranger(sentinel: &Sentinel) -> RawClient {
    let address = sentinel.engine.forward_auth_addr().expect("it listens");
    RawClient::connect_from(OTHER_ADDRESS, address).await
}

fn counted(sentinel: &Sentinel, kind: Malformed) -> u64 {
    let malformed = sentinel.engine.figures().snapshot().malformed;
    malformed
        .into_iter()
        .find(|(of, _)| *of == kind)
        .map_or(0, |(_, count)| count)
}

/// Otherwise anybody could try keys, and bind them to any address.
#[tokio::test]
async fn a_stranger_is_told_nothing_and_claims_nothing() {
    let sentinel = start(AuthConvention::Forwarded).await;
    let mut proxy = sentinel.asking_proxy().await;
    assert_eq!(
        ask(&mut proxy, HOME, CHAT, &[("authorization", KEY)])
            .await
            .status(),
        200
    );
    for key in [KEY, STOLEN] {
        let mut stranger = stranger(&sentinel).await;
        let refused = ask(&mut stranger, HOME, CHAT, &[("authorization", key)]).await;
        assert_eq!(refused.status(), 403);
        assert!(
            refused.text().starts_with("forward_auth_untrusted: "),
            "{}",
            refused.text()
        );
    }
    assert_eq!(sentinel.lookup.bindings().len(), 1);
    assert!(sentinel.sink.intercepts().is_empty());
    assert_eq!(counted(&sentinel, Malformed::UntrustedPeer), 2);
    assert_eq!(sentinel.engine.figures().snapshot().auth_permitted, 1);
}

/// What the listener is told in another proxy's words was written by the client.
#[tokio::test]
async fn only_the_convention_s_own_words_count() {
    let sentinel = start(AuthConvention::Original).await;
    let mut nginx = sentinel.asking_proxy().await;
    let question = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/"),
        ("x-forwarded-for", HOME),
        ("authorization", KEY),
        ("x-original-method", "POST"),
        ("x-original-uri", CHAT),
        ("x-real-ip", ELSEWHERE),
    ];
    assert_eq!(nginx.get("/auth", &question).await.status(), 200);
    assert_eq!(
        sentinel.lookup.bindings()[0].networks[0].to_string(),
        "198.51.100.9/32"
    );
    let unclear = nginx.get("/auth", &question[..4]).await;
    assert_eq!(unclear.status(), 400);
    assert!(
        unclear.text().starts_with("forward_auth_unclear: "),
        "{}",
        unclear.text()
    );
    let doubled = [&question[..], &[("X-Original-URI", "/")]].concat();
    assert_eq!(nginx.get("/auth", &doubled).await.status(), 400);
    let two_addresses = [&question[..], &[("X-Real-IP", HOME)]].concat();
    assert_eq!(
        code(&nginx.get("/auth", &two_addresses).await),
        "client_ip_unresolvable"
    );
    assert_eq!(counted(&sentinel, Malformed::Question), 2);
    assert_eq!(sentinel.lookup.bindings().len(), 1);
}

#[tokio::test]
async fn two_different_keys_are_refused_wherever_they_stand() {
    let sentinel = start(AuthConvention::Forwarded).await;
    let mut proxy = sentinel.asking_proxy().await;
    let own = ("authorization", KEY);
    assert_eq!(ask(&mut proxy, HOME, CHAT, &[own]).await.status(), 200);
    let queried = format!("{CHAT}?key={STOLEN}");
    for (target, headers) in [
        (CHAT, vec![own, ("x-api-key", STOLEN)]),
        (CHAT, vec![("x-api-key", STOLEN), own]),
        (
            CHAT,
            vec![own, ("authorization", "Bearer sk-BBBBBBBBBBBBBBBBBBBBBBBB")],
        ),
        (CHAT, vec![own, ("x_api_key", STOLEN)]),
        (CHAT, vec![("x-goog-api-key", STOLEN)]),
        (CHAT, vec![own, ("connection", "authorization")]),
        ("/v1/%6dessages", vec![own, ("x-api-key", STOLEN)]),
        (&queried, vec![own]),
        (
            "/v1/messages",
            vec![(
                "x-api-key",
                "sk-AAAAAAAAAAAAAAAAAAAAAAAA,sk-BBBBBBBBBBBBBBBBBBBBBBBB",
            )],
        ),
    ] {
        let refused = ask(&mut proxy, HOME, target, &headers).await;
        assert_eq!(refused.status(), 400, "{target} {headers:?}");
        assert!(
            refused.text().contains("credential_ambiguous"),
            "{target} {headers:?}"
        );
        assert!(!refused.text().contains("BBBB"));
    }
    assert_eq!(sentinel.lookup.bindings().len(), 1, "no other key was claimed");
    let same = [own, ("x-api-key", "sk-AAAAAAAAAAAAAAAAAAAAAAAA")];
    assert_eq!(ask(&mut proxy, HOME, "/v1/messages", &same).await.status(), 200);
}

#[tokio::test]
async fn no_spelling_of_a_target_is_a_way_around_a_binding() {
    let sentinel = start(AuthConvention::Forwarded).await;
    let mut proxy = sentinel.asking_proxy().await;
    let with_key = [("authorization", KEY)];
    assert_eq!(
        ask(&mut proxy, HOME, "/v1/%63hat/completions", &with_key)
            .await
            .status(),
        200
    );
    assert_eq!(
        sentinel.lookup.bindings().len(),
        1,
        "an encoded claim path claims"
    );
    for target in [
        "/",
        "//v1/models",
        "/v1/%2e%2e/x",
        "/unlisted",
        "/v1;x/models",
        "/v1/models?x=%00",
    ] {
        assert_eq!(
            ask(&mut proxy, ELSEWHERE, target, &with_key).await.status(),
            403,
            "{target}"
        );
    }
    for target in [
        "http://gateway/v1/models",
        "https://127.0.0.1/auth",
        "v1/models",
        "*",
        "/a b",
        "/a#b",
        "",
    ] {
        let malformed = ask(&mut proxy, ELSEWHERE, target, &with_key).await;
        assert_eq!(malformed.status(), 400, "{target}");
        assert!(malformed.text().starts_with("malformed_request: "), "{target}");
    }
    for hidden in ["x-original-url", "X-Rewrite-URL"] {
        let refused = ask(&mut proxy, HOME, "/", &[("authorization", KEY), (hidden, CHAT)]).await;
        assert_eq!(refused.status(), 400, "{hidden}");
    }
    let connect = [
        ("x-forwarded-method", "CONNECT"),
        ("x-forwarded-uri", "/"),
        ("x-forwarded-for", HOME),
    ];
    assert_eq!(proxy.get("/auth", &connect).await.status(), 405);
}

#[tokio::test]
async fn heads_have_their_bound() {
    let sentinel = start(AuthConvention::Forwarded).await;
    let mut proxy = sentinel.asking_proxy().await;
    let target = format!("/{}", "a".repeat(20_000));
    assert_eq!(
        ask(&mut proxy, HOME, &target, &[]).await.status(),
        200,
        "the target is there twice in the end"
    );
    let target = format!("/{}", "a".repeat(33_000));
    assert_eq!(ask(&mut proxy, HOME, &target, &[]).await.status(), 431);
    let mut proxy = sentinel.asking_proxy().await;
    let lines = vec![("x-line", "1"); 96];
    assert_eq!(ask(&mut proxy, HOME, "/", &lines).await.status(), 200);
    let lines = vec![("x-line", "1"); 97];
    assert_eq!(ask(&mut proxy, HOME, "/", &lines).await.status(), 431);
}

#[tokio::test]
async fn questions_may_follow_each_other_at_once() {
    let sentinel = start(AuthConvention::Forwarded).await;
    let mut proxy = sentinel.asking_proxy().await;
    let question = |from: &str| {
        format!(
            "GET /auth HTTP/1.1\r\nhost: x\r\nx-forwarded-method: GET\r\nx-forwarded-uri: /v1/models\r\nx-forwarded-for: {from}\r\n\
             authorization: {KEY}\r\n\r\n"
        )
    };
    let all = [HOME, ELSEWHERE, HOME, ELSEWHERE].map(question).concat();
    proxy.send(all).await;
    for status in [200, 403, 200, 403] {
        assert_eq!(proxy.read_response().await.status(), status);
    }
}

/// A body could hold what looks like the next question: it is never read as one.
#[tokio::test]
async fn a_question_with_a_body_is_refused() {
    let sentinel = start(AuthConvention::Forwarded).await;
    let inner = format!(
        "GET /auth HTTP/1.1\r\nhost: x\r\nx-forwarded-method: GET\r\nx-forwarded-uri: {CHAT}\r\nx-forwarded-for: {HOME}\r\n\
         authorization: {KEY}\r\n\r\n"
    );
    let outer = |framing: &str| {
        format!(
            "POST /auth HTTP/1.1\r\nhost: x\r\nx-forwarded-method: POST\r\nx-forwarded-uri: /\r\nx-forwarded-for: {HOME}\r\n{framing}\r\n\r\n"
        )
    };
    let mut whole = sentinel.asking_proxy().await;
    whole
        .send(format!(
            "{}{inner}",
            outer(&format!("content-length: {}", inner.len()))
        ))
        .await;
    let refused = whole.read_response().await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().starts_with("forward_auth_unclear: "));
    assert_eq!(
        ask(&mut whole, HOME, "/", &[]).await.status(),
        200,
        "the body was passed over"
    );

    let mut announced = sentinel.asking_proxy().await;
    announced.send(outer("content-length: 1000000")).await;
    assert_eq!(announced.read_response().await.status(), 400, "not waited for");
    announced.wait_for_close().await;
    let mut chunked = sentinel.asking_proxy().await;
    chunked.send(outer("transfer-encoding: chunked")).await;
    assert_eq!(chunked.read_response().await.status(), 400);
    chunked.wait_for_close().await;
    let mut both = sentinel.asking_proxy().await;
    both.send(outer("content-length: 3\r\ntransfer-encoding: chunked"))
        .await;
    assert_eq!(both.read_response().await.status(), 400);
    both.wait_for_close().await;
    assert!(sentinel.lookup.bindings().is_empty());
}

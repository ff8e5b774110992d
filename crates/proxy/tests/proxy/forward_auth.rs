//! Other proxies ask whether a request may go on: who is answered, what, and what is written down.

mod hostile;

use sentinel_core::binding::BindingStatus;
use sentinel_core::decision::RefusalReason;
use sentinel_core::policy::{Failsafe, Keyless, Mode, Rules};
use sentinel_core::ports::StoreError;
use sentinel_proxy::{AuthConvention, ForwardAuth};
use sentinel_testkit::{RawClient, RawResponse, unreachable_address};

use crate::support::{CHAT, KEY, Options, Sentinel, code, upstream};

const HOME: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.9";

/// Listens for questions from 127.0.0.1 alone.
fn listening(convention: AuthConvention, claims: bool) -> ForwardAuth {
    let peers = vec!["127.0.0.1/32".parse().expect("a network")];
    ForwardAuth::new(([127, 0, 0, 1], 0).into(), convention, peers, &[], claims)
}

/// In front of no gateway at all: whoever asks forwards by himself.
async fn start(convention: AuthConvention) -> Sentinel {
    start_with(convention, |_| {}).await
}

async fn start_with(convention: AuthConvention, set: impl FnOnce(&mut Options)) -> Sentinel {
    Sentinel::start_with(unreachable_address().await, |options| {
        options.forward_auth = Some(listening(convention, true));
        set(options);
    })
}

/// What Traefik or Caddy would ask about a request from this address.
async fn ask(proxy: &mut RawClient, from: &str, target: &str, headers: &[(&str, &str)]) -> RawResponse {
    let of_proxy = [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-uri", target),
        ("x-forwarded-for", from),
    ];
    proxy.get("/auth", &[&of_proxy, headers].concat()).await
}

#[tokio::test]
async fn the_first_use_binds_and_another_address_is_refused() {
    let sentinel = start(AuthConvention::Forwarded).await;
    let mut proxy = sentinel.asking_proxy().await;
    let with_key = [("authorization", KEY), ("user-agent", "curl/8")];
    for _ in 0..2 {
        let yes = ask(&mut proxy, HOME, CHAT, &with_key).await;
        assert_eq!((yes.status(), yes.body.len()), (200, 0));
        assert_eq!(yes.header("cache-control"), Some("no-store"));
    }
    let bindings = sentinel.lookup.bindings();
    assert_eq!(bindings[0].networks[0].to_string(), "203.0.113.7/32");

    let no = ask(&mut proxy, ELSEWHERE, "/v1/chat/completions?a=1", &with_key).await;
    assert_eq!((no.status(), code(&no).as_str()), (403, "key_ip_mismatch"));
    assert!(no.text().contains(ELSEWHERE) && !no.text().contains(HOME));
    assert_eq!(
        no.header("x-sentinel-refusal"),
        None,
        "its body reaches the client"
    );
    let records = sentinel.sink.wait_for(1).await;
    let record = &records[0];
    assert_eq!(no.header("x-sentinel-reference"), Some(record.reference.as_str()));
    assert_eq!(
        (
            record.method.as_str(),
            record.path.as_str(),
            record.user_agent.as_str()
        ),
        ("POST", CHAT, "curl/8"),
        "of the request, not of the question"
    );
    assert_eq!(record.client_ip.to_string(), ELSEWHERE);
    let figures = sentinel.engine.figures().snapshot();
    assert_eq!((figures.auth_requests, figures.auth_permitted), (3, 2));
    assert_eq!((figures.requests, figures.allowed, figures.claimed), (3, 2, 1));
    assert!(figures.refused.contains(&(RefusalReason::KeyIpMismatch, 1)));
    assert_eq!(sentinel.lookup.uses(), 2);
}

#[tokio::test]
async fn both_listeners_decide_alike() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.forward_auth = Some(listening(AuthConvention::Forwarded, true));
    });
    let mut proxy = sentinel.asking_proxy().await;
    assert_eq!(
        sentinel.chat_elsewhere().await.status(),
        200,
        "bound to 127.0.0.2"
    );
    let with_key = [("authorization", KEY)];
    assert_eq!(ask(&mut proxy, "127.0.0.2", CHAT, &with_key).await.status(), 200);
    assert_eq!(ask(&mut proxy, HOME, CHAT, &with_key).await.status(), 403);
    sentinel
        .lookup
        .change(|binding| binding.status = BindingStatus::Banned);
    let banned = ask(&mut proxy, "127.0.0.2", "/v1/messages", &with_key).await;
    assert_eq!(banned.status(), 403);
    assert!(banned.text().contains(r#""type":"error""#) && banned.text().contains("key_banned"));
}

/// The body of Nginx's question is dropped, whatever it holds: what the client gets is made of headers.
#[tokio::test]
async fn nginx_gets_the_refusal_in_a_header() {
    let sentinel = start(AuthConvention::Original).await;
    let mut nginx = sentinel.asking_proxy().await;
    let question = |from| {
        [
            ("x-original-method", "POST"),
            ("x-original-uri", CHAT),
            ("x-real-ip", from),
            ("authorization", KEY),
        ]
    };
    assert_eq!(nginx.get("/auth", &question(HOME)).await.status(), 200);
    let no = nginx.get("/auth", &question(ELSEWHERE)).await;
    assert_eq!(no.status(), 403);
    assert_eq!(no.header("x-sentinel-refusal"), Some(no.text().as_str()));
    assert_eq!(code(&no), "key_ip_mismatch");
}

/// Envoy asks with the request's own method, and its path behind a prefix.
#[tokio::test]
async fn envoy_asks_by_path() {
    let sentinel = start(AuthConvention::Path).await;
    let mut envoy = sentinel.asking_proxy().await;
    let mut ask = async |line: &str, from: &str| {
        let text = format!(
            "{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nx-forwarded-for: {from}\r\nauthorization: {KEY}\r\n\r\n"
        );
        envoy.request(text).await
    };
    assert_eq!(ask("POST /auth/v1/chat/completions", HOME).await.status(), 200);
    assert_eq!(ask("DELETE /auth/v1/files/x", ELSEWHERE).await.status(), 403);
    assert_eq!(ask("OPTIONS /auth*", ELSEWHERE).await.status(), 403);
    assert_eq!(sentinel.sink.wait_for(2).await[0].path, "/v1/files/x");
    let mut envoy = sentinel.asking_proxy().await;
    envoy
        .send(format!(
            "HEAD /auth/ HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {ELSEWHERE}\r\nauthorization: {KEY}\r\n\r\n"
        ))
        .await;
    assert_eq!(envoy.read_head().await.status, 403);
}

/// No gateway's 401 is seen here: a claim stands, and so claims can be turned off.
#[tokio::test]
async fn without_claims_only_bound_keys_are_held_to_their_networks() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.forward_auth = Some(listening(AuthConvention::Forwarded, false));
    });
    let mut proxy = sentinel.asking_proxy().await;
    let with_key = [("authorization", KEY)];
    for from in [HOME, ELSEWHERE] {
        assert_eq!(ask(&mut proxy, from, CHAT, &with_key).await.status(), 200);
    }
    assert!(sentinel.lookup.bindings().is_empty());
    assert_eq!(
        sentinel.chat().await.status(),
        200,
        "the proxy's own listener claims"
    );
    assert_eq!(ask(&mut proxy, HOME, CHAT, &with_key).await.status(), 403);
}

#[tokio::test]
async fn rules_hold_as_for_the_proxy() {
    let rules = Rules {
        keyless: Keyless::Deny,
        claims_per_minute: 1,
        ..Rules::default()
    };
    let sentinel = start_with(AuthConvention::Forwarded, |options| options.rules = rules).await;
    let mut proxy = sentinel.asking_proxy().await;
    assert_eq!(ask(&mut proxy, HOME, "/", &[]).await.status(), 401);
    let mut first = async |key: &str| ask(&mut proxy, HOME, CHAT, &[("authorization", key)]).await;
    assert_eq!(first(KEY).await.status(), 200);
    let throttled = first("sk-BBBBBBBBBBBBBBBBBBBBBBBB").await;
    assert_eq!(
        (throttled.status(), throttled.header("retry-after")),
        (429, Some("60"))
    );

    sentinel.rules.set(Rules {
        mode: Mode::Observe,
        ..rules
    });
    let observed = ask(&mut proxy, ELSEWHERE, CHAT, &[("authorization", KEY)]).await;
    assert_eq!(observed.status(), 200);

    sentinel
        .lookup
        .fail_with(Some(StoreError::Unavailable("away".to_owned())));
    let unknown = [("authorization", "sk-CCCCCCCCCCCCCCCCCCCCCCCC")];
    assert_eq!(ask(&mut proxy, ELSEWHERE, CHAT, &unknown).await.status(), 503);
    sentinel.rules.set(Rules {
        failsafe: Failsafe::Open,
        ..rules
    });
    assert_eq!(ask(&mut proxy, ELSEWHERE, CHAT, &unknown).await.status(), 200);
}

/// A balancer in front of the proxy: its address is passed over, and never bound.
#[tokio::test]
async fn lists_of_addresses_are_read_past_trusted_proxies() {
    let balancer = "192.0.2.0/24".parse().expect("a network");
    let peers = vec!["127.0.0.1/32".parse().expect("a network")];
    let asked = ForwardAuth::new(
        ([127, 0, 0, 1], 0).into(),
        AuthConvention::Forwarded,
        peers,
        &[balancer],
        true,
    );
    let sentinel = start_with(AuthConvention::Forwarded, |options| {
        options.forward_auth = Some(asked);
    })
    .await;
    let mut proxy = sentinel.asking_proxy().await;
    let with_key = [("authorization", KEY)];
    let own = ask(&mut proxy, "192.0.2.1", CHAT, &with_key).await;
    assert_eq!(
        (own.status(), code(&own).as_str()),
        (400, "client_ip_unresolvable")
    );
    let through = ask(&mut proxy, "6.6.6.6, 203.0.113.7, 192.0.2.1", CHAT, &with_key).await;
    assert_eq!(through.status(), 200);
    assert_eq!(
        sentinel.lookup.bindings()[0].networks[0].to_string(),
        "203.0.113.7/32"
    );
    for nonsense in ["", "unknown", "203.0.113.7, x"] {
        let refused = ask(&mut proxy, nonsense, CHAT, &with_key).await;
        assert_eq!(code(&refused), "client_ip_unresolvable", "{nonsense}");
    }
    let without = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", CHAT),
        ("authorization", KEY),
    ];
    assert_eq!(
        code(&proxy.get("/auth", &without).await),
        "client_ip_unresolvable"
    );
}

/// It answers until it stops, and is not there when nobody wants it.
#[tokio::test]
async fn it_comes_and_goes_with_the_server() {
    let sentinel = start(AuthConvention::Forwarded).await;
    let address = sentinel.engine.forward_auth_addr().expect("it listens");
    let mut idle = sentinel.asking_proxy().await;
    assert_eq!(ask(&mut idle, HOME, "/", &[]).await.status(), 200);
    assert!(sentinel.stop(std::time::Duration::from_secs(5)).await);
    idle.wait_for_close().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let without = Sentinel::start(upstream().await.address());
    assert_eq!(without.engine.forward_auth_addr(), None);
}

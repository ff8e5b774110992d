//! `https` upstreams: whom we believe, whom not, and that nothing is sent before that is settled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sentinel_proxy::{Upstream, UpstreamTarget, UpstreamTrust, probe};
use sentinel_testkit::{Answer, ScriptedUpstream, bounded};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::relay::Relay;
use super::resolver::ScriptedResolver;
use super::{NEVER, log, post};
use crate::support::{CHAT, KEY, Sentinel, code, upstream};

/// A certificate authority and a server that has a certificate of it.
struct Certified {
    authority_pem: String,
    acceptor: TlsAcceptor,
}

fn certified(name: &str) -> Certified {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).expect("signed").pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .expect("a name")
        .signed_by(&key, &issuer)
        .expect("signed");
    let private_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private_key)
        .expect("the key fits");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Certified {
        authority_pem,
        acceptor: TlsAcceptor::from(Arc::new(config)),
    }
}

/// The gateway under the name `gateway.test`, at this address.
fn gateway(address: SocketAddr, trust: UpstreamTrust) -> Upstream {
    let target = UpstreamTarget::parse("https://gateway.test").expect("an origin");
    let mut upstream = Upstream::new(target);
    upstream.trust = trust;
    upstream.resolver = ScriptedResolver::new(Ok(vec![address]));
    upstream
}

fn start(gateway: Upstream) -> Sentinel {
    Sentinel::start_with(([127, 0, 0, 1], 1).into(), |options| {
        options.upstream = Some(gateway);
        options.bounds.upstream_health_interval = NEVER;
    })
}

fn only(certified: &Certified) -> UpstreamTrust {
    UpstreamTrust::only(certified.authority_pem.as_bytes()).expect("a certificate")
}

#[tokio::test]
async fn a_custom_authority_is_believed_and_connections_are_kept() {
    let upstream = upstream().await;
    let certified = certified("gateway.test");
    let front = Relay::start_tls(upstream.address(), certified.acceptor.clone()).await;
    let sentinel = start(gateway(front.address(), only(&certified)));
    for _ in 0..3 {
        let response = sentinel.chat().await;
        assert_eq!(
            (response.status(), response.text().as_str()),
            (200, r#"{"ok":true}"#)
        );
    }
    assert_eq!((upstream.requests().len(), upstream.connections()), (3, 1));
}

/// More than sockets hold, so that TLS keeps records back that have to be flushed later.
#[tokio::test]
async fn large_bodies_pass_both_ways() {
    const BYTES: usize = 8 * 1024 * 1024;
    let body = "x".repeat(BYTES);
    let upstream = ScriptedUpstream::start(Answer::new(200, &body)).await;
    let certified = certified("gateway.test");
    let front = Relay::start_tls(upstream.address(), certified.acceptor.clone()).await;
    let sentinel = start(gateway(front.address(), only(&certified)));
    let mut client = sentinel.client().await;
    let response = client.post(CHAT, &[("authorization", KEY)], &body).await;
    assert_eq!((response.status(), response.body.len()), (200, BYTES));
    assert_eq!(upstream.wait_for_body(0).await.body_bytes, BYTES as u64);
}

#[tokio::test]
async fn a_tunnel_passes_through_tls() {
    let upstream = upstream().await;
    let certified = certified("gateway.test");
    let front = Relay::start_tls(upstream.address(), certified.acceptor.clone()).await;
    let sentinel = start(gateway(front.address(), only(&certified)));
    upstream.answer_next(Answer::upgrade("websocket", &[]));
    let mut client = sentinel.client().await;
    client
        .send(format!(
            "GET /v1/realtime HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        ))
        .await;
    assert_eq!(client.read_head().await.status, 101);
    client.send("over and out").await;
    assert_eq!(client.read_exactly(12).await, b"over and out");
}

/// Its name is asked for, and HTTP/1.1 spoken, whatever else it would like.
/// hyper#3623: one HTTP/2 connection must not be what all requests to an upstream wait for.
#[tokio::test]
async fn the_server_is_told_its_name_and_offered_http1_only() {
    let certified = certified("gateway.test");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let sentinel = start(gateway(address, only(&certified)));
    let mut client = sentinel.client().await;
    client.send(post()).await;
    let (stream, _) = bounded("a connection", listener.accept())
        .await
        .expect("accepted");
    let mut stream = bounded("a handshake", certified.acceptor.accept(stream))
        .await
        .expect("it holds");
    let session = stream.get_ref().1;
    assert_eq!(session.server_name(), Some("gateway.test"));
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut first = [0; 4];
    stream.read_exact(&mut first).await.expect("a request");
    assert_eq!(&first, b"POST");
}

async fn is_refused(certified: Certified, trust: UpstreamTrust, cause: &str) {
    log::listen();
    let upstream = upstream().await;
    let front = Relay::start_tls(upstream.address(), certified.acceptor).await;
    let gateway = gateway(front.address(), trust);
    let reports = probe(&gateway, NEVER).await;
    let problem = reports[0].problem.as_deref().unwrap_or_default();
    assert!(problem.contains(cause), "{problem}");

    let sentinel = start(gateway);
    let refused = sentinel.chat().await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (502, "upstream_unreachable")
    );
    assert!(upstream.requests().is_empty(), "nothing was sent");
    let lines = log::lines_with(&front.address().to_string());
    let told = |what: &str| {
        lines
            .iter()
            .any(|line| line.contains(what) && line.contains(cause))
    };
    assert!(told("no TLS with the upstream at"), "{lines:?}");
    assert!(told("a request could not be forwarded"), "{lines:?}");
}

#[tokio::test]
async fn another_name_is_not_believed() {
    let certified = certified("other.test");
    let trust = only(&certified);
    is_refused(certified, trust, "not valid for name").await;
}

#[tokio::test]
async fn an_unknown_authority_is_not_believed() {
    is_refused(
        certified("gateway.test"),
        UpstreamTrust::public(),
        "UnknownIssuer",
    )
    .await;
}

/// A custom authority stands instead of the public ones, not beside other custom ones.
#[tokio::test]
async fn an_authority_of_somebody_else_is_not_believed() {
    let trust = only(&certified("gateway.test"));
    is_refused(certified("gateway.test"), trust, "invalid peer certificate").await;
}

#[tokio::test]
async fn a_gateway_that_speaks_no_tls_gets_no_request() {
    let upstream = upstream().await;
    let sentinel = start(gateway(upstream.address(), UpstreamTrust::public()));
    let mut client = sentinel.client().await;
    client.send(post()).await;
    // It waits for the end of a head; what came of the handshake is none.
    bounded("a connection", async {
        while upstream.connections() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    upstream.close_all().await;
    assert_eq!(client.read_response().await.status(), 502);
    assert!(upstream.requests().is_empty());
}

/// A listener that accepts and never speaks: connecting to it does not end.
async fn mute() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

#[tokio::test]
async fn the_handshake_counts_as_connecting() {
    let (_listener, address) = mute().await;
    let mut gateway = Some(gateway(address, UpstreamTrust::public()));
    let sentinel = Sentinel::start_with(address, |options| {
        options.upstream = gateway.take();
        options.bounds.connect_timeout = Duration::from_millis(100);
    });
    let refused = sentinel.chat().await;
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (504, "upstream_timeout")
    );
}

#[tokio::test]
async fn concurrent_connects_are_bounded_and_the_rest_wait() {
    let (listener, address) = mute().await;
    let mut gateway = Some(gateway(address, UpstreamTrust::public()));
    let sentinel = Sentinel::start_with(address, |options| {
        options.upstream = gateway.take();
        options.bounds.upstream_connects_max = 1;
        options.bounds.connect_timeout = NEVER;
    });
    let mut clients = [sentinel.client().await, sentinel.client().await];
    clients[0].send(post()).await;
    let accept = |what: &'static str| {
        let listener = &listener;
        async move { bounded(what, listener.accept()).await.expect("accepted").0 }
    };
    let first: TcpStream = accept("the first connection").await;
    clients[1].send(post()).await;
    // The worker has dealt with the second request when it has dealt with a third one that was sent later.
    bounded("the second request", async {
        while sentinel.engine.figures().snapshot().requests < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    let refused = sentinel
        .client()
        .await
        .request("CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n")
        .await;
    assert_eq!(refused.status(), 405);
    let second = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(second.is_err(), "there is one attempt at a time");
    drop(first);
    assert_eq!(clients[0].read_response().await.status(), 502);
    drop(accept("the second connection").await);
    assert_eq!(clients[1].read_response().await.status(), 502);
}

#[tokio::test]
async fn who_waits_too_long_for_a_connect_gets_a_504() {
    let (_listener, address) = mute().await;
    let mut gateway = Some(gateway(address, UpstreamTrust::public()));
    let sentinel = Sentinel::start_with(address, |options| {
        options.upstream = gateway.take();
        options.bounds.upstream_connects_max = 1;
        options.bounds.connect_timeout = Duration::from_millis(100);
    });
    let mut clients = [sentinel.client().await, sentinel.client().await];
    for client in &mut clients {
        client.send(post()).await;
    }
    for client in &mut clients {
        let refused = client.read_response().await;
        assert_eq!(
            (refused.status(), code(&refused).as_str()),
            (504, "upstream_timeout")
        );
    }
}

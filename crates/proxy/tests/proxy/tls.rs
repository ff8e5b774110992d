//! TLS towards clients: what is agreed on, what passes through it, and a certificate that is replaced.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use sentinel_proxy::TlsConfig;
use sentinel_testkit::{Answer, ScriptedUpstream, bounded};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http2::client::Http2Client;
use crate::support::{CHAT, KEY, OTHER_ADDRESS, Options, Sentinel, try_start, upstream};

/// A data plane with a certificate, and a client that trusts it.
struct Secured {
    folder: TempDir,
    upstream: ScriptedUpstream,
    sentinel: Sentinel,
    trusted: CertificateDer<'static>,
}

impl Secured {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(set: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut tls = TlsConfig::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
        tls.reload_interval = Duration::from_millis(10);
        let trusted = replace(&folder);
        let upstream = upstream().await;
        let sentinel = Sentinel::start_with(upstream.address(), |options| {
            options.tls = Some(tls);
            set(options);
        });
        Self {
            folder,
            upstream,
            sentinel,
            trusted,
        }
    }

    /// Shakes hands, offering these protocols in this version.
    async fn connect(
        &self,
        protocols: &[&str],
        version: &'static SupportedProtocolVersion,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.sentinel.address).await?;
        shake_hands(stream, &self.trusted, protocols, version).await
    }

    /// A connection of HTTP/1.1.
    async fn connect_http1(&self) -> TlsStream<TcpStream> {
        self.connect(&["http/1.1"], &TLS13).await.expect("a handshake")
    }
}

/// Puts a new certificate in place, and gives it.
fn replace(folder: &TempDir) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    for (name, text) in [("key.pem", signing_key.serialize_pem()), ("cert.pem", cert.pem())] {
        let new = folder.path().join("new");
        fs::write(&new, text).expect("it can be written");
        fs::rename(new, folder.path().join(name)).expect("it can be renamed");
    }
    cert.der().clone()
}

async fn shake_hands(
    stream: TcpStream,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from("localhost").expect("a name");
    bounded(
        "a handshake",
        TlsConnector::from(Arc::new(config)).connect(name, stream),
    )
    .await
}

/// Sends a request, and reads until the connection ends.
async fn exchange(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> String {
    bounded("a request", stream.write_all(request))
        .await
        .expect("it goes");
    // What the socket had no room for waits inside of the TLS connection, and reading does not send it.
    bounded("the rest of a request", stream.flush())
        .await
        .expect("it goes");
    let mut answer = Vec::new();
    bounded("an answer", stream.read_to_end(&mut answer))
        .await
        .expect("a proper end");
    String::from_utf8(answer).expect("UTF-8")
}

fn post(body: &str) -> String {
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: {KEY}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn both_versions_and_both_protocols_are_spoken() {
    let secured = Secured::start().await;
    for version in [&TLS12, &TLS13] {
        for protocols in [&["http/1.1"][..], &[]] {
            let mut stream = secured.connect(protocols, version).await.expect("a handshake");
            let answer = exchange(&mut stream, post("{}").as_bytes()).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(r#"{"ok":true}"#),
                "{answer}"
            );
        }
        for protocols in [&["h2"][..], &["http/1.1", "h2"]] {
            let stream = secured.connect(protocols, version).await.expect("a handshake");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            assert_eq!(
                Http2Client::over(stream).await.chat().await.status,
                StatusCode::OK
            );
        }
    }
    for seen in secured.upstream.requests() {
        assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("https"));
        assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    }
}

#[tokio::test]
async fn other_protocols_and_plain_text_are_refused() {
    let secured = Secured::start().await;
    secured
        .connect(&["smtp"], &TLS13)
        .await
        .expect_err("no protocol in common");
    let mut plain = secured.sentinel.client().await;
    plain.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(
        !plain.wait_for_close().await.starts_with(b"HTTP"),
        "an alert at most"
    );
    assert!(secured.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_binding_holds_over_tls() {
    let secured = Secured::start().await;
    exchange(&mut secured.connect_http1().await, post("{}").as_bytes()).await;
    for protocol in ["h2", "http/1.1"] {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind((OTHER_ADDRESS, 0).into())
            .expect("an address of this machine");
        let stream = socket
            .connect(secured.sentinel.address)
            .await
            .expect("it listens");
        let mut stream = shake_hands(stream, &secured.trusted, &[protocol], &TLS13)
            .await
            .expect("a handshake");
        if protocol == "h2" {
            assert_eq!(
                Http2Client::over(stream).await.chat().await.status,
                StatusCode::FORBIDDEN
            );
        } else {
            let answer = exchange(&mut stream, post("{}").as_bytes()).await;
            assert!(
                answer.starts_with("HTTP/1.1 403 ") && answer.contains("key_ip_mismatch"),
                "{answer}"
            );
        }
    }
    assert_eq!(secured.upstream.requests().len(), 1);
}

#[tokio::test]
async fn large_bodies_pass_whole() {
    let body = "x".repeat(4 * 1024 * 1024);
    let secured = Secured::start().await;
    secured.upstream.answer_next(Answer::new(200, &body));
    let answer = exchange(&mut secured.connect_http1().await, post(&body).as_bytes()).await;
    let (_, came) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(came == body, "{} bytes came", came.len());
    assert_eq!(
        secured.upstream.wait_for_body(0).await.body_bytes,
        4 * 1024 * 1024
    );
}

#[tokio::test]
async fn events_pass_one_by_one() {
    let secured = Secured::start().await;
    let (events, answer) = Answer::events();
    secured.upstream.answer_next(answer);
    let mut stream = secured.connect_http1().await;
    stream.write_all(post("{}").as_bytes()).await.expect("it goes");
    let mut came = String::new();
    for event in ["data: one\n\n", "data: two\n\n"] {
        events.send(event);
        while !came.contains(event) {
            let mut piece = [0; 1_024];
            let length = bounded("an event", stream.read(&mut piece))
                .await
                .expect("it goes on");
            assert_ne!(length, 0, "{came}");
            came.push_str(std::str::from_utf8(&piece[..length]).expect("UTF-8"));
        }
    }
    drop(stream);
    secured.upstream.wait_for_clients_gone(1).await;
}

#[tokio::test]
async fn a_tunnel_passes_both_ways() {
    let secured = Secured::start().await;
    secured.upstream.answer_next(Answer::upgrade("websocket", &[]));
    let mut stream = secured.connect_http1().await;
    let request = format!(
        "GET /v1/realtime HTTP/1.1\r\nhost: localhost\r\nauthorization: {KEY}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it goes");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(bounded("a head", stream.read_u8()).await.expect("it goes on"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    for word in [b"early", b"later"] {
        stream.write_all(word).await.expect("it goes");
        let mut back = [0; 5];
        bounded("an echo", stream.read_exact(&mut back))
            .await
            .expect("it goes on");
        assert_eq!(&back, word);
    }
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let secured =
        Secured::start_with(|options| options.bounds.header_timeout = Duration::from_millis(200)).await;
    let mut silent = secured.sentinel.client().await;
    assert!(silent.wait_for_close().await.is_empty());
    let mut idle = secured.connect_http1().await;
    let _ = bounded("the end of an idle connection", idle.read_to_end(&mut Vec::new())).await;
}

#[tokio::test]
async fn a_drain_waits_for_no_handshake() {
    let secured = Secured::start().await;
    let mut silent = secured.sentinel.client().await;
    // Accepted before the drain begins: connections are accepted in order.
    exchange(&mut secured.connect_http1().await, post("{}").as_bytes()).await;
    assert!(secured.sentinel.stop(Duration::from_secs(9)).await);
    assert!(silent.wait_for_close().await.is_empty());
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_without_a_restart() {
    let mut secured = Secured::start().await;
    let mut before = secured.connect_http1().await;
    secured.trusted = replace(&secured.folder);
    let shown = async {
        while secured.connect(&[], &TLS13).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    bounded("the new certificate", shown).await;
    let answer = exchange(&mut before, post("{}").as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 "),
        "what was open stays open: {answer}"
    );
}

#[tokio::test]
async fn a_wrong_certificate_is_said_at_the_start() {
    let upstream = upstream().await;
    let config = TlsConfig::new("/nowhere/cert.pem".into(), "/nowhere/key.pem".into());
    let error = try_start(([127, 0, 0, 1], 0).into(), upstream.address(), |options| {
        options.tls = Some(config);
    });
    let error = error.expect_err("there is none").to_string();
    assert!(error.contains("cannot read /nowhere/cert.pem"), "{error}");
}

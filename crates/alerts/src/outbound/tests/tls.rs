//! TLS to receivers: for which name, with whose certificate. Must never leave this machine.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use sentinel_testkit::bounded;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::post;
use crate::outbound::*;
use crate::testing::{ScriptedResolver, dialer};

/// A server with a certificate for this name, which answers one request and gives what it read, and the name that it was asked for.
async fn tls_receiver(name: &str) -> (u16, String, tokio::task::JoinHandle<(String, Option<String>)>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serving = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a connection");
        let Ok(mut stream) = acceptor.accept(socket).await else {
            return (String::new(), None);
        };
        let mut read = vec![0; 4_096];
        let count = stream.read(&mut read).await.expect("a request");
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(answer).await.expect("written");
        stream.shutdown().await.expect("closed");
        let asked_for = stream.get_ref().1.server_name().map(str::to_owned);
        (String::from_utf8_lossy(&read[..count]).into_owned(), asked_for)
    });
    (port, cert.pem(), serving)
}

#[tokio::test]
async fn the_name_stays_the_one_that_was_written_although_the_address_is_pinned() {
    let (port, pem, serving) = tls_receiver("hooks.test").await;
    let resolver = Arc::new(ScriptedResolver::default().with("hooks.test", &[&["127.0.0.1"]]));
    let client = HttpClient::new(dialer(resolver, &["127.0.0.1"], pem.as_bytes()));
    let url = HttpUrl::parse(&format!("https://hooks.test:{port}/a"), false).expect("a URL");
    assert_eq!(post(&client, &url).await.map(|reply| reply.status), Ok(200));
    let (request, asked_for) = bounded("the server's end", serving).await.expect("no panic");
    assert_eq!(asked_for.as_deref(), Some("hooks.test"));
    assert!(
        request.contains(&format!("host: hooks.test:{port}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_nobody_is_refused() {
    for (certified, is_trusted) in [("other.test", true), ("hooks.test", false)] {
        let (port, pem, serving) = tls_receiver(certified).await;
        let pem = if is_trusted { pem } else { String::new() };
        let resolver = Arc::new(ScriptedResolver::default().with("hooks.test", &[&["127.0.0.1"]]));
        let client = HttpClient::new(dialer(resolver, &["127.0.0.1"], pem.as_bytes()));
        let url = HttpUrl::parse(&format!("https://hooks.test:{port}/a"), false).expect("a URL");
        let failed = post(&client, &url).await;
        assert!(matches!(failed, Err(OutboundError::Tls { .. })), "{failed:?}");
        let (request, _) = bounded("the server's end", serving).await.expect("no panic");
        assert_eq!(request, "", "nothing was sent");
    }
}

#[test]
fn what_is_no_certificate_is_not_trusted() {
    assert!(trust(b"").is_ok());
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(trust(broken), Err(TrustProblem)));
}

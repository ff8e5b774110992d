use std::io::ErrorKind;

use sentinel_testkit::{Answer, ScriptedUpstream, bounded};
use tokio::net::TcpListener;

use super::*;
use crate::config::{Upstream, UpstreamTarget};

const LIMIT: Duration = Duration::from_mins(1);

fn directory(urls: &str) -> Arc<Directory> {
    let target = UpstreamTarget::parse(urls).expect("origins");
    Arc::new(Directory::new(&Upstream::new(target), &Bounds::default()))
}

async fn asked(answer: Answer) -> Result<(), CheckError> {
    let upstream = ScriptedUpstream::start(answer).await;
    let directory = directory(&upstream.url());
    let path = HealthPath::parse("/healthz");
    let endpoint = directory.endpoints().remove(0);
    bounded(
        "a verdict",
        check(&directory.connector, &endpoint, path.as_ref(), LIMIT),
    )
    .await
}

#[tokio::test]
async fn success_passes_and_anything_else_does_not() {
    for status in [200, 204, 302] {
        let answer = Answer::new(status, "").after_interim("HTTP/1.1 103 Early Hints\r\n\r\n");
        assert!(asked(answer).await.is_ok(), "{status}");
    }
    for status in [404, 500, 503] {
        let error = asked(Answer::new(status, "")).await.expect_err("no success");
        assert!(matches!(error, CheckError::Status { status: seen, .. } if seen == status));
    }
    for answer in [Answer::close(), Answer::reset(), Answer::raw("SSH-2.0-x\r\n\r\n")] {
        let error = asked(answer).await.expect_err("no answer");
        assert!(matches!(error, CheckError::Unanswered { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_answer_to_a_check_is_bounded() {
    let head = |bytes: usize| format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(bytes - 20));
    let rest = "\r\n\r\n";
    let fits = head(HEALTH_ANSWER_BYTES_MAX - rest.len()) + rest;
    assert!(asked(Answer::raw(fits)).await.is_ok());
    let error = asked(Answer::raw(head(HEALTH_ANSWER_BYTES_MAX + 1))).await;
    assert!(error.expect_err("endless").to_string().contains("too large"));
}

#[tokio::test]
async fn so_many_addresses_are_tried_at_once_and_no_more() {
    let listener = TcpListener::bind(("0.0.0.0", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    // With TLS, so that an attempt lasts until the other end speaks or closes.
    let directory = directory(&format!("https://gateway:{port}"));
    let origin = Arc::clone(directory.names().next().expect("one name"));
    let addresses = (0..=CHECKS_AT_ONCE_MAX).map(|last| {
        let last = u8::try_from(last + 1).expect("few");
        SocketAddr::from(([127, 0, 0, last], port))
    });
    directory.found(&origin, addresses.collect());
    let checked = Arc::clone(&directory);
    let checking = tokio::spawn(async move { check_all(&checked, LIMIT).await });
    let mut open = Vec::new();
    for _ in 0..CHECKS_AT_ONCE_MAX {
        open.push(bounded("an attempt", listener.accept()).await.expect("accepted"));
    }
    let further = timeout(Duration::ZERO, listener.accept()).await;
    assert!(further.is_err(), "one more would be too many");
    open.pop();
    open.push(
        bounded("the last attempt", listener.accept())
            .await
            .expect("accepted"),
    );
    open.clear();
    bounded("all checks", checking).await.expect("no panic");
    assert_eq!(directory.counts(), (CHECKS_AT_ONCE_MAX + 1, 0));
}

#[tokio::test]
async fn a_single_address_that_works_is_left_alone() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let directory = directory(&format!("http://{address}"));
    check_all(&directory, LIMIT).await;
    let tried = timeout(Duration::ZERO, listener.accept()).await;
    assert!(tried.is_err());
    let endpoint = directory.endpoints().remove(0);
    endpoint.failed(Failure::Connect, &io::Error::from(ErrorKind::ConnectionRefused));
    check_all(&directory, LIMIT).await;
    assert!(endpoint.is_up());
}

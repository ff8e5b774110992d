//! First uses that are not answered: their client left, or broke them.

use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use sentinel_testkit::{Answer, bounded};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::interval;

use crate::http2::client::{Http2Client, send};
use crate::support::{CHAT, KEY, Sentinel, upstream};

fn chat(key: &str, body: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-length: 2\r\n\r\n{body}")
}

/// An upstream that answers when the test says so: gives a way to, for each request whose whole body `{}` has come.
async fn late_upstream() -> (SocketAddr, mpsc::Receiver<oneshot::Sender<&'static str>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (requests, received) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let requests = requests.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"{}") {
                    stream.read_buf(&mut request).await.expect("the request comes");
                }
                let (answer, wanted) = oneshot::channel::<&str>();
                requests.send(answer).await.expect("the test waits for it");
                if let Ok(answer) = wanted.await {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
                let _ = stream.read_buf(&mut request).await;
            });
        }
    });
    (address, received)
}

/// The worker has seen all that happened before: it has answered something that came later.
async fn has_looked(sentinel: &Sentinel) {
    let refused = sentinel
        .client()
        .await
        .request("CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n")
        .await;
    assert_eq!(refused.status(), 405);
}

const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Whoever invents keys must not fill the table with them by leaving before the 401.
#[tokio::test]
async fn a_client_that_leaves_does_not_keep_a_claim_from_its_401() {
    let (upstream, mut requests) = late_upstream().await;
    let sentinel = Sentinel::start(upstream);
    for number in 0..3_usize {
        let mut client = sentinel.client().await;
        client.send(chat(&format!("sk-invented{number}"), "{}")).await;
        let answer = bounded("the request", requests.recv()).await.expect("one");
        assert_eq!(sentinel.lookup.bindings().len(), 1);
        if number == 0 {
            client.finish_sending().await;
        } else {
            client.reset();
        }
        has_looked(&sentinel).await;
        answer.send(UNAUTHORIZED).expect("it is awaited");
        until_unbound(&sentinel).await;
    }
    assert_eq!(sentinel.engine.figures().snapshot().released, 3);
}

#[tokio::test]
async fn neither_does_one_that_leaves_over_http2() {
    let (upstream, mut requests) = late_upstream().await;
    let sentinel = Sentinel::start(upstream);
    for takes_the_connection in [false, true] {
        let mut client = Http2Client::connect(sentinel.address).await;
        let request = Request::post(format!("http://api.example{CHAT}"))
            .header("authorization", format!("sk-invented{takes_the_connection}"))
            .header("content-length", "2");
        let (pending, mut outgoing) = client.begin(request.body(()).expect("a request"), false).await;
        send(&mut outgoing, b"{}", true).await.expect("it goes");
        let answer = bounded("the request", requests.recv()).await.expect("one");
        assert_eq!(sentinel.lookup.bindings().len(), 1);
        if takes_the_connection {
            client.cut().await;
        } else {
            outgoing.send_reset(h2::Reason::CANCEL);
            // A PING would do: what follows on the connection is heard after it.
            assert_eq!(
                client
                    .request(Request::connect("x:1").body(()).expect("a request"), b"")
                    .await
                    .expect("an answer")
                    .status,
                405
            );
        }
        has_looked(&sentinel).await;
        answer.send(UNAUTHORIZED).expect("it is awaited");
        until_unbound(&sentinel).await;
        drop(pending);
    }
    assert_eq!(sentinel.engine.figures().snapshot().released, 2);
}

async fn until_unbound(sentinel: &Sentinel) {
    until_bound(sentinel, 0).await;
}

async fn until_bound(sentinel: &Sentinel, wanted: usize) {
    let mut looks = interval(Duration::from_millis(5));
    bounded("claims to be settled", async {
        while sentinel.lookup.bindings().len() != wanted {
            looks.tick().await;
        }
    })
    .await;
}

/// An owner whose first request was slow and given up is the owner all the same.
#[tokio::test]
async fn a_claim_stands_when_its_client_leaves_and_the_upstream_accepts_it_or_is_at_work() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.bounds.claim_answer_wait = Duration::from_millis(200);
    });
    let (_events, accepted) = Answer::events();
    for (number, answer) in [accepted, Answer::never()].into_iter().enumerate() {
        upstream.answer_next(answer);
        let mut client = sentinel.client().await;
        let key = format!("sk-owner{number}");
        client.send(chat(&key, "{}")).await;
        upstream.wait_for_body(number).await;
        client.reset();
        upstream.wait_for_clients_gone(number + 1).await;
        assert_eq!(sentinel.lookup.bindings().len(), number + 1, "{key}");
    }
    assert_eq!(sentinel.engine.figures().snapshot().released, 0);
    assert_eq!(
        sentinel
            .client_elsewhere()
            .await
            .post(CHAT, &[("authorization", "sk-owner1")], "{}")
            .await
            .status(),
        403
    );
}

/// The upstream never got all of the request, so it will never say 401.
#[tokio::test]
async fn a_claim_whose_request_never_was_whole_is_released() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let mut leaves = sentinel.client().await;
    leaves.send(chat("sk-invented", "{")).await;
    upstream.wait_for_body_bytes(0, 1).await;
    leaves.reset();
    upstream.wait_for_clients_gone(1).await;
    until_unbound(&sentinel).await;
    let mut malformed = sentinel.client().await;
    let chunked = chat("sk-invented", "x\r\n").replace("content-length: 2", "transfer-encoding: chunked");
    malformed.send(chunked).await;
    assert_eq!(malformed.read_response().await.status(), 400);
    assert!(sentinel.lookup.bindings().is_empty());
    upstream.answer_next(Answer::close());
    let mut broken = sentinel.client().await;
    broken.send(chat("sk-invented", "{}")).await;
    assert_eq!(broken.read_response().await.status(), 502);
    assert!(sentinel.lookup.bindings().is_empty());
}

/// A held key is claimed as soon as the upstream accepts it, whether its client is still there or not.
#[tokio::test]
async fn a_held_key_is_bound_although_its_client_left() {
    let (upstream, mut requests) = late_upstream().await;
    let sentinel = Sentinel::start(upstream);
    for answer in [UNAUTHORIZED, ACCEPTED] {
        let mut client = sentinel.client().await;
        client.send(chat(KEY, "{}")).await;
        let gate = bounded("the request", requests.recv()).await.expect("one");
        client.reset();
        has_looked(&sentinel).await;
        gate.send(answer).expect("it is awaited");
        let wanted = usize::from(answer == ACCEPTED);
        until_bound(&sentinel, wanted).await;
    }
    assert_eq!(sentinel.engine.figures().snapshot().claimed, 2);
}

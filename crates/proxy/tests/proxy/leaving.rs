//! Clients that leave while nothing is read from them: because they sent far ahead, or the upstream takes no more of what they send.

use std::time::Duration;

use sentinel_testkit::{Answer, RawClient, bounded};
use tokio::time::{interval, timeout};

use crate::support::{CHAT, KEY, Sentinel, upstream};

fn leave(client: RawClient, resets: bool) {
    if resets {
        client.reset();
    } else {
        drop(client);
    }
}

/// More than PIPELINED_BYTES_MAX wait behind the request: the rest, and the end behind it, stay in the socket.
#[tokio::test]
async fn a_client_that_sent_far_ahead_is_missed() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    for (number, resets) in [false, true].into_iter().enumerate() {
        let (events, answer) = Answer::events();
        upstream.answer_next(answer);
        let mut client = sentinel.client().await;
        client.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
        client.read_head().await;
        client.send("x".repeat(90_000)).await;
        // The worker has read as much as it reads.
        assert_eq!(sentinel.client().await.get("/v1/models", &[]).await.status(), 200);
        leave(client, resets);
        upstream.wait_for_clients_gone(number + 1).await;
        assert!(!resets || events.is_given_up());
    }
}

/// The upstream takes none of the body, so that none of it is read either, until every buffer on the way is full.
#[tokio::test]
async fn a_client_that_resets_a_stuck_upload_is_missed() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    sentinel.chat().await;
    upstream.answer_next(Answer::never_reading());
    let mut client = sentinel.client().await;
    client
        .send(format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\ncontent-length: 1000000000\r\n\r\n"
        ))
        .await;
    let piece = vec![b'x'; 64 * 1024];
    let sending = async { while client.try_send(&piece).await.is_ok() {} };
    let stuck = timeout(Duration::from_millis(500), sending).await;
    assert!(stuck.is_err(), "somebody still takes it");
    client.reset();
    let figures = sentinel.engine.figures();
    let mut looks = interval(Duration::from_millis(5));
    bounded("the connection to end", async {
        while figures.snapshot().connections_open > 0 {
            looks.tick().await;
        }
    })
    .await;
}

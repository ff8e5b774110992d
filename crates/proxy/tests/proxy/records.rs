//! When a refusal is told: not before its record is settled, unless that takes too long. Nobody else waits for a record.

use std::time::Instant;

use sentinel_core::policy::{Mode, Rules};
use sentinel_proxy::RECORD_WAIT_MAX;
use sentinel_testkit::MemorySink;

use crate::support::{CHAT, KEY, Sentinel, upstream};

#[tokio::test]
async fn a_refusal_is_told_when_its_record_is_settled() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.sink = MemorySink::settled_by_waiting();
    });
    sentinel.chat().await;
    for _ in 0..3 {
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(sentinel.client_elsewhere().await);
        }
        for client in &mut clients {
            assert_eq!(
                client.post(CHAT, &[("authorization", KEY)], "{}").await.status(),
                403
            );
        }
    }
    let figures = sentinel.engine.figures().snapshot();
    assert_eq!(figures.records_unsettled, 0);
    assert_eq!(sentinel.sink.intercepts().len(), 24);
}

#[tokio::test]
async fn a_record_that_is_not_settled_holds_a_refusal_up_so_long_and_no_longer() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.sink = MemorySink::unsettled();
    });
    sentinel.chat().await;
    let began = Instant::now();
    assert_eq!(sentinel.chat_elsewhere().await.status(), 403);
    assert!(began.elapsed() >= RECORD_WAIT_MAX);
    assert_eq!(sentinel.engine.figures().snapshot().records_unsettled, 1);

    // What was settled in the meantime is not waited for.
    sentinel.sink.settle(2);
    assert_eq!(sentinel.chat_elsewhere().await.status(), 403);
    assert_eq!(sentinel.engine.figures().snapshot().records_unsettled, 1);
}

#[tokio::test]
async fn who_goes_on_waits_for_no_record() {
    let upstream = upstream().await;
    let sentinel = Sentinel::start_with(upstream.address(), |options| {
        options.sink = MemorySink::unsettled();
        options.rules = Rules {
            mode: Mode::Observe,
            ..Rules::default()
        };
    });
    assert_eq!(sentinel.chat().await.status(), 200);
    assert_eq!(sentinel.chat_elsewhere().await.status(), 200);
    assert_eq!(sentinel.sink.wait_for(1).await.len(), 1);
    assert_eq!(sentinel.engine.figures().snapshot().records_unsettled, 0);
}

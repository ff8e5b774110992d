//! Counts on one server: the suite; and what becomes of them when the server comes and goes.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::counting::{COUNT_BATCH_MAX, Count, SLICES, WindowCounters};
use sentinel_testkit::{Fault, FaultProxy, RedisServer};

use super::support::link;
use crate::counting::conformance::{CountersFixture, WINDOW, add, count, counters_suite};
use crate::counting::merged::UNMERGED_MAX;
use crate::redis::{RedisCounters, RedisLink};

/// Moves all that was counted into the past, slice by slice.
const GROW_OLD: &str = "for _, key in ipairs(redis.call('KEYS', '*{count}:*')) do \
    if redis.call('TYPE', key).ok == 'hash' then \
        local held = redis.call('HGETALL', key) redis.call('DEL', key) \
        for i = 1, #held, 2 do redis.call('HSET', key, held[i] - ARGV[1], held[i + 1]) end \
    end end";

struct OnRedis {
    server: RedisServer,
    link: RedisLink,
    counters: RedisCounters,
}

#[async_trait]
impl CountersFixture for OnRedis {
    fn counters(&self) -> &dyn WindowCounters {
        &self.counters
    }

    async fn age_by_slices(&self, slices: u32) {
        let slices = slices.to_string();
        let _: redis::Value = self.server.command(&["EVAL", GROW_OLD, "0", &slices]).await;
    }
}

async fn start() -> OnRedis {
    let server = RedisServer::start().await;
    let link = link(&server.url()).await;
    OnRedis {
        counters: RedisCounters::new(link.clone()).expect("random numbers"),
        link,
        server,
    }
}

counters_suite!(start);

async fn another(server: &RedisServer) -> RedisCounters {
    RedisCounters::new(link(&server.url()).await).expect("random numbers")
}

#[tokio::test]
async fn replicas_count_together() {
    let on = start().await;
    let other = another(&on.server).await;
    assert_eq!(add(&on.counters, "a", 2).await, 2);
    assert_eq!(add(&other, "a", 3).await, 5);
    assert_eq!(add(&on.counters, "a", 0).await, 5);
}

#[tokio::test]
async fn what_was_counted_alone_is_merged() {
    let on = start().await;
    let other = another(&on.server).await;
    add(&on.counters, "a", 1).await;
    add(&other, "a", 10).await;
    on.server.freeze().await;
    assert_eq!(add(&on.counters, "a", 1).await, 2, "this replica's own");
    assert_eq!(add(&on.counters, "b", 4).await, 4);
    assert_eq!(add(&on.counters, "a", 1).await, 3);
    on.server.thaw();
    on.link.up().await;
    assert_eq!(add(&on.counters, "a", 0).await, 13);
    assert_eq!(add(&other, "b", 1).await, 5);
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_counts_once() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::in_front_of(server.address()).await;
    let link = link(&server.url_through(proxy.address())).await;
    let counters = RedisCounters::new(link.clone()).expect("random numbers");
    let other = another(&server).await;
    assert_eq!(add(&counters, "a", 1).await, 1);
    for round in 1..=3 {
        proxy.set(Fault::DropToClient).await;
        assert_eq!(add(&counters, "a", 1).await, 1 + round, "this replica's own");
        proxy.swallowed().await;
        assert_eq!(add(&other, "a", 0).await, 1 + round, "the server has it");
        proxy.set(Fault::None).await;
        link.up().await;
        assert_eq!(add(&counters, "a", 0).await, 1 + round, "and once");
    }
    proxy.set(Fault::DropToServer).await;
    assert_eq!(add(&counters, "a", 1).await, 5);
    proxy.set(Fault::None).await;
    link.up().await;
    assert_eq!(add(&counters, "a", 0).await, 5, "nor is what never arrived lost");
}

#[tokio::test]
async fn a_caller_who_goes_away_loses_nothing() {
    let on = start().await;
    on.server.freeze().await;
    let call = on.counters.add(WINDOW, vec![count("a", 3)]);
    let given_up = tokio::time::timeout(Duration::from_millis(20), call).await;
    assert!(given_up.is_err());
    on.server.thaw();
    on.link.up().await;
    assert_eq!(add(&on.counters, "a", 1).await, 4);
}

#[tokio::test]
async fn as_much_as_the_bound_waits_and_what_is_beyond_is_lost_and_counted() {
    let on = start().await;
    on.server.kill().await;
    on.link.down().await;
    let mut batches = 0;
    for batch in 0..UNMERGED_MAX.div_ceil(COUNT_BATCH_MAX) + 2 {
        let names: Vec<Count> = (0..COUNT_BATCH_MAX)
            .map(|name| count(&format!("{batch}-{name}"), 1))
            .collect();
        on.counters.add(WINDOW, names).await.expect("own counts");
        batches += 1;
    }
    // One batch is ready to be sent, and waits no more.
    let kept = (UNMERGED_MAX + COUNT_BATCH_MAX) as u64;
    assert_eq!(on.counters.take_lost(), (batches * COUNT_BATCH_MAX) as u64 - kept);
    on.server.restart().await;
    on.link.up().await;
    assert_eq!(add(&on.counters, "0-0", 0).await, 1);
    assert_eq!(add(&on.counters, "1-999", 0).await, 1);
}

#[tokio::test]
async fn keys_end_with_their_window() {
    let on = start().await;
    add(&on.counters, "a", 1).await;
    let window_ms = i64::try_from(WINDOW.as_millis()).expect("small");
    let keys: Vec<String> = on.server.command(&["KEYS", "*{count}*"]).await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        let kept: i64 = on.server.command(&["PTTL", &key]).await;
        let slice_ms = window_ms / i64::from(SLICES);
        assert!(
            kept > 0 && kept <= window_ms + slice_ms.max(60_000),
            "{key}: {kept}"
        );
    }
}

#[tokio::test]
async fn something_else_under_one_of_our_keys_harms_nobody_else() {
    let on = start().await;
    let key = format!("sentinel:{{count}}:{}:a", WINDOW.as_millis());
    let _: redis::Value = on.server.command(&["SET", &key, "a text"]).await;
    assert_eq!(add(&on.counters, "a", 1).await, 1, "this replica's own");
    on.link.up().await;
    let other = another(&on.server).await;
    assert_eq!(add(&other, "b", 2).await, 2);
}

//! A Cluster of three nodes: the suite; the channel, the counters and the attempts; nodes that die, and slots that move.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::attempts::{AttemptLimiter as _, CountedBy};
use sentinel_core::binding::Binding;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::Found;
use sentinel_core::time::Timestamp;
use sentinel_testkit::{RedisCluster, RedisServer};

use super::channel;
use super::support::{GROW_OLD, settings};
use crate::changes::Heard;
use crate::conformance::{address, fingerprint};
use crate::counting::conformance::add;
use crate::redis::connect::CLUSTER_RETRIES_MAX;
use crate::redis::{
    RedisAnnouncer, RedisAttempts, RedisCache, RedisChanges, RedisCounters, RedisLink, RedisSettings,
};
use crate::shared::conformance::{NOTHING, SharedFixture, binding, get, put, saw, shared_cache_suite};
use crate::shared::{SharedCache, SharedEntry};

struct OnCluster {
    cluster: RedisCluster,
    link: RedisLink,
    cache: RedisCache,
}

/// Any of the nodes is a way in; the second one is taken, and the third named as another.
fn settings_of(cluster: &RedisCluster) -> RedisSettings {
    let [_, second, third] = cluster.nodes() else {
        panic!("three nodes")
    };
    settings(&format!(
        "redis-cluster://{},{}",
        second.address(),
        third.address()
    ))
}

async fn start() -> OnCluster {
    let cluster = RedisCluster::start().await;
    let link = RedisLink::open(settings_of(&cluster));
    link.up().await;
    OnCluster {
        cluster,
        cache: RedisCache::new(link.clone()),
        link,
    }
}

#[async_trait]
impl SharedFixture for OnCluster {
    fn cache(&self) -> &dyn SharedCache {
        &self.cache
    }

    async fn age_by(&self, duration: Duration) {
        let by = duration.as_millis().to_string();
        for node in self.cluster.nodes() {
            let _: Option<i64> = node.command(&["EVAL", GROW_OLD, "0", &by]).await;
        }
    }

    async fn clear(&self) {
        for node in self.cluster.nodes() {
            let () = node.command(&["FLUSHALL"]).await;
        }
    }
}

shared_cache_suite!(together start);

fn of_key(byte: u8) -> Binding {
    Binding {
        fingerprint: KeyFingerprint::from_bytes([byte; 32]),
        ..binding(5)
    }
}

async fn put_all(on: &OnCluster) {
    for byte in 0..=u8::MAX {
        let found = Found::from(of_key(byte));
        on.cache.put(&found, NOTHING).await.expect("a cache that works");
    }
}

#[tokio::test]
async fn bindings_are_spread_over_all_nodes() {
    let on = start().await;
    put_all(&on).await;
    for node in on.cluster.nodes() {
        let keys: u64 = node.command(&["DBSIZE"]).await;
        assert!(keys > 40, "{keys} of 256");
    }
    for byte in 0..=u8::MAX {
        let entry = on.cache.get(&of_key(byte).fingerprint).await;
        assert!(matches!(entry, Ok(SharedEntry::Binding(held, _)) if held == of_key(byte)));
    }
}

#[tokio::test]
async fn the_channel_the_counters_and_the_attempts_work() {
    let on = start().await;
    let mut feed = RedisChanges::listen(settings_of(&on.cluster));
    assert_eq!(channel::next(&mut feed).await, Heard::Connected);
    let announcer = RedisAnnouncer::new(on.link.clone());
    for version in 1..10 {
        channel::announce_and_hear(&announcer, &mut feed, version).await;
    }
    let counters = RedisCounters::new(on.link.clone()).expect("random numbers");
    assert_eq!(add(&counters, "a", 2).await, 2);
    assert_eq!(add(&counters, "b", 3).await, 3);
    let attempts = RedisAttempts::new(on.link.clone());
    let now = Timestamp::from_unix_ms(1_800_000_000_000);
    let attempt = attempts.begin("admin", address("192.0.2.1"), now).await;
    assert_eq!(attempt.expect("counted").counted_by, CountedBy::Both);
}

#[tokio::test]
async fn a_node_that_dies_is_missed_and_found_again() {
    let on = start().await;
    put_all(&on).await;
    for node in on.cluster.nodes() {
        node.kill().await;
        on.link.down().await;
        assert!(on.cache.get(&fingerprint(1)).await.is_err());
        node.restart().await;
        on.cluster.whole().await;
        on.link.up().await;
        put_all(&on).await;
    }
}

#[tokio::test]
async fn a_frozen_node_is_missed_and_found_again() {
    let on = start().await;
    let node = &on.cluster.nodes()[1];
    node.freeze().await;
    on.link.down().await;
    node.thaw();
    on.link.up().await;
    put_all(&on).await;
}

/// Gives the slot of a key, in which nothing is, from one node to another, as an operator does.
async fn move_slot(key: &str, from: &RedisServer, to: &RedisServer) {
    let slot: u64 = from.command(&["CLUSTER", "KEYSLOT", key]).await;
    let slot = slot.to_string();
    let old: String = from.command(&["CLUSTER", "MYID"]).await;
    let new: String = to.command(&["CLUSTER", "MYID"]).await;
    let steps = [
        (to, "IMPORTING", &old),
        (from, "MIGRATING", &new),
        (to, "NODE", &new),
        (from, "NODE", &new),
    ];
    for (node, step, name) in steps {
        let () = node.command(&["CLUSTER", "SETSLOT", &slot, step, name]).await;
    }
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let on = start().await;
    let key = on.cache.key(&fingerprint(1));
    let nodes = on.cluster.nodes();
    let owner = on.cluster.owner_of(&key).await.address();
    let owner = nodes.iter().position(|node| node.address() == owner);
    let owner = owner.expect("one of the nodes");
    put(&on.cache, 5, NOTHING).await;
    // More moves than one call is sent again for: each is followed by the next call.
    for (version, moves) in (6..).zip(0..=CLUSTER_RETRIES_MAX as usize) {
        on.clear().await;
        let place = |number: usize| &nodes[(owner + number) % nodes.len()];
        move_slot(&key, place(moves), place(moves + 1)).await;
        put(&on.cache, version, NOTHING).await;
        assert_eq!(get(&on.cache).await.seen(), saw(version));
    }
}

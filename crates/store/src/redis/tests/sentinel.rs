//! A primary under Redis Sentinels: the suite; and what is in use follows when another server takes over.

use std::time::Duration;

use async_trait::async_trait;
use sentinel_testkit::{RedisSentinel, RedisServer, bounded};
use tokio::time::Instant;

use super::channel;
use super::support::{GROW_OLD, settings};
use crate::changes::{ChangeFeed as _, Heard};
use crate::redis::connect::SENTINEL_WAIT_MAX;
use crate::redis::{RedisAnnouncer, RedisCache, RedisChanges, RedisLink, RedisSettings};
use crate::shared::SharedCache;
use crate::shared::conformance::{NOTHING, SharedFixture, get, put, saw, shared_cache_suite};

struct UnderSentinels {
    pair: RedisSentinel,
    link: RedisLink,
    cache: RedisCache,
}

/// The first of the Sentinels named is none.
fn settings_of(pair: &RedisSentinel) -> RedisSettings {
    let sentinels: Vec<String> = pair
        .sentinel_addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    settings(&format!(
        "redis-sentinel://127.0.0.1:1,{}?sentinelMasterId={}",
        sentinels.join(","),
        pair.service_name()
    ))
}

async fn start() -> UnderSentinels {
    let pair = RedisSentinel::start().await;
    let link = RedisLink::open(settings_of(&pair));
    link.up().await;
    UnderSentinels {
        pair,
        cache: RedisCache::new(link.clone()),
        link,
    }
}

#[async_trait]
impl SharedFixture for UnderSentinels {
    fn cache(&self) -> &dyn SharedCache {
        &self.cache
    }

    async fn age_by(&self, duration: Duration) {
        let by = duration.as_millis().to_string();
        let primary = self.pair.primary().await;
        let _: Option<i64> = primary.command(&["EVAL", GROW_OLD, "0", &by]).await;
    }

    async fn clear(&self) {
        let () = self.pair.primary().await.command(&["FLUSHALL"]).await;
    }
}

shared_cache_suite!(together start);

/// Puts until the server that is the primary now has it.
async fn lands_on(on: &UnderSentinels, primary: &RedisServer, version: i64) {
    let found = sentinel_core::ports::Found::from(crate::shared::conformance::binding(version));
    let key = on.cache.key(&found.binding.fingerprint);
    bounded("an entry on the new primary", async {
        loop {
            let put = on.cache.put(&found, NOTHING).await;
            let held: Option<String> = primary.command(&["GET", &key]).await;
            let digits = format!("{:020}", 2 * version);
            if put.is_ok() && held.is_some_and(|held| held.contains(&digits)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(get(&on.cache).await.seen(), saw(version));
}

/// Waits until the feed works again and hears what is announced.
async fn hears_again(on: &UnderSentinels, feed: &mut RedisChanges, version: i64) {
    let announcer = RedisAnnouncer::new(on.link.clone());
    bounded("a change over the new primary", async {
        loop {
            let announced =
                crate::changes::ChangeAnnouncer::announce(&announcer, channel::change(version)).await;
            let heard = tokio::time::timeout(Duration::from_millis(20), feed.next()).await;
            if announced.is_ok() && heard == Ok(Heard::Change(channel::change(version))) {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_in_use_follows_a_planned_fail_over() {
    let on = start().await;
    let mut feed = RedisChanges::listen(settings_of(&on.pair));
    assert_eq!(channel::next(&mut feed).await, Heard::Connected);
    put(&on.cache, 1, NOTHING).await;
    let primary = on.pair.fail_over().await;
    lands_on(&on, primary, 2).await;
    hears_again(&on, &mut feed, 7).await;
}

#[tokio::test]
async fn what_is_in_use_follows_when_the_primary_dies() {
    let on = start().await;
    let mut feed = RedisChanges::listen(settings_of(&on.pair));
    assert_eq!(channel::next(&mut feed).await, Heard::Connected);
    put(&on.cache, 1, NOTHING).await;
    let primary = on.pair.kill_primary().await;
    assert_eq!(channel::next(&mut feed).await, Heard::Lost);
    lands_on(&on, primary, 2).await;
    hears_again(&on, &mut feed, 7).await;
}

#[tokio::test]
async fn a_sentinel_that_does_not_answer_is_passed_over() {
    let pair = RedisServer::builder().start_under_sentinels(2).await;
    let wanted = settings(&format!(
        "redis-sentinel://{},{}?sentinelMasterId={}",
        pair.sentinel_addresses()[0],
        pair.sentinel_addresses()[1],
        pair.service_name()
    ));
    pair.sentinels()[0].freeze().await;
    let began = Instant::now();
    assert_eq!(RedisLink::try_out(&wanted).await, Ok(()));
    let took = began.elapsed();
    assert!(
        took >= SENTINEL_WAIT_MAX && took < SENTINEL_WAIT_MAX * 10,
        "{took:?}"
    );
}

#[tokio::test]
async fn a_primary_that_no_sentinel_knows_is_said() {
    let on = start().await;
    let sentinel = on.pair.sentinel_addresses()[0];
    let wrong = settings(&format!("redis-sentinel://{sentinel}?sentinelMasterId=other"));
    let refused = RedisLink::try_out(&wrong).await.expect_err("unknown").to_string();
    assert!(refused.contains("knows no primary named 'other'"), "{refused}");
    assert!(refused.contains(&sentinel.to_string()), "{refused}");
}

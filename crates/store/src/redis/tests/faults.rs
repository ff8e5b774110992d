//! The server down, frozen, slow, cut off, forgetful: no call waits for long, and all is well again without a restart.

use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sentinel_core::ports::{Health as _, StoreError};
use sentinel_testkit::{Fault, FaultProxy, RedisServer, WAIT_MAX};
use tokio::time::Instant;

use super::support::{OnOneServer, link, settings};
use crate::conformance::fingerprint;
use crate::redis::connect::CALLS_QUEUED_MAX;
use crate::redis::{CONNECT_WAIT_MAX, RECONNECT_PAUSE_MAX, RESPONSE_WAIT_MAX, RedisCache, RedisLink};
use crate::shared::conformance::{NOTHING, SharedFixture as _, binding, get, put, saw};
use crate::shared::{SharedCache as _, SharedEntry, Standing};

/// While it lives the runtime's time stands still, so that no wait ends by its bound: at most until a test has waited for too long.
struct StandingTime(#[expect(dead_code, reason = "time goes on when it is dropped")] mpsc::Sender<()>);

impl StandingTime {
    fn begin() -> Self {
        let (held, released) = mpsc::channel();
        // Time that is paused would jump to the next bound whenever nothing is left to do but to wait for the server. It does not
        // while there is blocking work.
        tokio::task::spawn_blocking(move || released.recv_timeout(WAIT_MAX));
        tokio::time::pause();
        Self(held)
    }
}

fn words(outcome: Result<SharedEntry, StoreError>) -> String {
    match outcome {
        Err(StoreError::Unavailable(words)) => words,
        other => panic!("the cache was to be away, not {other:?}"),
    }
}

/// The cache is away, and says so without any wait.
fn away_at_once(cache: &RedisCache) -> String {
    let answer = cache.get(&fingerprint(1)).now_or_never();
    words(answer.expect("a request must not wait for what is known to be away"))
}

#[tokio::test]
async fn before_the_first_connection_calls_fail_at_once() {
    let server = RedisServer::start().await;
    server.stop().await;
    let link = RedisLink::open(settings(&server.url()));
    let cache = RedisCache::new(link.clone());
    away_at_once(&cache);
    server.restart().await;
    link.up().await;
    assert_eq!(link.check().await, Ok(()));
    assert_eq!(get(&cache).await, SharedEntry::NOTHING);
}

#[tokio::test]
async fn a_killed_server_is_missed_and_found_again() {
    let on = OnOneServer::start().await;
    put(&on.cache, 5, NOTHING).await;
    on.server.kill().await;
    on.link.down().await;
    let words = away_at_once(&on.cache);
    assert!(words.starts_with("Redis: "), "{words}");
    assert!(on.link.check().await.is_err());
    on.server.restart().await;
    on.link.up().await;
    assert_eq!(get(&on.cache).await, SharedEntry::NOTHING, "it kept nothing");
    put(&on.cache, 5, NOTHING).await;
}

#[tokio::test]
async fn a_frozen_server_costs_one_wait_and_then_none() {
    let on = OnOneServer::start().await;
    on.server.freeze().await;
    let began = Instant::now();
    let many = (0..50).map(|number| {
        let cache = on.cache.clone();
        async move { cache.get(&fingerprint(number)).await.is_err() }
    });
    let failed = futures_util::future::join_all(many).await;
    assert!(failed.iter().all(|failed| *failed));
    assert!(began.elapsed() < RESPONSE_WAIT_MAX * 10, "{:?}", began.elapsed());
    for _ in 0..20 {
        let words = away_at_once(&on.cache);
        assert!(words.contains("no answer"), "{words}");
    }
    on.server.thaw();
    on.link.up().await;
    put(&on.cache, 5, NOTHING).await;
}

#[tokio::test]
async fn a_frozen_server_is_noticed_without_a_request() {
    let on = OnOneServer::start().await;
    on.server.freeze().await;
    on.link.down().await;
    on.server.thaw();
    on.link.up().await;
}

#[tokio::test]
async fn a_server_that_is_too_slow_is_done_without() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::in_front_of(server.address()).await;
    let link = link(&server.url_through(proxy.address())).await;
    let cache = RedisCache::new(link.clone());
    let delay = |each_way: Duration| Fault::Delay {
        to_server: each_way,
        to_client: each_way,
    };
    proxy.set(delay(Duration::from_millis(20))).await;
    put(&cache, 5, NOTHING).await;
    proxy.set(delay(RESPONSE_WAIT_MAX)).await;
    link.down().await;
    away_at_once(&cache);
    proxy.set(Fault::None).await;
    link.up().await;
    assert_eq!(get(&cache).await.seen(), saw(5));
}

#[tokio::test]
async fn cut_and_swallowed_connections_are_replaced() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::in_front_of(server.address()).await;
    let link = link(&server.url_through(proxy.address())).await;
    let cache = RedisCache::new(link.clone());
    for fault in [
        Fault::Blackhole,
        Fault::DropToServer,
        Fault::DropToClient,
        Fault::Refuse,
    ] {
        proxy.set(fault).await;
        if fault == Fault::Refuse {
            proxy.cut().await;
        }
        link.down().await;
        away_at_once(&cache);
        proxy.set(Fault::None).await;
        link.up().await;
        put(&cache, 5, NOTHING).await;
    }
}

#[tokio::test]
async fn connecting_to_silence_is_given_up() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::in_front_of(server.address()).await;
    proxy.set(Fault::Blackhole).await;
    let began = Instant::now();
    let tried = RedisLink::try_out(&settings(&server.url_through(proxy.address()))).await;
    let words = tried.expect_err("silence").to_string();
    assert!(words.contains("no answer"), "{words}");
    assert!(began.elapsed() < CONNECT_WAIT_MAX * 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn more_calls_at_once_than_wait_for_the_connection_are_all_answered() {
    let on = OnOneServer::start().await;
    // Each call's bound is for a server that is slow; how long this machine takes for so many at once is another matter.
    let _standing = StandingTime::begin();
    let calls = (0..u32::try_from(CALLS_QUEUED_MAX * 2).expect("small")).map(|number| {
        let cache = on.cache.clone();
        async move { cache.get(&fingerprint(number)).await }
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer, Ok(SharedEntry::NOTHING));
    }
}

#[tokio::test]
async fn the_pause_between_attempts_grows_up_to_its_bound() {
    let mut pause = Duration::ZERO;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        pause = crate::redis::link::next_pause(pause);
        pauses.push(pause);
    }
    assert!(pauses.is_sorted() && pauses[0] > Duration::ZERO, "{pauses:?}");
    assert_eq!(pauses[9], RECONNECT_PAUSE_MAX);
}

#[tokio::test]
async fn scripts_are_sent_again_when_the_server_forgets_them() {
    let on = OnOneServer::start().await;
    put(&on.cache, 5, NOTHING).await;
    for _ in 0..3 {
        let () = on.server.command(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(get(&on.cache).await.seen(), saw(5));
        put(&on.cache, 6, saw(5)).await;
        put(&on.cache, 5, saw(6)).await;
    }
}

#[tokio::test]
async fn a_flushed_server_is_an_empty_one() {
    let on = OnOneServer::start().await;
    put(&on.cache, 5, NOTHING).await;
    on.clear().await;
    assert_eq!(get(&on.cache).await, SharedEntry::NOTHING);
    let buried = on
        .cache
        .bury(&fingerprint(1), binding(5).version.of_absence())
        .await;
    buried.expect("a cache that works");
    on.clear().await;
    put(&on.cache, 5, NOTHING).await;
    assert_eq!(
        get(&on.cache).await.seen(),
        saw(5),
        "a lost tombstone costs the entry's life"
    );
}

#[tokio::test]
async fn a_replica_counts_as_away_until_it_is_the_primary() {
    let (primary, replica) = (RedisServer::start().await, RedisServer::start().await);
    replica.replica_of(&primary).await;
    let link = RedisLink::open(settings(&replica.url()));
    let refused = RedisLink::try_out(&settings(&replica.url())).await;
    let words = refused.expect_err("a read replica").to_string();
    assert!(words.contains("read replica"), "{words}");
    assert!(link.down().await.len() > 1);
    let () = replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    link.up().await;
    let cache = RedisCache::new(link.clone());
    put(&cache, 5, NOTHING).await;
    // And back, while it is in use.
    replica.replica_of(&primary).await;
    let refused = cache.bury(&fingerprint(1), binding(5).version).await;
    let words = refused.expect_err("a read replica").to_string();
    assert!(words.contains("read replica"), "{words}");
}

#[tokio::test]
async fn a_server_without_memory_counts_as_away_until_it_has_some() {
    let on = OnOneServer::start().await;
    put(&on.cache, 5, NOTHING).await;
    let () = on.server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let words = on.link.down().await;
    assert!(words.contains("maxmemory-policy"), "{words}");
    away_at_once(&on.cache);
    let () = on.server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    on.link.up().await;
    assert_eq!(get(&on.cache).await.seen(), saw(5));
}

#[tokio::test]
async fn an_entry_that_is_kept_for_too_long_is_given_as_an_old_one() {
    let on = OnOneServer::start().await;
    put(&on.cache, 5, NOTHING).await;
    let key = on.cache.key(&fingerprint(1));
    let two_days = "172800000";
    for command in [&["PERSIST", &key][..], &["PEXPIRE", &key, two_days]] {
        let _: i64 = on.server.command(command).await;
        let entry = get(&on.cache).await;
        assert!(
            matches!(entry, SharedEntry::Binding(_, crate::shared::KEPT_MAX)),
            "{entry:?}"
        );
    }
    put(&on.cache, 5, saw(5)).await;
    let entry = get(&on.cache).await;
    assert_eq!(entry.seen(), Standing::of_binding(binding(5).version));
}

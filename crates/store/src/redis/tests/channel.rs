//! The change channel on one server.

use std::time::Duration;

use futures_util::FutureExt as _;
use sentinel_core::binding::Version;
use sentinel_testkit::{Fault, FaultProxy, RedisServer, bounded};
use tokio::time::Instant;

use super::support::{link, settings};
use crate::changes::{Change, ChangeAnnouncer as _, ChangeFeed as _, Heard};
use crate::conformance::{at, fingerprint};
use crate::redis::changes::{ALIVE_WAIT_MAX, ASKED_EVERY, HEARD_QUEUED_MAX};
use crate::redis::{RedisAnnouncer, RedisChanges, RedisLink};

pub(super) fn change(version: i64) -> Change {
    Change::Binding {
        fingerprint: fingerprint(1),
        version: Version(version),
        at: at(1_790_000_000_000),
    }
}

pub(super) async fn next(feed: &mut RedisChanges) -> Heard {
    bounded("something to hear", feed.next()).await
}

pub(super) async fn announce_and_hear(announcer: &RedisAnnouncer, feed: &mut RedisChanges, version: i64) {
    announcer.announce(change(version)).await.expect("announced");
    assert_eq!(next(feed).await, Heard::Change(change(version)));
}

async fn start() -> (RedisServer, RedisAnnouncer, RedisChanges, RedisLink) {
    let server = RedisServer::start().await;
    let link = link(&server.url()).await;
    let mut feed = RedisChanges::listen(settings(&server.url()));
    assert_eq!(next(&mut feed).await, Heard::Connected);
    (server, RedisAnnouncer::new(link.clone()), feed, link)
}

#[tokio::test]
async fn what_is_announced_is_heard_in_order_and_by_all() {
    let (server, announcer, mut feed, _link) = start().await;
    let mut other = RedisChanges::listen(settings(&server.url()));
    assert_eq!(next(&mut other).await, Heard::Connected);
    for version in 1..=100 {
        announcer.announce(change(version)).await.expect("announced");
    }
    for version in 1..=100 {
        assert_eq!(next(&mut feed).await, Heard::Change(change(version)));
        assert_eq!(next(&mut other).await, Heard::Change(change(version)));
    }
    assert_eq!(feed.channel(), "redis");
    let settings = Change::Settings {
        version: 4,
        at: at(5),
    };
    announcer.announce(settings).await.expect("announced");
    assert_eq!(next(&mut feed).await, Heard::Change(settings));
}

#[tokio::test]
async fn another_prefix_is_another_channel() {
    let (server, announcer, mut feed, _link) = start().await;
    let elsewhere = settings(&server.url()).with_prefix("other:").expect("a prefix");
    let mut other = RedisChanges::listen(elsewhere.clone());
    assert_eq!(next(&mut other).await, Heard::Connected);
    announce_and_hear(&announcer, &mut feed, 1).await;
    let link = RedisLink::open(elsewhere);
    link.up().await;
    announce_and_hear(&RedisAnnouncer::new(link), &mut other, 2).await;
}

#[tokio::test]
async fn what_no_replica_writes_is_ignored_and_counted() {
    let (server, announcer, mut feed, _link) = start().await;
    let too_long = "x".repeat(crate::changes::MESSAGE_BYTES_MAX + 1);
    let messages = ["", "nonsense", "binding a5 1 1", &too_long];
    for message in messages {
        let _: i64 = server.command(&["PUBLISH", "sentinel:changes", message]).await;
    }
    announce_and_hear(&announcer, &mut feed, 1).await;
    let counts = feed.counters().counts();
    assert_eq!((counts.ignored, counts.heard), (messages.len() as u64, 1));
}

#[tokio::test]
async fn a_killed_server_is_said_and_connected_again() {
    let (server, announcer, mut feed, link) = start().await;
    server.kill().await;
    assert_eq!(next(&mut feed).await, Heard::Lost);
    link.down().await;
    let announced = announcer.announce(change(1)).now_or_never();
    assert!(announced.is_some_and(|announced| announced.is_err()), "at once");
    server.restart().await;
    assert_eq!(next(&mut feed).await, Heard::Connected);
    link.up().await;
    announce_and_hear(&announcer, &mut feed, 2).await;
}

#[tokio::test]
async fn a_silent_channel_is_lost_within_five_seconds() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::in_front_of(server.address()).await;
    let mut feed = RedisChanges::listen(settings(&server.url_through(proxy.address())));
    assert_eq!(next(&mut feed).await, Heard::Connected);
    let began = Instant::now();
    proxy.set(Fault::Blackhole).await;
    assert_eq!(next(&mut feed).await, Heard::Lost);
    let expected = ASKED_EVERY + ALIVE_WAIT_MAX;
    assert!(expected < Duration::from_secs(5));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    proxy.set(Fault::None).await;
    assert_eq!(next(&mut feed).await, Heard::Connected);
    let announcer = RedisAnnouncer::new(link(&server.url()).await);
    announce_and_hear(&announcer, &mut feed, 1).await;
}

#[tokio::test]
async fn a_frozen_server_is_lost_and_found() {
    let (server, announcer, mut feed, link) = start().await;
    server.freeze().await;
    assert_eq!(next(&mut feed).await, Heard::Lost);
    server.thaw();
    assert_eq!(next(&mut feed).await, Heard::Connected);
    link.up().await;
    announce_and_hear(&announcer, &mut feed, 1).await;
}

#[tokio::test]
async fn a_feed_that_nobody_follows_is_given_up_for_a_new_one() {
    let (server, announcer, mut feed, _link) = start().await;
    let counters = feed.counters();
    let messages = HEARD_QUEUED_MAX + 10;
    let script = "for _ = 1, ARGV[1] do redis.call('PUBLISH', 'sentinel:changes', ARGV[2]) end return 1";
    let text = change(1).to_string();
    let _: i64 = server
        .command(&["EVAL", script, "0", &messages.to_string(), &text])
        .await;
    bounded("the feed to be given up", async {
        while counters.counts().overflowed == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..HEARD_QUEUED_MAX {
        assert_eq!(next(&mut feed).await, Heard::Change(change(1)));
    }
    assert_eq!(next(&mut feed).await, Heard::Lost);
    assert_eq!(next(&mut feed).await, Heard::Connected);
    announce_and_hear(&announcer, &mut feed, 2).await;
}

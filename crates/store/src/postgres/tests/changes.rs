//! What replicas hear of each other over PostgreSQL.

use std::collections::BTreeMap;
use std::time::Instant;

use sentinel_core::binding::{Binding, Version};
use sentinel_core::ports::{
    ArchiveRun, ArchiveStore as _, BindingAdmin as _, BindingStore as _, SettingStore as _, UseStore as _,
};
use sentinel_core::usage::Uses;
use sentinel_testkit::{Fault, FaultProxy, bounded};

use super::super::changes::{CHANGES_QUEUED_MAX, HEARTBEAT, HEARTBEAT_WAIT_MAX};
use super::super::{ANSWER_GRACE, PostgresChanges};
use super::{DATABASE, fixture, new_database, opened, outside, replica};
use crate::changes::{Change, ChangeFeed as _, Heard};
use crate::conformance::{actor, at, claimed, fingerprint, network};

async fn next(feed: &mut PostgresChanges) -> Heard {
    bounded("something to be heard", feed.next()).await
}

/// What is heard of a binding; the moment is left out.
async fn binding(feed: &mut PostgresChanges) -> (Version, i64) {
    match next(feed).await {
        Heard::Change(Change::Binding {
            fingerprint: of,
            version,
            at,
        }) => {
            assert_eq!(of, fingerprint(1));
            (version, at.unix_ms())
        }
        other => panic!("a change of the binding was to be heard: {other:?}"),
    }
}

#[tokio::test]
async fn every_change_is_heard_and_nothing_else() {
    let (store, server) = fixture().await;
    let mut feed = replica(&server).await.changes();
    assert_eq!(feed.channel(), "postgresql");
    assert_eq!(next(&mut feed).await, Heard::Connected);
    let Binding { id, .. } = claimed(&store, 1, "192.0.2.1").await;
    let used = Uses {
        binding: id,
        count: 1,
        last_used_at: at(1),
    };
    // Neither the claim nor a use is a change.
    store.add_uses(vec![used]).await.unwrap();
    let learned = store.learn(id, network("192.0.2.2"), 2, at(2)).await.unwrap();
    assert_eq!(binding(&mut feed).await, (learned.expect("bound").version, 2));
    // What is known is not learned again.
    store.learn(id, network("192.0.2.2"), 3, at(3)).await.unwrap();
    let banned = store.ban(id, String::new(), actor(4)).await.unwrap();
    assert_eq!(
        binding(&mut feed).await,
        (banned.expect("bound").binding.version, 4)
    );
    let unbanned = store.unban(id, actor(5)).await.unwrap();
    assert_eq!(
        binding(&mut feed).await,
        (unbanned.expect("bound").binding.version, 5)
    );
    let networks = vec![network("10.0.0.0/8")];
    let moved = store.set_networks(id, networks, actor(6)).await.unwrap();
    let last = moved.expect("bound").binding.version;
    assert_eq!(binding(&mut feed).await, (last, 6));
    store.unbind(id, actor(7)).await.unwrap();
    assert_eq!(binding(&mut feed).await, (last.of_absence(), 7));

    let again = claimed(&store, 1, "192.0.2.1").await;
    assert!(store.release(again.id, again.version).await.unwrap());
    assert_eq!(binding(&mut feed).await.0, again.version.of_absence());
    let third = claimed(&store, 1, "192.0.2.1").await;
    let run = |now| ArchiveRun {
        unused_since: at(100_000),
        marked_until: at(now),
        now: at(now),
        batch_max: 9,
    };
    store.archive_unused(run(200_000)).await.unwrap();
    store.archive_unused(run(300_000)).await.unwrap();
    assert_eq!(binding(&mut feed).await, (third.version.of_absence(), 300_000));

    let settings = BTreeMap::from([("policy.slots".to_owned(), Some("2".to_owned()))]);
    store
        .change_settings(0, settings.clone(), actor(8))
        .await
        .unwrap();
    let heard = next(&mut feed).await;
    assert_eq!(
        heard,
        Heard::Change(Change::Settings {
            version: 1,
            at: at(8)
        })
    );
    // Outdated: nothing is changed, so nothing is said. What comes next is the other replica's word.
    store.change_settings(0, settings, actor(9)).await.unwrap();
    outside(&server)
        .await
        .batch_execute("NOTIFY sentinel_changes, 'something else'; NOTIFY sentinel_changes, 'settings 5 5'")
        .await
        .unwrap();
    let heard = next(&mut feed).await;
    assert_eq!(
        heard,
        Heard::Change(Change::Settings {
            version: 5,
            at: at(5)
        })
    );
}

#[tokio::test]
async fn a_lost_connection_is_said_and_made_again() {
    let (store, server) = fixture().await;
    let mut feed = store.changes();
    assert_eq!(next(&mut feed).await, Heard::Connected);
    server.terminate_backends().await;
    assert_eq!(next(&mut feed).await, Heard::Lost);
    assert_eq!(next(&mut feed).await, Heard::Connected);
    server.kill().await;
    assert_eq!(next(&mut feed).await, Heard::Lost);
    server.restart().await;
    assert_eq!(next(&mut feed).await, Heard::Connected);
    // Asked for and dropped again and again, it loses nothing.
    for _ in 0..100 {
        let _ = tokio::time::timeout(std::time::Duration::ZERO, feed.next()).await;
    }
    super::answers(&store).await;
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    store.ban(id, String::new(), actor(1)).await.unwrap();
    binding(&mut feed).await;
}

#[tokio::test]
async fn a_silent_connection_is_noticed() {
    let (server, _) = new_database().await;
    let line = FaultProxy::in_front_of(server.address()).await;
    let dsn = server.database_dsn_through(DATABASE, line.address());
    let store = opened(&dsn.parse().unwrap()).await;
    let mut feed = store.changes();
    assert_eq!(next(&mut feed).await, Heard::Connected);
    line.set(Fault::Blackhole).await;
    let begun = Instant::now();
    assert_eq!(next(&mut feed).await, Heard::Lost);
    assert!(begun.elapsed() < HEARTBEAT + HEARTBEAT_WAIT_MAX + ANSWER_GRACE);
    line.set(Fault::None).await;
    assert_eq!(next(&mut feed).await, Heard::Connected);
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_again_until_it_is_back() {
    let (store, server) = fixture().await;
    let mut feed = store.changes();
    assert_eq!(next(&mut feed).await, Heard::Connected);
    server.stop().await;
    assert_eq!(next(&mut feed).await, Heard::Lost);
    server.restart().await;
    // Failed attempts are not heard.
    assert_eq!(next(&mut feed).await, Heard::Connected);
}

#[tokio::test]
async fn whoever_falls_behind_hears_that_the_channel_was_lost() {
    let (store, server) = fixture().await;
    let mut feed = store.changes();
    assert_eq!(next(&mut feed).await, Heard::Connected);
    let outside = outside(&server).await;
    // As many as wait for whoever asks, and as many again, and one.
    let flood = format!(
        "SELECT pg_notify('sentinel_changes', 'settings ' || n || ' 0') FROM generate_series(1, {}) n",
        2 * CHANGES_QUEUED_MAX + 1
    );
    bounded("the flood to be too much", async {
        // The connection ends once nothing fits any more; each round brings more.
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'";
        while outside.query_one(sessions, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            outside.batch_execute(&flood).await.unwrap();
        }
    })
    .await;
    let mut heard = 0;
    while next(&mut feed).await != Heard::Lost {
        heard += 1;
    }
    assert!(heard >= CHANGES_QUEUED_MAX, "{heard}");
    assert_eq!(next(&mut feed).await, Heard::Connected);
}

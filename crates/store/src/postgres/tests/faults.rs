//! A database that goes away, comes back, or is not what it was: callers are told in time, and nobody has to start Sentinel again.

use std::time::Instant;

use sentinel_core::ports::{BindingAdmin as _, BindingStore as _, Health as _};
use sentinel_testkit::{Fault, FaultProxy, bounded};

use super::super::{
    ANSWER_GRACE, CONNECT_WAIT_MAX, POOL_WAIT_MAX, PostgresOptions, PostgresStore, STATEMENT_WAIT_MAX,
};
use super::{DATABASE, answers, fixture, is_damaged, is_unavailable, new_database, opened, outside};
use crate::conformance::{actor, claimed, fingerprint, new_binding};

/// Makes several sessions, so that more than one has to be thrown away.
async fn warmed(store: &PostgresStore) {
    let finds = (0..8).map(|_| async { store.find(&fingerprint(1)).await.unwrap() });
    futures_util::future::join_all(finds).await;
}

#[tokio::test]
async fn a_killed_server_is_said_and_used_again() {
    let (store, server) = fixture().await;
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    warmed(&store).await;
    server.kill().await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(is_unavailable(&store.find(&fingerprint(1)).await));
        assert!(is_unavailable(&store.ban(id, String::new(), actor(1)).await));
    }
    assert!(is_unavailable(&store.claim(new_binding(2, "192.0.2.1")).await));
    assert!(is_unavailable(&store.check().await));
    assert!(
        begun.elapsed() < CONNECT_WAIT_MAX,
        "a refused connection is no wait"
    );
    server.restart().await;
    answers(&store).await;
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
    claimed(&store, 2, "192.0.2.1").await;
    assert_eq!(store.check().await, Ok(()));
}

#[tokio::test]
async fn a_frozen_server_is_said_in_time_and_used_again() {
    let (store, server) = fixture().await;
    claimed(&store, 1, "192.0.2.1").await;
    server.freeze().await;
    let begun = Instant::now();
    let known = fingerprint(1);
    let (found, claim) = tokio::join!(store.find(&known), store.claim(new_binding(2, "192.0.2.1")));
    assert!(is_unavailable(&found), "{found:?}");
    assert!(is_unavailable(&claim), "{claim:?}");
    assert!(begun.elapsed() < CONNECT_WAIT_MAX + STATEMENT_WAIT_MAX + ANSWER_GRACE);
    server.thaw();
    answers(&store).await;
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
    // The claim may have been made all the same; whoever asks again is told.
    assert!(store.claim(new_binding(2, "192.0.2.9")).await.is_ok());
}

#[tokio::test]
async fn a_frozen_server_is_away_for_all_at_once_and_never_called_busy() {
    let (store, server) = fixture().await;
    claimed(&store, 1, "192.0.2.1").await;
    warmed(&store).await;
    server.freeze().await;
    let known = fingerprint(1);
    // Many more than there are sessions.
    let crowd = futures_util::future::join_all((0..64).map(|_| store.find(&known))).await;
    for found in crowd {
        assert!(is_unavailable(&found), "{found:?}");
    }
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(is_unavailable(&store.find(&known).await));
    }
    assert!(begun.elapsed() < POOL_WAIT_MAX, "nobody waits for it any more");
    server.thaw();
    answers(&store).await;
    assert!(store.find(&known).await.unwrap().is_some());
}

#[tokio::test]
async fn versions_grow_though_the_sequence_was_not_restored() {
    let (store, server) = fixture().await;
    let (first, second) = (
        claimed(&store, 1, "192.0.2.1").await.id,
        claimed(&store, 2, "192.0.2.1").await.id,
    );
    let restore = "UPDATE bindings SET version = 1000 * id; SELECT setval('binding_version', 1)";
    outside(&server).await.batch_execute(restore).await.unwrap();
    for id in [second, first, second] {
        let before = store.show(id).await.unwrap().unwrap().binding.version;
        let banned = store.ban(id, String::new(), actor(1)).await.unwrap().unwrap();
        assert!(banned.binding.version > before, "{banned:?}");
    }
}

#[tokio::test]
async fn a_line_that_swallows_everything_is_said_in_time() {
    let (server, _) = new_database().await;
    let line = FaultProxy::in_front_of(server.address()).await;
    let dsn = server.database_dsn_through(DATABASE, line.address());
    let store = opened(&dsn.parse().unwrap()).await;
    claimed(&store, 1, "192.0.2.1").await;
    for fault in [Fault::DropToClient, Fault::DropToServer, Fault::Blackhole] {
        line.set(fault).await;
        let begun = Instant::now();
        let found = store.find(&fingerprint(1)).await;
        assert!(is_unavailable(&found), "{fault:?}: {found:?}");
        assert!(
            begun.elapsed() < STATEMENT_WAIT_MAX + 2 * ANSWER_GRACE,
            "{fault:?}"
        );
        line.set(Fault::None).await;
        answers(&store).await;
    }
    line.cut().await;
    answers(&store).await;
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_read_only_server_takes_no_change_until_it_is_writable() {
    let (store, server) = fixture().await;
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    warmed(&store).await;
    server.read_only(true).await;
    let banned = store.ban(id, String::new(), actor(1)).await;
    assert!(is_unavailable(&banned), "{banned:?}");
    let claim = store.claim(new_binding(2, "192.0.2.1")).await;
    assert!(is_unavailable(&claim), "{claim:?}");
    let sick = store.check().await;
    assert!(is_unavailable(&sick), "{sick:?}");
    server.read_only(false).await;
    answers(&store).await;
    assert!(store.ban(id, String::new(), actor(1)).await.unwrap().is_some());
    claimed(&store, 2, "192.0.2.1").await;
    assert_eq!(store.check().await, Ok(()));
}

#[tokio::test]
async fn a_standby_is_never_taken_for_the_authority() {
    let (server, dsn) = new_database().await;
    let store = opened(&dsn).await;
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    // With this file the server starts as a standby, of nobody.
    server
        .execute("COPY (SELECT '') TO PROGRAM 'cat > standby.signal'")
        .await;
    server.restart().await;
    let refused = PostgresStore::open(&dsn, PostgresOptions::default()).await;
    let refused = refused.expect_err("a standby").to_string();
    assert!(refused.contains("standby"), "{refused}");
    // Not even for reading: what it says may be old.
    assert!(is_unavailable(&store.find(&fingerprint(1)).await));
    assert!(is_unavailable(&store.check().await));
    server.execute("SELECT pg_promote()").await;
    answers(&store).await;
    assert!(store.ban(id, String::new(), actor(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn when_one_server_goes_the_other_one_serves() {
    let (server, _) = new_database().await;
    let first = FaultProxy::in_front_of(server.address()).await;
    let one = server.database_dsn_through(DATABASE, first.address());
    let both = one.replacen(
        &first.address().to_string(),
        &format!("{},{}", first.address(), server.address()),
        1,
    );
    let store = opened(&both.parse().unwrap()).await;
    claimed(&store, 1, "192.0.2.1").await;
    assert!(first.connections() > 0);
    first.set(Fault::Refuse).await;
    first.cut().await;
    answers(&store).await;
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
    assert_eq!(first.connections(), 0);
}

#[tokio::test]
async fn a_table_that_is_gone_is_damage_until_it_is_back() {
    let (store, server) = fixture().await;
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    warmed(&store).await;
    let outside = outside(&server).await;
    outside
        .batch_execute("ALTER TABLE bindings RENAME TO elsewhere")
        .await
        .unwrap();
    for _ in 0..10 {
        let found = store.find(&fingerprint(1)).await;
        assert!(is_damaged(&found), "{found:?}");
    }
    let banned = store.ban(id, String::new(), actor(1)).await;
    assert!(is_damaged(&banned), "{banned:?}");
    let claim = store.claim(new_binding(2, "192.0.2.1")).await;
    assert!(is_damaged(&claim), "{claim:?}");
    let sick = store.check().await;
    assert!(is_damaged(&sick), "{sick:?}");
    outside
        .batch_execute("ALTER TABLE elsewhere RENAME TO bindings")
        .await
        .unwrap();
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
    claimed(&store, 2, "192.0.2.1").await;
    assert_eq!(store.check().await, Ok(()));
}

#[tokio::test]
async fn another_schema_is_not_well() {
    let (store, server) = fixture().await;
    let outside = outside(&server).await;
    let schema = super::super::schema::needed();
    let mut newest = schema;
    for version in [999, 0] {
        let set = format!("UPDATE refinery_schema_history SET version = {version} WHERE version = {newest}");
        newest = version;
        outside.batch_execute(&set).await.unwrap();
        let sick = store.check().await;
        assert!(is_damaged(&sick), "{sick:?}");
    }
    let set = format!("UPDATE refinery_schema_history SET version = {schema} WHERE version = {newest}");
    outside.batch_execute(&set).await.unwrap();
    assert_eq!(store.check().await, Ok(()));
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_damage_and_never_guessed_at() {
    let (store, server) = fixture().await;
    claimed(&store, 1, "192.0.2.1").await;
    claimed(&store, 2, "192.0.2.1").await;
    let outside = outside(&server).await;
    let garble =
        "UPDATE bindings SET policy = '{\"mode\": \"whatever\"}' WHERE id = (SELECT min(id) FROM bindings)";
    outside.batch_execute(garble).await.unwrap();
    let found = store.find(&fingerprint(1)).await;
    assert!(is_damaged(&found), "{found:?}");
    assert!(store.find(&fingerprint(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn sessions_that_were_ended_are_replaced() {
    let (store, server) = fixture().await;
    claimed(&store, 1, "192.0.2.1").await;
    warmed(&store).await;
    assert!(server.terminate_backends().await > 1);
    bounded("all sessions to be replaced", async {
        let known = fingerprint(1);
        let finds = || futures_util::future::join_all((0..8).map(|_| store.find(&known)));
        while finds().await.iter().any(Result::is_err) {}
    })
    .await;
}

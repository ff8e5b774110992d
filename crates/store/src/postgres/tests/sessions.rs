//! Callers that go away at any moment leave no trace on a session, and nothing half done.

use std::time::Duration;

use sentinel_core::binding::{BindingId, BindingStatus};
use sentinel_core::ports::{
    AdminEventStore as _, BindingAdmin, BindingFilter, BindingStore as _, StoreError, UseStore as _,
};
use sentinel_core::usage::Uses;
use sentinel_testkit::bounded;

use super::super::sessions::Scope;
use super::super::{PostgresOptions, PostgresStore, WORK_QUEUED_MAX};
use super::{fixture, new_database, outside};
use crate::conformance::{actor, at, claimed, fingerprint, network, new_binding};

/// Does one of several things to the store, and everything of it.
async fn something(store: PostgresStore, id: BindingId, number: u32) {
    let when = i64::from(number);
    match number % 7 {
        0 => drop(store.ban(id, "gone".to_owned(), actor(when)).await),
        1 => drop(store.unban(id, actor(when)).await),
        2 => {
            let networks = vec![network(&format!("10.{}.0.0/16", number % 250))];
            drop(store.set_networks(id, networks, actor(when)).await);
        }
        3 => drop(store.find(&fingerprint(1)).await),
        4 => drop(store.claim(new_binding(1_000 + number, "192.0.2.1")).await),
        5 => {
            let uses = Uses {
                binding: id,
                count: 1,
                last_used_at: at(when),
            };
            drop(store.add_uses(vec![uses]).await);
        }
        _ => {
            let all = BindingFilter {
                limit: 10,
                ..BindingFilter::default()
            };
            drop(BindingAdmin::list(&store, all).await);
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_poisons_nothing() {
    let (server, dsn) = new_database().await;
    let two = PostgresOptions {
        connections_max: 2,
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(&dsn, two).await.unwrap();
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    let mut random = 0x2545_F491_u32;
    for number in 0..700 {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        // From before the first byte is sent to after the last one has come.
        let patience = Duration::from_micros(u64::from(random % 3_000));
        let _ = tokio::time::timeout(patience, something(store.clone(), id, number)).await;
    }
    // On a busy machine much of it still waits for its turn.
    bounded("all work to be done", async {
        while store.sessions.room() < WORK_QUEUED_MAX {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let outside = outside(&server).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid() \
         AND state <> 'idle'";
    bounded("every transaction to end", async {
        while outside.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()";
    let sessions: i64 = outside.query_one(sessions, &[]).await.unwrap().get(0);
    assert!(sessions <= 2, "{sessions} sessions");
    // What was done was done whole: the last change and its event agree.
    let record = store.show(id).await.unwrap().expect("a record");
    let last = &store.newest(1).await.unwrap()[0];
    let detail: serde_json::Value = serde_json::from_str(&last.detail).unwrap();
    assert_eq!(detail["after"]["version"], record.binding.version.0);
    assert_eq!(detail["after"]["status"], record.binding.status.as_str());
    let banned = store.ban(id, String::new(), actor(9_999)).await.unwrap();
    assert_eq!(banned.expect("a record").binding.status, BindingStatus::Banned);
}

#[tokio::test]
async fn a_change_is_made_although_its_caller_left() {
    let (store, server) = fixture().await;
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    let outside = outside(&server).await;
    outside
        .batch_execute("BEGIN; SELECT FROM bindings FOR UPDATE")
        .await
        .unwrap();
    tokio::select! {
        banned = store.ban(id, String::new(), actor(1)) => panic!("the row is locked: {banned:?}"),
        () = super::lock_waiters(&outside, 1) => {}
    }
    outside.batch_execute("COMMIT").await.unwrap();
    bounded("the ban", async {
        while store
            .find(&fingerprint(1))
            .await
            .unwrap()
            .expect("bound")
            .binding
            .status
            == BindingStatus::Active
        {}
    })
    .await;
}

#[tokio::test]
async fn a_session_with_something_open_on_it_is_thrown_away() {
    let (store, _server) = fixture().await;
    let pid = async || -> i32 {
        store
            .sessions
            .run(Scope::Question, |session| {
                Box::pin(async { Ok(session.query_one("SELECT pg_backend_pid()", &[]).await?.get(0)) })
            })
            .await
            .unwrap()
    };
    let before = pid().await;
    let panicked: Result<(), StoreError> = store
        .sessions
        .run(Scope::Change, |_| {
            Box::pin(async { panic!("a defect, in the middle of a transaction") })
        })
        .await;
    assert!(super::is_unavailable(&panicked), "{panicked:?}");
    assert_ne!(pid().await, before);
}

#[test]
fn the_store_serves_runtimes_that_come_and_go() {
    let carrier = tokio::runtime::Runtime::new().unwrap();
    let (store, server) = carrier.block_on(fixture());
    for number in 0..3 {
        let worker = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        worker.block_on(claimed(&store, number, "192.0.2.1"));
    }
    let found = carrier.block_on(store.find(&fingerprint(2)));
    assert!(found.unwrap().is_some());
    carrier.block_on(async { drop(server) });
}

#[tokio::test]
async fn a_closed_store_has_done_what_it_took_in() {
    let (store, server) = fixture().await;
    let mut claims = tokio::task::JoinSet::new();
    for number in 0..500 {
        let store = store.clone();
        claims.spawn(async move { store.claim(new_binding(number, "192.0.2.1")).await.is_ok() });
    }
    tokio::task::yield_now().await;
    store.close().await;
    store.close().await;
    let made = claims
        .join_all()
        .await
        .into_iter()
        .filter(|is_made| *is_made)
        .count();
    let find = store.find(&fingerprint(1)).await;
    assert!(super::is_unavailable(&find), "{find:?}");
    let claim = store.claim(new_binding(1, "192.0.2.1")).await;
    assert!(super::is_unavailable(&claim), "{claim:?}");
    let outside = outside(&server).await;
    let stored: i64 = outside
        .query_one("SELECT count(*) FROM bindings", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(usize::try_from(stored), Ok(made));
}

//! What happens at each bound of the connections and of the work on them.

use std::time::{Duration, Instant};

use sentinel_core::ports::{BindingAdmin as _, BindingStore as _, Health as _, StoreError};
use sentinel_testkit::bounded;
use tokio::task::JoinSet;

use super::super::sessions::Scope;
use super::super::{
    ANSWER_GRACE, BATCH_STATEMENT_WAIT_MAX, HEALTH_WAIT_MAX, IDLE_TRANSACTION_MAX, JOB_STATEMENT_WAIT_MAX,
    LOCK_WAIT_MAX, POOL_WAIT_MAX, PostgresOptions, PostgresStore, STATEMENT_WAIT_MAX, WORK_QUEUED_MAX,
};
use super::{fixture, is_unavailable, lock_waiters, new_database, outside};
use crate::conformance::{actor, claimed, fingerprint};

async fn ask(store: &PostgresStore, scope: Scope, question: &'static str) -> Result<String, StoreError> {
    store
        .sessions
        .run(scope, move |session| {
            Box::pin(async move { Ok(session.query_one(question, &[]).await?.get(0)) })
        })
        .await
}

/// As PostgreSQL shows a time-out.
fn shown(bound: Duration) -> [String; 2] {
    [
        format!("{}s", bound.as_secs()),
        format!("{}min", bound.as_secs() / 60),
    ]
}

#[tokio::test]
async fn every_session_has_its_bounds_before_anybody_uses_it() {
    let (store, _server) = fixture().await;
    let scopes = [
        (Scope::Question, STATEMENT_WAIT_MAX),
        (Scope::Change, STATEMENT_WAIT_MAX),
        (Scope::Batch, BATCH_STATEMENT_WAIT_MAX),
        (Scope::Report, BATCH_STATEMENT_WAIT_MAX),
        (Scope::Job, JOB_STATEMENT_WAIT_MAX),
        // A larger bound ends with its transaction.
        (Scope::Question, STATEMENT_WAIT_MAX),
    ];
    for (scope, bound) in scopes {
        let found = ask(&store, scope, "SHOW statement_timeout").await.unwrap();
        assert!(shown(bound).contains(&found), "{scope:?}: {found}");
        assert_eq!(scope.statement_wait(), bound);
    }
    let found = ask(&store, Scope::Job, "SHOW lock_timeout").await.unwrap();
    assert!(shown(LOCK_WAIT_MAX).contains(&found), "{found}");
    let idle = "SHOW idle_in_transaction_session_timeout";
    let found = ask(&store, Scope::Change, idle).await.unwrap();
    assert!(shown(IDLE_TRANSACTION_MAX).contains(&found), "{found}");
}

#[tokio::test]
async fn a_statement_is_ended_by_the_server() {
    let (store, _server) = fixture().await;
    let pid = "SELECT pg_backend_pid()::text";
    let before = ask(&store, Scope::Question, pid).await.unwrap();
    let begun = Instant::now();
    let slow = ask(&store, Scope::Question, "SELECT pg_sleep(60)::text").await;
    assert!(is_unavailable(&slow), "{slow:?}");
    assert!((STATEMENT_WAIT_MAX..STATEMENT_WAIT_MAX + ANSWER_GRACE).contains(&begun.elapsed()));
    // The session took no harm.
    assert_eq!(ask(&store, Scope::Question, pid).await.unwrap(), before);
    let slow = ask(&store, Scope::Change, "SELECT pg_sleep(60)::text").await;
    assert!(is_unavailable(&slow), "{slow:?}");
    assert_eq!(ask(&store, Scope::Question, pid).await.unwrap(), before);
}

#[tokio::test]
async fn a_locked_row_is_waited_for_up_to_the_bound() {
    let (store, server) = fixture().await;
    let id = claimed(&store, 1, "192.0.2.1").await.id;
    let outside = outside(&server).await;
    outside
        .batch_execute("BEGIN; SELECT FROM bindings FOR UPDATE")
        .await
        .unwrap();
    let begun = Instant::now();
    let banned = store.ban(id, String::new(), actor(1)).await;
    assert_eq!(banned, Err(StoreError::Busy));
    assert!(begun.elapsed() >= LOCK_WAIT_MAX);
    // Reading waits for nobody, and the row is as it was.
    let ban = tokio::spawn({
        let store = store.clone();
        async move { store.ban(id, String::new(), actor(1)).await }
    });
    assert!(store.find(&fingerprint(1)).await.unwrap().is_some());
    lock_waiters(&outside, 1).await;
    outside.batch_execute("ROLLBACK").await.unwrap();
    assert!(ban.await.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn a_session_is_waited_for_up_to_the_bound() {
    let (_server, dsn) = new_database().await;
    let one = PostgresOptions {
        connections_max: 1,
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(&dsn, one).await.unwrap();
    let holder = tokio::spawn({
        let store = store.clone();
        async move { ask(&store, Scope::Batch, "SELECT pg_sleep(2.5)::text").await }
    });
    bounded("the only session to be taken", async {
        while store.sessions.idle() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let begun = Instant::now();
    assert_eq!(store.find(&fingerprint(1)).await, Err(StoreError::Busy));
    assert!(begun.elapsed() >= POOL_WAIT_MAX);
    assert!(holder.await.unwrap().is_ok());
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
}

#[tokio::test]
async fn more_work_than_the_bound_is_refused_at_once() {
    let (store, server) = fixture().await;
    server.freeze().await;
    let mut waiting = JoinSet::new();
    for _ in 0..WORK_QUEUED_MAX {
        let store = store.clone();
        waiting.spawn(async move { store.find(&fingerprint(1)).await });
    }
    bounded("the work to be taken in", async {
        while store.sessions.room() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let begun = Instant::now();
    assert_eq!(store.find(&fingerprint(1)).await, Err(StoreError::Busy));
    assert!(begun.elapsed() < POOL_WAIT_MAX);
    server.thaw();
    waiting.join_all().await;
    assert_eq!(store.find(&fingerprint(1)).await, Ok(None));
}

#[tokio::test]
async fn the_health_check_ends_within_its_bound() {
    let (store, server) = fixture().await;
    assert_eq!(store.check().await, Ok(()));
    server.freeze().await;
    let begun = Instant::now();
    let sick = store.check().await;
    assert!(is_unavailable(&sick), "{sick:?}");
    assert!(begun.elapsed() < HEALTH_WAIT_MAX + ANSWER_GRACE);
    server.thaw();
    bounded("the store to be well again", async {
        while store.check().await.is_err() {}
    })
    .await;
}

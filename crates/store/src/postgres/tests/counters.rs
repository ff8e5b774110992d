//! Counts on PostgreSQL: the suite; what replicas see of each other; and what becomes of the counts when the server comes and goes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use sentinel_core::counting::{COUNT_BATCH_MAX, Count, SLICES, WindowCounters};
use sentinel_testkit::{Fault, FaultProxy, PostgresServer};
use tokio::task::JoinSet;

use super::super::counters::{CountsUpkeep, OnPostgres as Keeper};
use super::super::{COUNT_ROWS_MAX, COUNT_ROWS_SWEPT_MAX, PostgresCounters, PostgresStore};
use super::{DATABASE, answers, fixture, new_database, opened, outside, replica};
use crate::counting::conformance::{CountersFixture, WINDOW, add, count, counters_suite};
use crate::counting::merged::{AgedCount, Batch, CountKeeper as _};

/// Moves all that was counted into the past; by way of a place far away, as no row may meet another one on its way.
const GROW_OLD: &str = "UPDATE alert_counts SET slice = slice - 1000000000; \
     UPDATE alert_counts SET slice = slice + 1000000000 - $1, expires_at = expires_at - $1 * $2 * interval '1 millisecond'";

struct OnPostgres {
    counters: PostgresCounters,
    store: PostgresStore,
    server: PostgresServer,
}

#[async_trait]
impl CountersFixture for OnPostgres {
    fn counters(&self) -> &dyn WindowCounters {
        &self.counters
    }

    async fn age_by_slices(&self, slices: u32) {
        let slice_ms = WINDOW.as_millis() / u128::from(SLICES);
        let grow_old = GROW_OLD
            .replace("$1", &slices.to_string())
            .replace("$2", &slice_ms.to_string());
        let outside = outside(&self.server).await;
        outside.batch_execute(&grow_old).await.expect("older counts");
    }
}

fn counters(store: &PostgresStore) -> PostgresCounters {
    PostgresCounters::new(store).expect("random numbers")
}

async fn start() -> OnPostgres {
    let (store, server) = fixture().await;
    OnPostgres {
        counters: counters(&store),
        store,
        server,
    }
}

counters_suite!(start);

impl OnPostgres {
    /// Counters of another replica.
    async fn another(&self) -> PostgresCounters {
        counters(&replica(&self.server).await)
    }

    async fn rows(&self) -> i64 {
        let look = "SELECT count(*) FROM alert_counts";
        let row = outside(&self.server).await.query_one(look, &[]).await;
        row.expect("a number").get(0)
    }
}

#[tokio::test]
async fn replicas_count_together() {
    let on = start().await;
    let other = on.another().await;
    assert_eq!(add(&on.counters, "a", 2).await, 2);
    assert_eq!(add(&other, "a", 3).await, 5);
    assert_eq!(add(&on.counters, "a", 0).await, 5);
}

/// Otherwise each could be told of less than the threshold, and nobody would raise the alert; or several of all of it, and the alert would
/// say more than there was. In a short window slices end all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_replicas_that_count_at_once_exactly_one_sees_all_of_it() {
    const SHORT: Duration = Duration::from_secs(10);
    let on = start().await;
    let all = [on.another().await, on.another().await, on.another().await];
    for round in 0..100 {
        let one = vec![count(&format!("round {round}"), 1)];
        let counting = all.iter().map(|counters| counters.add(SHORT, one.clone()));
        let counts: Result<Vec<_>, _> = join_all(counting).await.into_iter().collect();
        let mut counts = counts.expect("counts").concat();
        counts.sort_unstable();
        assert_eq!(counts, [1, 2, 3]);
    }
}

#[tokio::test]
async fn whose_turn_does_not_come_in_time_goes_on_alone_and_merges() {
    let on = start().await;
    let other = on.another().await;
    assert_eq!(add(&other, "a", 10).await, 10);
    let outside = outside(&on.server).await;
    outside
        .batch_execute("BEGIN; LOCK TABLE alert_counts IN EXCLUSIVE MODE")
        .await
        .expect("a lock");
    assert_eq!(add(&on.counters, "a", 1).await, 1, "this replica's own");
    outside.batch_execute("ROLLBACK").await.expect("free again");
    assert_eq!(add(&on.counters, "a", 1).await, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_meet_wait_for_each_other_and_none_is_lost() {
    const ROUNDS: u64 = 20;
    let on = start().await;
    let mut replicas = JoinSet::new();
    for _ in 0..3 {
        let counters = on.another().await;
        replicas.spawn(async move {
            for _ in 0..ROUNDS {
                let names = (0..100).map(|name| count(&format!("{name}"), 1));
                counters.add(WINDOW, names.collect()).await.expect("counts");
            }
            assert_eq!(counters.take_lost(), 0);
        });
    }
    replicas.join_all().await;
    for name in ["0", "57", "99"] {
        assert_eq!(add(&on.counters, name, 0).await, 3 * ROUNDS);
    }
}

#[tokio::test]
async fn what_was_counted_alone_is_merged() {
    let on = start().await;
    let other = on.another().await;
    add(&on.counters, "a", 1).await;
    add(&other, "a", 10).await;
    on.server.stop().await;
    assert_eq!(add(&on.counters, "a", 1).await, 2, "this replica's own");
    assert_eq!(add(&on.counters, "b", 4).await, 4);
    assert_eq!(add(&on.counters, "a", 1).await, 3);
    on.server.restart().await;
    answers(&on.store).await;
    assert_eq!(add(&on.counters, "a", 0).await, 13);
    let third = on.another().await;
    assert_eq!(add(&third, "b", 1).await, 5);
}

#[tokio::test]
async fn a_batch_that_is_sent_again_counts_once() {
    let on = start().await;
    let keeper = Keeper(on.store.clone());
    let batch = |number, times| Batch {
        replica: u64::MAX,
        number,
        window_ms: u64::try_from(WINDOW.as_millis()).expect("small"),
        parts: vec![AgedCount {
            name: "a".to_owned(),
            age_ms: 0,
            times,
        }],
    };
    // As after an answer that was lost; a late copy of an earlier batch counts no more either.
    for (number, times, counted) in [(1, 2, 2), (1, 2, 2), (2, 3, 5), (1, 2, 5), (2, 3, 5)] {
        let answer = keeper.add(batch(number, times), vec!["a".to_owned()]).await;
        assert_eq!(answer, Ok(vec![counted]), "batch {number}");
    }
    assert_eq!(
        add(&on.counters, "a", 1).await,
        6,
        "another replica has numbers of its own"
    );
}

#[tokio::test]
async fn a_line_that_swallows_batches_or_their_answers_loses_and_doubles_nothing() {
    let (server, _) = new_database().await;
    let proxy = FaultProxy::in_front_of(server.address()).await;
    let dsn = server.database_dsn_through(DATABASE, proxy.address());
    let store = opened(&dsn.parse().expect("a DSN")).await;
    let (counters, other) = (counters(&store), counters(&replica(&server).await));
    assert_eq!(add(&counters, "a", 1).await, 1);
    let mut counted = 1;
    for fault in [Fault::DropToClient, Fault::DropToServer] {
        proxy.set(fault).await;
        counted += 1;
        assert_eq!(add(&counters, "a", 1).await, counted, "this replica's own");
        proxy.set(Fault::None).await;
        answers(&store).await;
        assert_eq!(add(&counters, "a", 0).await, counted, "{fault:?}");
        assert_eq!(add(&other, "a", 0).await, counted, "{fault:?}");
    }
}

#[tokio::test]
async fn a_caller_who_goes_away_loses_nothing() {
    let on = start().await;
    on.server.freeze().await;
    let call = on.counters.add(WINDOW, vec![count("a", 3)]);
    let given_up = tokio::time::timeout(Duration::from_millis(20), call).await;
    assert!(given_up.is_err());
    on.server.thaw();
    answers(&on.store).await;
    assert_eq!(add(&on.counters, "a", 1).await, 4);
}

#[tokio::test]
async fn a_server_that_crashes_forgets_the_counts_and_doubles_none() {
    let on = start().await;
    add(&on.counters, "a", 5).await;
    on.server.kill().await;
    assert_eq!(add(&on.counters, "a", 1).await, 6, "this replica's own");
    on.server.restart().await;
    answers(&on.store).await;
    assert_eq!(add(&on.counters, "a", 1).await, 2, "what waited, and this one");
}

#[tokio::test]
async fn what_no_window_reaches_any_more_goes() {
    let on = start().await;
    add(&on.counters, "past", 1).await;
    on.age_by_slices(1).await;
    add(&on.counters, "present", 1).await;
    on.age_by_slices(SLICES - 1).await;
    assert_eq!(on.rows().await, 2);
    // The first thing that a replica does.
    assert_eq!(add(&on.another().await, "present", 0).await, 1);
    assert_eq!(on.rows().await, 1);
}

#[tokio::test]
async fn rows_are_bounded_and_the_oldest_go_first() {
    let mut on = start().await;
    const { assert!(COUNT_ROWS_MAX > COUNT_ROWS_SWEPT_MAX) };
    let few = 10;
    on.store.counts_upkeep = Arc::new(CountsUpkeep::new(few));
    add(&on.counters, "old", 1).await;
    on.age_by_slices(2).await;
    let names: Vec<Count> = (1..few).map(|name| count(&name.to_string(), 1)).collect();
    assert!(names.len() < COUNT_BATCH_MAX);
    on.counters.add(WINDOW, names).await.expect("counts");
    assert_eq!(
        add(&counters(&on.store), "old", 0).await,
        1,
        "as many as the bound"
    );
    add(&on.counters, "one more", 1).await;
    on.store.counts_upkeep = Arc::new(CountsUpkeep::new(few));
    let counters = counters(&on.store);
    assert_eq!(add(&counters, "old", 0).await, 0);
    assert_eq!(add(&counters, "one more", 0).await, 1);
    assert_eq!(on.rows().await, i64::from(few));
}

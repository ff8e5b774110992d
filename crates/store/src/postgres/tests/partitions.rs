//! The days of the audit log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sentinel_core::ports::{InterceptFilter, InterceptRetention as _, InterceptStore};
use sentinel_core::time::Timestamp;

use super::super::PostgresStore;
use super::super::partitions::{DAYS_AHEAD_MAX, ROWS_DELETED_MAX};
use super::{fixture, outside, replica};
use crate::conformance::at;
use crate::conformance::intercepts::intercept;

const DAY_MS: i64 = 86_400_000;
/// 2130-01-01T00:00:00Z: no day that a store makes when it is opened.
const FIRST: i64 = 5_049_129_600_000;

async fn append(store: &PostgresStore, moments: impl IntoIterator<Item = i64>) {
    let batch = moments
        .into_iter()
        .map(|moment| {
            let mut one = intercept(1);
            one.at = at(moment);
            one
        })
        .collect();
    InterceptStore::append(store, batch)
        .await
        .expect("the log takes every row");
}

/// How many rows lie in each partition.
async fn rows(client: &tokio_postgres::Client) -> BTreeMap<String, i64> {
    let count = "SELECT tableoid::regclass::text, count(*) FROM intercept_logs GROUP BY 1";
    let rows = client.query(count, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn moments(store: &PostgresStore) -> Vec<i64> {
    let all = InterceptFilter {
        limit: 1_000,
        ..InterceptFilter::default()
    };
    let page = InterceptStore::list(store, all).await.unwrap();
    page.iter().map(|stored| stored.intercept.at.unix_ms()).collect()
}

fn counted<const COUNT: usize>(rows: [(&str, i64); COUNT]) -> BTreeMap<String, i64> {
    rows.into_iter()
        .map(|(name, count)| (format!("intercept_logs_{name}"), count))
        .collect()
}

#[tokio::test]
async fn rows_that_came_before_their_day_move_into_it() {
    let (store, server) = fixture().await;
    let outside = outside(&server).await;
    let last_ms = DAY_MS - 1;
    append(
        &store,
        [
            FIRST - 1,
            FIRST,
            FIRST + last_ms,
            FIRST + DAY_MS,
            FIRST + 9 * DAY_MS,
        ],
    )
    .await;
    assert_eq!(rows(&outside).await, counted([("default", 5)]));
    let before = moments(&store).await;
    assert_eq!(store.ensure_partitions(at(FIRST + 5), 1).await, Ok(2));
    let expected = counted([("default", 2), ("day_21300101", 2), ("day_21300102", 1)]);
    assert_eq!(rows(&outside).await, expected);
    assert_eq!(moments(&store).await, before, "the same rows under the same ids");
    assert_eq!(store.ensure_partitions(at(FIRST + 5), 1).await, Ok(0));
    append(&store, [FIRST + 7]).await;
    assert_eq!(rows(&outside).await["intercept_logs_day_21300101"], 3);
}

#[tokio::test]
async fn old_days_go_whole_and_the_rest_row_by_row() {
    let (store, server) = fixture().await;
    let outside = outside(&server).await;
    let made_at_the_opening = store.drop_partitions_before(at(FIRST)).await.unwrap();
    assert!(made_at_the_opening > 0);
    store.ensure_partitions(at(FIRST), 3).await.unwrap();
    append(&store, (0..4).map(|day| FIRST + day * DAY_MS)).await;
    append(&store, [FIRST + 2 * DAY_MS + 500, FIRST - 5, 3]).await;
    assert_eq!(
        store.drop_partitions_before(at(FIRST + 2 * DAY_MS + 500)).await,
        Ok(2)
    );
    assert_eq!(
        store.drop_partitions_before(at(FIRST + 2 * DAY_MS + 500)).await,
        Ok(0)
    );
    assert_eq!(moments(&store).await.len(), 5);
    let removed = store
        .keep_from(at(FIRST + 2 * DAY_MS + 500), at(FIRST + 3 * DAY_MS))
        .await;
    assert_eq!(
        removed,
        Ok(3),
        "one in the day itself, two in the default partition"
    );
    let expected = counted([("day_21300103", 1), ("day_21300104", 1)]);
    assert_eq!(rows(&outside).await, expected);
}

#[tokio::test]
async fn more_rows_than_one_step_are_deleted_in_steps() {
    let (store, _server) = fixture().await;
    append(&store, 0..=ROWS_DELETED_MAX).await;
    let removed = store.keep_from(at(ROWS_DELETED_MAX), at(FIRST)).await;
    assert_eq!(removed, Ok(ROWS_DELETED_MAX.unsigned_abs()));
    assert_eq!(moments(&store).await, [ROWS_DELETED_MAX]);
}

#[tokio::test]
async fn days_are_made_ahead_up_to_the_bound_whoever_is_first() {
    let (store, server) = fixture().await;
    let other = replica(&server).await;
    let made =
        |store: PostgresStore| async move { store.ensure_partitions(at(FIRST), u32::MAX).await.unwrap() };
    let (one, two) = tokio::join!(made(store.clone()), made(other));
    assert_eq!(one + two, DAYS_AHEAD_MAX + 1);
}

#[tokio::test]
async fn the_log_is_written_while_its_days_are_made_and_dropped() {
    let (store, server) = fixture().await;
    store.drop_partitions_before(at(FIRST)).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, done) = (store.clone(), Arc::clone(&done));
        async move {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) {
                append(&store, (0..5).map(|day| FIRST + day * DAY_MS + written)).await;
                written += 1;
            }
            written * 5
        }
    });
    for day in 0..5 {
        store
            .ensure_partitions(at(FIRST + day * DAY_MS), 0)
            .await
            .unwrap();
    }
    let no_rows = Timestamp::from_unix_ms(FIRST - DAY_MS);
    store.ensure_partitions(no_rows, 0).await.unwrap();
    assert_eq!(store.drop_partitions_before(at(FIRST)).await, Ok(1));
    done.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    let total: i64 = rows(&outside(&server).await).await.values().sum();
    assert_eq!(total, written);
}

#[tokio::test]
async fn of_too_many_rows_whole_days_go_first_and_today_row_by_row() {
    let (store, server) = fixture().await;
    let outside = outside(&server).await;
    store.drop_partitions_before(at(FIRST)).await.unwrap();
    store.ensure_partitions(at(FIRST), 3).await.unwrap();
    for day in 0..3 {
        append(&store, (0..10).map(|number| FIRST + day * DAY_MS + number)).await;
    }
    let today = at(FIRST + 2 * DAY_MS);
    assert_eq!(store.keep_newest(30, today).await, Ok(0));
    assert_eq!(moments(&store).await.len(), 30);
    // One row too many costs the oldest day.
    assert_eq!(store.keep_newest(29, today).await, Ok(0));
    let expected = counted([("day_21300102", 10), ("day_21300103", 10)]);
    assert_eq!(rows(&outside).await, expected);
    assert_eq!(store.keep_newest(7, today).await, Ok(3));
    assert_eq!(rows(&outside).await, counted([("day_21300103", 7)]));
    append(&store, [FIRST + 2 * DAY_MS + 50]).await;
    assert_eq!(moments(&store).await.len(), 8, "the day still takes rows");
}

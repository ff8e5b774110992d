//! Promises about how long the audit log is kept.

use sentinel_core::ports::{InterceptFilter, InterceptStore};

use super::intercepts::intercept;
use super::{AnyStore, at};

async fn moments(store: &impl AnyStore) -> Vec<i64> {
    let filter = InterceptFilter {
        limit: 100,
        ..InterceptFilter::default()
    };
    let page = InterceptStore::list(store, filter).await.unwrap();
    page.iter().map(|stored| stored.intercept.at.unix_ms()).collect()
}

pub(crate) async fn what_is_older_is_removed(store: impl AnyStore) {
    InterceptStore::append(&store, (1..=5).map(intercept).collect())
        .await
        .unwrap();
    assert_eq!(store.keep_from(at(3_000), at(9_000)).await, Ok(2));
    assert_eq!(moments(&store).await, [5_000, 4_000, 3_000]);
    assert_eq!(store.keep_from(at(3_000), at(9_000)).await, Ok(0));
}

pub(crate) async fn removing_goes_on_past_one_step(store: impl AnyStore) {
    // More than any store removes in one step.
    InterceptStore::append(&store, (1..=2_500).map(intercept).collect())
        .await
        .unwrap();
    assert_eq!(store.keep_from(at(2_499_000), at(9_000_000)).await, Ok(2_498));
    assert_eq!(moments(&store).await, [2_500_000, 2_499_000]);
}

pub(crate) async fn what_comes_next_is_taken_in(store: impl AnyStore) {
    const DAY_MS: i64 = 86_400_000;
    let now = 1_800_000_000_000;
    store.keep_from(at(now - 90 * DAY_MS), at(now)).await.unwrap();
    for day in [-89, 0, 1, 40] {
        let mut one = intercept(1);
        one.at = at(now + day * DAY_MS);
        InterceptStore::append(&store, vec![one]).await.unwrap();
    }
    assert_eq!(moments(&store).await.len(), 4);
}

pub(crate) async fn the_newest_are_kept(store: impl AnyStore) {
    assert_eq!(store.keep_newest(3, at(9_000)).await, Ok(0));
    InterceptStore::append(&store, (1..=5).map(intercept).collect())
        .await
        .unwrap();
    store.keep_newest(5, at(9_000)).await.unwrap();
    assert_eq!(moments(&store).await.len(), 5);
    store.keep_newest(3, at(9_000)).await.unwrap();
    assert_eq!(moments(&store).await, [5_000, 4_000, 3_000]);
    store.keep_newest(0, at(9_000)).await.unwrap();
    assert_eq!(moments(&store).await, [0_i64; 0]);
}

pub(crate) async fn today_is_cut_row_by_row(store: impl AnyStore) {
    const DAY_MS: i64 = 86_400_000;
    // Its rows are in the past by their ids, whichever their days are; more than any store removes in one step.
    let now = at(1_800_000_000_000);
    store.keep_from(at(0), now).await.unwrap();
    for day in [-2, -1, 0] {
        let batch = (1..=1_250).map(|number| {
            let mut one = intercept(number);
            one.at = at(now.unix_ms() + day * DAY_MS + i64::from(number));
            one
        });
        InterceptStore::append(&store, batch.collect()).await.unwrap();
    }
    store.keep_newest(100, now).await.unwrap();
    let kept = moments(&store).await;
    assert_eq!(kept.len(), 100);
    assert!(kept.iter().all(|moment| *moment > now.unix_ms()));
}

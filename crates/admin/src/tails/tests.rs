use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sentinel_core::event::Intercept;
use sentinel_core::ports::InterceptBucket;
use sentinel_core::time::Timestamp;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::*;
use crate::testing::{FakeStore, intercept};

/// Counts how often it is asked.
#[derive(Default)]
struct Asked {
    store: FakeStore,
    times: AtomicU32,
}

#[async_trait]
impl InterceptStore for Asked {
    async fn append(&self, batch: Vec<Intercept>) -> Result<(), StoreError> {
        InterceptStore::append(&self.store, batch).await
    }

    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError> {
        self.times.fetch_add(1, Ordering::SeqCst);
        InterceptStore::list(&self.store, filter).await
    }

    async fn by_ids(
        &self,
        runs: Vec<RangeInclusive<i64>>,
        limit: u32,
    ) -> Result<Vec<StoredIntercept>, StoreError> {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.store.by_ids(runs, limit).await
    }

    async fn buckets(&self, _: Timestamp, _: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        unreachable!("nobody counts")
    }
}

impl Asked {
    fn write(&self, ids: impl IntoIterator<Item = i64>) {
        self.store
            .lock()
            .intercepts
            .extend(ids.into_iter().map(intercept));
    }

    fn times(&self) -> u32 {
        self.times.load(Ordering::SeqCst)
    }
}

fn tails() -> (Arc<Tails>, Arc<Asked>) {
    let store = Arc::<Asked>::default();
    (Tails::new(store.clone()), store)
}

/// Until so many looks are over.
async fn looks(count: u32) {
    for _ in 0..count {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn ids(appeared: &Appeared) -> Vec<i64> {
    appeared.rows.iter().map(|row| row.id).collect()
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_once_for_all_and_not_at_all_for_nobody() {
    let (tails, store) = tails();
    looks(3).await;
    assert_eq!(store.times(), 0);
    let mut followers = Vec::new();
    for _ in 0..5 {
        followers.push(tails.follow().await.expect("it works"));
    }
    assert_eq!(store.times(), 1, "where the log ends");
    looks(4).await;
    assert_eq!(store.times(), 5);
    store.write([1]);
    looks(1).await;
    for follower in &mut followers {
        assert_eq!(ids(&follower.appeared.recv().await.expect("it came")), [1]);
    }
    drop(followers);
    looks(1).await;
    let asked = store.times();
    looks(10).await;
    assert_eq!(store.times(), asked);
    assert!(tails.reader.lock().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn rows_that_appear_late_are_shown_whenever_they_come() {
    let (tails, store) = tails();
    store.write([1, 2, 5]);
    let mut follower = tails.follow().await.expect("it works");
    assert_eq!(follower.position.complete_to(), 2);
    store.write([9, 7, 3]);
    looks(1).await;
    let appeared = follower.appeared.recv().await.expect("it came");
    assert_eq!(
        (ids(&appeared), appeared.position.complete_to()),
        (vec![3, 7, 9], 3)
    );
    store.write([8, 4, 6]);
    looks(1).await;
    let appeared = follower.appeared.recv().await.expect("it came");
    assert_eq!(
        (ids(&appeared), appeared.position.complete_to()),
        (vec![4, 6, 8], 9)
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_away_is_read_on_from_where_it_was() {
    let (tails, store) = tails();
    let mut follower = tails.follow().await.expect("it works");
    store.store.lock().failure = Some(StoreError::Busy);
    store.write([1, 2]);
    looks(5).await;
    assert!(matches!(follower.appeared.try_recv(), Err(TryRecvError::Empty)));
    store.store.lock().failure = None;
    looks(1).await;
    assert_eq!(ids(&follower.appeared.recv().await.expect("it came")), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn one_look_asks_look_pages_max_times_for_look_rows_max_rows() {
    let (tails, store) = tails();
    let mut follower = tails.follow().await.expect("it works");
    let shown = i64::from(LOOK_PAGES_MAX * LOOK_ROWS_MAX);
    store.write(1..=shown + 1);
    looks(1).await;
    let mut count = 0;
    while let Ok(appeared) = follower.appeared.try_recv() {
        assert_eq!(appeared.rows.len(), LOOK_ROWS_MAX as usize);
        count += appeared.rows.len();
    }
    assert_eq!(i64::try_from(count), Ok(shown));
    looks(1).await;
    assert_eq!(
        ids(&follower.appeared.recv().await.expect("it came")),
        [shown + 1]
    );
}

#[tokio::test(start_paused = true)]
async fn answers_kept_max_answers_wait_for_a_slow_follower() {
    let (tails, store) = tails();
    let mut follower = tails.follow().await.expect("it works");
    let answers = i64::try_from(ANSWERS_KEPT_MAX).expect("small") + 1;
    for id in 1..=answers {
        store.write([id]);
        looks(1).await;
    }
    assert!(matches!(
        follower.appeared.recv().await,
        Err(RecvError::Lagged(1))
    ));
    let position = tails.follow().await.expect("it works").position;
    assert_eq!(position.newest(), answers);
}

#[test]
fn so_many_follow_at_once() {
    let (tails, _) = tails();
    let own: Vec<_> = (0..TAILS_OF_ACCOUNT_MAX)
        .map(|_| tails.place("root").expect("a place"))
        .collect();
    assert!(tails.place("root").is_none());
    let others: Vec<_> = (own.len()..TAILS_MAX)
        .map(|number| tails.place(&format!("other {number}")).expect("a place"))
        .collect();
    assert!(tails.place("one more").is_none());
    drop(own);
    assert!(tails.place("root").is_some());
    drop(others);
    assert!(tails.places().is_empty());
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sentinel_core::event::{AdminEvent, Intercept, InterceptOutcome, Reference};
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{
    AdminEventStore as _, InterceptBucket, InterceptFilter, InterceptSink, InterceptStore, StoreError,
    StoredIntercept,
};
use sentinel_core::time::{Clock as _, Timestamp};
use sentinel_store::MemoryStore;
use sentinel_testkit::SettableClock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::fold::FOLD_WHOLE_MAX;
use super::queue::{QUEUE_RESERVE, QUEUED_MAX};
use super::writer::{BATCH_MAX, LAST_ATTEMPTS_MAX, RETRY_PAUSE, RETRY_PAUSE_MAX, ROUND};
use super::*;

pub(super) fn intercept(reason: RefusalReason) -> Intercept {
    Intercept {
        reference: Reference::random(),
        at: Timestamp::from_unix_ms(1),
        reason,
        outcome: InterceptOutcome::Refused,
        binding: None,
        fingerprint: None,
        hint: None,
        client_ip: ClientIp::new([192, 0, 2, 1].into()),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        user_agent: String::new(),
        count: 1,
    }
}

/// Fails as often as it is told, then writes to memory.
struct Flaky {
    failures: AtomicU32,
    store: MemoryStore,
}

#[async_trait]
impl InterceptStore for Flaky {
    async fn append(&self, batch: Vec<Intercept>) -> Result<(), StoreError> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(StoreError::Busy);
        }
        assert!(batch.len() <= BATCH_MAX);
        InterceptStore::append(&self.store, batch).await
    }

    async fn list(&self, filter: InterceptFilter) -> Result<Vec<StoredIntercept>, StoreError> {
        InterceptStore::list(&self.store, filter).await
    }

    async fn buckets(&self, since: Timestamp, bucket_ms: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        self.store.buckets(since, bucket_ms).await
    }
}

struct Bench {
    queue: Arc<InterceptQueue>,
    store: Arc<Flaky>,
    events: Arc<MemoryStore>,
    clock: Arc<SettableClock>,
    writer: Writer,
}

fn bench(failures: u32) -> Bench {
    let (queue, receiver) = InterceptQueue::new();
    let queue = Arc::new(queue);
    let store = Arc::new(Flaky {
        failures: AtomicU32::new(failures),
        store: MemoryStore::new(),
    });
    let events = Arc::new(MemoryStore::new());
    let clock = Arc::new(SettableClock::default());
    let writer = Writer {
        receiver,
        queue: Arc::clone(&queue),
        store: store.clone(),
        events: events.clone(),
        clock: clock.clone(),
    };
    Bench {
        queue,
        store,
        events,
        clock,
        writer,
    }
}

async fn rows(store: &Flaky) -> Vec<Intercept> {
    let filter = InterceptFilter {
        limit: 100,
        ..InterceptFilter::default()
    };
    let stored = store.list(filter).await.expect("memory works");
    stored.into_iter().map(|stored| stored.intercept).collect()
}

async fn written(store: &Flaky) -> u64 {
    let buckets = store
        .buckets(Timestamp::from_unix_ms(0), 1_000)
        .await
        .expect("memory works");
    buckets.iter().map(|bucket| bucket.refused).sum()
}

#[tokio::test]
async fn all_that_was_queued_is_written_before_the_end() {
    let bench = bench(0);
    for _ in 0..=2 * BATCH_MAX {
        bench.queue.record(intercept(RefusalReason::KeyIpMismatch));
    }
    let (_stop, stopping) = watch::channel(true);
    bench.writer.run(stopping).await;
    assert_eq!(written(&bench.store).await, 2 * BATCH_MAX as u64 + 1);
    assert_eq!((bench.queue.lost(), bench.queue.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_loses_nothing() {
    let bench = bench(7);
    bench.queue.record(intercept(RefusalReason::KeyBanned));
    let (stop, stopping) = watch::channel(false);
    let writing = tokio::spawn(bench.writer.run(stopping));
    let began = Instant::now();
    while written(&bench.store).await == 0 {
        sleep(RETRY_PAUSE).await;
    }
    stop.send_replace(true);
    writing.await.expect("no panic");
    assert_eq!((written(&bench.store).await, bench.queue.lost()), (1, 0));
    assert!(
        began.elapsed() <= 7 * RETRY_PAUSE_MAX,
        "the pauses grow, but not without end"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_store_never_takes_is_counted_and_said() {
    let bench = bench(u32::MAX);
    bench.queue.record(intercept(RefusalReason::KeyBanned));
    let (_stop, stopping) = watch::channel(true);
    bench.writer.run(stopping).await;
    assert_eq!(bench.queue.lost(), 1);
    assert_eq!(
        u32::MAX - bench.store.failures.load(Ordering::SeqCst),
        LAST_ATTEMPTS_MAX
    );
    let events = bench.events.newest(10).await.expect("memory works");
    assert_eq!(
        (events[0].action.as_str(), events[0].detail.as_str()),
        ("intercepts_lost", "key_banned 1")
    );
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_stay_and_the_rest_is_counted() {
    let bench = bench(0);
    for _ in 0..QUEUED_MAX {
        bench.queue.record(intercept(RefusalReason::KeyIpMismatch));
    }
    assert_eq!((bench.queue.lost(), bench.queue.waiting()), (0, QUEUED_MAX));
    bench.queue.record(intercept(RefusalReason::KeyBanned));
    bench.queue.record(intercept(RefusalReason::KeyMissing));
    assert_eq!(bench.queue.lost(), 2);
    let (_stop, stopping) = watch::channel(true);
    bench.writer.run(stopping).await;
    assert_eq!(written(&bench.store).await, QUEUED_MAX as u64);
    let events = bench.events.newest(10).await.expect("memory works");
    assert_eq!(said(&events), ["key_banned 1, key_missing 1"]);
}

#[tokio::test]
async fn a_flood_of_cheap_refusals_leaves_room_for_a_stolen_key() {
    let bench = bench(0);
    for _ in 0..QUEUED_MAX {
        bench.queue.record(intercept(RefusalReason::CredentialAmbiguous));
    }
    assert_eq!(bench.queue.waiting(), QUEUED_MAX - QUEUE_RESERVE);
    assert_eq!(bench.queue.lost(), QUEUE_RESERVE as u64);
    for index in 0..QUEUE_RESERVE {
        let reason = [RefusalReason::KeyIpMismatch, RefusalReason::KeyBanned][index % 2];
        bench.queue.record(intercept(reason));
    }
    assert_eq!(bench.queue.lost(), QUEUE_RESERVE as u64);
    assert_eq!(bench.queue.waiting(), QUEUED_MAX);

    let (_stop, stopping) = watch::channel(true);
    bench.writer.run(stopping).await;
    assert_eq!(written(&bench.store).await, QUEUED_MAX as u64);
    let rows = rows(&bench.store).await;
    assert_eq!(rows.len(), 3 * (FOLD_WHOLE_MAX as usize + 1));
    let mismatches = rows
        .iter()
        .filter(|row| row.reason == RefusalReason::KeyIpMismatch);
    assert_eq!(
        mismatches.map(|row| row.count).sum::<u32>() as usize,
        QUEUE_RESERVE / 2
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_written_when_its_second_is_over() {
    let bench = bench(0);
    let (stop, stopping) = watch::channel(false);
    let writing = tokio::spawn(bench.writer.run(stopping));
    let now = bench.clock.now();
    let all = 2 * BATCH_MAX as u64;
    for _ in 0..all {
        let mut record = intercept(RefusalReason::KeyMissing);
        record.at = now;
        bench.queue.record(record);
    }
    let whole = u64::from(FOLD_WHOLE_MAX);
    sleep(3 * ROUND).await;
    assert_eq!(written(&bench.store).await, whole, "the second is not over");
    bench.clock.advance(ROUND);
    sleep(ROUND).await;
    assert_eq!(written(&bench.store).await, all);
    let last = rows(&bench.store).await.into_iter().next().expect("a row");
    assert_eq!(u64::from(last.count), all - whole);
    stop.send_replace(true);
    writing.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn losses_are_said_at_most_once_a_round() {
    let bench = bench(0);
    let (stop, stopping) = watch::channel(false);
    let writing = tokio::spawn(bench.writer.run(stopping));
    let began = Instant::now();
    let (steps, step) = (12, ROUND / 4);
    for _ in 0..steps {
        for _ in 0..=QUEUED_MAX - QUEUE_RESERVE {
            bench.queue.record(intercept(RefusalReason::KeyMissing));
        }
        sleep(step).await;
    }
    stop.send_replace(true);
    writing.await.expect("no panic");
    assert_eq!(bench.queue.lost(), steps);
    let rounds = began.elapsed().as_secs();
    let events = bench.events.newest(100).await.expect("memory works");
    assert!(
        events.len() as u64 <= rounds + 2,
        "{} times in {rounds} s",
        events.len()
    );
    let counts = said(&events).into_iter().filter_map(|detail| {
        detail
            .strip_prefix("key_missing ")
            .and_then(|count| count.parse::<u64>().ok())
    });
    assert_eq!(counts.sum::<u64>(), bench.queue.lost());
}

fn said(events: &[AdminEvent]) -> Vec<&str> {
    events.iter().map(|event| event.detail.as_str()).collect()
}

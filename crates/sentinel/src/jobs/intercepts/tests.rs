use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sentinel_core::binding::Networks;
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{InterceptOutcome, Reference};
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{InterceptBucket, InterceptFilter, InterceptSink as _, StoredIntercept};
use sentinel_core::time::Timestamp;
use sentinel_store::spool::FOLD_WHOLE_MAX;
use sentinel_store::{MemoryStore, SpoolOptions};
use sentinel_testkit::{SettableClock, bounded};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

fn intercept(reason: RefusalReason) -> Intercept {
    let at = Timestamp::from_unix_ms(1);
    Intercept {
        reference: Reference::random(),
        at,
        last_at: at,
        reason,
        outcome: InterceptOutcome::Refused,
        binding: None,
        networks: Networks::default(),
        fingerprint: None,
        hint: None,
        client_ip: ClientIp::new([192, 0, 2, 1].into()),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        user_agent: String::new(),
        count: 1,
        profile: "".into(),
        replica: "".into(),
    }
}

/// Fails as often as it is told, then writes to memory; hangs when it is told to.
#[derive(Default)]
struct Flaky {
    failures: AtomicU32,
    hangs: std::sync::atomic::AtomicBool,
    store: MemoryStore,
}

#[async_trait]
impl InterceptStore for Flaky {
    async fn append(&self, batch: Vec<Intercept>) -> Result<(), StoreError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
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

    async fn by_ids(
        &self,
        runs: Vec<RangeInclusive<i64>>,
        limit: u32,
    ) -> Result<Vec<StoredIntercept>, StoreError> {
        self.store.by_ids(runs, limit).await
    }

    async fn buckets(&self, since: Timestamp, bucket_ms: i64) -> Result<Vec<InterceptBucket>, StoreError> {
        self.store.buckets(since, bucket_ms).await
    }
}

struct Bench {
    folder: TempDir,
    spool: Arc<Spool>,
    store: Arc<Flaky>,
    stop: watch::Sender<bool>,
    job: JoinHandle<()>,
}

impl Bench {
    fn new(failures: u32) -> Self {
        Self::on(
            tempfile::tempdir().expect("a folder"),
            Arc::new(Flaky {
                failures: failures.into(),
                ..Flaky::default()
            }),
        )
    }

    fn on(folder: TempDir, store: Arc<Flaky>) -> Self {
        let clock = Arc::<SettableClock>::default();
        let options = SpoolOptions {
            bytes_max: 0,
            profile: "new-api".to_owned(),
            replica: "one".to_owned(),
            clock: clock.clone(),
            watch: None,
        };
        let (spool, reader) = Spool::open(folder.path(), options).expect("a spool");
        let spool = Arc::new(spool);
        let drain = Drain {
            spool: Arc::clone(&spool),
            reader,
            store: store.clone(),
            events: Arc::new(store.store.clone()),
            clock,
        };
        let (stop, stopping) = watch::channel(false);
        Self {
            folder,
            spool,
            store,
            stop,
            job: tokio::spawn(drain.run(stopping)),
        }
    }

    fn record(&self, count: usize, reason: RefusalReason) {
        for _ in 0..count {
            let _ = self.spool.record(intercept(reason));
        }
    }

    async fn written(&self) -> u64 {
        let buckets = self.store.buckets(Timestamp::default(), 1_000).await;
        let buckets = buckets.expect("memory works");
        buckets.iter().map(|bucket| bucket.refused).sum()
    }

    async fn written_at_last(&self, count: u64) {
        let what = format!("{count} requests in the store");
        bounded(&what, async {
            while self.written().await != count {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    async fn stop(self) -> (TempDir, Arc<Flaky>) {
        self.stop.send_replace(true);
        self.job.await.expect("no panic");
        (self.folder, self.store)
    }
}

#[tokio::test]
async fn records_reach_the_store_signed_with_profile_and_replica() {
    let bench = Bench::new(0);
    bench.record(3, RefusalReason::KeyBanned);
    bench.written_at_last(3).await;
    let filter = InterceptFilter {
        limit: 10,
        ..InterceptFilter::default()
    };
    let rows = bench.store.list(filter).await.expect("memory works");
    assert!(
        rows.iter()
            .all(|row| (&*row.intercept.profile, &*row.intercept.replica) == ("new-api", "one"))
    );
    bench.stop().await;
}

#[tokio::test]
async fn all_that_was_recorded_is_written_before_the_end() {
    let bench = Bench::new(0);
    bench.record(2_500, RefusalReason::KeyIpMismatch);
    bench.record(2_500, RefusalReason::KeyMissing);
    let (_folder, store) = bench.stop().await;
    let filter = InterceptFilter {
        limit: 100,
        ..InterceptFilter::default()
    };
    let rows = store.list(filter).await.expect("memory works");
    let total: u32 = rows.iter().map(|row| row.intercept.count).sum();
    assert_eq!(total, 5_000);
    assert_eq!(rows.len(), 2 * (FOLD_WHOLE_MAX as usize + 1));
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_gets_all_of_it_in_the_end() {
    let bench = Bench::new(3);
    bench.record(5, RefusalReason::KeyBanned);
    let began = Instant::now();
    bench.written_at_last(5).await;
    assert!(began.elapsed() >= RETRY_PAUSE, "it pauses in between");
    assert!(
        3 * RETRY_PAUSE_MAX > RETRY_PAUSE,
        "the pauses grow, but not without end"
    );
    bench.stop().await;
}

#[tokio::test]
async fn what_a_dead_store_does_not_take_goes_on_at_the_next_start() {
    let bench = Bench::new(u32::MAX);
    bench.record(5, RefusalReason::KeyBanned);
    let began = Instant::now();
    let (folder, store) = bench.stop().await;
    assert!(began.elapsed() < LAST_APPEND_MAX);
    store.failures.store(0, Ordering::SeqCst);
    let bench = Bench::on(folder, store);
    bench.written_at_last(5).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_store_that_hangs_does_not_hold_the_end_up() {
    let bench = Bench::new(0);
    bench.store.hangs.store(true, Ordering::SeqCst);
    bench.record(5, RefusalReason::KeyBanned);
    let began = Instant::now();
    let (folder, store) = bench.stop().await;
    assert!(began.elapsed() < 2 * LAST_APPEND_MAX && 2 * LAST_APPEND_MAX < LAST_DRAIN_MAX);
    store.hangs.store(false, Ordering::SeqCst);
    let bench = Bench::on(folder, store);
    bench.written_at_last(5).await;
    bench.stop().await;
}

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sentinel_core::ports::{TopRefused, TrafficStretch};
use sentinel_store::MemoryStore;
use sentinel_testkit::SettableClock;
use tokio::task::JoinHandle;

use super::*;

/// What the store does with the next reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Works,
    Fails,
    /// Adds, and does not say so.
    AddsInSilence,
    Hangs,
}

struct Doubtful {
    does: Mutex<Does>,
    store: MemoryStore,
}

#[async_trait]
impl TrafficStore for Doubtful {
    async fn report(&self, report: TrafficReport) -> Result<bool, StoreError> {
        let does = *self.does.lock().expect("not poisoned");
        match does {
            Does::Works => self.store.report(report).await,
            Does::Fails => Err(StoreError::Busy),
            Does::AddsInSilence => {
                self.store.report(report).await?;
                std::future::pending().await
            }
            Does::Hangs => std::future::pending().await,
        }
    }

    async fn traffic(&self, span: TrafficSpan, since: Timestamp) -> Result<Vec<TrafficStretch>, StoreError> {
        self.store.traffic(span, since).await
    }

    async fn top_refused(
        &self,
        span: TrafficSpan,
        from: Timestamp,
        limit: u32,
    ) -> Result<TopRefused, StoreError> {
        self.store.top_refused(span, from, limit).await
    }

    async fn replicas(&self, since: Timestamp) -> Result<Vec<Replica>, StoreError> {
        self.store.replicas(since).await
    }

    async fn forget(&self, kept: TrafficKept) -> Result<Option<u64>, StoreError> {
        self.store.forget(kept).await
    }
}

struct Bench {
    store: Arc<Doubtful>,
    clock: Arc<SettableClock>,
    allowed: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    job: JoinHandle<()>,
}

impl Bench {
    fn start() -> Self {
        let store = Arc::new(Doubtful {
            does: Mutex::new(Does::Works),
            store: MemoryStore::new(),
        });
        let clock = Arc::<SettableClock>::default();
        let allowed = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&allowed);
        let reporter = Reporter {
            counted: Box::new(move || {
                TrafficCounts::default().with(TrafficMeasure::Allowed, counter.load(Ordering::SeqCst))
            }),
            propagation: Box::new(|| Some(Duration::from_millis(7))),
            store: store.clone(),
            replica: "sentinel-0".to_owned(),
            metrics: TrafficMetrics::default(),
            clock: clock.clone(),
        };
        let (stop, stopping) = watch::channel(false);
        let job = tokio::spawn(reporter.run(stopping));
        Self {
            store,
            clock,
            allowed,
            stop,
            job,
        }
    }

    fn does(&self, does: Does) {
        *self.store.does.lock().expect("not poisoned") = does;
    }

    fn allow(&self, requests: u64) {
        self.allowed.fetch_add(requests, Ordering::SeqCst);
    }

    /// Lets the job do what it does within some intervals.
    async fn pass(&self, intervals: u32) {
        for _ in 0..intervals {
            self.clock.advance(INTERVAL);
            // The job's clock stands still while it sleeps; one more interval lets what timed out end.
            sleep(2 * INTERVAL).await;
        }
    }

    async fn counted(&self, span: TrafficSpan) -> Vec<u64> {
        let stretches = self.store.traffic(span, Timestamp::default()).await;
        let stretches = stretches.expect("memory works");
        let counts = stretches.iter().map(|stretch| &stretch.counts);
        counts.map(|counts| counts.of(TrafficMeasure::Allowed)).collect()
    }

    async fn replicas(&self) -> Vec<Replica> {
        let replicas = self.store.replicas(Timestamp::default()).await;
        replicas.expect("memory works")
    }

    async fn stop(self) -> (Arc<Doubtful>, Duration) {
        let begun = tokio::time::Instant::now();
        self.stop.send_replace(true);
        self.job.await.expect("no panic");
        (self.store, begun.elapsed())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_is_reported_every_few_seconds_and_at_the_end() {
    let bench = Bench::start();
    bench.allow(3);
    assert!(bench.counted(TrafficSpan::Day).await.is_empty(), "not yet");
    bench.pass(2).await;
    assert_eq!(bench.counted(TrafficSpan::Day).await, [3]);
    let seen = bench.replicas().await;
    assert_eq!(
        (seen[0].name.as_str(), seen[0].propagation_ms),
        ("sentinel-0", Some(7))
    );
    assert!(!seen[0].is_stopped);
    // Without anything to count it is a sign of life.
    let before = seen[0].seen_at;
    bench.pass(1).await;
    assert!(bench.replicas().await[0].seen_at > before);
    bench.allow(4);
    let (store, _) = bench.stop().await;
    let day = store.traffic(TrafficSpan::Day, Timestamp::default()).await;
    let day = day.expect("memory works");
    assert_eq!(day[0].counts.of(TrafficMeasure::Allowed), 7);
    let seen = store.replicas(Timestamp::default()).await.expect("memory works");
    assert!(seen[0].is_stopped && seen.len() == 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_minutes_are_kept_apart() {
    let bench = Bench::start();
    bench.does(Does::Fails);
    for _ in 0..3 {
        bench.allow(2);
        // A minute.
        bench.pass(12).await;
    }
    assert!(bench.counted(TrafficSpan::Minute).await.is_empty());
    bench.does(Does::Works);
    bench.pass(1).await;
    assert_eq!(bench.counted(TrafficSpan::Minute).await, [2, 2, 2]);
    assert_eq!(bench.counted(TrafficSpan::Day).await, [6]);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_nobody_knows_the_end_of_counts_once() {
    let bench = Bench::start();
    bench.does(Does::AddsInSilence);
    bench.allow(5);
    bench.pass(2).await;
    assert_eq!(bench.counted(TrafficSpan::Day).await, [5]);
    bench.does(Does::Hangs);
    bench.allow(1);
    bench.pass(2).await;
    bench.does(Does::Works);
    bench.pass(1).await;
    assert_eq!(bench.counted(TrafficSpan::Day).await, [6]);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_a_store_that_hangs_no_longer_than_its_bounds() {
    let bench = Bench::start();
    bench.pass(1).await;
    bench.does(Does::Hangs);
    bench.allow(1);
    let (_, waited) = bench.stop().await;
    // A report that is under way then has its own time.
    let longest = REPORT_WAIT_MAX + LAST_REPORTS_MAX;
    assert!(waited >= REPORT_WAIT_MAX && waited <= longest, "{waited:?}");
    assert!(longest < crate::jobs::FLUSH_MAX);
}

#[tokio::test(start_paused = true)]
async fn old_figures_are_forgotten_at_the_start_and_every_hour() {
    let store = MemoryStore::new();
    let clock = Arc::<SettableClock>::default();
    let minute = |from| TrafficStretch {
        from,
        counts: TrafficCounts::default().with(TrafficMeasure::Bound, 1),
    };
    let report = TrafficReport {
        replica: Replica {
            run: "one".to_owned(),
            name: String::new(),
            version: String::new(),
            started_at: clock.now(),
            seen_at: clock.now(),
            is_stopped: false,
            propagation_ms: None,
        },
        number: 1,
        minutes: vec![minute(clock.now())],
    };
    store.report(report).await.expect("memory works");
    let left = async || {
        let mut left = Vec::new();
        for span in TrafficSpan::ALL {
            let stretches = store.traffic(span, Timestamp::from_unix_ms(i64::MIN)).await;
            left.push(stretches.expect("memory works").len());
        }
        left.push(
            store
                .replicas(Timestamp::default())
                .await
                .expect("memory works")
                .len(),
        );
        left
    };
    let (stop, stopping) = watch::channel(false);
    let job = tokio::spawn(forget(Arc::new(store.clone()), clock.clone(), stopping));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(left().await, [1, 1, 1, 1]);
    let day = Duration::from_hours(24);
    for (days, expected) in [
        (MINUTES_KEPT_DAYS + 1, [0, 1, 1, 1]),
        (REPLICAS_KEPT_DAYS - MINUTES_KEPT_DAYS, [0, 1, 1, 0]),
        (HOURS_KEPT_DAYS - REPLICAS_KEPT_DAYS, [0, 0, 1, 0]),
        (DAYS_KEPT_DAYS - HOURS_KEPT_DAYS, [0, 0, 0, 0]),
    ] {
        clock.advance(day * days);
        sleep(FORGET_INTERVAL).await;
        assert_eq!(left().await, expected);
    }
    let kept = kept(clock.now());
    assert!(
        kept.top_hours_from > kept.top_days_from,
        "{TOP_HOURS_KEPT_DAYS} < {TOP_DAYS_KEPT_DAYS}"
    );
    stop.send_replace(true);
    job.await.expect("no panic");
}

#[test]
fn runs_have_names_of_their_own() {
    assert_ne!(new_run(Timestamp::default()), new_run(Timestamp::default()));
}

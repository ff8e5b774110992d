use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sentinel_alerts::channel::Failure;
use sentinel_core::alert::Alert;
use sentinel_core::alert::conformance::draft;
use sentinel_core::alert::ports::{AlertFilter, Transition};
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;
use sentinel_store::MemoryStore;
use sentinel_store::counting::MemoryCounters;
use sentinel_testkit::SettableClock;
use tokio::time::Instant;

use super::desk::TEST_MAX;
use super::outages::{ANSWER_MAX, LOOK};
use super::*;
use crate::config::{self, Loaded};

/// Never answers, but says that it was called.
struct Hanging(ChannelId, Arc<Notify>);

impl Hanging {
    fn new() -> (Arc<Self>, Arc<Notify>) {
        let called = Arc::new(Notify::new());
        let id = ChannelId::new("hanging").expect("a name");
        (Arc::new(Self(id, Arc::clone(&called))), called)
    }
}

#[async_trait]
impl Channel for Hanging {
    fn id(&self) -> &ChannelId {
        &self.0
    }

    async fn send(&self, _alert: &Alert, _now: Timestamp) -> Result<(), Failure> {
        self.1.notify_one();
        std::future::pending().await
    }
}

/// Hangs, until it is told to work.
#[derive(Default)]
struct Waking(AtomicU64);

#[async_trait]
impl Health for Waking {
    async fn check(&self) -> Result<(), StoreError> {
        match self.0.load(Ordering::SeqCst) {
            0 => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

fn alerting(loaded: &Loaded, store: &Arc<MemoryAlertStore>) -> (Alerting, watch::Sender<LiveConfig>) {
    let (sender, live) = watch::channel(loaded.config.live);
    let alerting = Alerting::new(AlertParts {
        replica: "replica".to_owned(),
        config: &loaded.config.alerts,
        public_url: Some("https://sentinel.example.com"),
        links: LinkSigner::new(b"a secret for tests"),
        store: store.clone(),
        make_counters: Arc::new(|| Ok(Arc::new(MemoryCounters::new()))),
        used_links: store.clone(),
        bindings: Arc::new(MemoryStore::new()),
        events: Arc::new(MemoryStore::new()),
        watched: Vec::new(),
        live,
        clock: Arc::new(SettableClock::default()),
    });
    (alerting.expect("its channels can be made"), sender)
}

fn nothing_lost() -> LostRecords {
    Box::new(|| 0)
}

#[tokio::test(start_paused = true)]
async fn at_the_end_an_attempt_under_way_is_waited_for_so_long_and_no_longer() {
    let store = Arc::new(MemoryAlertStore::new());
    let (mut alerting, _live) = alerting(&config::loaded_of_variables(&[]), &store);
    let (channel, called) = Hanging::new();
    let wanted = Transition::Raise(Box::new(draft(1, 0)));
    store
        .transition(wanted, std::slice::from_ref(&channel.0))
        .await
        .expect("raised");
    alerting.channels = vec![channel];
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(alerting.run(nothing_lost(), stopping));
    called.notified().await;
    let began = Instant::now();
    stop.send_replace(true);
    running.await.expect("no panic");
    assert_eq!(began.elapsed(), LAST_ATTEMPTS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_tried_and_does_not_answer_is_given_up() {
    let store = Arc::new(MemoryAlertStore::new());
    let (mut alerting, _live) = alerting(&config::loaded_of_variables(&[]), &store);
    alerting.channels = vec![Hanging::new().0];
    let desk = alerting.desk(Arc::new(MemoryStore::new()));
    let began = Instant::now();
    let tried = desk.test("hanging").await;
    assert!(
        matches!(tried, Err(sentinel_admin::ChannelTestFailed::Failed(_))),
        "{tried:?}"
    );
    assert_eq!(began.elapsed(), TEST_MAX);
    assert_eq!(
        desk.test("x").await,
        Err(sentinel_admin::ChannelTestFailed::Unknown)
    );
    let filter = AlertFilter {
        limit: 10,
        ..AlertFilter::default()
    };
    assert_eq!(store.alerts(filter).await, Ok(Vec::new()), "a try leaves nothing");
}

#[tokio::test(start_paused = true)]
async fn parts_that_do_not_answer_and_lost_records_are_told_of() {
    let (signals, mut receiver) = SignalQueue::new();
    let (part, lost) = (Arc::<Waking>::default(), Arc::new(AtomicU64::new(7)));
    let counted = Arc::clone(&lost);
    let outages = Outages {
        signals: Arc::new(signals),
        watched: vec![(Part::Cache, part.clone())],
        lost: Box::new(move || counted.load(Ordering::SeqCst)),
        clock: Arc::new(SettableClock::default()),
        store: Arc::new(MemoryAlertStore::new()),
        metrics: AlertMetrics::default(),
    };
    let began = Instant::now();
    let looking = tokio::spawn(outages.run());
    let first = receiver.recv().await;
    assert!(
        matches!(
            first,
            Some(Signal::Down {
                part: Part::Cache,
                ..
            })
        ),
        "{first:?}"
    );
    assert_eq!(began.elapsed(), ANSWER_MAX);
    part.0.store(1, Ordering::SeqCst);
    lost.store(10, Ordering::SeqCst);
    assert_eq!(receiver.recv().await, Some(Signal::Up { part: Part::Cache }));
    let next = receiver.recv().await;
    assert!(
        matches!(next, Some(Signal::RecordsLost { count: 3, .. })),
        "{next:?}"
    );
    assert!(began.elapsed() >= LOOK);
    looking.abort();
}

#[tokio::test(start_paused = true)]
async fn changed_thresholds_reach_the_watch() {
    let loaded = config::loaded_of_variables(&[("ALERT_THRESHOLD_COUNT", "9")]);
    let (sender, live) = watch::channel(loaded.config.live);
    let (mut settings, following) = follow(loaded.config.alerts.clone(), Vec::new(), live);
    let following = tokio::spawn(following);
    let threshold = |settings: &WatchSettings| {
        let rule = settings
            .rules
            .get(sentinel_core::alert::RuleKind::RefusalsPerBinding);
        rule.threshold
    };
    assert_eq!(threshold(&settings.borrow_and_update()), 9);
    sender.send_modify(|live| live.alert_count = 4);
    settings.changed().await.expect("it follows");
    assert_eq!(threshold(&settings.borrow_and_update()), 4);
    following.abort();
}

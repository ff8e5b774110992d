//! Replicas that share counters and an outbox, on a clock that stands still until the test moves it.

use sentinel_core::alert::ports::Delivery;

use super::*;
use crate::memory::MemoryAlertStore;
use crate::testing::ExactCounters;

pub(super) struct Fleet {
    pub(super) clock: Arc<SettableClock>,
    pub(super) counters: Arc<ExactCounters>,
    pub(super) store: MemoryAlertStore,
    pub(super) parts: WatchParts,
    settings: watch::Sender<Arc<WatchSettings>>,
    replicas: Vec<Watch>,
    until_round: Duration,
}

impl Fleet {
    pub(super) fn new(replicas: usize, rules: Rules) -> Self {
        let store = MemoryAlertStore::new();
        Self::with(replicas, rules, store.clone(), Arc::new(store))
    }

    /// Replicas that see the outbox through something.
    pub(super) fn with(
        replicas: usize,
        rules: Rules,
        store: MemoryAlertStore,
        seen_as: Arc<dyn AlertStore>,
    ) -> Self {
        let clock = Arc::new(SettableClock::default());
        let counters = ExactCounters::new(Arc::clone(&clock));
        let parts = WatchParts {
            make_counters: counters.maker(),
            store: seen_as,
            local: Arc::new(MemoryAlertStore::new()),
            clock: clock.clone(),
            bell: Arc::default(),
            replica: String::new(),
        };
        let channels = vec![channel_id("ops"), channel_id("mail")];
        let (settings, _) = watch::channel(Arc::new(WatchSettings { rules, channels }));
        let mut fleet = Self {
            clock,
            counters,
            store,
            parts,
            settings,
            replicas: Vec::new(),
            until_round: ROUND,
        };
        fleet.replicas = (0..replicas).map(|number| fleet.watch(number)).collect();
        fleet
    }

    pub(super) fn watch(&self, number: usize) -> Watch {
        let mut parts = self.parts.clone();
        parts.replica = format!("replica-{number}");
        Watch::new(parts, self.settings.subscribe())
    }

    pub(super) fn restart(&mut self, number: usize) {
        self.replicas[number] = self.watch(number);
    }

    pub(super) fn change(&self, rules: Rules) {
        let channels = self.settings.borrow().channels.clone();
        self.settings
            .send_replace(Arc::new(WatchSettings { rules, channels }));
    }

    pub(super) fn leave_channels(&self) {
        let rules = self.settings.borrow().rules.clone();
        let channels = Vec::new();
        self.settings
            .send_replace(Arc::new(WatchSettings { rules, channels }));
    }

    pub(super) async fn signal(&mut self, replica: usize, signals: &[Signal]) {
        self.replicas[replica].take(signals, Sightings::default()).await;
    }

    pub(super) async fn record(&mut self, replica: usize, records: &[Intercept]) {
        self.replicas[replica].take(&[], Sightings::of(records)).await;
    }

    pub(super) async fn refuse(&mut self, replica: usize, binding: i64, from: &str, count: u32) {
        let record = refusal(binding, from, self.clock.now(), count);
        self.record(replica, &[record]).await;
    }

    /// Moves the clock; every replica makes a round when one is due.
    pub(super) async fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        if time < self.until_round {
            self.until_round -= time;
            return;
        }
        self.until_round = ROUND;
        self.round().await;
    }

    pub(super) async fn round(&mut self) {
        for replica in &mut self.replicas {
            replica.round().await;
        }
    }

    pub(super) async fn round_of(&mut self, replica: usize) {
        self.replicas[replica].round().await;
    }

    pub(super) async fn alerts(&self) -> Vec<Alert> {
        let filter = AlertFilter {
            limit: 1_000,
            ..AlertFilter::default()
        };
        let rows = self.store.alerts(filter).await.expect("alerts");
        rows.into_iter().map(|row| row.alert).collect()
    }

    pub(super) async fn show(&self, id: &AlertId) -> Alert {
        let alerts = self.alerts().await;
        alerts
            .into_iter()
            .find(|alert| alert.id == *id)
            .expect("it is there")
    }

    pub(super) async fn history(&self, id: &AlertId) -> Vec<Alert> {
        self.store.history(id).await.expect("a history")
    }

    pub(super) async fn all_deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter {
            limit: 1_000,
            ..DeliveryFilter::default()
        };
        self.store.deliveries(filter).await.expect("deliveries")
    }

    pub(super) async fn deliveries(&self) -> usize {
        self.all_deliveries().await.len()
    }
}

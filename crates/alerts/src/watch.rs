//! The watch: from what is refused to alerts that are raised, told of again, and calmed.
//!
//! Counts are shared by all replicas and so is the outbox, whose word decides: of all replicas that want to raise an alert one does. What a
//! replica keeps itself is bounded and only saves questions; it may be lost at any moment. The store's own outage is told of from memory.
//! Must never be waited for by a request.

mod count;
mod counters;
mod decide;
mod different;
mod draft;
mod known;
mod queue;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::alert::ports::{AlertStore, Transition, Transitioned};
use sentinel_core::alert::{Alert, AlertId, AlertState, ChannelId, Part, Rule, RuleKind, Rules, Subject};
use sentinel_core::time::{Clock, Timestamp};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use counters::CountersByWindow;
use draft::Draft;
use known::Known;

pub use counters::{MakeCounters, WINDOWS_MAX};
pub use decide::{UPDATE_FIRST, UPDATE_PAUSE_MAX};
pub use different::SLOTS;
pub use draft::Signal;
pub use known::KNOWN_MAX;
pub use queue::{SIGNALS_MAX, SignalQueue};
pub use settle::{HOUSEKEEPING, HOUSEKEEPING_ROWS_MAX, KEPT, STRAY_AGE};

/// The most signals that are counted together.
pub const BATCH_MAX: usize = 1_000;
/// How often replicas say what they saw, and open alerts are looked at.
pub const ROUND: Duration = Duration::from_secs(10);
/// So many alerts of one rule within [`CROWD_WINDOW`] are told of one by one; what comes on top is one alert.
pub const CROWD_MAX: u64 = 20;
/// The stretch of time that a crowd is counted over.
pub const CROWD_WINDOW: Duration = Duration::from_mins(10);
/// The most alerts that wait for a store that is away.
pub const UNRAISED_MAX: usize = 1_024;

/// What is watched: a rule, about a subject.
type Key = (RuleKind, Subject);

/// What the watch works with.
#[derive(Clone)]
pub struct WatchParts {
    /// Makes counters, shared by the replicas: one for each window.
    pub make_counters: MakeCounters,
    /// The outbox, shared by the replicas.
    pub store: Arc<dyn AlertStore>,
    /// The outbox of this replica, for the alert that says the store is away.
    pub local: Arc<dyn AlertStore>,
    /// When it is.
    pub clock: Arc<dyn Clock>,
    /// Rung when something was put into an outbox.
    pub bell: Arc<Notify>,
    /// The name of this replica.
    pub replica: String,
}

/// What operators may change while the watch runs.
#[derive(Clone, Debug, Default)]
pub struct WatchSettings {
    /// The rules.
    pub rules: Rules,
    /// All channels that there are.
    pub channels: Vec<ChannelId>,
}

impl WatchSettings {
    /// Where a rule's alerts go. A rule whose channels are all gone goes everywhere: silence would be worse.
    fn channels(&self, rule: &Rule) -> Vec<ChannelId> {
        let named = rule.channels.iter().filter(|name| self.channels.contains(name));
        let named: Vec<ChannelId> = named.cloned().collect();
        if named.is_empty() {
            self.channels.clone()
        } else {
            named
        }
    }
}

/// Counts, raises, advances and calms.
pub struct Watch {
    parts: WatchParts,
    settings: watch::Receiver<Arc<WatchSettings>>,
    counters: CountersByWindow,
    known: Known,
    unraised: BTreeMap<Key, Draft>,
    down: BTreeMap<Part, Timestamp>,
    housekeeping_at: Timestamp,
}

impl Watch {
    /// A watch that has seen nothing yet.
    pub fn new(parts: WatchParts, settings: watch::Receiver<Arc<WatchSettings>>) -> Self {
        let housekeeping_at = parts.clock.now().plus(HOUSEKEEPING);
        let counters = CountersByWindow::new(Arc::clone(&parts.make_counters));
        Self {
            parts,
            settings,
            counters,
            known: Known::default(),
            unraised: BTreeMap::new(),
            down: BTreeMap::new(),
            housekeeping_at,
        }
    }

    /// Runs until `stopping` says so and the queue is empty.
    pub async fn run(
        mut self,
        queue: Arc<SignalQueue>,
        mut signals: mpsc::Receiver<Signal>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            let mut is_round = false;
            tokio::select! {
                count = signals.recv_many(&mut batch, BATCH_MAX) => if count == 0 { break },
                _ = rounds.tick() => is_round = true,
                _ = stopping.wait_for(|stop| *stop), if !signals.is_closed() => signals.close(),
            }
            if is_round {
                batch.extend(queue.take_lost(self.parts.clock.now()));
            }
            self.take(&std::mem::take(&mut batch)).await;
            if is_round {
                self.round().await;
            }
        }
        self.round().await;
    }

    fn settings(&self) -> Arc<WatchSettings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Counts a batch, at most [`BATCH_MAX`] at once, and raises what crossed its threshold.
    pub async fn take(&mut self, signals: &[Signal]) {
        let settings = self.settings();
        for signals in signals.chunks(BATCH_MAX) {
            self.note_outages(signals);
            let drafts = draft::drafts(signals, &settings.rules);
            let counted = self.count(&settings.rules, &drafts).await;
            for ((key, draft), count) in drafts.into_iter().zip(counted) {
                self.weigh(&settings, key, draft, count).await;
            }
        }
    }

    fn note_outages(&mut self, signals: &[Signal]) {
        for signal in signals {
            match signal {
                Signal::Down { part, at } => {
                    self.down.entry(*part).or_insert(*at);
                }
                Signal::Up { part } => {
                    self.down.remove(part);
                }
                _ => {}
            }
        }
    }

    /// Adds to an open alert, or raises one.
    async fn weigh(&mut self, settings: &WatchSettings, key: Key, mut draft: Draft, count: u64) {
        let rule = settings.rules.get(key.0);
        draft.weigh(count, rule, self.parts.clock.now());
        if let Some(draft) = self.known.add(&key, draft)
            && count >= rule.threshold
        {
            self.raise(settings, key, draft).await;
        }
    }

    /// Raises an alert, unless one is open; in a crowd, the crowd's.
    async fn raise(&mut self, settings: &WatchSettings, mut key: Key, draft: Draft) {
        let is_one_of_many = !matches!(key.1, Subject::Part(_) | Subject::Many);
        if is_one_of_many && self.is_crowd(key.0).await {
            key.1 = Subject::Many;
        }
        let Some(draft) = self.known.add(&key, draft) else {
            return;
        };
        if key.0 == RuleKind::StoreOutage && self.is_told_locally(&key).await {
            return;
        }
        let rule = settings.rules.get(key.0);
        let alert = self.alert(rule, &key.1, &draft);
        let channels = settings.channels(rule);
        let wanted = Transition::Raise(Box::new(alert));
        match self.parts.store.transition(wanted.clone(), &channels).await {
            Ok(Transitioned::Won(alert)) => {
                self.parts.bell.notify_waiters();
                self.known.insert(key.clone(), alert.id.clone(), None);
                if is_one_of_many {
                    self.join_crowd(key.0).await;
                }
            }
            Ok(Transitioned::Lost(Some(open))) => self.adopt(key, open.id.clone(), draft).await,
            Ok(Transitioned::Lost(None)) => self.put_off(key, draft),
            Err(error) if key.0 == RuleKind::StoreOutage => {
                tracing::warn!(%error, "the store is away: that is told of from memory");
                if let Ok(Transitioned::Won(_)) = self.parts.local.transition(wanted, &channels).await {
                    self.parts.bell.notify_waiters();
                }
            }
            Err(error) => {
                tracing::warn!(%error, rule = key.0.as_str(), "an alert could not be raised yet");
                self.put_off(key, draft);
            }
        }
    }

    /// Whether this outage was told of from memory, when the store did not answer.
    async fn is_told_locally(&self, key: &Key) -> bool {
        let open = self.parts.local.open().await.unwrap_or_default();
        open.iter()
            .any(|alert| (alert.rule, &alert.subject) == (key.0, &key.1))
    }

    /// Another replica has raised it: what was seen here is added to it.
    async fn adopt(&mut self, key: Key, id: AlertId, draft: Draft) {
        let left = self.known.insert(key, id.clone(), Some(draft));
        if let Some(draft) = left
            && let Err(error) = self.parts.store.observe(&id, &draft.seen).await
        {
            tracing::warn!(%error, "what was seen of an alert could not be added to it");
        }
    }

    /// Keeps what could not be raised for the next round.
    fn put_off(&mut self, key: Key, draft: Draft) {
        if let Some(waiting) = self.unraised.get_mut(&key) {
            waiting.merge(draft);
        } else if self.unraised.len() < UNRAISED_MAX {
            self.unraised.insert(key, draft);
        } else {
            tracing::error!(rule = key.0.as_str(), subject = %key.1, "an alert is lost: too many wait for the store");
        }
    }

    fn alert(&self, rule: &Rule, subject: &Subject, draft: &Draft) -> Alert {
        let now = self.parts.clock.now();
        let is_many = *subject == Subject::Many;
        let mut seen = draft.seen.clone();
        if !rule.kind.counts_different() {
            // All replicas' share, not only this one's.
            seen.count = seen.count.max(seen.peak);
        }
        Alert {
            id: AlertId::random(),
            sequence: 0,
            state: AlertState::Firing,
            rule: rule.kind,
            severity: rule.severity,
            subject: subject.clone(),
            binding: draft.binding.filter(|_| !is_many),
            hint: draft.hint.clone().filter(|_| !is_many),
            told: seen.count,
            seen,
            threshold: rule.threshold,
            window: rule.window,
            raised_at: now,
            at: now,
            replica: self.parts.replica.clone(),
        }
    }
}

#[cfg(test)]
mod tests;

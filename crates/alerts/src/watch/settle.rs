//! The watch's round: say what was seen, raise what could not be raised, look at what is open, tidy up. Must never calm an alert that
//! another replica sees going on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::alert::ports::{ALERT_PAGE_MAX, AlertStore, Transition, Transitioned};
use sentinel_core::alert::{Alert, AlertId, AlertState, Part, RuleKind, Seen, Subject};
use sentinel_core::time::Timestamp;

use super::count::calm_below;
use super::decide::next_state;
use super::draft::Draft;
use super::{Key, Watch, WatchSettings};

/// How often old alerts are removed and deliveries that nobody takes are given up.
pub const HOUSEKEEPING: Duration = Duration::from_hours(1);
/// The most alerts that are removed at once.
pub const HOUSEKEEPING_ROWS_MAX: u32 = 1_000;
/// How long an alert is kept after it was calmed.
pub const KEPT: Duration = Duration::from_hours(90 * 24);
/// The age at which a delivery to a channel that is gone is given up.
pub const STRAY_AGE: Duration = Duration::from_hours(1);

impl Watch {
    /// One round. The caller makes one every [`super::ROUND`].
    pub async fn round(&mut self) {
        let settings = self.settings();
        let unraised = std::mem::take(&mut self.unraised).into_iter().collect();
        self.raise_all(&settings, unraised).await;
        self.watch_outages(&settings).await;
        self.say_what_was_seen(&settings).await;
        let store = Arc::clone(&self.parts.store);
        if let Some(open) = self.settle(&settings, &*store).await {
            self.forget_what_is_over(&open);
        }
        let local = Arc::clone(&self.parts.local);
        self.settle(&settings, &*local).await;
        self.tidy(&settings).await;
    }

    async fn watch_outages(&mut self, settings: &WatchSettings) {
        let now = self.parts.clock.now();
        for (kind, part) in [
            (RuleKind::StoreOutage, Part::Store),
            (RuleKind::CacheOutage, Part::Cache),
        ] {
            let Some(rule) = settings.rules.enabled(kind) else {
                continue;
            };
            let Some(since) = self.down.get(&part).copied() else {
                continue;
            };
            if now.since(since) < rule.window {
                continue;
            }
            let mut draft = Draft::nothing(since);
            draft.seen.count = 1;
            draft.seen.last_at = now;
            let lasting = self.weigh(settings, (kind, Subject::Part(part)), draft, rule.threshold);
            self.raise_all(settings, lasting.into_iter().collect()).await;
        }
    }

    async fn say_what_was_seen(&mut self, settings: &WatchSettings) {
        for (key, id, draft) in self.known.take_unsaid() {
            match self.parts.store.observe(&id, &draft.seen).await {
                Ok(true) => {}
                Ok(false) => {
                    // Calmed elsewhere meanwhile: what was seen since may be a new alert.
                    self.known.remove(&key, &id);
                    if draft.seen.peak >= settings.rules.get(key.0).threshold {
                        self.raise_all(settings, vec![(key, draft)]).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "what was seen of an alert could not be added to it yet");
                    self.known.add(&key, draft);
                }
            }
        }
    }

    /// Advances and calms what is open in an outbox, and gives it as it was; none when the outbox does not answer.
    async fn settle(&mut self, settings: &WatchSettings, store: &dyn AlertStore) -> Option<Vec<Alert>> {
        let open = match store.open().await {
            Ok(open) => open,
            Err(error) => {
                tracing::debug!(%error, "open alerts cannot be looked at");
                return None;
            }
        };
        let keys: Vec<Key> = open.iter().map(key_of).collect();
        let counts = self.read_counts(&settings.rules, &keys).await;
        let now = self.parts.clock.now();
        for (alert, count) in open.iter().zip(counts) {
            self.settle_one(settings, store, alert, count, now).await;
        }
        Some(open)
    }

    async fn settle_one(
        &mut self,
        settings: &WatchSettings,
        store: &dyn AlertStore,
        alert: &Alert,
        count: u64,
        now: Timestamp,
    ) {
        let rule = settings.rules.get(alert.rule);
        let calm_below = calm_below(rule, &alert.subject);
        // Tells the other replicas, now and then, that it goes on.
        if count >= calm_below && now.since(alert.seen.above_at) >= rule.quiet / 4 {
            let above = Seen {
                peak: count,
                first_at: alert.seen.first_at,
                last_at: alert.seen.last_at,
                ..Seen::nothing(now)
            };
            if let Err(error) = store.observe(&alert.id, &above).await {
                tracing::debug!(%error, "that an alert goes on could not be said");
            }
        }
        let enabled = settings.rules.enabled(alert.rule);
        let Some(to) = next_state(alert, count, calm_below, enabled, now) else {
            return;
        };
        let wanted = Transition::Advance {
            id: alert.id.clone(),
            sequence: alert.sequence,
            to,
            at: now,
            replica: self.parts.replica.clone(),
        };
        match store.transition(wanted, &settings.channels(rule)).await {
            Ok(Transitioned::Won(_)) => {
                self.parts.bell.notify_waiters();
                if to == AlertState::Calmed {
                    self.known.remove(&key_of(alert), &alert.id);
                }
            }
            Ok(Transitioned::Lost(_)) => {}
            Err(error) => tracing::warn!(%error, "an alert could not be advanced yet"),
        }
    }

    /// Forgets what is open no more.
    fn forget_what_is_over(&mut self, open: &[Alert]) {
        let is_whole = open.len() < ALERT_PAGE_MAX as usize;
        if is_whole {
            let ids: BTreeSet<&AlertId> = open.iter().map(|alert| &alert.id).collect();
            self.known.retain(|id| ids.contains(id));
        }
    }

    async fn tidy(&mut self, settings: &WatchSettings) {
        let now = self.parts.clock.now();
        if now < self.housekeeping_at {
            return;
        }
        self.housekeeping_at = now.plus(HOUSEKEEPING);
        let before = |age: Duration| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_unix_ms(now.unix_ms().saturating_sub(age))
        };
        for outbox in [&self.parts.store, &self.parts.local] {
            let error = "there is no such channel any more";
            let strays = outbox
                .bury_strays(&settings.channels, before(STRAY_AGE), now, error)
                .await;
            let forgotten = outbox.forget(before(KEPT), HOUSEKEEPING_ROWS_MAX).await;
            if let Err(error) = strays.and(forgotten) {
                tracing::debug!(%error, "old alerts could not be removed yet");
            }
        }
    }
}

fn key_of(alert: &Alert) -> Key {
    (alert.rule, alert.subject.clone())
}

//! Looks after the parts that the installation depends on, and tells the watch when one does not answer, when it is back, and when records
//! were lost. Must never be in the way of what it looks after: one question at a time, every few seconds.

use std::sync::Arc;
use std::time::Duration;

use sentinel_alerts::watch::{Signal, SignalQueue};
use sentinel_core::alert::Part;
use sentinel_core::alert::ports::AlertStore;
use sentinel_core::ports::{Health, StoreError};
use sentinel_core::time::Clock;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::LostRecords;
use super::metrics::AlertMetrics;

/// How often it looks.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// How long a part may take to answer.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(3);

/// What is looked after.
pub(super) struct Outages {
    pub(super) signals: Arc<SignalQueue>,
    pub(super) watched: Vec<(Part, Arc<dyn Health>)>,
    pub(super) lost: LostRecords,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<dyn AlertStore>,
    pub(super) metrics: AlertMetrics,
}

impl Outages {
    /// Runs without end.
    pub(super) async fn run(self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known_lost = (self.lost)();
        loop {
            looks.tick().await;
            self.look(&mut known_lost).await;
        }
    }

    async fn look(&self, known_lost: &mut u64) {
        let mut is_store_up = true;
        for (part, health) in &self.watched {
            let answer = timeout(ANSWER_MAX, health.check()).await;
            let (part, at) = (*part, self.clock.now());
            // A busy part works.
            if matches!(answer, Ok(Ok(()) | Err(StoreError::Busy))) {
                self.signals.put(Signal::Up { part });
            } else {
                is_store_up &= part != Part::Store;
                self.signals.put(Signal::Down { part, at });
            }
        }
        let lost = (self.lost)();
        let count = lost.saturating_sub(*known_lost);
        *known_lost = lost;
        if count > 0 {
            let at = self.clock.now();
            self.signals.put(Signal::RecordsLost { count, at });
        }
        if is_store_up {
            self.metrics.look_at(&*self.store).await;
        }
    }
}

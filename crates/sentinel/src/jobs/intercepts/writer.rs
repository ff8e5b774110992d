//! Writes what the queue holds, folded and in batches, and says what was lost.
//!
//! It never gives up on a batch while the server runs: a store that is away for a while costs time, not records.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::event::{AdminEvent, Intercept};
use sentinel_core::ports::{AdminEventStore, InterceptStore};
use sentinel_core::time::Clock;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::fold::Fold;
use super::queue::InterceptQueue;

/// The most records that are taken at once, and the most rows that are written in one transaction.
pub(crate) const BATCH_MAX: usize = 1_000;
/// How often a batch is tried again at the end, when the store does not take it.
pub(crate) const LAST_ATTEMPTS_MAX: u32 = 20;
/// How often seconds that are over are written, and losses are said.
pub(crate) const ROUND: Duration = Duration::from_secs(1);
/// The first pause before a failed batch is tried again; it grows.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before a failed batch is tried again.
pub(crate) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Writes what the queue holds.
pub(crate) struct Writer {
    pub(crate) receiver: mpsc::Receiver<Intercept>,
    pub(crate) queue: Arc<InterceptQueue>,
    pub(crate) store: Arc<dyn InterceptStore>,
    pub(crate) events: Arc<dyn AdminEventStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Writer {
    /// Runs until `stopping` says so and the queue is empty.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut fold = Fold::default();
        let mut taken = Vec::new();
        let mut rows = Vec::new();
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut is_round = false;
            tokio::select! {
                count = self.receiver.recv_many(&mut taken, BATCH_MAX) => if count == 0 { break },
                _ = rounds.tick() => is_round = true,
                _ = stopping.wait_for(|stop| *stop), if !self.receiver.is_closed() => self.receiver.close(),
            }
            for intercept in taken.drain(..) {
                if let Some(lost) = fold.take(intercept, &mut rows) {
                    self.queue.count_lost(&lost);
                }
            }
            if is_round {
                fold.pass_to(self.clock.now(), &mut rows);
                self.report_lost().await;
            }
            self.write(&mut rows, &stopping).await;
        }
        fold.end(&mut rows);
        self.write(&mut rows, &stopping).await;
        self.report_lost().await;
    }

    /// Writes all rows, in as many transactions as it takes.
    async fn write(&self, rows: &mut Vec<Intercept>, stopping: &watch::Receiver<bool>) {
        for batch in rows.chunks(BATCH_MAX) {
            self.write_batch(batch, stopping).await;
        }
        rows.clear();
    }

    /// Tries until the store takes the batch; once the server is stopping, [`LAST_ATTEMPTS_MAX`] times.
    async fn write_batch(&self, batch: &[Intercept], stopping: &watch::Receiver<bool>) {
        let mut pause = RETRY_PAUSE;
        let mut last_attempts = 0;
        while let Err(error) = self.store.append(batch.to_vec()).await {
            let records = batch.len();
            if *stopping.borrow() {
                last_attempts += 1;
                pause = RETRY_PAUSE;
            }
            if last_attempts >= LAST_ATTEMPTS_MAX {
                tracing::error!(%error, records, "audit records are lost: the store did not take them before the end");
                for intercept in batch {
                    self.queue.count_lost(intercept);
                }
                return;
            }
            tracing::warn!(%error, records, "audit records could not be written yet");
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    async fn report_lost(&self) {
        let Some(detail) = self.queue.take_lost() else {
            return;
        };
        tracing::error!(lost = %detail, "audit records were lost: more came than can be kept");
        let event = AdminEvent {
            at: self.clock.now(),
            actor: "system".to_owned(),
            client_ip: None,
            action: "intercepts_lost".to_owned(),
            detail,
        };
        if let Err(error) = self.events.append(event).await {
            tracing::error!(%error, "that audit records were lost could not be written down");
        }
    }
}

//! The way of audit records from the cores into the store: a bounded queue, and one writer that takes them in batches.
//!
//! What does not fit is counted by reason and said in the operators' log; it is never silent.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sentinel_core::decision::RefusalReason;
use sentinel_core::event::{AdminEvent, Intercept};
use sentinel_core::ports::{AdminEventStore, InterceptSink, InterceptStore};
use sentinel_core::time::Clock;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// The most records that wait to be written: some 30 MB.
pub(crate) const QUEUED_MAX: usize = 65_536;
/// The most records that are written in one transaction.
pub(crate) const BATCH_MAX: usize = 1_000;
/// How often a batch is tried again at the end, when the store does not take it.
pub(crate) const LAST_ATTEMPTS_MAX: u32 = 20;
/// The pause before a failed batch is tried again, at first and at most.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Takes records from all cores.
pub(crate) struct InterceptQueue {
    sender: mpsc::Sender<Intercept>,
    lost: [AtomicU64; RefusalReason::ALL.len()],
    lost_ever: AtomicU64,
}

impl InterceptQueue {
    pub(super) fn new() -> (Self, mpsc::Receiver<Intercept>) {
        let (sender, receiver) = mpsc::channel(QUEUED_MAX);
        let queue = Self {
            sender,
            lost: Default::default(),
            lost_ever: AtomicU64::new(0),
        };
        (queue, receiver)
    }

    /// How many records were lost since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lost_ever.load(Ordering::Relaxed)
    }

    /// How many records wait.
    pub(crate) fn waiting(&self) -> usize {
        QUEUED_MAX - self.sender.capacity()
    }

    fn count_lost(&self, intercept: &Intercept) {
        self.lost[intercept.reason as usize].fetch_add(1, Ordering::Relaxed);
        self.lost_ever.fetch_add(1, Ordering::Relaxed);
    }

    /// What was lost since the last call, in words; none when nothing was.
    fn take_lost(&self) -> Option<String> {
        let mut words = String::new();
        for (reason, lost) in RefusalReason::ALL.iter().zip(&self.lost) {
            let count = lost.swap(0, Ordering::Relaxed);
            if count > 0 {
                let separator = if words.is_empty() { "" } else { ", " };
                let _ = write!(words, "{separator}{} {count}", reason.code());
            }
        }
        (!words.is_empty()).then_some(words)
    }
}

impl InterceptSink for InterceptQueue {
    fn record(&self, intercept: Intercept) {
        if let Err(error) = self.sender.try_send(intercept) {
            self.count_lost(&error.into_inner());
        }
    }
}

/// Writes what the queue holds.
pub(super) struct Writer {
    pub(super) receiver: mpsc::Receiver<Intercept>,
    pub(super) queue: Arc<InterceptQueue>,
    pub(super) store: Arc<dyn InterceptStore>,
    pub(super) events: Arc<dyn AdminEventStore>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Writer {
    /// Runs until `stopping` says so and the queue is empty.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = self.receiver.recv_many(&mut batch, BATCH_MAX) => if count == 0 { break },
                _ = stopping.wait_for(|stop| *stop), if !self.receiver.is_closed() => {
                    self.receiver.close();
                    continue;
                }
            }
            self.write(std::mem::take(&mut batch), &stopping).await;
            self.report_lost().await;
        }
        self.report_lost().await;
    }

    /// Tries until the store takes the batch; once the server is stopping, [`LAST_ATTEMPTS_MAX`] times.
    async fn write(&self, batch: Vec<Intercept>, stopping: &watch::Receiver<bool>) {
        let mut pause = RETRY_PAUSE;
        let mut last_attempts = 0;
        while let Err(error) = self.store.append(batch.clone()).await {
            let records = batch.len();
            if *stopping.borrow() {
                last_attempts += 1;
                pause = RETRY_PAUSE;
            }
            if last_attempts >= LAST_ATTEMPTS_MAX {
                tracing::error!(%error, records, "audit records are lost: the store did not take them before the end");
                for intercept in &batch {
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
        tracing::error!(lost = %detail, "audit records did not fit the queue");
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

#[cfg(test)]
mod tests;

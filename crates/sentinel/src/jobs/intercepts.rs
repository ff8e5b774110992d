//! Brings the records from the spool into the store, in order and in batches, and notes in the spool how far it is.
//!
//! It never gives up on a batch: while the store is away, the spool keeps what comes. What the store does not take before the end stays in
//! the spool, and goes on at the next start. A batch that is written again, because nobody knows whether it was, changes nothing.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::event::{AdminEvent, Intercept};
use sentinel_core::ports::{AdminEventStore, InterceptStore, StoreError};
use sentinel_core::time::Clock;
use sentinel_store::Spool;
use sentinel_store::spool::{SpoolBatch, SpoolReader};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// The most rows that are written in one transaction.
pub(crate) const BATCH_MAX: usize = 1_000;
/// The pause after the spool was read to its end: what comes in between is written together.
pub(crate) const GATHER: Duration = Duration::from_millis(100);
/// The pause before a failed batch is tried again, at first and at most.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before a failed batch is tried again.
pub(crate) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long the store may take for each batch once the server is stopping.
pub(crate) const LAST_APPEND_MAX: Duration = Duration::from_secs(2);
/// How long the rest of the spool may take then; what is left goes on at the next start.
pub(crate) const LAST_DRAIN_MAX: Duration = Duration::from_secs(8);

/// Brings records into the store.
pub(crate) struct Drain {
    pub(crate) spool: Arc<Spool>,
    pub(crate) reader: SpoolReader,
    pub(crate) store: Arc<dyn InterceptStore>,
    pub(crate) events: Arc<dyn AdminEventStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Drain {
    /// Runs until `stopping` says so; then keeps what was recorded, and brings what it can into the store. Ends by itself only when the
    /// spool does.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() && !self.reader.is_over() {
            let is_end;
            (self, is_end) = self.pass_on(&stopping).await;
            if is_end {
                tokio::select! {
                    () = self.reader.more() => {}
                    _ = stopping.wait_for(|stop| *stop) => break,
                }
                tokio::select! {
                    () = sleep(GATHER) => {}
                    _ = stopping.wait_for(|stop| *stop) => break,
                }
            }
        }
        let spool = Arc::clone(&self.spool);
        // Its threads bring all that is under way to the disk.
        let _ = spawn_blocking(move || spool.close()).await;
        let left = self.pass_on_the_rest(&stopping);
        if timeout(LAST_DRAIN_MAX, left).await != Ok(true) {
            tracing::warn!(
                "audit records stay in the spool: the store does not take them; they go on at the next start"
            );
        }
    }

    /// Passes a batch on; says whether that was all. A batch that the store does not take is tried again and again, until the server is
    /// stopping.
    async fn pass_on(mut self, stopping: &watch::Receiver<bool>) -> (Self, bool) {
        let mut pause = RETRY_PAUSE;
        let (batch, mut stopping) = loop {
            let read;
            (self.reader, read) = read_from(self.reader).await;
            match read {
                Ok(batch) => break (batch, stopping.clone()),
                Err(error) => tracing::error!(%error, "the record spool cannot be read"),
            }
            pause = paused(pause, &mut stopping.clone()).await;
            if *stopping.borrow() {
                return (self, true);
            }
        };
        while let Err(error) = self.write(&batch, &mut stopping).await {
            if *stopping.borrow() {
                return (self, true);
            }
            let rows = batch.rows.len();
            tracing::warn!(%error, rows, "audit records could not be written yet; the spool keeps them");
            pause = paused(pause, &mut stopping).await;
        }
        self.reader = commit(self.reader, &batch).await;
        (self, batch.is_end)
    }

    /// Whether the store took all that is in the spool.
    async fn pass_on_the_rest(mut self, stopping: &watch::Receiver<bool>) -> bool {
        let mut stopping = stopping.clone();
        loop {
            let read;
            (self.reader, read) = read_from(self.reader).await;
            let Ok(batch) = read else {
                return false;
            };
            if self.write(&batch, &mut stopping).await.is_err() {
                return false;
            }
            self.reader = commit(self.reader, &batch).await;
            if batch.is_end {
                return true;
            }
        }
    }

    /// Writes all of a batch, in as many transactions as it takes. What was written of it stays when it is tried again.
    async fn write(
        &self,
        batch: &SpoolBatch,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        for rows in batch.rows.chunks(BATCH_MAX) {
            self.append(rows.to_vec(), stopping).await?;
        }
        if batch.damaged_bytes > 0 {
            let bytes = batch.damaged_bytes;
            tracing::error!(
                bytes,
                "a part of the record spool is damaged: the records in it are lost"
            );
            self.events
                .append(AdminEvent {
                    at: self.clock.now(),
                    actor: "system".to_owned(),
                    client_ip: None,
                    action: "intercepts_lost".to_owned(),
                    detail: format!("{bytes} bytes of the record spool are damaged"),
                })
                .await?;
        }
        Ok(())
    }

    /// While the server is stopping, a store that hangs has only so long.
    async fn append(
        &self,
        rows: Vec<Intercept>,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let mut appending = pin!(self.store.append(rows));
        tokio::select! {
            outcome = &mut appending => return outcome,
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        timeout(LAST_APPEND_MAX, appending).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(
                "it did not answer before the end".to_owned(),
            ))
        })
    }
}

async fn read_from(mut reader: SpoolReader) -> (SpoolReader, std::io::Result<SpoolBatch>) {
    let reading = spawn_blocking(move || {
        let batch = reader.read(BATCH_MAX);
        (reader, batch)
    });
    reading.await.expect("reading does not panic")
}

async fn commit(mut reader: SpoolReader, batch: &SpoolBatch) -> SpoolReader {
    let mark = batch.mark;
    let committing = spawn_blocking(move || {
        let committed = reader.commit(mark);
        (reader, committed)
    });
    let (reader, committed) = committing.await.expect("noting a mark does not panic");
    if let Err(error) = committed {
        // What is not noted is only written again.
        tracing::warn!(%error, "how far the record spool is written could not be noted");
    }
    reader
}

/// Waits, unless the server is stopping; gives the next pause.
async fn paused(pause: Duration, stopping: &mut watch::Receiver<bool>) -> Duration {
    tokio::select! {
        () = sleep(pause) => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    (pause * 2).min(RETRY_PAUSE_MAX)
}

#[cfg(test)]
mod tests;

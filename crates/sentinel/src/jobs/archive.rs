//! Archives the bindings of keys that nobody uses any more, in two steps with a pause between them: first they are marked, and moved only
//! when no replica has written a use since.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::binding::Version;
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::ports::{ArchiveRun, ArchiveStore, Archived, StoreError, UseStore};
use sentinel_core::time::{Clock, Timestamp};
use sentinel_store::CachedLookup;
use sentinel_store::shared::SharedStore;
use tokio::sync::watch;

use super::rounds::Rounds;
use crate::settings::LiveSettings;

/// How often it runs.
pub(crate) const INTERVAL: Duration = Duration::from_hours(1);
/// When it runs first: a server that is started again and again gets to it, too.
pub(crate) const FIRST_AFTER: Duration = Duration::from_mins(1);
/// How old a mark has to be: much older than any use that waits to be written.
pub(crate) const MARK_AGE: Duration = Duration::from_mins(10);
/// The most bindings that are marked, and the most that are moved, in one transaction.
pub(crate) const BATCH_MAX: u32 = 500;
/// The most batches of one run; the next run goes on.
pub(crate) const BATCHES_MAX: u32 = 2_000;

/// Archives.
pub(crate) struct Archiver {
    pub(crate) lookup: Arc<CachedLookup>,
    pub(crate) uses: Arc<dyn UseStore>,
    pub(crate) store: Arc<dyn ArchiveStore>,
    pub(crate) shared: Option<Arc<SharedStore>>,
    pub(crate) settings: Arc<LiveSettings>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Archiver {
    /// Runs until `stopping` says so.
    pub(super) async fn run(self, stopping: watch::Receiver<bool>) {
        let mut rounds = Rounds::first_after(FIRST_AFTER, INTERVAL, stopping.clone());
        while rounds.next().await {
            match self.archive(&stopping).await {
                Ok(0) => {}
                Ok(bindings) => tracing::info!(bindings, "bindings that nobody uses were archived"),
                Err(error) => tracing::warn!(%error, "bindings could not be archived; the next run goes on"),
            }
        }
    }

    /// One run; gives how many bindings were moved.
    async fn archive(&self, stopping: &watch::Receiver<bool>) -> Result<usize, StoreError> {
        // What this replica still holds is a sign of life.
        self.lookup.flush_uses(&*self.uses).await?;
        let now = self.clock.now();
        let run = ArchiveRun {
            unused_since: before(now, self.settings.now().archived_after),
            marked_until: before(now, MARK_AGE),
            now,
            batch_max: BATCH_MAX,
        };
        let mut total = 0;
        for _ in 0..BATCHES_MAX {
            if *stopping.borrow() {
                break;
            }
            match self.store.archive_unused(run).await? {
                Archived::Elsewhere => break,
                Archived::Here { moved, marked } => {
                    total += moved.len();
                    self.tell(&moved).await;
                    if moved.is_empty() && marked == 0 {
                        break;
                    }
                }
            }
        }
        Ok(total)
    }

    /// Tells the caches: this replica's own, and the one that all share, from where the others hear of it. They would forget by
    /// themselves, only later.
    async fn tell(&self, moved: &[(KeyFingerprint, Version)]) {
        for (fingerprint, absence) in moved {
            if let Some(shared) = &self.shared {
                shared.removed(fingerprint, *absence).await;
            }
            self.lookup.invalidate(fingerprint, Some(*absence));
        }
    }
}

fn before(now: Timestamp, duration: Duration) -> Timestamp {
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(now.unix_ms().saturating_sub(milliseconds))
}

#[cfg(test)]
mod tests;

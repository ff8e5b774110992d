//! Writes when and how often keys were used, coalesced: one batch every few seconds, and one at the end.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::UseStore;
use sentinel_store::CachedLookup;
use tokio::sync::watch;

use super::rounds::Rounds;

/// How often uses are written.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Runs until `stopping` says so, then writes once more.
pub(super) async fn run(
    lookup: Arc<CachedLookup>,
    store: Arc<dyn UseStore>,
    stopping: watch::Receiver<bool>,
) {
    let mut rounds = Rounds::every(INTERVAL, stopping);
    let mut goes_on = true;
    while goes_on {
        goes_on = rounds.next().await;
        match lookup.flush_uses(&*store).await {
            Ok(bindings) => tracing::debug!(bindings, "uses written"),
            // They stay counted and are in the next batch.
            Err(error) => tracing::warn!(%error, "uses could not be written yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::binding::NewBinding;
    use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
    use sentinel_core::ports::{BindingAdmin as _, BindingLookup as _, Claim};
    use sentinel_core::time::Timestamp;
    use sentinel_store::{CacheBounds, MemoryStore};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn uses_are_written_every_few_seconds_and_at_the_end() {
        let store = Arc::new(MemoryStore::new());
        let lookup = Arc::new(CachedLookup::new(store.clone(), &CacheBounds::default()));
        let (stop, stopping) = watch::channel(false);
        let job = tokio::spawn(run(lookup.clone(), store.clone(), stopping));
        let at = Timestamp::from_unix_ms;
        let claimed = lookup
            .claim(NewBinding {
                fingerprint: KeyFingerprint::from_bytes([1; 32]),
                hint: KeyHint::from_stored("sk-…".to_owned()),
                network: "192.0.2.1".parse().expect("a network"),
                bound_at: at(1),
                profile: "".into(),
            })
            .await;
        let Ok(Claim::Won(known)) = claimed else {
            panic!("nobody else claims: {claimed:?}")
        };
        let count = async || {
            let record = store
                .show(known.binding.id)
                .await
                .expect("the store works")
                .expect("a binding");
            (record.use_count, record.last_used_at)
        };
        lookup.record_use(&known, at(2));
        lookup.record_use(&known, at(3));
        assert_eq!(count().await, (0, None), "not yet");
        tokio::time::sleep(2 * INTERVAL).await;
        assert_eq!(count().await, (2, Some(at(3))));
        lookup.record_use(&known, at(4));
        stop.send_replace(true);
        job.await.expect("no panic");
        assert_eq!(count().await, (3, Some(at(4))));
    }
}

//! Loads cached bindings again shortly before their life ends, so that no request has to wait for it.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::time::Clock;
use sentinel_store::CachedLookup;
use tokio::sync::watch;

use super::rounds::Rounds;

/// How often it is looked for bindings that are due: often enough for the shortest part of a life in which they are.
const INTERVAL: Duration = Duration::from_millis(100);

/// Runs until `stopping` says so.
pub(super) async fn run(lookup: Arc<CachedLookup>, clock: Arc<dyn Clock>, stopping: watch::Receiver<bool>) {
    let mut rounds = Rounds::every(INTERVAL, stopping);
    while rounds.next().await {
        lookup.renew_due(clock.now()).await;
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::binding::NewBinding;
    use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
    use sentinel_core::ports::BindingLookup as _;
    use sentinel_core::time::Timestamp;
    use sentinel_store::{CacheBounds, MemoryStore};
    use sentinel_testkit::SettableClock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_binding_in_use_never_runs_out() {
        let store = Arc::new(MemoryStore::new());
        let lookup = Arc::new(CachedLookup::new(store, &CacheBounds::default()));
        let clock = Arc::new(SettableClock::at(Timestamp::from_unix_ms(1_000)));
        let (stop, stopping) = watch::channel(false);
        let job = tokio::spawn(run(lookup.clone(), clock.clone(), stopping));
        let fingerprint = KeyFingerprint::from_bytes([1; 32]);
        let new = NewBinding {
            fingerprint,
            hint: KeyHint::from_stored("sk-…".to_owned()),
            network: "192.0.2.1".parse().expect("a network"),
            bound_at: clock.now(),
            profile: "".into(),
        };
        lookup.claim(new).await.expect("the store works");
        for _ in 0..60 {
            clock.advance(Duration::from_millis(500));
            assert!(lookup.cached(&fingerprint, clock.now()).is_some());
            tokio::time::sleep(2 * INTERVAL).await;
        }
        stop.send_replace(true);
        job.await.expect("no panic");
    }
}

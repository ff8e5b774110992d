//! Removes what the audit log holds for longer than operators want, and prepares it for what comes.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::InterceptRetention;
use sentinel_core::time::{Clock, Timestamp};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::settings::LiveSettings;

/// How often it runs; first at the start, since a log may need preparing before it takes records.
pub(crate) const INTERVAL: Duration = Duration::from_hours(1);

/// Runs until `stopping` says so.
pub(super) async fn run(
    log: Arc<dyn InterceptRetention>,
    settings: Arc<LiveSettings>,
    clock: Arc<dyn Clock>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let now = clock.now();
        let kept = i64::try_from(settings.now().intercepts_kept.as_millis()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_unix_ms(now.unix_ms().saturating_sub(kept));
        // A log with years in it may take long, and the server is not to wait for it at its end.
        let outcome = tokio::select! {
            outcome = log.keep_from(oldest, now) => outcome,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match outcome {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old audit records were removed"),
            Err(error) => {
                tracing::warn!(%error, "old audit records could not be removed; the next run goes on");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::decision::RefusalReason;
    use sentinel_core::event::{Intercept, InterceptOutcome, Reference};
    use sentinel_core::network::ClientIp;
    use sentinel_core::ports::{InterceptFilter, InterceptStore};
    use sentinel_store::MemoryStore;
    use sentinel_testkit::SettableClock;

    use super::*;
    use crate::config;

    fn intercept(at: Timestamp) -> Intercept {
        Intercept {
            reference: Reference::random(),
            at,
            reason: RefusalReason::KeyMissing,
            outcome: InterceptOutcome::Refused,
            binding: None,
            fingerprint: None,
            hint: None,
            client_ip: ClientIp::new([192, 0, 2, 1].into()),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            user_agent: String::new(),
            count: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn old_records_go_at_the_start_and_every_hour() {
        let store = MemoryStore::new();
        let clock = Arc::<SettableClock>::default();
        let loaded = config::loaded_of_variables(&[("SENTINEL_STORE_INTERCEPT_DAYS", "1")]);
        let settings = Arc::new(LiveSettings::new(
            loaded.written,
            loaded.config.live,
            loaded.settings,
            Arc::new(store.clone()),
            None,
        ));
        let one = intercept(clock.now());
        clock.advance(Duration::from_hours(24));
        let rows = vec![one, intercept(clock.now())];
        InterceptStore::append(&store, rows).await.expect("memory works");
        clock.advance(Duration::from_millis(1));
        let count = async || {
            let filter = InterceptFilter {
                limit: 10,
                ..InterceptFilter::default()
            };
            InterceptStore::list(&store, filter).await.map(|page| page.len())
        };
        let (stop, stopping) = watch::channel(false);
        let job = tokio::spawn(run(Arc::new(store.clone()), settings, clock.clone(), stopping));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(count().await, Ok(1));
        clock.advance(Duration::from_hours(24));
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(count().await, Ok(0));
        stop.send_replace(true);
        job.await.expect("no panic");
    }
}

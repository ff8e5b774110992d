//! Removes what the audit log holds for longer than operators want, and prepares it for what comes.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::InterceptRetention;
use sentinel_core::time::{Clock, Timestamp};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::settings::LiveSettings;

/// How often it looks at the age of records; first at the start, since a log may need preparing before it takes records.
pub(crate) const INTERVAL: Duration = Duration::from_hours(1);
/// How often it looks at how many there are: within it, an attack can add only so many.
pub(crate) const SIZE_INTERVAL: Duration = Duration::from_mins(1);

/// Runs until `stopping` says so.
pub(super) async fn run(
    log: Arc<dyn InterceptRetention>,
    settings: Arc<LiveSettings>,
    clock: Arc<dyn Clock>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut ticks = interval(INTERVAL);
    let mut size_ticks = interval(SIZE_INTERVAL);
    for ticks in [&mut ticks, &mut size_ticks] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        let is_for_size = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => false,
            _ = size_ticks.tick() => true,
        };
        let now = clock.now();
        let kept = i64::try_from(settings.now().intercepts_kept.as_millis()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_unix_ms(now.unix_ms().saturating_sub(kept));
        // A log with years in it may take long, and the server is not to wait for it at its end.
        let outcome = tokio::select! {
            outcome = log.keep_newest(settings.now().intercept_rows_max, now), if is_for_size => outcome,
            outcome = log.keep_from(oldest, now), if !is_for_size => outcome,
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
    use sentinel_core::binding::Networks;
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
            last_at: at,
            reason: RefusalReason::KeyMissing,
            outcome: InterceptOutcome::Refused,
            binding: None,
            networks: Networks::default(),
            fingerprint: None,
            hint: None,
            client_ip: ClientIp::new([192, 0, 2, 1].into()),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            user_agent: String::new(),
            count: 1,
            profile: "".into(),
            replica: "".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_many_more_than_wanted() {
        const WANTED: usize = 1_000;
        let store = MemoryStore::new();
        let clock = Arc::<SettableClock>::default();
        let rows_max = WANTED.to_string();
        let loaded = config::loaded_of_variables(&[("SENTINEL_STORE_INTERCEPT_ROWS_MAX", rows_max.as_str())]);
        let settings = Arc::new(LiveSettings::new(
            loaded.written,
            loaded.config.live,
            loaded.settings,
            Arc::new(store.clone()),
            None,
        ));
        let (stop, stopping) = watch::channel(false);
        let job = tokio::spawn(run(Arc::new(store.clone()), settings, clock.clone(), stopping));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rows: Vec<_> = (0..WANTED + 7).map(|_| intercept(clock.now())).collect();
        let first_kept = rows[7].clone();
        InterceptStore::append(&store, rows).await.expect("memory works");
        tokio::time::sleep(SIZE_INTERVAL).await;
        let filter = InterceptFilter {
            limit: u32::MAX,
            ..InterceptFilter::default()
        };
        let kept = InterceptStore::list(&store, filter).await.expect("memory works");
        assert_eq!(kept.len(), WANTED);
        assert_eq!(kept.last().map(|stored| &stored.intercept), Some(&first_kept));
        stop.send_replace(true);
        job.await.expect("no panic");
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

//! Follows the settings that operators change: at once when another replica says so, and every second in any case.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::settings::LiveSettings;

/// How often the authority is asked, whatever was heard.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Runs until `stopping` says so.
pub(super) async fn run(settings: Arc<LiveSettings>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_away = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = settings.changed_elsewhere() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        match settings.refresh().await {
            Ok(()) if is_away => {
                is_away = false;
                tracing::info!("settings are followed again");
            }
            Err(error) if !is_away => {
                is_away = true;
                tracing::warn!(%error, "settings are not followed while the store is away; what held before goes on");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::event::Actor;
    use sentinel_core::ports::SettingStore as _;
    use sentinel_core::time::Timestamp;
    use sentinel_store::MemoryStore;

    use super::*;
    use crate::config;

    async fn change(store: &MemoryStore, version: i64, slots: &str) {
        let actor = Actor {
            name: "root".to_owned(),
            client_ip: None,
            at: Timestamp::from_unix_ms(1),
        };
        let changes = [("policy.slots".to_owned(), Some(slots.to_owned()))];
        store
            .change_settings(version, changes.into_iter().collect(), actor)
            .await
            .expect("the store works");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_followed_at_once_when_heard_and_within_a_second_otherwise() {
        let store = MemoryStore::new();
        let loaded = config::loaded_of_variables(&[]);
        let settings = Arc::new(LiveSettings::new(
            loaded.written,
            loaded.config.live,
            loaded.settings,
            Arc::new(store.clone()),
            None,
        ));
        let rules = settings.rules();
        let (stop, stopping) = watch::channel(false);
        let job = tokio::spawn(run(settings.clone(), stopping));
        tokio::time::sleep(INTERVAL / 2).await;
        change(&store, 0, "2").await;
        settings.heard().notify_one();
        tokio::time::sleep(INTERVAL / 10).await;
        assert_eq!(rules.now().slots, 2, "heard");
        change(&store, 1, "3").await;
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(rules.now().slots, 3, "looked");
        stop.send_replace(true);
        job.await.expect("no panic");
    }
}

//! The settings that change while the server runs, on this replica: loaded from the authority, judged all together, applied at once or
//! not at all.
//!
//! Whatever cannot be applied leaves what held before in force, and is said in the log. No request ever waits for any of it.

mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_admin::{
    PastChange, SettingDifference, Settings, SettingsChange, SettingsInEffect, SettingsOutcome,
    SettingsRefused, WantedSettings, WrongSetting,
};
use sentinel_core::event::Actor;
use sentinel_core::policy::LiveRules;
use sentinel_core::ports::{SettingStore, SettingsChanged, StoreError, StoredSettings};
use sentinel_store::changes::{Change, ChangeAnnouncer};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::config::{LiveConfig, Loaded, SettingView, Written, Wrong};

/// How long the authority may take to give the settings.
pub(crate) const STORE_WAIT_MAX: Duration = Duration::from_secs(2);

/// The settings in effect.
pub(crate) struct LiveSettings {
    written: Written,
    store: Arc<dyn SettingStore>,
    announcer: Option<Arc<dyn ChangeAnnouncer>>,
    rules: LiveRules,
    in_effect: Mutex<InEffect>,
    /// Held from asking the authority to applying its answer, so that answers are applied in the order they were given.
    asking: tokio::sync::Mutex<()>,
    heard: Arc<Notify>,
    changes: watch::Sender<LiveConfig>,
}

struct InEffect {
    /// Of what the authority gave last, be it applied or refused; none before the first answer.
    version: Option<i64>,
    config: LiveConfig,
    view: Vec<SettingView>,
}

impl LiveSettings {
    /// What was written in environment and file, until [`LiveSettings::refresh`] has heard from the authority.
    pub(crate) fn new(
        written: Written,
        config: LiveConfig,
        view: Vec<SettingView>,
        store: Arc<dyn SettingStore>,
        announcer: Option<Arc<dyn ChangeAnnouncer>>,
    ) -> Self {
        Self {
            written,
            store,
            announcer,
            rules: LiveRules::new(config.rules),
            in_effect: Mutex::new(InEffect {
                version: None,
                config,
                view,
            }),
            asking: tokio::sync::Mutex::new(()),
            heard: Arc::new(Notify::new()),
            changes: watch::Sender::new(config),
        }
    }

    /// Of a command that has no replicas to tell: a store that they share tells them itself.
    pub(crate) fn of(loaded: &Loaded, store: Arc<dyn SettingStore>) -> Self {
        let (written, view) = (loaded.written.clone(), loaded.settings.clone());
        Self::new(written, loaded.config.live, view, store, None)
    }

    /// What differs between two versions, of which the later one is the one that holds unless it is named.
    pub(crate) async fn between(
        &self,
        earlier: i64,
        later: Option<i64>,
    ) -> Result<Vec<SettingDifference>, SettingsRefused> {
        let view = async |version: i64| {
            let then = in_time(self.store.settings_at(version)).await;
            let then = then.map_err(SettingsRefused::Store)?;
            let then = then.ok_or(SettingsRefused::NoSuchVersion)?;
            let effective = self.written.with(&then.values);
            effective
                .map_err(|wrong| refused(&wrong))
                .map(|effective| effective.view)
        };
        let before = view(earlier).await?;
        let after = match later {
            Some(version) => view(version).await?,
            None => self.lock().view.clone(),
        };
        Ok(view::differences(&before, &after))
    }

    /// The rules, which follow every change.
    pub(crate) fn rules(&self) -> LiveRules {
        self.rules.clone()
    }

    /// All that may change, as it is now.
    pub(crate) fn now(&self) -> LiveConfig {
        self.lock().config
    }

    /// All that may change, as it is now and whenever it has changed.
    pub(crate) fn follow(&self) -> watch::Receiver<LiveConfig> {
        self.changes.subscribe()
    }

    /// To be notified when another replica changed something: then [`LiveSettings::changed_elsewhere`] returns.
    pub(crate) fn heard(&self) -> Arc<Notify> {
        Arc::clone(&self.heard)
    }

    /// Returns once another replica has changed something, as far as this one heard.
    pub(crate) async fn changed_elsewhere(&self) {
        self.heard.notified().await;
    }

    /// Asks the authority, and applies what it gives.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let _asking = self.asking.lock().await;
        let stored = self.stored().await?;
        self.apply(&stored);
        Ok(())
    }

    async fn stored(&self) -> Result<StoredSettings, StoreError> {
        in_time(self.store.settings()).await
    }

    /// What has to change for the settings to be as they were in that version.
    async fn way_back(
        &self,
        now: &StoredSettings,
        version: i64,
    ) -> Result<BTreeMap<String, Option<String>>, SettingsRefused> {
        let then = in_time(self.store.settings_at(version)).await;
        let then = then.map_err(SettingsRefused::Store)?;
        let then = then.ok_or(SettingsRefused::NoSuchVersion)?;
        Ok(self.written.way_back(&now.values, &then.values))
    }

    /// All settings as they hold here, and what a change did or would do.
    fn outcome(&self, changes: Vec<SettingDifference>) -> SettingsOutcome {
        let SettingsInEffect { version, items } = self.in_effect();
        SettingsOutcome {
            version,
            items,
            changes,
        }
    }

    fn apply(&self, stored: &StoredSettings) {
        let mut in_effect = self.lock();
        if in_effect.version == Some(stored.version) {
            return;
        }
        in_effect.version = Some(stored.version);
        match self.written.with(&stored.values) {
            Ok(effective) => {
                if effective.config != in_effect.config {
                    tracing::info!(version = stored.version, "changed settings hold from here on");
                }
                in_effect.config = effective.config;
                in_effect.view = effective.view;
                self.rules.set(effective.config.rules);
                self.changes.send_replace(effective.config);
            }
            Err(wrong) => {
                let why: Vec<String> = wrong
                    .iter()
                    .map(|wrong| format!("{} {}", wrong.name, wrong.detail))
                    .collect();
                tracing::error!(
                    version = stored.version,
                    "changed settings cannot be taken, and what held before goes on: {}",
                    why.join("; ")
                );
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, InEffect> {
        self.in_effect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the other replicas; they find out by themselves, too, only later.
    async fn announce(&self, version: i64, actor_at: sentinel_core::time::Timestamp) {
        let Some(announcer) = &self.announcer else {
            return;
        };
        let change = Change::Settings {
            version,
            at: actor_at,
        };
        if let Err(error) = announcer.announce(change).await {
            tracing::warn!(%error, "the other replicas were not told of changed settings; they look every second");
        }
    }
}

#[async_trait]
impl Settings for LiveSettings {
    fn in_effect(&self) -> SettingsInEffect {
        let in_effect = self.lock();
        SettingsInEffect {
            version: in_effect.version.unwrap_or(0),
            items: in_effect.view.iter().map(view::shown).collect(),
        }
    }

    async fn change(&self, change: SettingsChange, actor: Actor) -> Result<SettingsOutcome, SettingsRefused> {
        let asked_for = match change.wanted {
            WantedSettings::Values(values) => {
                AskedFor::These(self.written.prepare(values).map_err(|wrong| refused(&wrong))?)
            }
            WantedSettings::AsInVersion(version) => AskedFor::AsIn(version),
        };
        let at = actor.at;
        let (version, changes) = {
            let _asking = self.asking.lock().await;
            let before = self.stored().await.map_err(SettingsRefused::Store)?;
            self.apply(&before);
            if before.version != change.version {
                return Err(SettingsRefused::Outdated);
            }
            let changes = match asked_for {
                AskedFor::These(changes) => changes,
                AskedFor::AsIn(version) => self.way_back(&before, version).await?,
            };
            let after = self
                .written
                .with(&changed(before.values, &changes))
                .map_err(|wrong| refused(&wrong))?;
            let differences = view::differences(&self.lock().view, &after.view);
            if change.is_rehearsal {
                return Ok(self.outcome(differences));
            }
            let outcome = self.store.change_settings(change.version, changes, actor).await;
            match outcome.map_err(SettingsRefused::Store)? {
                SettingsChanged::Done(stored) => {
                    self.apply(&stored);
                    (stored.version, differences)
                }
                SettingsChanged::Outdated(stored) => {
                    self.apply(&stored);
                    return Err(SettingsRefused::Outdated);
                }
            }
        };
        if version != change.version {
            self.announce(version, at).await;
        }
        Ok(self.outcome(changes))
    }

    async fn history(&self, before: Option<i64>, limit: u32) -> Result<Vec<PastChange>, StoreError> {
        let changes = in_time(self.store.setting_changes(before, limit)).await?;
        Ok(changes.into_iter().map(view::past).collect())
    }
}

/// What is asked for, once it is judged as far as it can be without the authority.
enum AskedFor {
    These(BTreeMap<String, Option<String>>),
    AsIn(i64),
}

/// What the authority answers, if it does in time.
async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(STORE_WAIT_MAX, answer).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(
            "the settings did not come in time".to_owned(),
        ))
    })
}

fn changed(
    mut values: BTreeMap<String, String>,
    changes: &BTreeMap<String, Option<String>>,
) -> BTreeMap<String, String> {
    for (name, value) in changes {
        match value {
            Some(value) => values.insert(name.clone(), value.clone()),
            None => values.remove(name),
        };
    }
    values
}

fn refused(wrong: &[Wrong]) -> SettingsRefused {
    let wrong = wrong.iter().map(|wrong| WrongSetting {
        name: wrong.name.clone(),
        detail: wrong.detail.clone(),
    });
    SettingsRefused::Wrong(wrong.collect())
}

#[cfg(test)]
mod tests;

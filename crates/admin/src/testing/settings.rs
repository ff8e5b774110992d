//! Settings in memory: one of them, which changes and can be made to refuse.

use std::sync::Mutex;

use async_trait::async_trait;
use sentinel_core::event::Actor;
use sentinel_core::ports::StoreError;
use serde_json::{Value, json};

use crate::settings::{
    PastChange, Setting, SettingDifference, SettingSchema, SettingSource, Settings, SettingsChange,
    SettingsInEffect, SettingsOutcome, SettingsRefused, StoredDifference, WantedSettings,
};

#[derive(Default)]
pub(crate) struct FakeSettings(Mutex<State>);

#[derive(Default)]
struct State {
    version: i64,
    slots: Option<Value>,
    actors: Vec<String>,
    history: Vec<PastChange>,
    refusal: Option<SettingsRefused>,
}

impl FakeSettings {
    /// Refuses every change from here on.
    pub(crate) fn refuse(&self, refusal: SettingsRefused) {
        self.0.lock().expect("no panic").refusal = Some(refusal);
    }

    /// Who changed something.
    pub(crate) fn actors(&self) -> Vec<String> {
        self.0.lock().expect("no panic").actors.clone()
    }
}

#[async_trait]
impl Settings for FakeSettings {
    fn in_effect(&self) -> SettingsInEffect {
        let state = self.0.lock().expect("no panic");
        SettingsInEffect {
            version: state.version,
            items: vec![Setting {
                name: "policy.slots".to_owned(),
                value: state.slots.clone().unwrap_or(json!(1)),
                source: match &state.slots {
                    Some(_) => SettingSource::Database,
                    None => SettingSource::Default,
                },
                live: true,
                default: Some("1".to_owned()),
                is_secret: false,
                schema: SettingSchema {
                    r#type: "integer",
                    r#enum: None,
                    minimum: Some(1),
                    maximum: Some(64),
                },
                wanted: "a whole number".to_owned(),
                help: "How many networks.".to_owned(),
            }],
        }
    }

    async fn change(&self, change: SettingsChange, actor: Actor) -> Result<SettingsOutcome, SettingsRefused> {
        let mut changes = Vec::new();
        {
            let mut state = self.0.lock().expect("no panic");
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            if change.version != state.version {
                return Err(SettingsRefused::Outdated);
            }
            let slots = match change.wanted {
                WantedSettings::Values(mut values) => values.remove("policy.slots").flatten(),
                WantedSettings::AsInVersion(0) => None,
                WantedSettings::AsInVersion(_) => return Err(SettingsRefused::NoSuchVersion),
            };
            let source = |slots: &Option<Value>| match slots {
                Some(_) => SettingSource::Database,
                None => SettingSource::Default,
            };
            changes.push(SettingDifference {
                name: "policy.slots".to_owned(),
                before: state.slots.clone().unwrap_or(json!(1)),
                after: slots.clone().unwrap_or(json!(1)),
                before_source: source(&state.slots),
                after_source: source(&slots),
            });
            if !change.is_rehearsal {
                let text = |slots: &Option<Value>| slots.as_ref().map(Value::to_string);
                state.version += 1;
                let past = PastChange {
                    version: state.version,
                    at: actor.at,
                    actor: actor.name.clone(),
                    client_ip: actor.client_ip,
                    changes: vec![StoredDifference {
                        name: "policy.slots".to_owned(),
                        before: text(&state.slots),
                        after: text(&slots),
                        is_hidden: false,
                    }],
                };
                state.history.insert(0, past);
                state.slots = slots;
                state.actors.push(actor.name);
            }
        }
        let SettingsInEffect { version, items } = self.in_effect();
        Ok(SettingsOutcome {
            version,
            items,
            changes,
        })
    }

    async fn history(&self, before: Option<i64>, limit: u32) -> Result<Vec<PastChange>, StoreError> {
        let state = self.0.lock().expect("no panic");
        if let Some(SettingsRefused::Store(error)) = &state.refusal {
            return Err(error.clone());
        }
        let older = state
            .history
            .iter()
            .filter(|change| before.is_none_or(|before| change.version < before));
        Ok(older.take(limit as usize).cloned().collect())
    }
}

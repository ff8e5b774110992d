//! Settings in memory: one of them, which changes and can be made to refuse.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use sentinel_core::event::Actor;
use serde_json::{Value, json};

use crate::settings::{Setting, SettingSchema, SettingSource, Settings, SettingsInEffect, SettingsRefused};

#[derive(Default)]
pub(crate) struct FakeSettings(Mutex<State>);

#[derive(Default)]
struct State {
    version: i64,
    slots: Option<Value>,
    actors: Vec<String>,
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

    async fn change(
        &self,
        version: i64,
        mut changes: BTreeMap<String, Option<Value>>,
        actor: Actor,
    ) -> Result<SettingsInEffect, SettingsRefused> {
        {
            let mut state = self.0.lock().expect("no panic");
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            if version != state.version {
                return Err(SettingsRefused::Outdated);
            }
            state.version += 1;
            state.slots = changes.remove("policy.slots").flatten();
            state.actors.push(actor.name);
        }
        Ok(self.in_effect())
    }
}

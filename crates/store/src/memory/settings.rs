//! The settings on the store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sentinel_core::event::Actor;
use sentinel_core::ports::{SettingStore, SettingsChanged, StoreError, StoredSettings};

use super::MemoryStore;
use crate::change;

#[async_trait]
impl SettingStore for MemoryStore {
    async fn settings(&self) -> Result<StoredSettings, StoreError> {
        Ok(self.state().settings.clone())
    }

    async fn change_settings(
        &self,
        version: i64,
        changes: BTreeMap<String, Option<String>>,
        actor: Actor,
    ) -> Result<SettingsChanged, StoreError> {
        let mut state = self.state();
        let before = state.settings.clone();
        if before.version != version {
            return Ok(SettingsChanged::Outdated(before));
        }
        if changes.is_empty() {
            return Ok(SettingsChanged::Done(before));
        }
        for (name, value) in &changes {
            match value {
                Some(value) => state.settings.values.insert(name.clone(), value.clone()),
                None => state.settings.values.remove(name),
            };
        }
        state.settings.version += 1;
        let after = state.settings.clone();
        state
            .events
            .push(change::settings_event(&actor, &changes, &before, &after));
        Ok(SettingsChanged::Done(after))
    }
}

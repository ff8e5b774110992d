//! The settings on the store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sentinel_core::event::Actor;
use sentinel_core::ports::{SettingChange, SettingStore, SettingsChanged, StoreError, StoredSettings};

use super::MemoryStore;
use crate::bounds::page_rows;
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
        let noted = change::settings_change(&actor, &changes, &before, &after);
        state.setting_changes.insert(after.version, noted);
        let forgotten = change::last_forgotten(after.version);
        state.setting_changes = state.setting_changes.split_off(&(forgotten + 1));
        state
            .events
            .push(change::settings_event(&actor, &changes, &before, &after));
        Ok(SettingsChanged::Done(after))
    }

    async fn setting_changes(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SettingChange>, StoreError> {
        let state = self.state();
        let older = state.setting_changes.range(..before.unwrap_or(i64::MAX));
        let page = older.rev().take(page_rows(limit) as usize);
        Ok(page.map(|(_, (change, _))| change.clone()).collect())
    }

    async fn settings_at(&self, version: i64) -> Result<Option<StoredSettings>, StoreError> {
        if version == 0 {
            return Ok(Some(StoredSettings::default()));
        }
        let state = self.state();
        Ok(state
            .setting_changes
            .get(&version)
            .map(|(_, values)| StoredSettings {
                version,
                values: values.clone(),
            }))
    }
}

//! The settings that change while the server runs, and the history of their changes.
//!
//! What belongs to Sentinel itself lies beside the settings, and never in their history.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::StoreError;
use crate::event::Actor;
use crate::network::ClientIp;
use crate::time::Timestamp;

/// How many changes the history holds; the oldest go.
pub const SETTING_CHANGES_MAX: u32 = 1_000;

/// Stored names that begin so belong to Sentinel itself and are no settings: the history of changes leaves them out.
pub const INTERNAL_SETTINGS_PREFIX: &str = "internal.";

/// The settings that operators changed while the server runs, as the authority holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSettings {
    /// Grows with every change; 0 when nothing was ever changed.
    pub version: i64,
    /// The changed ones by name, each value as JSON.
    pub values: BTreeMap<String, String>,
}

/// How a change of settings ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsChanged {
    /// It was made; these are the settings afterwards.
    Done(StoredSettings),
    /// Somebody else was first; these are the settings, and nothing was changed.
    Outdated(StoredSettings),
}

/// One change of settings, as the history holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// The version that it made; the cursor of the next page.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// Who: as in the admin events.
    pub actor: String,
    /// From where, when over the network.
    pub client_ip: Option<ClientIp>,
    /// What was stored before for each name that it changed, as JSON; none where nothing was. Empty for a change that was Sentinel's own, and
    /// for what was there when the history began.
    pub before: BTreeMap<String, Option<String>>,
    /// What was stored afterwards, for the same names.
    pub after: BTreeMap<String, Option<String>>,
}

/// The settings that may change while the server runs.
#[async_trait]
pub trait SettingStore: Send + Sync {
    /// All of them.
    async fn settings(&self) -> Result<StoredSettings, StoreError>;

    /// Sets (`Some`, JSON) or takes back (`None`) settings, all together, if `version` is still the stored one. Leaves an admin event with
    /// what was before and after, and a row of the history, in the same transaction.
    async fn change_settings(
        &self,
        version: i64,
        changes: BTreeMap<String, Option<String>>,
        actor: Actor,
    ) -> Result<SettingsChanged, StoreError>;

    /// One page of the history, newest first: changes that made versions smaller than `before`, at most `limit`.
    async fn setting_changes(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SettingChange>, StoreError>;

    /// The settings as they were in this version, without what belongs to Sentinel itself; none for a version that is to come, or that the
    /// history no longer holds.
    async fn settings_at(&self, version: i64) -> Result<Option<StoredSettings>, StoreError>;
}

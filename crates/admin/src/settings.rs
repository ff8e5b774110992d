//! The settings as the console sees and changes them. What a value may be, and which settings may change, is known elsewhere.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sentinel_core::event::Actor;
use sentinel_core::ports::StoreError;
use serde::Serialize;
use serde_json::Value;

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettingSource {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File,
    /// An operator, while the server ran: it goes before the file.
    Database,
    /// An environment variable, or the file that one names: it goes before everything.
    Environment,
}

/// What may be written for a setting, in the words of JSON Schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SettingSchema {
    /// `string` or `integer`.
    pub r#type: &'static str,
    /// The words that are taken, when only some are.
    pub r#enum: Option<Vec<&'static str>>,
    /// The least number that is taken.
    pub minimum: Option<u64>,
    /// The greatest number that is taken.
    pub maximum: Option<u64>,
}

/// One setting as `GET /admin/api/settings` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Setting {
    /// Its name in the configuration, such as `proxy.listen`.
    pub name: String,
    /// Its value; of a secret only whether it is set, which the caller sees to.
    pub value: Value,
    /// Where the value comes from.
    pub source: SettingSource,
    /// Whether it may change while the server runs. One whose source is the environment is fixed all the same.
    pub live: bool,
    /// What it is when nobody sets it; none when there is no such value.
    pub default: Option<String>,
    /// Whether it is a secret: then it is never shown, and never changed from here.
    pub is_secret: bool,
    /// What may be written, for programs.
    pub schema: SettingSchema,
    /// What may be written, in words.
    pub wanted: String,
    /// What it is for, in words.
    pub help: String,
}

/// All settings, as they hold on this replica.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SettingsInEffect {
    /// To be sent with a change; grows with every one.
    pub version: i64,
    /// Every setting, in the order of the reference.
    pub items: Vec<Setting>,
}

/// One setting that cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WrongSetting {
    /// Its name, as it was sent.
    #[serde(rename = "field")]
    pub name: String,
    /// What is wrong and what is wanted; never its value.
    pub detail: String,
}

/// Why settings were not changed. None of them was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsRefused {
    /// Somebody else changed them since the caller read them.
    Outdated,
    /// Some of them cannot be so; never empty.
    Wrong(Vec<WrongSetting>),
    /// The store did not do it.
    Store(StoreError),
}

/// Where the settings are.
#[async_trait]
pub trait Settings: Send + Sync {
    /// All of them, as they hold now. Returns at once.
    fn in_effect(&self) -> SettingsInEffect;

    /// Changes settings, or takes changes back (`None`), all together, if `version` is still theirs; gives all of them as they hold
    /// afterwards. The change holds on this replica when this returns, and on the others within a second.
    async fn change(
        &self,
        version: i64,
        changes: BTreeMap<String, Option<Value>>,
        actor: Actor,
    ) -> Result<SettingsInEffect, SettingsRefused>;
}

//! The settings as the console sees and changes them. What a value may be, and which settings may change, is known elsewhere.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sentinel_core::event::Actor;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::StoreError;
use sentinel_core::time::Timestamp;
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

/// What is wanted instead of the settings that hold.
#[derive(Clone, Debug, PartialEq)]
pub enum WantedSettings {
    /// These values by name; none takes an earlier change back. All others stay as they are.
    Values(BTreeMap<String, Option<Value>>),
    /// Everything that may change as it was stored in this version.
    AsInVersion(i64),
}

/// A change of settings that somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingsChange {
    /// The version of the settings that the change was made out of.
    pub version: i64,
    /// What is wanted.
    pub wanted: WantedSettings,
    /// Whether only what it would do is wanted.
    pub is_rehearsal: bool,
}

/// What a change does to one setting, as it holds on this replica.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SettingDifference {
    /// Its name.
    pub name: String,
    /// Its value before.
    pub before: Value,
    /// Its value afterwards.
    pub after: Value,
    /// Where the value came from before.
    pub before_source: SettingSource,
    /// Where it comes from afterwards.
    pub after_source: SettingSource,
}

/// All settings as they hold after a change, and what it did. After a rehearsal they are as they were, and it says what would be done.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SettingsOutcome {
    /// To be sent with the next change.
    pub version: i64,
    /// Every setting, in the order of the reference.
    pub items: Vec<Setting>,
    /// What is different, in the same order.
    pub changes: Vec<SettingDifference>,
}

/// What was stored for one setting before and after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StoredDifference {
    /// Its name.
    pub name: String,
    /// What was stored before; none when nothing was, so that file or default held, and when it is hidden.
    pub before: Option<String>,
    /// What was stored afterwards, in the same way.
    pub after: Option<String>,
    /// Whether the values are kept back: those of secrets, and of names that are no settings of this version.
    pub is_hidden: bool,
}

/// One change of settings in the past. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastChange {
    /// The version that it made.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// From where, when over the network.
    pub client_ip: Option<ClientIp>,
    /// What; empty for the server's own changes, and for the beginning of the history.
    pub changes: Vec<StoredDifference>,
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
    /// The history holds no such version.
    NoSuchVersion,
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

    /// Changes settings all together, if the change's version is still theirs; gives all of them as they hold afterwards. The change
    /// holds on this replica when this returns, and on the others within a second. A rehearsal is judged alike and changes nothing.
    async fn change(&self, change: SettingsChange, actor: Actor) -> Result<SettingsOutcome, SettingsRefused>;

    /// What was changed, newest first: at most `limit` changes that made versions smaller than `before`.
    async fn history(&self, before: Option<i64>, limit: u32) -> Result<Vec<PastChange>, StoreError>;
}

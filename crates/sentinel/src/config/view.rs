//! The settings as an operator sees them: value, default and where each one comes from. Shows no secret.

use serde::Serialize;

use super::given::Given;
use super::problem::Origin;
use super::setting::{Kind, Setting};
use super::table;
use super::values::list_entries;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// Nothing was written.
    Default,
    /// The configuration file.
    File,
    /// An operator changed it while the server ran.
    Database,
    /// The environment.
    Environment,
}

/// One setting as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SettingView {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// Its names in the environment.
    pub(crate) environment: &'static [&'static str],
    /// Its value; for a secret `set` or `not set`; empty when there is none.
    pub(crate) value: String,
    /// What it is when not set.
    pub(crate) default: Option<&'static str>,
    /// What it counts; empty when it is no number.
    pub(crate) unit: &'static str,
    /// Whether it may change while the server runs.
    pub(crate) live: bool,
    /// Whether it is a secret.
    pub(crate) secret: bool,
    /// Where the value comes from.
    pub(crate) source: Source,
    /// What it takes.
    #[serde(skip)]
    pub(crate) kind: Kind,
    /// What may be written.
    pub(crate) wanted: String,
    /// What it is for.
    pub(crate) help: &'static str,
}

/// Every setting, in the order of the reference.
pub(crate) fn all(given: &Given) -> Vec<SettingView> {
    table::ALL.iter().map(|setting| one(setting, given)).collect()
}

fn one(setting: &'static Setting, given: &Given) -> SettingView {
    let value = given.value(setting);
    let source = match value.map(|value| &value.origin) {
        None | Some(Origin::Default) => Source::Default,
        Some(Origin::Environment(_)) => Source::Environment,
        Some(Origin::Database) => Source::Database,
        Some(Origin::File { .. }) => Source::File,
    };
    let shown = match (setting.is_secret(), value) {
        (true, Some(_)) => "set".to_owned(),
        (true, None) => "not set".to_owned(),
        (false, Some(value)) => list_entries(value.text.expose()).collect::<Vec<_>>().join(", "),
        (false, None) => setting.default.unwrap_or_default().to_owned(),
    };
    SettingView {
        name: setting.name,
        environment: setting.environment,
        value: shown,
        default: setting.default,
        unit: setting.unit(),
        live: table::is_live(setting),
        secret: setting.is_secret(),
        source,
        kind: setting.kind,
        wanted: setting.wanted(),
        help: setting.help,
    }
}

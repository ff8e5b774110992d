//! The settings that may change while the server runs: what was written in environment and file, with what operators changed
//! between the two. Judged all together, by the same parsers as at the start.

use std::collections::BTreeMap;

use serde_json::Value;

use super::build;
use super::given::Given;
use super::problem::{Origin, Problem};
use super::secret::Secret;
use super::setting::{Kind, Setting};
use super::table;
use super::types::LiveConfig;
use super::values::Values;
use super::view::{self, SettingView};

pub(crate) use sentinel_core::ports::INTERNAL_SETTINGS_PREFIX as INTERNAL_PREFIX;

/// What was written in environment and file.
#[derive(Clone, Debug)]
pub(crate) struct Written(Given);

/// What follows from it and from what operators changed.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    /// Typed.
    pub(crate) config: LiveConfig,
    /// Every setting as an operator sees it.
    pub(crate) view: Vec<SettingView>,
}

/// One changed setting that cannot be so, by its name as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Its name.
    pub(crate) name: String,
    /// What is wrong and what is wanted.
    pub(crate) detail: String,
}

impl Written {
    pub(super) fn new(given: &Given) -> Self {
        let mut given = given.clone();
        given.errors.clear();
        given.warnings.clear();
        Self(given)
    }

    /// With these changes, by name, each value as JSON. Names that no setting of this version has are passed over: a newer replica may
    /// have set them.
    pub(crate) fn with(&self, stored: &BTreeMap<String, String>) -> Result<Effective, Vec<Wrong>> {
        let mut given = self.0.clone();
        let mut wrong = Vec::new();
        for (name, value) in stored {
            let Some(setting) = table::by_name(name).filter(|setting| table::is_live(setting)) else {
                continue;
            };
            match text_of(setting, value) {
                Ok(text) => given.take_stored(setting, text),
                Err(detail) => wrong.push(Wrong {
                    name: name.clone(),
                    detail,
                }),
            }
        }
        let mut values = Values::new(&given);
        let config = build::live(&mut values);
        wrong.extend(values.errors.iter().filter_map(of_problem));
        if wrong.is_empty() {
            let view = view::all(&given);
            Ok(Effective { config, view })
        } else {
            Err(wrong)
        }
    }

    /// What is to be stored for these changes: each value as JSON in its one spelling, none where a change is taken back. Whether a
    /// value is right is for [`Written::with`].
    pub(crate) fn prepare(
        &self,
        changes: BTreeMap<String, Option<Value>>,
    ) -> Result<BTreeMap<String, Option<String>>, Vec<Wrong>> {
        let mut prepared = BTreeMap::new();
        let mut wrong = Vec::new();
        for (name, value) in changes {
            let judged = self.may_change(&name).and_then(|setting| {
                let value = value.map(|value| text_of(setting, &value.to_string()));
                value.transpose()
            });
            match judged {
                Ok(text) => {
                    let json = text.map(|text| json_of(&text));
                    prepared.insert(name, json);
                }
                Err(detail) => wrong.push(Wrong { name, detail }),
            }
        }
        if wrong.is_empty() {
            Ok(prepared)
        } else {
            Err(wrong)
        }
    }

    /// What has to change for the stored settings to be again what they were `then`. What the environment fixes, secrets, and whatever may
    /// not change while this version runs stay as they are. Whether the values are right is for [`Written::with`].
    pub(crate) fn way_back(
        &self,
        now: &BTreeMap<String, String>,
        then: &BTreeMap<String, String>,
    ) -> BTreeMap<String, Option<String>> {
        let free = table::LIVE
            .iter()
            .filter(|setting| !setting.is_secret() && self.fixed_by(setting).is_none());
        let different = free.filter(|setting| now.get(setting.name) != then.get(setting.name));
        different
            .map(|setting| (setting.name.to_owned(), then.get(setting.name).cloned()))
            .collect()
    }

    /// The environment's variable that fixes the setting.
    fn fixed_by(&self, setting: &'static Setting) -> Option<&str> {
        match &self.0.value(setting)?.origin {
            Origin::Environment(variable) => Some(variable),
            _ => None,
        }
    }

    /// Whether a change made elsewhere may be taken over: a setting that changes while the server runs, and a value that it can have.
    pub(crate) fn judge(&self, name: &str, value: &str) -> Result<(), String> {
        if table::by_name(name).is_none_or(|setting| !table::is_live(setting)) {
            return Err("names no setting that changes while the server runs".to_owned());
        }
        let alone = [(name.to_owned(), value.to_owned())];
        match self.with(&alone.into_iter().collect()) {
            Ok(_) => Ok(()),
            Err(wrong) => Err(wrong
                .iter()
                .map(|wrong| format!("holds {}, which {}", wrong.name, wrong.detail))
                .collect::<Vec<_>>()
                .join("; ")),
        }
    }

    fn may_change(&self, name: &str) -> Result<&'static Setting, String> {
        let Some(setting) = table::by_name(name) else {
            let hint = table::nearest(name).map(|setting| format!("; did you mean {}?", setting.name));
            return Err(format!("is no setting{}", hint.unwrap_or_default()));
        };
        if !table::is_live(setting) {
            return Err(format!(
                "takes effect at a start only: set {} or write it into the configuration file",
                setting.environment_name()
            ));
        }
        match self.fixed_by(setting) {
            Some(variable) => Err(format!(
                "is fixed by the environment: unset {variable} there to change it here"
            )),
            None => Ok(setting),
        }
    }
}

/// What would be written in a file for a value that came as JSON.
fn text_of(setting: &'static Setting, json: &str) -> Result<String, String> {
    let text = match serde_json::from_str(json) {
        Ok(Value::String(text)) => text.trim().to_owned(),
        Ok(Value::Number(number)) if matches!(setting.kind, Kind::Number { .. }) => number.to_string(),
        _ => String::new(),
    };
    if text.is_empty() {
        return Err(format!("wanted {}", setting.wanted()));
    }
    Ok(text)
}

/// Whole numbers as numbers, anything else as text.
fn json_of(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(number) => Value::from(number).to_string(),
        Err(_) => Value::from(text).to_string(),
    }
}

fn of_problem(problem: &Problem) -> Option<Wrong> {
    Some(Wrong {
        name: problem.setting?.name.to_owned(),
        detail: problem.text.clone(),
    })
}

impl Given {
    /// Takes what an operator changed: it goes before the file, and after the environment.
    fn take_stored(&mut self, setting: &'static Setting, text: String) {
        let is_fixed = self
            .value(setting)
            .is_some_and(|value| matches!(value.origin, Origin::Environment(_)));
        if !is_fixed {
            self.put(setting, Secret::new(text), Origin::Database);
        }
    }
}

#[cfg(test)]
mod tests;

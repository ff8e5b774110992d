//! What was written for each setting, and where: gathered from the environment and the file before anything is judged.
//!
//! The environment goes before the file. A setting that is written twice in one place, with different values, is an error.

use std::collections::BTreeMap;

use sentinel_core::profile::Profile;

use super::alerts::WrittenAlerts;
use super::problem::{Origin, Problem};
use super::secret::Secret;
use super::setting::{Kind, Setting};

/// One value as it was written. Held as a secret whatever it is, so that nothing prints it by accident.
#[derive(Clone, Debug)]
pub(crate) struct GivenValue {
    /// The value's text.
    pub(crate) text: Secret,
    /// Where it was written.
    pub(crate) origin: Origin,
}

/// All that was written, and what was wrong with how it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    values: BTreeMap<&'static str, GivenValue>,
    /// The operator's own profiles.
    pub(crate) profiles: Vec<Profile>,
    /// Channels and rules of alerts.
    pub(crate) alerts: WrittenAlerts,
    /// What makes the configuration unusable.
    pub(crate) errors: Vec<Problem>,
    /// What is worth saying.
    pub(crate) warnings: Vec<Problem>,
}

impl Given {
    /// What was written for the setting.
    pub(crate) fn value(&self, setting: &'static Setting) -> Option<&GivenValue> {
        self.values.get(setting.name)
    }

    /// Puts a value in the place of whatever was written.
    pub(crate) fn put(&mut self, setting: &'static Setting, text: Secret, origin: Origin) {
        self.values.insert(setting.name, GivenValue { text, origin });
    }

    /// Takes a value; empty text counts as not written. Text that is no secret loses the white space around it.
    pub(crate) fn take(&mut self, setting: &'static Setting, text: Secret, origin: Origin) {
        let text = match setting.kind {
            Kind::Secret => text,
            _ => Secret::new(text.expose().trim()),
        };
        if text.expose().is_empty() {
            return;
        }
        match self.values.get(setting.name) {
            Some(other) if same_place(&other.origin, &origin) => {
                if other.text != text {
                    let text = format!(
                        "is also set by {}, to a different value; set one of the two",
                        other.origin
                    );
                    self.errors.push(Problem::of(setting, origin, text));
                }
            }
            // The environment is gathered first, so that what is there already goes before this one.
            Some(_) => {}
            None => {
                self.values.insert(setting.name, GivenValue { text, origin });
            }
        }
    }
}

/// Whether two values contradict each other rather than one going before the other.
fn same_place(one: &Origin, other: &Origin) -> bool {
    matches!(
        (one, other),
        (Origin::Environment(_), Origin::Environment(_)) | (Origin::File { .. }, Origin::File { .. })
    )
}

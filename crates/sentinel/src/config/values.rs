//! Turns what was written into typed values, and keeps going after an error so that all of them are told at once.
//!
//! After an error the caller gets the default, only so that the rest can be judged; a configuration with errors is
//! never handed out.

use std::time::Duration;

use sentinel_core::event::printable;
use sentinel_core::profile::Profile;

use super::alerts::WrittenAlerts;
use super::given::{Given, GivenValue};
use super::problem::{Origin, Problem};
use super::setting::{Kind, Setting};

/// The most characters of a refused value that are shown.
pub(super) const VALUE_CHARACTERS_MAX: usize = 80;

/// Reads the settings one by one.
pub(crate) struct Values<'g> {
    given: &'g Given,
    /// What was wrong so far.
    pub(crate) errors: Vec<Problem>,
    /// What is worth saying.
    pub(crate) warnings: Vec<Problem>,
}

impl<'g> Values<'g> {
    /// Reads from what was gathered.
    pub(crate) fn new(given: &'g Given) -> Self {
        Self {
            given,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The operator's own profiles.
    pub(crate) fn profiles(&self) -> &'g [Profile] {
        &self.given.profiles
    }

    /// Channels and rules of alerts, as they were written.
    pub(crate) fn alerts(&self) -> &'g WrittenAlerts {
        &self.given.alerts
    }

    /// Whether the setting was written anywhere.
    pub(crate) fn is_given(&self, setting: &'static Setting) -> bool {
        self.given.value(setting).is_some()
    }

    /// Notes an error about the setting.
    pub(crate) fn error(&mut self, setting: &'static Setting, text: impl Into<String>) {
        let origin = self.origin(setting);
        self.errors.push(Problem::of(setting, origin, text));
    }

    /// Notes a warning about the setting.
    pub(crate) fn warning(&mut self, setting: &'static Setting, text: impl Into<String>) {
        let origin = self.origin(setting);
        self.warnings.push(Problem::of(setting, origin, text));
    }

    fn origin(&self, setting: &'static Setting) -> Origin {
        self.given
            .value(setting)
            .map_or(Origin::Default, |value| value.origin.clone())
    }

    /// The text as it was written, or the default.
    pub(crate) fn text(&self, setting: &'static Setting) -> Option<&'g str> {
        self.given
            .value(setting)
            .map(|value| value.text.expose())
            .or(setting.default)
    }

    /// What `parse` makes of the text; `parse` says what is wrong and what is wanted.
    pub(crate) fn parsed<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if let Some(GivenValue { text, .. }) = self.given.value(setting) {
            match parse(text.expose()) {
                Ok(value) => return Some(value),
                Err(wrong) => self.error(setting, wrong),
            }
        }
        setting.default.and_then(|text| parse(text).ok())
    }

    /// A number within the setting's bounds.
    pub(crate) fn number(&mut self, setting: &'static Setting) -> u64 {
        let Kind::Number { min, max, .. } = setting.kind else {
            unreachable!("{} is declared as a number", setting.name);
        };
        self.parsed(setting, |text| {
            text.parse::<u64>()
                .ok()
                .filter(|number| (min..=max).contains(number))
                .ok_or_else(|| format!("cannot be {}; wanted {}", quoted(text), setting.wanted()))
        })
        .unwrap_or(min)
    }

    /// A number that its bounds keep within `usize`.
    pub(crate) fn count(&mut self, setting: &'static Setting) -> usize {
        usize::try_from(self.number(setting)).unwrap_or(usize::MAX)
    }

    /// A number of seconds.
    pub(crate) fn seconds(&mut self, setting: &'static Setting) -> Duration {
        Duration::from_secs(self.number(setting))
    }

    /// What one of the setting's words stands for, the words in the order of its declaration.
    pub(crate) fn choice<T: Copy>(&mut self, setting: &'static Setting, meanings: &[T]) -> T {
        let Kind::Choice(words) = setting.kind else {
            unreachable!("{} is declared as a choice", setting.name);
        };
        assert_eq!(
            words.len(),
            meanings.len(),
            "{}: a meaning for each word",
            setting.name
        );
        self.parsed(setting, |text| {
            words
                .iter()
                .position(|word| word.eq_ignore_ascii_case(text))
                .map(|index| meanings[index])
                .ok_or_else(|| format!("cannot be {}; wanted {}", quoted(text), setting.wanted()))
        })
        .unwrap_or(meanings[0])
    }

    /// The entries of a list; every bad one is told.
    pub(crate) fn list<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut entries = Vec::new();
        for entry in list_entries(self.text(setting).unwrap_or_default()) {
            match parse(entry) {
                Ok(entry) => entries.push(entry),
                Err(wrong) => self.error(setting, wrong),
            }
        }
        entries
    }
}

/// The entries of a list as it is written.
pub(crate) fn list_entries(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

/// The value in quotes, printable and bounded, for an error message. Never for a secret.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", printable(text.as_bytes(), VALUE_CHARACTERS_MAX))
}

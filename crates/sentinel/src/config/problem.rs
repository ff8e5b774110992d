//! What is wrong with the configuration, in words that name the setting and say what is wanted.
//!
//! A problem never holds the value of a secret.

use std::fmt;
use std::path::PathBuf;

use super::setting::Setting;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere: the default.
    Default,
    /// In the environment, under this name.
    Environment(String),
    /// In the store, by an operator, while the server runs.
    Database,
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Environment(name) => write!(formatter, "environment, {name}"),
            Self::Database => formatter.write_str("changed while running"),
            Self::File { path, line } => write!(formatter, "{}, line {line}", path.display()),
        }
    }
}

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The setting, when the problem is about a known one.
    pub(crate) setting: Option<&'static Setting>,
    /// Where it was written.
    pub(crate) origin: Option<Origin>,
    /// What is wrong and what is wanted.
    pub(crate) text: String,
}

impl Problem {
    /// About a known setting.
    pub(crate) fn of(setting: &'static Setting, origin: Origin, text: impl Into<String>) -> Self {
        Self {
            setting: Some(setting),
            origin: Some(origin),
            text: text.into(),
        }
    }

    /// About something that is no known setting.
    pub(crate) fn elsewhere(origin: Option<Origin>, text: impl Into<String>) -> Self {
        Self {
            setting: None,
            origin,
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(setting) = self.setting {
            write!(
                formatter,
                "{} ({}): ",
                setting.environment.join(" or "),
                setting.name
            )?;
        }
        formatter.write_str(&self.text)?;
        match &self.origin {
            Some(origin) if *origin != Origin::Default => write!(formatter, " [{origin}]"),
            _ => Ok(()),
        }
    }
}

/// Everything that is wrong with the configuration; never empty.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => formatter.write_str("the configuration has 1 error:")?,
            count => write!(formatter, "the configuration has {count} errors:")?,
        }
        self.0
            .iter()
            .try_for_each(|problem| write!(formatter, "\n  - {problem}"))
    }
}

impl std::error::Error for ConfigErrors {}

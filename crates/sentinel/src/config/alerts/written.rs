//! Reads `[alert.channels.<name>]` and `[alert.rules.<rule>]` as they are written: which fields, with what text, on which line. What they
//! mean is judged later, when all other settings are known. Must never tell a value: it may be a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::problem::{Origin, Problem};
use super::super::secret::Secret;
use super::super::secret_file;

/// The table of channels.
pub(super) const CHANNELS: &str = "alert.channels";
/// The table of rules.
const RULES: &str = "alert.rules";
/// The most entries of either.
pub(in crate::config) const ENTRIES_MAX: usize = 64;
/// Ends the name of a field that holds the path of a file with a secret.
const FILE_SUFFIX: &str = "_file";
/// What is also taken from a file.
const SECRETS: &[&str] = &["url", "secret", "token", "password"];

/// All that was written of alerts in tables of their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenAlerts {
    pub(super) channels: Vec<WrittenTable>,
    pub(super) rules: Vec<WrittenTable>,
}

/// One channel or rule.
#[derive(Clone, Debug)]
pub(super) struct WrittenTable {
    /// Its own name.
    pub(super) name: String,
    /// Its name in the file, like `alert.channels.ops`.
    pub(super) path: String,
    pub(super) origin: Origin,
    pub(super) fields: BTreeMap<String, WrittenField>,
    /// Fields that were written, but not in a way that they could be read: told already.
    pub(super) unread: BTreeSet<String>,
}

/// One field: numbers and truth values as text, lists with a line for each entry.
#[derive(Clone, Debug)]
pub(super) struct WrittenField {
    pub(super) text: Secret,
    pub(super) origin: Origin,
}

impl WrittenTable {
    /// An error about the whole of it.
    pub(super) fn problem(&self, text: impl std::fmt::Display) -> Problem {
        Problem::elsewhere(Some(self.origin.clone()), format!("{}: {text}", self.path))
    }

    /// An error about one of its fields.
    pub(super) fn field_problem(&self, field: &str, text: impl std::fmt::Display) -> Problem {
        let origin = self.fields.get(field).map_or(&self.origin, |field| &field.origin);
        Problem::elsewhere(Some(origin.clone()), format!("{}.{field}: {text}", self.path))
    }
}

/// Takes the table with this name in; whether it is one of alerts.
pub(in crate::config) fn read(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    origin: &dyn Fn(usize) -> Origin,
    (written, problems): (&mut WrittenAlerts, &mut Vec<Problem>),
) -> bool {
    let taken = match name {
        CHANNELS => &mut written.channels,
        RULES => &mut written.rules,
        _ => return false,
    };
    let here = || origin(value.span().start);
    let Some(tables) = value.get_ref().as_table() else {
        let text = format!("{name}: wanted a table for each, like [{name}.name]");
        problems.push(Problem::elsewhere(Some(here()), text));
        return true;
    };
    if tables.len() > ENTRIES_MAX {
        let text = format!(
            "{name}: has {} entries; wanted at most {ENTRIES_MAX}",
            tables.len()
        );
        problems.push(Problem::elsewhere(Some(here()), text));
    }
    for (key, value) in tables.iter().take(ENTRIES_MAX) {
        let mut table = WrittenTable {
            name: key.get_ref().to_string(),
            path: format!("{name}.{}", key.get_ref()),
            origin: origin(key.span().start),
            fields: BTreeMap::new(),
            unread: BTreeSet::new(),
        };
        match value.get_ref().as_table() {
            Some(fields) => table.read(fields, origin, problems),
            None => problems.push(table.problem("wanted a table of fields")),
        }
        taken.push(table);
    }
    true
}

impl WrittenTable {
    fn read(&mut self, fields: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin, problems: &mut Vec<Problem>) {
        for (key, value) in fields {
            let (name, origin): (&str, Origin) = (key.get_ref(), origin(key.span().start));
            let taken = match name.strip_suffix(FILE_SUFFIX) {
                Some(secret) if SECRETS.contains(&secret) => {
                    of_file(value.get_ref()).map(|text| (secret.to_owned(), text))
                }
                _ => text_of(value.get_ref()).map(|text| (name.to_owned(), text)),
            };
            let wrong = |text: String| {
                let text = format!("{}.{name}: {text}", self.path);
                Problem::elsewhere(Some(origin.clone()), text)
            };
            match taken {
                Ok((name, _)) if self.fields.contains_key(&name) => {
                    problems.push(wrong(format!("sets {name} again; set one of the two")));
                }
                Ok((name, text)) => {
                    self.fields.insert(name, WrittenField { text, origin });
                }
                Err(text) => {
                    problems.push(wrong(text));
                    let meant = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
                    self.unread.insert(meant.to_owned());
                }
            }
        }
    }
}

fn text_of(value: &DeValue<'_>) -> Result<Secret, String> {
    match value {
        DeValue::String(text) => Ok(Secret::new(text.as_ref())),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| Secret::new(number.to_string()))
            .map_err(|_| "is out of range; wanted a smaller number".to_owned()),
        DeValue::Boolean(flag) => Ok(Secret::new(flag.to_string())),
        DeValue::Array(entries) => {
            let texts: Option<Vec<&str>> = entries.iter().map(|entry| entry.get_ref().as_str()).collect();
            texts
                .map(|texts| Secret::new(texts.join("\n")))
                .ok_or_else(|| "wanted a list of texts, each in quotes".to_owned())
        }
        other => Err(format!("is a {}; wanted text in quotes", other.type_str())),
    }
}

fn of_file(value: &DeValue<'_>) -> Result<Secret, String> {
    let path = value
        .as_str()
        .filter(|path| !path.is_empty())
        .ok_or("wanted the path of a file, in quotes")?;
    let secret = secret_file::read(Path::new(path))
        .map_err(|error| format!("the file {path} cannot be used: {error}; wanted one with the secret"))?;
    if secret.expose().is_empty() {
        return Err(format!("the file {path} is empty; wanted one with the secret"));
    }
    Ok(secret)
}

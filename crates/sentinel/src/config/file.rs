//! Reads settings from the configuration file.
//!
//! What is wrong in it is told by line and name, never by showing the line: a secret may stand there.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::alerts;
use super::given::Given;
use super::problem::{Origin, Problem};
use super::profile;
use super::secret::Secret;
use super::secret_file;
use super::setting::{Kind, Setting};
use super::table;

/// The most bytes that the configuration file may have.
pub(crate) const CONFIG_FILE_BYTES_MAX: usize = 1_048_576;
/// The most syntax errors of one file that are told.
pub(super) const SYNTAX_ERRORS_MAX: usize = 20;
/// Ends the name of an entry that holds the path of a file with a secret.
const FILE_SUFFIX: &str = "_file";

/// Takes every setting of the file.
pub(crate) fn read(path: &Path, given: &mut Given) {
    match read_text(path) {
        Ok(text) => FileReader {
            path,
            text: text.expose(),
            given,
        }
        .read(),
        Err(error) => given.errors.push(Problem::elsewhere(
            None,
            format!(
                "the configuration file {} cannot be read: {error}",
                path.display()
            ),
        )),
    }
}

fn read_text(path: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    let limit = u64::try_from(CONFIG_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_string(&mut text)?;
    if text.len() > CONFIG_FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {CONFIG_FILE_BYTES_MAX} bytes"),
        ));
    }
    Ok(Secret::new(text))
}

struct FileReader<'f> {
    path: &'f Path,
    text: &'f str,
    given: &'f mut Given,
}

impl FileReader<'_> {
    fn read(mut self) {
        let text = self.text;
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let origin = self.origin(error.span().map_or(0, |span| span.start));
            let text = format!("is not valid TOML: {}", error.message());
            self.given.errors.push(Problem::elsewhere(Some(origin), text));
        }
        if !errors.is_empty() {
            // What was recovered from a broken file would raise errors that are none.
            return;
        }
        let secrets_before = self.secrets_written();
        for (section, entry) in root.get_ref() {
            match entry.get_ref() {
                DeValue::Table(profiles) if section.get_ref() == profile::SECTION => {
                    let origin = |position| self.origin(position);
                    let (profiles, problems) = profile::read(profiles, section.span().start, &origin);
                    self.given.profiles.extend(profiles);
                    self.given.errors.extend(problems);
                }
                DeValue::Table(entries) => {
                    for (key, value) in entries {
                        let name = format!("{}.{}", section.get_ref(), key.get_ref());
                        if self.alerts(&name, value) {
                            continue;
                        }
                        self.entry(&name, key.span().start, value);
                    }
                }
                _ => self.unknown(section.get_ref(), section.span().start),
            }
        }
        if self.secrets_written() > secrets_before && secret_file::is_readable_by_others(self.path) {
            let path = self.path.display();
            let text = format!(
                "{path} holds secrets and every user of this machine can read it; run: chmod o= {path}"
            );
            self.given.warnings.push(Problem::elsewhere(None, text));
        }
    }

    /// Takes channels and rules of alerts; whether it was one of these.
    fn alerts(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> bool {
        let mut taken = std::mem::take(&mut self.given.alerts);
        let mut problems = Vec::new();
        let origin = |position| self.origin(position);
        let is_taken = alerts::read(name, value, &origin, (&mut taken, &mut problems));
        self.given.alerts = taken;
        self.given.errors.extend(problems);
        is_taken
    }

    fn secrets_written(&self) -> usize {
        table::ALL
            .iter()
            .filter(|setting| setting.is_secret())
            .filter_map(|setting| self.given.value(setting))
            .filter(|value| matches!(value.origin, Origin::File { .. }))
            .count()
    }

    fn entry(&mut self, name: &str, position: usize, value: &Spanned<DeValue<'_>>) {
        let origin = self.origin(position);
        let secret_in_file = name
            .strip_suffix(FILE_SUFFIX)
            .and_then(table::by_name)
            .filter(|setting| setting.is_secret());
        match (table::by_name(name), secret_in_file) {
            (Some(setting), _) => match written(setting, value.get_ref()) {
                Ok(text) => self.given.take(setting, text, origin),
                Err(text) => self.given.errors.push(Problem::of(setting, origin, text)),
            },
            (None, Some(setting)) => match value.get_ref().as_str() {
                Some("") => {}
                Some(path) => secret_file::take(Path::new(path), setting, &origin, self.given),
                None => self.given.errors.push(Problem::of(
                    setting,
                    origin,
                    format!("{name}: wanted the path of a file, in quotes"),
                )),
            },
            (None, None) => self.unknown(name, position),
        }
    }

    fn unknown(&mut self, name: &str, position: usize) {
        let text = match table::nearest(name) {
            Some(setting) => format!(
                "'{name}' is no setting; did you mean {}?",
                section_and_key(setting)
            ),
            None => format!("'{name}' is no setting"),
        };
        let origin = self.origin(position);
        self.given.errors.push(Problem::elsewhere(Some(origin), text));
    }

    fn origin(&self, position: usize) -> Origin {
        let before = self.text.get(..position).unwrap_or(self.text);
        Origin::File {
            path: self.path.to_owned(),
            line: 1 + before.matches('\n').count(),
        }
    }
}

/// The setting's name as it is written in the file.
fn section_and_key(setting: &Setting) -> String {
    match setting.name.split_once('.') {
        Some((section, key)) => format!("{key} in section [{section}]"),
        None => setting.name.to_owned(),
    }
}

/// The value's text, or why it is of the wrong type. The value itself is never told.
fn written(setting: &Setting, value: &DeValue<'_>) -> Result<Secret, String> {
    match (setting.kind, value) {
        (_, DeValue::String(text)) => Ok(Secret::new(text.as_ref())),
        (Kind::Number { .. }, DeValue::Integer(number)) => {
            decimal(number).ok_or_else(|| format!("is out of range; wanted {}", setting.wanted()))
        }
        (Kind::List, DeValue::Array(entries)) => entries
            .iter()
            .map(|entry| entry.get_ref().as_str())
            .collect::<Option<Vec<_>>>()
            .map(|entries| Secret::new(entries.join("\n")))
            .ok_or_else(|| "wanted a list of texts, each in quotes".to_owned()),
        (Kind::Number { .. }, other) => {
            Err(format!("is a {}; wanted {}", other.type_str(), setting.wanted()))
        }
        (Kind::List, other) => Err(format!(
            "is a {}; wanted a list like [\"…\", \"…\"]",
            other.type_str()
        )),
        (_, other) => Err(format!("is a {}; write it in quotes", other.type_str())),
    }
}

fn decimal(number: &DeInteger<'_>) -> Option<Secret> {
    i64::from_str_radix(number.as_str(), number.radix())
        .ok()
        .map(|number| Secret::new(number.to_string()))
}

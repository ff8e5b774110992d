//! Reads the values of a profile by their type, and notes what is wrong under the value's own name.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::super::problem::{Origin, Problem};
use super::super::values::quoted;

/// The most bytes of one text.
pub(super) const TEXT_BYTES_MAX: usize = 256;
/// Below this likeness a suggestion would be a guess.
const LIKENESS_MIN: f64 = 0.75;

/// A value with its name, like `profiles.mine.carriers[2].header`; entries of a list are counted from 1.
#[derive(Clone, Debug)]
pub(super) struct Entry<'t, 'i> {
    /// Its name.
    pub(super) name: String,
    /// The value.
    pub(super) value: &'t Spanned<DeValue<'i>>,
}

impl Entry<'_, '_> {
    /// Where it stands in the file.
    pub(super) fn position(&self) -> usize {
        self.value.span().start
    }
}

/// The known fields of a table.
pub(super) type Fields<'t, 'i> = BTreeMap<String, Entry<'t, 'i>>;

/// Reads values and gathers what is wrong with them.
pub(super) struct Reader<'o> {
    origin: &'o dyn Fn(usize) -> Origin,
    /// What was wrong so far.
    pub(super) problems: Vec<Problem>,
}

impl<'o> Reader<'o> {
    /// Reads out of the file whose positions `origin` knows.
    pub(super) fn new(origin: &'o dyn Fn(usize) -> Origin) -> Self {
        Self {
            origin,
            problems: Vec::new(),
        }
    }

    /// Notes an error about what has this name.
    pub(super) fn wrong(&mut self, position: usize, name: &str, text: impl AsRef<str>) {
        let origin = (self.origin)(position);
        self.problems.push(Problem::elsewhere(
            Some(origin),
            format!("{name}: {}", text.as_ref()),
        ));
    }

    /// Notes an error about a value.
    pub(super) fn wrong_value(&mut self, entry: &Entry<'_, '_>, text: impl AsRef<str>) {
        self.wrong(entry.position(), &entry.name, text);
    }

    fn wrong_type(&mut self, entry: &Entry<'_, '_>, wanted: &str) {
        let text = format!("is a {}; wanted {wanted}", entry.value.get_ref().type_str());
        self.wrong_value(entry, text);
    }

    /// The value as text that is not empty.
    pub(super) fn text<'t>(&mut self, entry: &Entry<'t, '_>) -> Option<&'t str> {
        let Some(text) = entry.value.get_ref().as_str() else {
            self.wrong_type(entry, "text in quotes");
            return None;
        };
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            let wrong = format!("has {} bytes; wanted 1 to {TEXT_BYTES_MAX}", text.len());
            self.wrong_value(entry, wrong);
            return None;
        }
        Some(text)
    }

    /// The value as yes or no.
    pub(super) fn flag(&mut self, entry: &Entry<'_, '_>) -> Option<bool> {
        let flag = entry.value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(entry, "true or false");
        }
        flag
    }

    /// What one of the words stands for.
    pub(super) fn choice<T: Copy>(&mut self, entry: &Entry<'_, '_>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(entry)?;
        let chosen = choices.iter().find(|(word, _)| *word == text);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let wrong = format!("cannot be {}; wanted one of {}", quoted(text), words.join(", "));
            self.wrong_value(entry, wrong);
        }
        chosen.map(|(_, meaning)| *meaning)
    }

    /// The entries of a list, at most `max` of them.
    pub(super) fn list<'t, 'i>(&mut self, entry: &Entry<'t, 'i>, max: usize) -> Option<Vec<Entry<'t, 'i>>> {
        let Some(array) = entry.value.get_ref().as_array() else {
            self.wrong_type(entry, "a list in brackets");
            return None;
        };
        if array.len() > max {
            self.wrong_value(
                entry,
                format!("has {} entries; wanted at most {max}", array.len()),
            );
        }
        let named = |(index, value)| Entry {
            name: format!("{}[{}]", entry.name, index + 1),
            value,
        };
        Some(array.iter().take(max).enumerate().map(named).collect())
    }

    /// The fields of a table; those that are not known are errors.
    pub(super) fn fields<'t, 'i>(&mut self, entry: &Entry<'t, 'i>, known: &[&str]) -> Option<Fields<'t, 'i>> {
        let Some(table) = entry.value.get_ref().as_table() else {
            self.wrong_type(entry, "a table of fields");
            return None;
        };
        let mut fields = Fields::new();
        for (key, value) in table {
            let field: &str = key.get_ref();
            let name = format!("{}.{field}", entry.name);
            if known.contains(&field) {
                fields.insert(field.to_owned(), Entry { name, value });
            } else {
                let text = match nearest(field, known) {
                    Some(near) => format!("is no field; did you mean {near}?"),
                    None => format!("is no field; wanted one of {}", known.join(", ")),
                };
                self.wrong(key.span().start, &name, text);
            }
        }
        Some(fields)
    }
}

fn nearest<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    let unknown = unknown.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|field| (strsim::jaro_winkler(field, &unknown), *field))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, field)| field)
}

//! The fields of one channel or rule as values. All that is wrong is gathered under the field's name, and never shows a secret.

use sentinel_alerts::Secret;
use sentinel_core::alert::Severity;

use super::super::problem::Problem;
use super::super::values::quoted;
use super::written::WrittenTable;

/// Reads fields and gathers what is wrong with them.
pub(super) struct Fields<'w> {
    pub(super) table: &'w WrittenTable,
    /// What was wrong so far.
    pub(super) problems: Vec<Problem>,
}

impl<'w> Fields<'w> {
    pub(super) fn new(table: &'w WrittenTable) -> Self {
        Self {
            table,
            problems: Vec::new(),
        }
    }

    pub(super) fn wrong(&mut self, field: &str, text: impl std::fmt::Display) {
        self.problems.push(self.table.field_problem(field, text));
    }

    pub(super) fn text(&self, field: &str) -> Option<&'w str> {
        let field = self.table.fields.get(field)?;
        Some(field.text.expose()).filter(|text| !text.is_empty())
    }

    pub(super) fn secret(&self, field: &str) -> Option<Secret> {
        self.text(field).map(Secret::new)
    }

    pub(super) fn parsed<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.text(field).map(parse)? {
            Ok(value) => Some(value),
            Err(text) => {
                self.wrong(field, text);
                None
            }
        }
    }

    /// What one of the words stands for.
    pub(super) fn word<T>(
        &mut self,
        field: &str,
        words: &[&str],
        from_word: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.parsed(field, |text| {
            from_word(text)
                .ok_or_else(|| format!("cannot be {}; wanted one of {}", quoted(text), words.join(", ")))
        })
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self, field: &str) -> Option<T> {
        self.parsed(field, |text| {
            text.parse()
                .map_err(|_| format!("cannot be {}; wanted a whole number", quoted(text)))
        })
    }

    pub(super) fn severity(&mut self) -> Option<Severity> {
        self.word(
            "severity",
            &Severity::ALL.map(Severity::as_str),
            Severity::from_word,
        )
    }

    /// Errors about fields that are not known here.
    pub(super) fn only(&mut self, known: &[&str]) {
        let table = self.table;
        for field in table
            .fields
            .keys()
            .filter(|field| !known.contains(&field.as_str()))
        {
            self.wrong(field, format!("is no field; wanted one of {}", known.join(", ")));
        }
    }
}

//! What became of an import, for people and for the log of operators' changes.

use std::io::{self, Write};

use sentinel_core::ports::TakenIn;
use serde_json::{Map, Value, json};

use crate::cli::table::{self, Cell};

/// Counts per kind, in the order in which the kinds came.
pub(super) struct Report {
    is_rehearsal: bool,
    kinds: Vec<(&'static str, TakenIn)>,
}

impl Report {
    pub(super) fn new(is_rehearsal: bool) -> Self {
        Self {
            is_rehearsal,
            kinds: Vec::new(),
        }
    }

    /// Adds to a kind's counts.
    pub(super) fn add(&mut self, kind: &'static str, taken: TakenIn) {
        match self.kinds.iter_mut().find(|(name, _)| *name == kind) {
            Some((_, counts)) => *counts += taken,
            None => self.kinds.push((kind, taken)),
        }
    }

    pub(super) fn changed_anything(&self) -> bool {
        self.kinds
            .iter()
            .any(|(_, taken)| taken.added + taken.replaced > 0)
    }

    /// As an admin event keeps it.
    pub(super) fn detail(&self) -> String {
        let kinds = self.kinds.iter().map(|(kind, taken)| {
            let counts = json!({
                "added": taken.added, "replaced": taken.replaced, "kept": taken.kept, "unchanged": taken.unchanged,
            });
            ((*kind).to_owned(), counts)
        });
        Value::Object(kinds.collect::<Map<_, _>>()).to_string()
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<[Cell; 5]> = self
            .kinds
            .iter()
            .map(|(kind, taken)| {
                let count = |number: u64| Cell::from(number.to_string());
                [
                    Cell::from(*kind),
                    count(taken.added),
                    count(taken.replaced),
                    count(taken.kept),
                    count(taken.unchanged),
                ]
            })
            .collect();
        table::print(["", "NEW", "REPLACED", "KEPT", "UNCHANGED"], &rows, out)?;
        if self.is_rehearsal {
            writeln!(out, "Nothing was changed: this was a dry run.")?;
        }
        Ok(())
    }
}

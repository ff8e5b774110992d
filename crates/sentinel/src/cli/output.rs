//! How results are printed: for people, or for programs.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use super::CliError;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// As the admin API has them.
    Json,
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl Serialize, out: &mut dyn Write) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Io(error.into()))?;
    writeln!(out, "{text}")?;
    Ok(())
}

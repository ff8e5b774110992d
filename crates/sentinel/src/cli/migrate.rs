//! `sentinel migrate`: brings the store's schema up to date, and nothing else.

use std::io::Write;

use super::CliError;
use crate::config::Config;
use crate::stores::{self, Authority};

/// Makes the store or brings its schema up to date.
pub(super) async fn run(config: &Config, out: &mut dyn Write) -> Result<(), CliError> {
    let (from, to) = Authority::migrate(config).await?;
    let place = stores::place(config);
    if from == to {
        writeln!(out, "{place}: schema {to}, nothing to do")?;
    } else {
        writeln!(out, "{place}: schema {from} → {to}")?;
    }
    Ok(())
}

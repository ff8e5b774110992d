//! The store as commands reach it: without a server, on the same file as one that may be running.

use std::io::Write;

use sentinel_store::SqliteStore;

use super::CliError;
use crate::config::Config;
use crate::secrets;

/// Makes the store or brings its schema up to date.
pub(super) fn migrate(config: &Config, out: &mut dyn Write) -> Result<(), CliError> {
    secrets::prepare_data_folder(&config.store.data_dir)?;
    let path = config.store.database();
    let migrated = SqliteStore::migrate(&path)?;
    let path = path.display();
    if migrated.from == migrated.to {
        writeln!(out, "{path}: schema {}, nothing to do", migrated.to)?;
    } else {
        writeln!(out, "{path}: schema {} → {}", migrated.from, migrated.to)?;
    }
    Ok(())
}

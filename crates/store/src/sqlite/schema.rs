//! Which schema a file has, and the way to this version's.
//!
//! A file is looked at before anything is changed: what is not ours, or newer than we are, is never written to.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::file::explain;
use crate::error::OpenError;

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// What `PRAGMA application_id` says in our files: "KIPS". The first migration sets it.
pub(super) const APPLICATION_ID: i32 = 0x4B49_5053;

/// The schema that this version reads and writes.
pub(super) fn needed() -> i32 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max()
        .unwrap_or(0)
}

/// The file's schema; 0 for one that holds nothing yet.
pub(super) fn found(connection: &Connection, path: &Path) -> Result<i32, OpenError> {
    let explained = |error| explain(path, &error);
    let tables: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'refinery%' AND name NOT LIKE 'sqlite%'",
            [],
            |row| row.get(0),
        )
        .map_err(explained)?;
    if tables == 0 {
        return Ok(0);
    }
    let application: i32 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(explained)?;
    if application != APPLICATION_ID {
        return Err(OpenError::ForeignDatabase {
            path: path.to_owned(),
        });
    }
    connection
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| {
            row.get::<_, Option<i32>>(0)
        })
        .optional()
        .map_err(explained)?
        .flatten()
        .ok_or_else(|| OpenError::Damaged {
            path: path.to_owned(),
            cause: "its schema history is empty".to_owned(),
        })
}

/// Refuses a schema from the future.
pub(super) fn refuse_newer(found: i32, path: &Path) -> Result<(), OpenError> {
    let needed = needed();
    if found > needed {
        return Err(OpenError::SchemaNewer {
            path: path.to_owned(),
            found,
            needed,
        });
    }
    Ok(())
}

/// Brings the schema up to date, all of it or nothing.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    let outcome = embedded::migrations::runner().set_grouped(true).run(connection);
    connection.set_transaction_behavior(TransactionBehavior::Deferred);
    let Err(error) = outcome else {
        return Ok(());
    };
    // Another process that opened the same file may have been faster; then there is nothing left to do.
    if found(connection, path)? == needed() {
        return Ok(());
    }
    Err(OpenError::Failed {
        path: path.to_owned(),
        cause: format!("its schema could not be brought up to date: {error}"),
    })
}

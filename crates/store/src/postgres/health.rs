//! Whether the database can serve: it takes writes, and its schema is the one that this version knows.

use super::connector::Session;
use super::failure::Failure;
use super::rows::{self, column};
use super::schema;

pub(super) async fn check(session: &Session) -> Result<(), Failure> {
    // Looks into the table of bindings too, so that one that is gone is noticed.
    let look = format!(
        "SELECT pg_is_in_recovery() AS is_standby, current_setting('transaction_read_only') = 'on' AS is_read_only, \
         ({}) AS schema, EXISTS (SELECT FROM bindings LIMIT 1) AS has_bindings",
        schema::SELECT_SCHEMA
    );
    let row = rows::first(session, &look, &[]).await?;
    let row = row.ok_or_else(|| Failure::damaged("health"))?;
    if column(&row, "is_standby")? {
        return Err(Failure::unavailable("the database is a standby".to_owned()));
    }
    if column(&row, "is_read_only")? {
        return Err(Failure::unavailable("the database is read-only".to_owned()));
    }
    let (found, needed): (Option<i32>, i32) = (column(&row, "schema")?, schema::needed());
    if found != Some(needed) {
        let found = found.unwrap_or(0);
        return Err(Failure::damaged(format!(
            "the database has schema {found}, this version needs {needed}"
        )));
    }
    Ok(())
}

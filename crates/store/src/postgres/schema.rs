//! Which schema a database has, and the way to this version's.
//!
//! A database is looked at before anything is changed: what is not ours, or newer than we are, is never written to. Only one process
//! migrates at a time; the others wait for it and find nothing left to do.

use std::error::Error as _;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::connector::{Connector, Session};
use super::failure::explained;
use super::{JOB_STATEMENT_WAIT_MAX, PostgresMigrated};
use crate::error::PostgresError;

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// Names the lock that a migration holds: "KIPS", and a number.
const MIGRATION_LOCK: i64 = 0x4B49_5053_0000_0001;

/// Our tables, each with what is done to it.
const TABLES: &[&str] = &[
    "bindings",
    "binding_networks",
    "archived_bindings",
    "intercept_logs",
    "alerts",
    "alert_transitions",
    "alert_deliveries",
    "alert_counts",
    "alert_count_batches",
    "admin_events",
    "audit_chain",
    "administrators",
    "admin_sessions",
    "api_tokens",
    "settings",
    "settings_version",
    "setting_changes",
    "traffic",
    "top_refused",
    "replicas",
    "idempotency_keys",
];

/// The schema that this version reads and writes.
pub(super) fn needed() -> i32 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max()
        .unwrap_or(0)
}

/// As `PostgresStore::migrate`.
pub(super) async fn migrate(connector: &Connector) -> Result<PostgresMigrated, PostgresError> {
    let mut session = connector.connect(None).await?;
    let to = needed();
    let from = found(&session, connector.place()).await?;
    refuse_newer(from, connector.place())?;
    if from == to {
        return Ok(PostgresMigrated { from, to });
    }
    // The session ends with this function, and with it the lock.
    lock(&session, connector.place()).await?;
    let from = found(&session, connector.place()).await?;
    refuse_newer(from, connector.place())?;
    if from < to {
        bring_up_to_date(&mut session, connector.place()).await?;
    }
    Ok(PostgresMigrated { from, to })
}

/// As `PostgresStore::check`.
pub(super) async fn check(connector: &Connector) -> Result<i32, PostgresError> {
    let session = connector.connect(None).await?;
    let place = connector.place();
    let (found, needed) = (found(&session, place).await?, needed());
    refuse_newer(found, place)?;
    if found < needed {
        return Err(PostgresError::SchemaOlder {
            place: place.to_owned(),
            found,
            needed,
        });
    }
    assert_permitted(&session, place).await?;
    Ok(found)
}

/// The schema that the database has, and whether the tables are still there: for a store that is open.
pub(super) const SELECT_SCHEMA: &str = "SELECT max(version) FROM refinery_schema_history";

/// Where tables are made, and what is there: 0 when there is nothing yet.
async fn found(session: &Client, place: &str) -> Result<i32, PostgresError> {
    // Tables of extensions are nobody's.
    let look = "SELECT current_schema()::text, \
         count(*) FILTER (WHERE c.relname NOT IN ('sentinel_installation', 'refinery_schema_history')) AS others, \
         count(*) FILTER (WHERE c.relname = 'sentinel_installation') AS ours, \
         count(*) FILTER (WHERE c.relname = 'refinery_schema_history') AS history \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT EXISTS ( \
             SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";
    let row = ask(session, look, place).await?;
    let schema: Option<String> = row.get(0);
    if schema.is_none() {
        return Err(PostgresError::Failed {
            place: place.to_owned(),
            cause: "the user's search_path names no schema that is there".to_owned(),
        });
    }
    let [others, ours, history] = [1, 2, 3].map(|column| row.get::<_, i64>(column) > 0);
    match (others, ours, history) {
        (false, false, _) => Ok(0),
        (true, false, _) => Err(PostgresError::ForeignDatabase {
            place: place.to_owned(),
        }),
        (_, true, _) => {
            let damaged = |cause: &str| PostgresError::Damaged {
                place: place.to_owned(),
                cause: cause.to_owned(),
            };
            if !history {
                return Err(damaged("its schema history is gone"));
            }
            let row = ask(session, SELECT_SCHEMA, place).await?;
            let version: Option<i32> = row.get(0);
            version.ok_or_else(|| damaged("its schema history is empty"))
        }
    }
}

/// Refuses a schema from the future.
fn refuse_newer(found: i32, place: &str) -> Result<(), PostgresError> {
    let needed = needed();
    if found > needed {
        return Err(PostgresError::SchemaNewer {
            place: place.to_owned(),
            found,
            needed,
        });
    }
    Ok(())
}

async fn lock(session: &Client, place: &str) -> Result<(), PostgresError> {
    let wait = JOB_STATEMENT_WAIT_MAX.as_millis();
    let lock = format!(
        "SET lock_timeout = {wait}; SET statement_timeout = {wait}; SELECT pg_advisory_lock({MIGRATION_LOCK})"
    );
    session
        .batch_execute(&lock)
        .await
        .map_err(|error| explain(place, &error))
}

/// All of it or nothing.
async fn bring_up_to_date(session: &mut Session, place: &str) -> Result<(), PostgresError> {
    let outcome = embedded::migrations::runner()
        .set_grouped(true)
        .run_async(&mut **session)
        .await;
    outcome.map(drop).map_err(|error| {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(refused) = inner.downcast_ref::<tokio_postgres::Error>() {
                return explain(place, refused);
            }
            cause = inner.source();
        }
        PostgresError::Failed {
            place: place.to_owned(),
            cause: format!("its schema could not be brought up to date: {error}"),
        }
    })
}

/// Every table is there, and the user may read and write it.
async fn assert_permitted(session: &Client, place: &str) -> Result<(), PostgresError> {
    let look = "SELECT name, to_regclass(name) IS NOT NULL, \
         coalesce(has_table_privilege(to_regclass(name), 'SELECT') AND has_table_privilege(to_regclass(name), 'INSERT') \
         AND has_table_privilege(to_regclass(name), 'UPDATE') AND has_table_privilege(to_regclass(name), 'DELETE'), false) \
         FROM unnest($1::text[]) AS name";
    let rows = session
        .query(look, &[&TABLES])
        .await
        .map_err(|error| explain(place, &error))?;
    for row in rows {
        let (name, is_there, is_permitted): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
        if !is_there {
            return Err(PostgresError::Damaged {
                place: place.to_owned(),
                cause: format!("the table {name} is gone"),
            });
        }
        if !is_permitted {
            return Err(PostgresError::PermissionDenied {
                place: place.to_owned(),
                cause: format!("it may not read and write the table {name}"),
            });
        }
    }
    Ok(())
}

async fn ask(session: &Client, question: &str, place: &str) -> Result<Row, PostgresError> {
    session
        .query_one(question, &[])
        .await
        .map_err(|error| explain(place, &error))
}

fn explain(place: &str, error: &tokio_postgres::Error) -> PostgresError {
    let (place, cause) = (place.to_owned(), explained(error));
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => PostgresError::PermissionDenied { place, cause },
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => PostgresError::ReadOnly { place, cause },
        Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED) => PostgresError::Locked { place },
        Some(_) => PostgresError::Failed { place, cause },
        None => PostgresError::Unreachable { place, cause },
    }
}

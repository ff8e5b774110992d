//! Making, opening and judging the store's file.
//!
//! A file that is not a whole store of ours is left exactly as it was found.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY_WAIT_MAX, Migrated, schema};
use crate::error::OpenError;

/// Below this SQLite can corrupt a file when two connections reset the write-ahead log at once.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// Up to this size every page is looked at when the store is opened; a larger file would make the start slow.
pub(super) const OPEN_CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The smallest file that can be a database.
const DATABASE_BYTES_MIN: u64 = 512;
/// How often the change to write-ahead logging is tried while other processes open the same new file.
pub(super) const WAL_ATTEMPTS_MAX: u32 = 100;
/// What the write-ahead log is cut back to after a burst.
pub(super) const LOG_BYTES_KEPT_MAX: i64 = 16 * 1024 * 1024;
/// How many prepared statements each connection keeps.
pub(super) const STATEMENTS_KEPT_MAX: usize = 64;

/// Opens the file for the writer, making and migrating it where needed.
pub(super) fn open_and_migrate(path: &Path) -> Result<(Connection, Migrated), OpenError> {
    assert_version()?;
    create_if_missing(path)?;
    let mut connection = connect(path)?;
    let from = schema::found(&connection, path)?;
    schema::refuse_newer(from, path)?;
    assert_writable(&connection, path)?;
    if size(path) <= OPEN_CHECK_BYTES_MAX {
        assert_whole(&connection, path)?;
    }
    // The file is ours and whole: from here on it may be written to.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(|error| explain(path, &error))?;
    configure(&connection, path)?;
    if from < schema::needed() {
        schema::migrate(&mut connection, path)?;
    }
    let to = schema::needed();
    Ok((connection, Migrated { from, to }))
}

/// Opens the file for a reader; the writer has been opened before.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let connection = connect(path)?;
    let explained = |error| explain(path, &error);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(explained)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(explained)?;
    Ok(connection)
}

/// As `SqliteStore::check`.
pub(super) fn check(path: &Path) -> Result<i32, OpenError> {
    assert_version()?;
    if !path.try_exists().map_err(|error| not_writable(path, &error))? {
        return Err(OpenError::Missing {
            path: path.to_owned(),
        });
    }
    let connection = connect(path)?;
    let found = schema::found(&connection, path)?;
    schema::refuse_newer(found, path)?;
    assert_whole(&connection, path)?;
    assert_writable(&connection, path)?;
    let needed = schema::needed();
    if found < needed {
        return Err(OpenError::SchemaOlder {
            path: path.to_owned(),
            found,
            needed,
        });
    }
    // What reading may have left beside the file can go again.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(|error| explain(path, &error))?;
    match connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
        // A running server that is just writing shows that it can be written to.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(found),
        Err(error) => Err(explain(path, &error)),
        Ok(()) => Ok(found),
    }
}

/// What an error of SQLite means for the file.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    let cause = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, cause },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            OpenError::NotWritable { path, cause }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path },
        _ => OpenError::Failed { path, cause },
    }
}

fn assert_version() -> Result<(), OpenError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(OpenError::SqliteTooOld {
            found: rusqlite::version(),
        });
    }
    Ok(())
}

/// Makes an empty file that nobody else may read. SQLite gives its log the same mode.
fn create_if_missing(path: &Path) -> Result<(), OpenError> {
    // POSIX drops a process's locks on a file when any of its descriptors is closed: so that closing this one can never
    // drop SQLite's, no thread gets past here while another one has the new file open.
    static CREATING: Mutex<()> = Mutex::new(());
    let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
    let made: std::io::Result<File> = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(not_writable(path, &error)),
    }
}

/// A connection that has not touched the file yet. A write-ahead log that waits beside the file is left alone even when
/// this is the last connection to close; without one, nothing stays beside the file.
fn connect(path: &Path) -> Result<Connection, OpenError> {
    if (1..DATABASE_BYTES_MIN).contains(&size(path)) {
        // SQLite takes some of these for new databases, and would write over them.
        return Err(OpenError::NotADatabase {
            path: path.to_owned(),
        });
    }
    // Absolute, because SQLite reads a name that begins with `file:` as a URI.
    let absolute: PathBuf = std::path::absolute(path).map_err(|error| not_writable(path, &error))?;
    let mut log = absolute.clone().into_os_string();
    log.push("-wal");
    let log_waits = size(Path::new(&log)) > 0;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let explained = |error| explain(path, &error);
    let connection = Connection::open_with_flags(absolute, flags).map_err(explained)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, log_waits)
        .map_err(explained)?;
    connection.busy_timeout(BUSY_WAIT_MAX).map_err(explained)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT_MAX);
    Ok(connection)
}

fn configure(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let explained = |error| explain(path, &error);
    switch_to_wal(connection, path)?;
    for (name, value) in [
        ("synchronous", "FULL"),
        ("foreign_keys", "ON"),
        ("trusted_schema", "OFF"),
    ] {
        connection.pragma_update(None, name, value).map_err(explained)?;
    }
    connection
        .pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT_MAX)
        .map_err(explained)
}

/// Turns write-ahead logging on. SQLite does not wait here when two connections want this at once, so that neither
/// waits for the other: one of them has to try again.
pub(super) fn switch_to_wal(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    for _ in 0..WAL_ATTEMPTS_MAX {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(OpenError::Failed {
                    path: path.to_owned(),
                    cause: format!("this file system allows no write-ahead log (journal mode stays {mode})"),
                });
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                // Waits, up to the busy time, until whoever writes is done.
                connection
                    .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
                    .map_err(|error| explain(path, &error))?;
            }
            Err(error) => return Err(explain(path, &error)),
        }
    }
    Err(OpenError::Locked {
        path: path.to_owned(),
    })
}

fn assert_writable(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    if connection
        .is_readonly("main")
        .map_err(|error| explain(path, &error))?
    {
        return Err(OpenError::NotWritable {
            path: path.to_owned(),
            cause: "the file may only be read".to_owned(),
        });
    }
    Ok(())
}

/// Looks at every page; an index that disagrees with its table is not looked for.
fn assert_whole(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged {
        path: path.to_owned(),
        cause: verdict.replace('\n', " "),
    })
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn not_writable(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::NotWritable {
        path: path.to_owned(),
        cause: error.to_string(),
    }
}

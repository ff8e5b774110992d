//! What happens at the bounds of the file and of its connections.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::{Connection, StatementStatus};
use sentinel_core::ports::{BindingStore, InterceptRetention as _, InterceptStore};

use super::super::file::{
    self, LOG_BYTES_KEPT_MAX, OPEN_CHECK_BYTES_MAX, STATEMENTS_KEPT_MAX, WAL_ATTEMPTS_MAX,
};
use super::super::{BUSY_WAIT_MAX, RETENTION_ROWS_MAX, SqliteStore, intercepts};
use super::{fixture, new_path, outside};
use crate::conformance::intercepts::intercept;
use crate::conformance::{at, claimed, fingerprint};
use crate::error::OpenError;

#[tokio::test]
async fn every_connection_waits_for_another_process_up_to_the_bound() {
    let (store, _folder) = fixture();
    let wait = |connection: &Connection| {
        let wait = connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0))?;
        Ok(u128::from(wait))
    };
    assert_eq!(store.read(wait).await, Ok(BUSY_WAIT_MAX.as_millis()));
    assert_eq!(store.write(wait).await, Ok(BUSY_WAIT_MAX.as_millis()));
}

#[tokio::test]
async fn a_file_beyond_the_bound_is_opened_without_looking_at_every_page() {
    let (path, _folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    for number in 0..200 {
        claimed(&store, number, "192.0.2.1").await;
    }
    store.close().unwrap();
    let mut content = fs::read(&path).unwrap();
    let last_page = content.len() - 4_096;
    content[last_page..].fill(0x5A);
    fs::write(&path, content).unwrap();
    let resize = |bytes| {
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(bytes).unwrap();
    };
    resize(OPEN_CHECK_BYTES_MAX);
    let refused = SqliteStore::open(&path).expect_err("a damaged page");
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
    resize(OPEN_CHECK_BYTES_MAX + 4_096);
    let opened = SqliteStore::open(&path).unwrap();
    assert!(opened.find(&fingerprint(1)).await.is_ok());
    // A check looks at everything, however long it takes.
    assert!(matches!(
        SqliteStore::check(&path),
        Err(OpenError::Damaged { .. })
    ));
}

#[test]
fn the_change_to_a_write_ahead_log_is_given_up_after_its_last_attempt() {
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    let (path, _folder) = new_path();
    let reader = outside(&path);
    // A read that never ends keeps the change away, and lets everything else through.
    reader
        .execute_batch("CREATE TABLE something (x); BEGIN; SELECT * FROM something")
        .unwrap();
    let connection = outside(&path);
    connection
        .busy_handler(Some(|_| {
            REFUSED.fetch_add(1, Ordering::Relaxed);
            false
        }))
        .unwrap();
    let given_up = file::switch_to_wal(&connection, &path).expect_err("no change");
    assert!(matches!(given_up, OpenError::Locked { .. }), "{given_up:?}");
    assert_eq!(REFUSED.load(Ordering::Relaxed), WAL_ATTEMPTS_MAX);
    drop(reader);
    file::switch_to_wal(&connection, &path).unwrap();
}

#[tokio::test]
async fn the_log_is_cut_back_after_a_burst() {
    let (path, folder) = new_path();
    let store = SqliteStore::open(&path).unwrap();
    let log_bytes = || fs::metadata(folder.path().join("sentinel.db-wal")).unwrap().len();
    let bound = LOG_BYTES_KEPT_MAX.unsigned_abs();
    let burst = format!("CREATE TABLE burst AS SELECT zeroblob({}) AS x", 2 * bound);
    store
        .write(move |connection| Ok(connection.execute_batch(&burst)?))
        .await
        .unwrap();
    assert!(log_bytes() > bound);
    claimed(&store, 1, "192.0.2.1").await;
    assert_eq!(log_bytes(), bound);
}

#[test]
fn the_statement_that_was_not_used_for_longest_gives_way() {
    let (path, _folder) = new_path();
    let (connection, _) = file::open_and_migrate(&path).unwrap();
    let run = |number: usize| {
        let mut statement = connection.prepare_cached(&format!("SELECT {number}")).unwrap();
        let runs_before = statement.get_status(StatementStatus::Run);
        statement.query_row([], |_| Ok(())).unwrap();
        runs_before
    };
    for number in 0..STATEMENTS_KEPT_MAX {
        assert_eq!(run(number), 0);
    }
    assert_eq!(run(0), 1, "as many as the bound are kept");
    assert_eq!(run(STATEMENTS_KEPT_MAX), 0);
    assert_eq!(run(0), 2);
    assert_eq!(run(1), 0, "one more, and the oldest is prepared anew");
}

#[tokio::test]
async fn old_intercepts_are_removed_in_steps_of_the_bound() {
    let (store, _folder) = fixture();
    let rows = (1..=RETENTION_ROWS_MAX + 1).map(intercept).collect();
    InterceptStore::append(&store, rows).await.unwrap();
    let step =
        |connection: &Connection| intercepts::remove_before(connection, at(i64::MAX), RETENTION_ROWS_MAX);
    assert_eq!(store.write(step).await, Ok(RETENTION_ROWS_MAX));
    assert_eq!(store.keep_from(at(i64::MAX), at(0)).await, Ok(1));
}

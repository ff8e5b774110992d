//! The conformance suite on SQLite, and what only a store with a file and threads has to promise.

mod answers;
mod audit;
mod bounds;
mod counts;
mod file;
mod plans;
mod secrets;
mod threads;

use std::path::{Path, PathBuf};

use super::SqliteStore;

/// The path of a store in an empty folder.
fn new_path() -> (PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (folder.path().join("sentinel.db"), folder)
}

fn fixture() -> (SqliteStore, tempfile::TempDir) {
    let (path, folder) = new_path();
    (SqliteStore::open(&path).unwrap(), folder)
}

/// A connection past the store, as another process would have it.
fn outside(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

crate::conformance::conformance_suite!(fixture());

mod alerts {
    #[expect(clippy::unused_async, reason = "other stores' fixtures wait")]
    async fn fixture() -> (crate::SqliteStore, tempfile::TempDir) {
        super::fixture()
    }

    sentinel_core::alert_store_conformance!(fixture);
}

mod accounts {
    #[expect(clippy::unused_async, reason = "other stores' fixtures wait")]
    async fn fixture() -> (crate::SqliteStore, tempfile::TempDir) {
        super::fixture()
    }

    sentinel_core::account_store_conformance!(fixture);
}

mod forgetting {
    use super::fixture;

    crate::conformance::forgetting::forgetting_suite!(fixture());
}

//! The embedded store: one SQLite file, one writer thread that commits commands in groups, and a few readers.
//!
//! Every port of the domain is answered here, from any runtime: the work is done on the store's own threads. An answer
//! to a change is sent only after its COMMIT is on the disk. A change that was accepted is made even when its caller goes
//! away. Nothing in here may block a caller's thread, apart from opening and closing.

mod accounts;
mod admin;
mod alerts;
mod answers;
mod archive;
mod bindings;
mod events;
mod failure;
mod file;
mod filter;
mod forgetting;
mod intercepts;
mod ports;
mod rows;
mod schema;
mod secrets;
mod settings;
mod threads;
mod top;
mod traffic;
mod transfer;
mod uses;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::StoreError;
use tokio::sync::oneshot;

use crate::error::OpenError;
use crate::secret::OwnSecret;
use failure::Failure;
use threads::Threads;

/// The most changes that wait for the writer; beyond, a change is [`StoreError::Busy`].
pub const WRITES_QUEUED_MAX: usize = 4_096;
/// The most questions that wait for the readers; beyond, a question is [`StoreError::Busy`].
pub const READS_QUEUED_MAX: usize = 4_096;
/// The most changes that share one transaction.
pub const GROUP_COMMANDS_MAX: usize = 256;
/// How many questions are answered at the same time.
pub const READER_THREADS: usize = 3;
/// How long one process waits for another that writes to the same file.
pub const BUSY_WAIT_MAX: Duration = Duration::from_secs(2);
/// The most old intercepts that are removed in one transaction, so that the writer is never busy with it for long.
pub const RETENTION_ROWS_MAX: u32 = 1_000;
/// How long the health check waits for both kinds of threads.
pub const HEALTH_WAIT_MAX: Duration = Duration::from_secs(3);

/// The store on one SQLite file. Clones share the same threads; dropping the last one ends them.
#[derive(Clone)]
pub struct SqliteStore {
    threads: Arc<Threads>,
    path: Arc<Path>,
    own: OwnSecret,
}

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; 0 when the file was new.
    pub from: i32,
    /// The schema now.
    pub to: i32,
}

impl SqliteStore {
    /// Opens the store; makes the file (mode 0600) and brings its schema up to date where that is needed. Blocks.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (writer, _) = file::open_and_migrate(path)?;
        let readers = (0..READER_THREADS)
            .map(|_| file::open_reader(path))
            .collect::<Result<Vec<_>, _>>()?;
        let threads = Threads::start(writer, readers).map_err(|error| OpenError::Failed {
            path: path.to_owned(),
            cause: format!("no thread could be started: {error}"),
        })?;
        Ok(Self {
            threads: Arc::new(threads),
            path: Arc::from(PathBuf::from(path)),
            own: OwnSecret::default(),
        })
    }

    /// Makes the file where there is none and brings its schema up to date, and nothing else. Blocks.
    pub fn migrate(path: &Path) -> Result<Migrated, OpenError> {
        let (connection, migrated) = file::open_and_migrate(path)?;
        drop(connection);
        Ok(migrated)
    }

    /// Looks whether [`SqliteStore::open`] would find a store that is whole, writable and of this version's schema,
    /// and gives that schema. Changes nothing, makes nothing. Reads the whole file. Blocks.
    pub fn check(path: &Path) -> Result<i32, OpenError> {
        file::check(path)
    }

    /// Does all that was accepted, ends the threads and folds the write-ahead log into the file. Calls after it, from
    /// any clone, are [`StoreError::Unavailable`]. Blocks; a second call does nothing.
    pub fn close(&self) -> Result<(), StoreError> {
        self.threads.close()
    }

    /// Asks a reader.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&rusqlite::Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.threads.queue_read(Box::new(move |connection| {
            // Nobody may be waiting any more; a question has no other effect.
            let _ = answer.send(question(connection).map_err(StoreError::from));
        }))?;
        answered.await.unwrap_or_else(|_| Err(threads::stopped()))
    }

    /// Hands a command to the writer; answers after its group is committed.
    async fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(&rusqlite::Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.threads
            .queue_write(threads::prepare(command, move |outcome| {
                // Nobody may be waiting any more; the command is done all the same.
                let _ = answer.send(outcome);
            }))?;
        answered.await.unwrap_or_else(|_| Err(threads::stopped()))
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! Why a store could not be opened, in one line that names the file. What goes wrong later is core's `StoreError`.

use std::path::PathBuf;

/// Why the store's file cannot be used. In every one of these cases the file is left as it was found.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file, and it was not to be made.
    #[error("{}: there is no store here yet", path.display())]
    Missing {
        /// The store's file.
        path: PathBuf,
    },
    /// The file cannot be made, read or written.
    #[error("{}: the store cannot be read and written here: {cause}", path.display())]
    NotWritable {
        /// The store's file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The file is something else than a database.
    #[error("{}: this file is not a SQLite database; it was left untouched", path.display())]
    NotADatabase {
        /// The store's file.
        path: PathBuf,
    },
    /// The file is a database, but not one of ours.
    #[error("{}: this database belongs to another program; it was left untouched", path.display())]
    ForeignDatabase {
        /// The store's file.
        path: PathBuf,
    },
    /// The file is a database whose content does not hold together.
    #[error("{}: the store is damaged: {cause}; restore it from a backup", path.display())]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
    /// The file was made by an older version and has not been migrated. Only said where nothing may be changed.
    #[error("{}: the store has schema {found}, this version needs {needed}: migrate it", path.display())]
    SchemaOlder {
        /// The store's file.
        path: PathBuf,
        /// The file's schema; 0 when it holds nothing yet.
        found: i32,
        /// The schema of this version.
        needed: i32,
    },
    /// The file was made by a newer version.
    #[error(
        "{}: the store has schema {found}, this version knows only {needed}: use the newer version that made it",
        path.display()
    )]
    SchemaNewer {
        /// The store's file.
        path: PathBuf,
        /// The file's schema.
        found: i32,
        /// The schema of this version.
        needed: i32,
    },
    /// Another process held the file for longer than the store waits.
    #[error("{}: another process keeps the store locked", path.display())]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// SQLite itself is one that can corrupt files.
    #[error("SQLite {found} can corrupt a store; 3.51.3 or newer is needed")]
    SqliteTooOld {
        /// The version of the SQLite library.
        found: &'static str,
    },
    /// Anything else.
    #[error("{}: the store cannot be opened: {cause}", path.display())]
    Failed {
        /// The store's file.
        path: PathBuf,
        /// What was said.
        cause: String,
    },
}

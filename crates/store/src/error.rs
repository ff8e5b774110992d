//! Why a store could not be opened, in one line that names the file or the server. What goes wrong later is core's `StoreError`.

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

/// Why the database cannot be used. In every one of these cases it is left as it was found. `place` is
/// `user@host:port,…/database`, never with a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PostgresError {
    /// No server answers.
    #[error("{place}: cannot connect: {cause}; start the server, or correct the address")]
    Unreachable {
        /// Where.
        place: String,
        /// What the system said, of each server.
        cause: String,
    },
    /// The servers that answer are standbys, or read-only.
    #[error("{place}: no server here takes writes: {cause}; name the primary")]
    ReadOnly {
        /// Where.
        place: String,
        /// What was found, of each server.
        cause: String,
    },
    /// TLS is not what the DSN asks for.
    #[error("{place}: no TLS connection as asked for: {cause}; see sslmode and sslrootcert")]
    Tls {
        /// Where.
        place: String,
        /// What was wrong.
        cause: String,
    },
    /// The server does not let this user in.
    #[error("{place}: the server refuses the user or the password: {cause}")]
    Rejected {
        /// Where.
        place: String,
        /// What the server said.
        cause: String,
    },
    /// There is no database of that name.
    #[error("{place}: there is no such database: create it first ({cause})")]
    NoDatabase {
        /// Where.
        place: String,
        /// What the server said.
        cause: String,
    },
    /// The user may not do what is needed.
    #[error("{place}: the user lacks a permission: {cause}; make it the owner of the database")]
    PermissionDenied {
        /// Where.
        place: String,
        /// What the server said.
        cause: String,
    },
    /// The server is too old.
    #[error("{place}: this is PostgreSQL {found}; {needed} or newer is needed", needed = crate::postgres::SERVER_VERSION_MIN)]
    ServerTooOld {
        /// Where.
        place: String,
        /// The server's version.
        found: String,
    },
    /// The database cannot hold every text.
    #[error("{place}: the database is encoded in {found}: create one with ENCODING 'UTF8'")]
    Encoding {
        /// Where.
        place: String,
        /// Its encoding.
        found: String,
    },
    /// The schema holds tables, but not ours.
    #[error(
        "{place}: this database belongs to another program; it was left untouched: give Sentinel one of its own"
    )]
    ForeignDatabase {
        /// Where.
        place: String,
    },
    /// The schema is ours, but not whole.
    #[error("{place}: the store is damaged: {cause}; restore it from a backup")]
    Damaged {
        /// Where.
        place: String,
        /// What was found.
        cause: String,
    },
    /// The schema was made by an older version and has not been migrated. Only said where nothing may be changed.
    #[error("{place}: the store has schema {found}, this version needs {needed}: migrate it")]
    SchemaOlder {
        /// Where.
        place: String,
        /// The schema; 0 when there is nothing yet.
        found: i32,
        /// The schema of this version.
        needed: i32,
    },
    /// The schema was made by a newer version.
    #[error(
        "{place}: the store has schema {found}, this version knows only {needed}: use the newer version that made it"
    )]
    SchemaNewer {
        /// Where.
        place: String,
        /// The schema.
        found: i32,
        /// The schema of this version.
        needed: i32,
    },
    /// Another process migrated for longer than this one waits.
    #[error("{place}: another process keeps the schema locked; try again when it is done")]
    Locked {
        /// Where.
        place: String,
    },
    /// Anything else.
    #[error("{place}: the store cannot be opened: {cause}")]
    Failed {
        /// Where.
        place: String,
        /// What was said.
        cause: String,
    },
}

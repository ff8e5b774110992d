//! What went wrong inside SQLite, in the words of core's `StoreError`.

use rusqlite::ErrorCode;
use sentinel_core::ports::StoreError;

/// Lets `?` turn what SQLite says into a [`StoreError`].
#[derive(Debug)]
pub(super) struct Failure(StoreError);

impl Failure {
    /// A stored value that cannot be read; `what` names the column and never quotes the value.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self(StoreError::Damaged(what.into()))
    }

    /// Whoever asks hashes keys under another secret than the current one.
    pub(super) fn secret_outdated() -> Self {
        Self(StoreError::SecretOutdated)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self(match &error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => StoreError::Damaged(error.to_string()),
            _ => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    StoreError::Damaged(error.to_string())
                }
                _ => StoreError::Unavailable(error.to_string()),
            },
        })
    }
}

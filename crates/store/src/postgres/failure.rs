//! What went wrong between here and PostgreSQL, in the words of core's `StoreError`, and whether the session it went wrong in is
//! still good. Must never say that nothing was changed when that is not certain.

use std::error::Error as _;

use sentinel_core::ports::StoreError;
use tokio_postgres::error::{DbError, SqlState};

use crate::error::PostgresError;

/// Why some work was not done.
#[derive(Debug)]
pub(super) struct Failure {
    error: StoreError,
    extent: Extent,
}

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// The server refused one statement, and with it the transaction; the session goes on.
    Statement,
    /// Nothing is known of the session any more: it is thrown away.
    Session,
}

impl Failure {
    /// A stored value that cannot be read; `what` names the column and never quotes the value.
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self {
            error: StoreError::Damaged(what.into()),
            extent: Extent::Statement,
        }
    }

    /// The server was asked and did not answer within its bound. What it was asked may have been done.
    pub(super) fn no_answer(bound: std::time::Duration) -> Self {
        Self {
            error: StoreError::Unavailable(format!("no answer within {} ms", bound.as_millis())),
            extent: Extent::Session,
        }
    }

    /// The store was closed.
    pub(super) fn closed() -> Self {
        Self::unavailable("the store is closed".to_owned())
    }

    /// Anything else that keeps the server away; nothing was asked.
    pub(super) fn unavailable(cause: String) -> Self {
        Self {
            error: StoreError::Unavailable(cause),
            extent: Extent::Session,
        }
    }

    /// Too much is going on just now; nothing was asked.
    pub(super) fn busy() -> Self {
        Self {
            error: StoreError::Busy,
            extent: Extent::Session,
        }
    }

    /// Whoever asks hashes keys under another secret than the current one.
    pub(super) fn secret_outdated() -> Self {
        Self {
            error: StoreError::SecretOutdated,
            extent: Extent::Statement,
        }
    }

    /// Whether it is that.
    pub(super) fn is_secret_outdated(&self) -> bool {
        self.error == StoreError::SecretOutdated
    }

    /// What there is to say of it.
    pub(super) fn cause(&self) -> String {
        match &self.error {
            StoreError::Unavailable(cause) => cause.clone(),
            error => error.to_string(),
        }
    }

    /// Whether the session can be used again once its transaction is rolled back.
    pub(super) fn spares_the_session(&self) -> bool {
        self.extent == Extent::Statement
    }

    /// The same failure, at a point from which nothing is known of the session any more.
    pub(super) fn of_the_session(self) -> Self {
        Self {
            extent: Extent::Session,
            ..self
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => refused(refusal),
            None => Self::unavailable(explained(&error)),
        }
    }
}

/// What the server's own word means.
fn refused(refusal: &DbError) -> Failure {
    let code = refusal.code();
    let said = || format!("{} ({})", refusal.message(), code.code());
    let failure = |error, extent| Failure { error, extent };
    match *code {
        SqlState::LOCK_NOT_AVAILABLE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::T_R_SERIALIZATION_FAILURE => failure(StoreError::Busy, Extent::Statement),
        SqlState::QUERY_CANCELED => failure(StoreError::Unavailable(said()), Extent::Statement),
        // The schema is not the one that this version made, or a page cannot be read.
        SqlState::UNDEFINED_TABLE
        | SqlState::UNDEFINED_COLUMN
        | SqlState::UNDEFINED_FUNCTION
        | SqlState::UNDEFINED_OBJECT
        | SqlState::INVALID_SCHEMA_NAME
        | SqlState::DATA_CORRUPTED
        | SqlState::INDEX_CORRUPTED => failure(StoreError::Damaged(said()), Extent::Session),
        _ if concerns_values(code) => failure(StoreError::Unavailable(said()), Extent::Statement),
        // Read-only now, going down, out of room: another session may end up elsewhere.
        _ => failure(StoreError::Unavailable(said()), Extent::Session),
    }
}

/// Classes 22 and 23: a value that does not fit, or that a constraint refuses.
fn concerns_values(code: &SqlState) -> bool {
    code.code().starts_with("22") || code.code().starts_with("23")
}

/// The error with its causes, in one line: the outermost text alone says little.
pub(super) fn explained(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text.replace('\n', " ")
}

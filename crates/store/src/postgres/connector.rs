//! Makes sessions: tries the servers of the DSN one after the other, takes only one that is written to, and sets each session's bounds
//! before anybody uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dsn::{PostgresDsn, server_name};
use super::failure::explained;
use super::pulse::Pulse;
use super::{
    CONNECT_WAIT_MAX, IDLE_TRANSACTION_MAX, LOCK_WAIT_MAX, SERVER_VERSION_MIN, STATEMENT_WAIT_MAX, tls,
};
use crate::error::PostgresError;

/// One session, with the statements that it has prepared. Dropping it ends it.
pub(super) type Session = ClientWrapper;

/// Where the payloads of notifications go; when it is full the session ends.
pub(super) type Notifications = mpsc::Sender<String>;

/// Clones share what was learned of the servers.
#[derive(Clone)]
pub(super) struct Connector {
    servers: Arc<[Config]>,
    /// Which one served last: it is asked first.
    preferred: Arc<AtomicUsize>,
    tls: MakeRustlsConnect,
    place: Arc<str>,
    pulse: Arc<Pulse>,
}

impl Connector {
    pub(super) fn new(dsn: &PostgresDsn) -> Result<Self, PostgresError> {
        Ok(Self {
            servers: dsn.servers().into(),
            preferred: Arc::default(),
            tls: tls::connector(dsn)?,
            place: dsn.place().into(),
            pulse: Arc::default(),
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether the servers answer.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// A session on the first server that takes writes, within [`CONNECT_WAIT_MAX`].
    pub(super) async fn connect(
        &self,
        notifications: Option<Notifications>,
    ) -> Result<Session, PostgresError> {
        let count = self.servers.len();
        // So that a server that is silent leaves time for the others.
        let share = CONNECT_WAIT_MAX / u32::try_from(count).unwrap_or(u32::MAX);
        let first = self.preferred.load(Ordering::Relaxed);
        let mut refusals = Vec::new();
        for index in (0..count).map(|offset| (first + offset) % count) {
            let server = &self.servers[index];
            match self.try_server(server, share, notifications.clone()).await {
                Ok(session) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    self.pulse.heard();
                    return Ok(session);
                }
                Err(refusal) => refusals.push((server_name(server), refusal)),
            }
        }
        Err(self.explain(refusals))
    }

    async fn try_server(
        &self,
        server: &Config,
        wait_max: Duration,
        notifications: Option<Notifications>,
    ) -> Result<Session, Refusal> {
        let attempt = async {
            let (client, connection) = server.connect(self.tls.clone()).await?;
            let driver = tokio::spawn(drive(connection, notifications));
            let session = ClientWrapper::new(client, driver);
            begin(&session).await?;
            Ok(session)
        };
        tokio::time::timeout(wait_max, attempt)
            .await
            .unwrap_or(Err(Refusal {
                kind: Kind::Unreachable,
                cause: format!("no session within {} ms", wait_max.as_millis()),
            }))
    }

    /// One error for all servers: of the kind that says most, with what each one said.
    fn explain(&self, refusals: Vec<(String, Refusal)>) -> PostgresError {
        let kind = refusals.iter().map(|(_, refusal)| refusal.kind).max();
        let alone = refusals.len() == 1;
        let said: Vec<String> = refusals
            .into_iter()
            .map(|(name, refusal)| {
                if alone {
                    refusal.cause
                } else {
                    format!("{name}: {}", refusal.cause)
                }
            })
            .collect();
        let (place, cause) = (self.place.to_string(), said.join("; "));
        match kind.unwrap_or(Kind::Unreachable) {
            Kind::Unreachable => PostgresError::Unreachable { place, cause },
            Kind::ReadOnly => PostgresError::ReadOnly { place, cause },
            Kind::Tls => PostgresError::Tls { place, cause },
            Kind::Rejected => PostgresError::Rejected { place, cause },
            Kind::NoDatabase => PostgresError::NoDatabase { place, cause },
            Kind::PermissionDenied => PostgresError::PermissionDenied { place, cause },
            Kind::TooOld => PostgresError::ServerTooOld { place, found: cause },
            Kind::Encoding => PostgresError::Encoding { place, found: cause },
            Kind::Other => PostgresError::Failed { place, cause },
        }
    }
}

impl Manager for Connector {
    type Type = Session;
    type Error = PostgresError;

    async fn create(&self) -> Result<Session, PostgresError> {
        self.connect(None).await
    }

    /// Whoever had the session before gave it back only when all was well with it.
    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<PostgresError> {
        if session.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

/// Why a server gave no session.
struct Refusal {
    kind: Kind,
    cause: String,
}

/// In the order of how much it says about what has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unreachable,
    Other,
    ReadOnly,
    Tls,
    Rejected,
    NoDatabase,
    PermissionDenied,
    TooOld,
    Encoding,
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        let cause = explained(&error);
        let kind = match error.code() {
            Some(code) => match *code {
                SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Kind::Rejected,
                SqlState::INVALID_CATALOG_NAME => Kind::NoDatabase,
                SqlState::INSUFFICIENT_PRIVILEGE => Kind::PermissionDenied,
                SqlState::CANNOT_CONNECT_NOW => Kind::Unreachable,
                _ => Kind::Other,
            },
            None if is_tls(&error) => Kind::Tls,
            // Among them: the server asks for a password, and the DSN has none.
            None if cause.starts_with("authentication error") || cause.contains("password missing") => {
                Kind::Rejected
            }
            None => Kind::Unreachable,
        };
        Self { kind, cause }
    }
}

/// Whether the two ends did not agree on TLS, or not on who the server is.
fn is_tls(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        // What rustls says comes wrapped in an error of the socket.
        let wrapped = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if wrapped.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) {
            return true;
        }
        cause = inner.source();
    }
    error.to_string().contains("TLS handshake")
}

/// Sets the session's bounds, and looks at the server: all in one round trip.
async fn begin(session: &Client) -> Result<(), Refusal> {
    let settings = format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
         SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning; \
         SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), \
         current_setting('server_version_num'), current_setting('server_version'), \
         current_setting('server_encoding')",
        STATEMENT_WAIT_MAX.as_millis(),
        LOCK_WAIT_MAX.as_millis(),
        IDLE_TRANSACTION_MAX.as_millis(),
    );
    let answer = session.simple_query(&settings).await?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    judge([0, 1, 2, 3, 4].map(|column| row.and_then(|row| row.get(column)).unwrap_or_default()))
}

/// Whether this server can be the authority.
fn judge([in_recovery, read_only, version, version_shown, encoding]: [&str; 5]) -> Result<(), Refusal> {
    let refused = |kind, cause: &str| {
        Err(Refusal {
            kind,
            cause: cause.to_owned(),
        })
    };
    let version: u32 = version.parse().unwrap_or(0);
    if version / 10_000 < SERVER_VERSION_MIN {
        return refused(Kind::TooOld, version_shown);
    }
    if in_recovery != "f" {
        return refused(Kind::ReadOnly, "it is a standby");
    }
    if read_only != "off" {
        return refused(Kind::ReadOnly, "it is read-only (default_transaction_read_only)");
    }
    if encoding != "UTF8" {
        return refused(Kind::Encoding, encoding);
    }
    Ok(())
}

/// Moves bytes until the connection ends; hands notifications on.
async fn drive<S>(mut connection: Connection<Socket, S>, notifications: Option<Notifications>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notification(heard)) => {
                let taken = notifications
                    .as_ref()
                    .is_none_or(|notifications| notifications.try_send(heard.payload().to_owned()).is_ok());
                if !taken {
                    // Whoever listens has fallen behind: told that the channel was lost, it asks for everything anew.
                    return;
                }
            }
            Ok(AsyncMessage::Notice(notice)) => tracing::debug!(%notice, "PostgreSQL"),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(error = explained(&error), "a connection to PostgreSQL ended");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(server: [&str; 5]) -> Option<Kind> {
        judge(server).err().map(|refusal| refusal.kind)
    }

    #[test]
    fn a_server_is_judged_by_what_it_says_of_itself() {
        assert_eq!(kind(["f", "off", "130000", "13.0", "UTF8"]), None);
        assert_eq!(kind(["f", "off", "180001", "18.1", "UTF8"]), None);
        assert_eq!(kind(["f", "off", "120017", "12.17", "UTF8"]), Some(Kind::TooOld));
        assert_eq!(kind(["t", "on", "150000", "15.0", "UTF8"]), Some(Kind::ReadOnly));
        assert_eq!(kind(["f", "on", "150000", "15.0", "UTF8"]), Some(Kind::ReadOnly));
        assert_eq!(
            kind(["f", "off", "150000", "15.0", "LATIN1"]),
            Some(Kind::Encoding)
        );
        // Something that does not answer as PostgreSQL does is not taken for it.
        assert_eq!(kind(["", "", "", "", ""]), Some(Kind::TooOld));
    }
}

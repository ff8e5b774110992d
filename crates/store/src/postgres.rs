//! The store for production: PostgreSQL 13 or newer, which any number of replicas share.
//!
//! Every port of the domain is answered here, from any runtime: the work is done by tasks on the runtime that opened the store. Work that
//! has begun runs to its end even when its caller goes away, so no session is ever given back with something open on it. Nothing in
//! here may wait without a bound, and no session may be used again after something went wrong on it that could have left a trace.
//!
//! It needs a session of its own for each connection: a pooler in between has to pool by session.

mod accounts;
mod admin;
mod alerts;
mod answers;
mod archive;
mod bindings;
mod changes;
mod claims;
mod connector;
mod counters;
mod dsn;
mod events;
mod failure;
mod filter;
mod forgetting;
mod health;
mod intercepts;
mod partitions;
mod ports;
mod pulse;
mod rows;
mod schema;
mod secrets;
mod sessions;
mod settings;
mod tls;
mod top;
mod traffic;
mod transfer;
mod uses;
mod values;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::StoreError;
use sentinel_core::time::{Clock, SystemClock, Timestamp};

use crate::error::PostgresError;
use crate::secret::OwnSecret;
use claims::Claims;
use connector::Connector;
use counters::CountsUpkeep;
use sessions::Sessions;

pub use changes::PostgresChanges;
pub use counters::{COUNT_ROWS_MAX, COUNT_ROWS_SWEPT_MAX, PostgresCounters};
pub use dsn::{DsnError, HOSTS_MAX, PostgresDsn, TlsMode};

/// The oldest server that is known to have everything that is used here.
pub const SERVER_VERSION_MIN: u32 = 13;
/// How long one attempt to connect takes, all servers of the DSN together.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long work waits for a session; then the store is busy.
pub const POOL_WAIT_MAX: Duration = Duration::from_secs(1);
/// The most pieces of work that are under way or wait for a session; beyond, the store is busy.
pub const WORK_QUEUED_MAX: usize = 4_096;
/// How long the server works on one statement of a request.
pub const STATEMENT_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long the server works on one statement of a batch or a report.
pub const BATCH_STATEMENT_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the server works on one statement of a job: archive, partitions, migration.
pub const JOB_STATEMENT_WAIT_MAX: Duration = Duration::from_mins(1);
/// How much longer than for the server's own bound a whole piece of work is waited for: then the server is taken for gone.
pub const ANSWER_GRACE: Duration = Duration::from_secs(1);
/// How long the server waits for a lock that somebody else holds.
pub const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long the server leaves a transaction open on which nothing happens.
pub const IDLE_TRANSACTION_MAX: Duration = Duration::from_secs(5);
/// How long what was sent may stay unacknowledged; then the connection is gone.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
/// How long nothing is heard before the other end is asked whether it is there.
pub const KEEPALIVE_IDLE_MAX: Duration = Duration::from_secs(5);
/// How long the health check takes.
pub const HEALTH_WAIT_MAX: Duration = Duration::from_secs(3);
/// How many days of the audit log have their partitions made ahead when the store is opened.
pub const PARTITION_DAYS_AHEAD: u32 = 3;

/// Between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// How many of them.
const KEEPALIVE_PROBES: u32 = 3;

/// How a store is opened.
#[derive(Clone)]
pub struct PostgresOptions {
    /// The most connections that are open at the same time; one more for each [`PostgresChanges`].
    pub connections_max: usize,
    /// What says when a change was made.
    pub clock: Arc<dyn Clock>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections_max: 16,
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresOptions")
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// The store on one PostgreSQL database. Clones share the same connections.
#[derive(Clone)]
pub struct PostgresStore {
    sessions: Sessions,
    claims: Arc<Claims>,
    connector: Connector,
    clock: Arc<dyn Clock>,
    counts_upkeep: Arc<CountsUpkeep>,
    own: OwnSecret,
}

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostgresMigrated {
    /// The schema before; 0 when there was nothing.
    pub from: i32,
    /// The schema now.
    pub to: i32,
}

impl PostgresStore {
    /// Opens the store, and brings its schema up to date where that is needed. The runtime that this runs on carries the store from here
    /// on: it has to have its I/O and its timer.
    pub async fn open(dsn: &PostgresDsn, options: PostgresOptions) -> Result<Self, PostgresError> {
        let connector = Connector::new(dsn)?;
        schema::migrate(&connector).await?;
        let store = Self::start(connector, options)?;
        if let Err(error) = store
            .ensure_partitions(store.clock.now(), PARTITION_DAYS_AHEAD)
            .await
        {
            // Nothing is lost without them: the default partition takes what has none.
            tracing::warn!(%error, "the audit log's partitions could not be made ahead");
        }
        Ok(store)
    }

    /// Opens a store of this version's schema as it is: for whoever only looks at it.
    pub async fn open_as_it_is(dsn: &PostgresDsn, options: PostgresOptions) -> Result<Self, PostgresError> {
        let connector = Connector::new(dsn)?;
        schema::check(&connector).await?;
        Self::start(connector, options)
    }

    fn start(connector: Connector, options: PostgresOptions) -> Result<Self, PostgresError> {
        let sessions = Sessions::new(connector.clone(), options.connections_max)?;
        let own = OwnSecret::default();
        Ok(Self {
            claims: Arc::new(Claims::start(&sessions, &own)),
            sessions,
            connector,
            clock: options.clock,
            counts_upkeep: Arc::new(CountsUpkeep::new(COUNT_ROWS_MAX)),
            own,
        })
    }

    /// Brings the schema up to date, and nothing else. Any number of processes may do so at once.
    pub async fn migrate(dsn: &PostgresDsn) -> Result<PostgresMigrated, PostgresError> {
        schema::migrate(&Connector::new(dsn)?).await
    }

    /// Looks whether [`PostgresStore::open`] would find a store that can be written to and has this version's schema, and gives that schema.
    /// Changes nothing, makes nothing.
    pub async fn check(dsn: &PostgresDsn) -> Result<i32, PostgresError> {
        schema::check(&Connector::new(dsn)?).await
    }

    /// A listening end of the channel on which replicas tell each other of changes. Each has a connection of its own.
    pub fn changes(&self) -> PostgresChanges {
        PostgresChanges::start(self.connector.clone(), self.sessions.runtime())
    }

    /// Makes the partitions of the audit log for the day of `now` and `days_ahead` days after it, and says how many were missing.
    /// Replicas that do so at once take turns.
    pub async fn ensure_partitions(&self, now: Timestamp, days_ahead: u32) -> Result<u32, StoreError> {
        partitions::ensure(&self.sessions, now, days_ahead).await
    }

    /// Drops the partitions of the days before that of `at`, and says how many went. Replicas that do so at once take turns.
    pub async fn drop_partitions_before(&self, at: Timestamp) -> Result<u32, StoreError> {
        partitions::drop_before(&self.sessions, at).await
    }

    /// Does the claims that were accepted and closes the connections. Calls after it, from any clone, are [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.claims.close().await;
        self.sessions.close().await;
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresStore")
            .field("place", &self.connector.place())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

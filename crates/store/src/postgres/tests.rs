//! The conformance suite on PostgreSQL, and what only a store behind a connection has to promise.

mod answers;
mod audit;
mod bounds;
mod changes;
mod counters;
mod faults;
mod opening;
mod partitions;
mod plans;
mod secrets;
mod sessions;
mod tls;
mod uses;

use sentinel_core::ports::{BindingStore as _, StoreError};
use sentinel_testkit::{PostgresServer, bounded};
use tokio_postgres::{Client, NoTls};

use super::{PostgresDsn, PostgresOptions, PostgresStore};
use crate::conformance::fingerprint;

const DATABASE: &str = "sentinel";

/// A server with an empty database, and its DSN.
pub(super) async fn new_database() -> (PostgresServer, PostgresDsn) {
    let server = PostgresServer::start().await;
    let dsn = server.create_database(DATABASE).await;
    (server, dsn.parse().expect("the test kit's DSN"))
}

pub(super) async fn opened(dsn: &PostgresDsn) -> PostgresStore {
    PostgresStore::open(dsn, PostgresOptions::default())
        .await
        .expect("the store opens")
}

pub(super) async fn fixture() -> (PostgresStore, PostgresServer) {
    let (server, dsn) = new_database().await;
    (opened(&dsn).await, server)
}

/// A second replica's store on the same database.
pub(super) async fn replica(server: &PostgresServer) -> PostgresStore {
    let dsn = server.database_dsn_through(DATABASE, server.address());
    opened(&dsn.parse().expect("the test kit's DSN")).await
}

/// A session past the store, as another program would have it, with the same rights.
pub(super) async fn outside(server: &PostgresServer) -> Client {
    let dsn = server.database_dsn_through(DATABASE, server.address());
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls)
        .await
        .expect("the server is up");
    tokio::spawn(connection);
    client
}

/// Waits until the store answers again.
async fn answers(store: &PostgresStore) {
    bounded("the store to answer again", async {
        while store.find(&fingerprint(1)).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until so many sessions wait for a lock.
pub(super) async fn lock_waiters(outside: &Client, count: i64) {
    let look = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    bounded("sessions to wait for a lock", async {
        while outside
            .query_one(look, &[])
            .await
            .expect("it may look")
            .get::<_, i64>(0)
            < count
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn is_unavailable<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable(_)))
}

fn is_damaged<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Damaged(_)))
}

crate::conformance::conformance_suite!(fixture().await);

mod alerts {
    use super::fixture;

    sentinel_core::alert_store_conformance!(fixture);
}

mod accounts {
    use super::fixture;

    sentinel_core::account_store_conformance!(fixture);
}

mod forgetting {
    use super::fixture;

    crate::conformance::forgetting::forgetting_suite!(fixture().await);
}

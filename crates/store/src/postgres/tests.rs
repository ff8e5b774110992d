//! The conformance suite on PostgreSQL, and what only a store behind a connection has to promise.

use sentinel_testkit::PostgresServer;

use super::{PostgresDsn, PostgresOptions, PostgresStore};

/// A server with an empty database, and its DSN.
async fn new_database() -> (PostgresServer, PostgresDsn) {
    let server = PostgresServer::start().await;
    let dsn = server.create_database("sentinel").await;
    (server, dsn.parse().expect("the test kit's DSN"))
}

async fn fixture() -> (PostgresStore, PostgresServer) {
    let (server, dsn) = new_database().await;
    let store = PostgresStore::open(&dsn, PostgresOptions::default()).await;
    (store.expect("an empty database can be opened"), server)
}

crate::conformance::conformance_suite!(fixture().await);

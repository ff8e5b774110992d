//! Measures the stores that replicas share, on a PostgreSQL (with `fsync` on) and a Redis that are started for this, and prints one JSON object a
//! line. `make bench ARGS="--parts stores"` calls it and makes a table of it.
//!
//! `cargo run --release -p sentinel-store --example stores -- claims|latency|uses` or `… -- sizes|dashboard 10000 1000000`

mod claims;
mod dashboard;
mod keys;
mod latency;
mod sizes;
mod uses;

use sentinel_store::{PostgresDsn, PostgresOptions, PostgresStore};
use sentinel_testkit::PostgresServer;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("claims") => claims::measure().await,
        Some("latency") => latency::measure().await,
        Some("uses") => uses::measure().await,
        Some("sizes") => {
            let sizes: Result<Vec<u64>, _> = arguments.map(|size| size.parse()).collect();
            sizes::measure(&sizes?).await
        }
        Some("dashboard") => {
            let sizes: Result<Vec<u64>, _> = arguments.map(|size| size.parse()).collect();
            dashboard::measure(&sizes?).await
        }
        _ => Err("what is to be measured? claims, latency, uses, sizes N… or dashboard N…".into()),
    }
}

/// A PostgreSQL that may keep ten million bindings in its buffers (PostgreSQL's documentation: a quarter of the machine's memory), an empty store on it, and how to reach it past the store.
async fn postgres() -> Result<(PostgresServer, PostgresStore, String), Failed> {
    let server = PostgresServer::builder()
        .durable()
        .setting("shared_buffers", "6GB")
        .setting("max_wal_size", "8GB")
        .setting("maintenance_work_mem", "512MB")
        .start()
        .await;
    let dsn = server.create_database("sentinel").await;
    let parsed: PostgresDsn = dsn.parse()?;
    let store = PostgresStore::open(&parsed, PostgresOptions::default()).await?;
    Ok((server, store, dsn))
}

/// Prints one result.
#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
fn tell(result: &serde_json::Value) {
    println!("{result}");
}

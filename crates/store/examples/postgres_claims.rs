//! Measures how many claims per second PostgreSQL makes durable: grouped, as the store does it, and with one INSERT for each.
//!
//! `cargo run --release -p sentinel-store --example postgres_claims [DSN of an empty database]`: without a DSN, on a PostgreSQL that is
//! started for this, with `fsync` on.

use std::time::{Duration, Instant};

use sentinel_core::binding::NewBinding;
use sentinel_core::fingerprint::{KeyFingerprint, KeyHint};
use sentinel_core::network::{ClientIp, Network};
use sentinel_core::ports::{BindingStore as _, Claim};
use sentinel_core::time::{Clock as _, SystemClock};
use sentinel_store::{PostgresDsn, PostgresOptions, PostgresStore};
use sentinel_testkit::PostgresServer;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

const GROUPED_CLAIMS: u32 = 20_000;
const SINGLE_CLAIMS: u32 = 4_000;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
async fn main() -> Result<(), Failed> {
    let given = std::env::args().nth(1);
    let mut server = None;
    let dsn = if let Some(dsn) = given {
        dsn
    } else {
        let started = PostgresServer::builder().durable().start().await;
        let dsn = started.create_database("sentinel").await;
        server = Some(started);
        dsn
    };
    let parsed: PostgresDsn = dsn.parse()?;
    let store = PostgresStore::open(&parsed, PostgresOptions::default()).await?;
    let mut first = 0;
    for clients in [1, 16, 64, 256, 1_024] {
        // One client alone waits for the disk at each claim.
        let claims = if clients == 1 { 1_000 } else { GROUPED_CLAIMS };
        let took = grouped(&store, first, claims, clients).await?;
        first += claims;
        println!(
            "grouped, {clients:>5} clients: {:>7.0} claims/s",
            rate(claims, took)
        );
    }
    for clients in [1, 16, 64] {
        let claims = if clients == 1 { 1_000 } else { SINGLE_CLAIMS };
        let took = single(&dsn, first, claims, clients).await?;
        first += claims;
        println!(
            "single,  {clients:>5} clients: {:>7.0} claims/s",
            rate(claims, took)
        );
    }
    store.close().await;
    drop(server);
    Ok(())
}

async fn grouped(store: &PostgresStore, first: u32, claims: u32, clients: u32) -> Result<Duration, Failed> {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for client in 0..clients {
        let store = store.clone();
        running.spawn(async move {
            for number in (client..claims).step_by(usize::try_from(clients).unwrap_or(1)) {
                match store.claim(new_binding(first + number)).await {
                    Ok(Claim::Won(_)) => {}
                    other => return Err(format!("{other:?}")),
                }
            }
            Ok(())
        });
    }
    for outcome in running.join_all().await {
        outcome?;
    }
    Ok(begun.elapsed())
}

/// What it would be without groups: one statement, one transaction and one wait for the disk for each claim.
async fn single(dsn: &str, first: u32, claims: u32, clients: u32) -> Result<Duration, Failed> {
    let mut running: JoinSet<Result<(), tokio_postgres::Error>> = JoinSet::new();
    let begun = Instant::now();
    for client in 0..clients {
        let (session, connection) = tokio_postgres::connect(dsn, NoTls).await?;
        tokio::spawn(connection);
        running.spawn(async move {
            let insert = session
                .prepare(
                    "WITH made AS (INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at) \
                     VALUES ($1, $2, 'active', '{}', nextval('binding_version'), now(), now()) \
                     ON CONFLICT (fingerprint) DO NOTHING RETURNING id) \
                     INSERT INTO binding_networks (binding_id, position, network) SELECT id, 0, $3::text::cidr FROM made",
                )
                .await?;
            for number in (client..claims).step_by(usize::try_from(clients).unwrap_or(1)) {
                let new = new_binding(first + number);
                let fingerprint = new.fingerprint.as_bytes().as_slice();
                session
                    .execute(&insert, &[&fingerprint, &new.hint.as_str(), &new.network.to_string()])
                    .await?;
            }
            Ok(())
        });
    }
    for outcome in running.join_all().await {
        outcome?;
    }
    Ok(begun.elapsed())
}

fn rate(claims: u32, took: Duration) -> f64 {
    f64::from(claims) / took.as_secs_f64()
}

fn new_binding(number: u32) -> NewBinding {
    // Spread like MACs are, so that the index is touched as it is in earnest.
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(
        &u64::from(number)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .to_be_bytes(),
    );
    bytes[8..12].copy_from_slice(&number.to_be_bytes());
    let address = ClientIp::new(std::net::Ipv4Addr::from_bits(0x0A00_0000 | number).into());
    NewBinding {
        fingerprint: KeyFingerprint::from_bytes(bytes),
        hint: KeyHint::from_stored("sk-ab…wxyz".to_owned()),
        network: Network::widen(address, 32, 64),
        bound_at: SystemClock.now(),
    }
}

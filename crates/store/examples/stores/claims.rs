//! First uses per second: grouped, as the store makes them durable, and with one INSERT for each.

use std::time::{Duration, Instant};

use sentinel_core::ports::{BindingStore as _, Claim};
use sentinel_store::PostgresStore;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::keys::new_binding;
use crate::{Failed, postgres, tell};

const GROUPED_CLAIMS: u64 = 20_000;
const SINGLE_CLAIMS: u64 = 4_000;
/// One client alone waits for the disk at each claim.
const LONE_CLAIMS: u64 = 1_000;

pub(crate) async fn measure() -> Result<(), Failed> {
    let (server, store, dsn) = postgres().await?;
    let mut first = 0;
    for clients in [1, 16, 64, 256, 1_024] {
        let claims = if clients == 1 { LONE_CLAIMS } else { GROUPED_CLAIMS };
        let took = grouped(&store, first, claims, clients).await?;
        first += claims;
        told("grouped", clients, claims, took);
    }
    for clients in [1, 16, 64] {
        let claims = if clients == 1 { LONE_CLAIMS } else { SINGLE_CLAIMS };
        let took = single(&dsn, first, claims, clients).await?;
        first += claims;
        told("single", clients, claims, took);
    }
    store.close().await;
    drop(server);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a rate is told with a few digits")]
fn told(kind: &str, clients: usize, claims: u64, took: Duration) {
    let per_second = claims as f64 / took.as_secs_f64();
    tell(&json!({"part": "claims", "kind": kind, "clients": clients, "per_second": per_second.round()}));
}

async fn grouped(store: &PostgresStore, first: u64, claims: u64, clients: usize) -> Result<Duration, Failed> {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for client in 0..clients {
        let store = store.clone();
        running.spawn(async move {
            for number in (first..first + claims).skip(client).step_by(clients) {
                match store.claim(new_binding(number)).await {
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
async fn single(dsn: &str, first: u64, claims: u64, clients: usize) -> Result<Duration, Failed> {
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
            for number in (first..first + claims).skip(client).step_by(clients) {
                let new = new_binding(number);
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

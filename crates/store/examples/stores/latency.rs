//! How long a lookup takes that the process's own cache cannot answer: out of Redis, and out of PostgreSQL past a Redis that has nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_core::ports::BindingStore;
use sentinel_core::time::SystemClock;
use sentinel_store::redis::{RedisAnnouncer, RedisCache, RedisLink, RedisSettings};
use sentinel_store::shared::{SharedBounds, SharedStore};
use sentinel_testkit::RedisServer;
use serde_json::json;
use tokio::task::JoinSet;

use crate::keys::{FILL, fingerprint};
use crate::{Failed, postgres, tell};

const KEYS: u64 = 10_000;
const CLIENTS: [usize; 2] = [1, 16];

pub(crate) async fn measure() -> Result<(), Failed> {
    let (server, store, dsn) = postgres().await?;
    let (session, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    session.execute(FILL, &[&0_i64, &last(KEYS)]).await?;
    session.batch_execute("ANALYZE").await?;
    let redis = RedisServer::start().await;
    let link = RedisLink::open(RedisSettings::new(redis.url().parse()?));
    for clients in CLIENTS {
        redis.command::<String>(&["FLUSHALL"]).await;
        let shared: Arc<dyn BindingStore> = Arc::new(SharedStore::new(
            Arc::new(store.clone()),
            Arc::new(RedisCache::new(link.clone())),
            Arc::new(RedisAnnouncer::new(link.clone())),
            Arc::new(SystemClock),
            // Nothing grows old while this runs.
            &SharedBounds {
                fresh: Duration::from_hours(1),
                puts_max: usize::try_from(KEYS)?,
                ..SharedBounds::default()
            },
        ));
        let missed = all(&shared, clients).await?;
        told("postgresql, after a miss of Redis", clients, &missed);
        told("redis", clients, &all(&shared, clients).await?);
    }
    store.close().await;
    drop(server);
    Ok(())
}

fn last(keys: u64) -> i64 {
    i64::try_from(keys).unwrap_or(i64::MAX) - 1
}

/// Looks each key up once; gives the times in order of length.
async fn all(store: &Arc<dyn BindingStore>, clients: usize) -> Result<Vec<Duration>, Failed> {
    let mut running = JoinSet::new();
    for client in 0..clients {
        let store = Arc::clone(store);
        running.spawn(async move {
            let mut took = Vec::new();
            for number in (0..KEYS).skip(client).step_by(clients) {
                let fingerprint = fingerprint(number);
                let begun = Instant::now();
                let found = store.find(&fingerprint).await;
                took.push(begun.elapsed());
                if !matches!(found, Ok(Some(_))) {
                    return Err(format!("{found:?}"));
                }
            }
            Ok(took)
        });
    }
    let mut took = Vec::new();
    for times in running.join_all().await {
        took.extend(times?);
    }
    took.sort_unstable();
    Ok(took)
}

fn told(from: &str, clients: usize, sorted: &[Duration]) {
    let (p50, p99) = (at(sorted, 50), at(sorted, 99));
    tell(&json!({"part": "latency", "from": from, "clients": clients, "p50_us": p50, "p99_us": p99}));
}

/// A percentile of sorted times, in microseconds.
pub(crate) fn at(sorted: &[Duration], percentile: usize) -> u128 {
    let place = (sorted.len() * percentile / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0, Duration::as_micros)
}

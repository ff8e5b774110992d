//! What it costs to know when a key was last used: at each request, and for the batch every few seconds.

use std::sync::Arc;
use std::time::Instant;

use sentinel_core::ports::BindingLookup as _;
use sentinel_core::time::{Clock as _, SystemClock};
use sentinel_store::{CacheBounds, CachedLookup};
use serde_json::json;

use crate::keys::{FILL, fingerprint};
use crate::{Failed, postgres, tell};

const KEYS: u64 = 10_000;
const USES: u64 = 20_000_000;
const BATCHES: u32 = 20;
/// `/proc/self/stat` counts in hundredths of a second.
const TICK_US: u64 = 10_000;

pub(crate) async fn measure() -> Result<(), Failed> {
    let (server, store, dsn) = postgres().await?;
    let (session, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    session
        .execute(FILL, &[&0_i64, &(i64::try_from(KEYS)? - 1)])
        .await?;
    let lookup = CachedLookup::new(Arc::new(store.clone()), &CacheBounds::default());
    let now = SystemClock.now();
    let mut known = Vec::new();
    for number in 0..KEYS {
        known.extend(lookup.find(&fingerprint(number), now).await?);
    }

    let begun = Instant::now();
    for binding in known.iter().cycle().take(usize::try_from(USES)?) {
        lookup.record_use(binding, now);
    }
    let each_ns = begun.elapsed().as_nanos() / u128::from(USES);
    lookup.flush_uses(&store).await?;

    let before = process_cpu_us()?;
    for _ in 0..BATCHES {
        for binding in &known {
            lookup.record_use(binding, now);
        }
        lookup.flush_uses(&store).await?;
    }
    let flush_us = (process_cpu_us()? - before) / u64::from(BATCHES);
    tell(&json!({"part": "uses", "keys": KEYS, "record_use_ns": each_ns, "flush_cpu_us": flush_us}));
    store.close().await;
    drop(server);
    Ok(())
}

/// User and system time of this process, in microseconds.
fn process_cpu_us() -> Result<u64, Failed> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in parentheses, may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Ok(ticks * TICK_US)
}

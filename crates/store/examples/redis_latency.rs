//! How long an answer of the shared cache takes on Redis: `cargo run --release -p sentinel-store --example redis_latency -- redis://127.0.0.1`.
//! Must never be pointed at a Redis in use: it writes.

use std::time::Duration;

use sentinel_core::binding::{Binding, BindingId, BindingStatus, Version};
use sentinel_core::fingerprint::KeyFingerprint;
use sentinel_core::network::Network;
use sentinel_core::policy::OwnPolicy;
use sentinel_core::ports::{Found, Health as _, StoreError};
use sentinel_core::time::Timestamp;
use sentinel_store::redis::{RedisCache, RedisLink, RedisSettings};
use sentinel_store::shared::{SharedCache as _, SharedEntry, Standing};
use tokio::time::Instant;

const KEYS: u32 = 1_000;
const CALLS: u32 = 20_000;

fn binding(number: u32) -> Result<Binding, Box<dyn std::error::Error>> {
    let mut fingerprint = [0x5A; 32];
    fingerprint[..4].copy_from_slice(&number.to_le_bytes());
    Ok(Binding {
        id: BindingId(number.into()),
        fingerprint: KeyFingerprint::from_bytes(fingerprint),
        status: BindingStatus::Active,
        networks: "192.0.2.0/24".parse::<Network>()?.into(),
        policy: OwnPolicy::default(),
        version: Version(1),
        bound_at: Timestamp::from_unix_ms(1),
    })
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "what an example is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("say which Redis: redis://…")?;
    let settings = RedisSettings::new(url.parse()?).with_prefix("sentinel-latency:")?;
    RedisLink::try_out(&settings).await?;
    let link = RedisLink::open(settings);
    while link.check().await.is_err() {
        tokio::task::yield_now().await;
    }
    let cache = RedisCache::new(link);
    for number in 0..KEYS {
        cache
            .put(&Found::from(binding(number)?), Standing::NOTHING)
            .await?;
    }
    for callers in [1, 16, 64] {
        let took = measure(&cache, callers).await?;
        let percentile = |hundredths: usize| took[(took.len() - 1) * hundredths / 100].as_micros();
        println!(
            "{callers:>3} at once: p50 {:>5} µs, p99 {:>5} µs, longest {:>6} µs",
            percentile(50),
            percentile(99),
            percentile(100)
        );
    }
    Ok(())
}

/// How long each of [`CALLS`] hits took, shortest first.
async fn measure(cache: &RedisCache, callers: u32) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let cache = cache.clone();
        tasks.spawn(async move {
            let mut took = Vec::new();
            for call in 0..CALLS / callers {
                let mut fingerprint = [0x5A; 32];
                let number = (call * callers + caller) % KEYS;
                fingerprint[..4].copy_from_slice(&number.to_le_bytes());
                let began = Instant::now();
                let entry = cache.get(&KeyFingerprint::from_bytes(fingerprint)).await?;
                took.push(began.elapsed());
                assert!(matches!(entry, SharedEntry::Binding(..)), "not a hit: {entry:?}");
            }
            Ok::<_, StoreError>(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = tasks.join_next().await {
        all.extend(took??);
    }
    all.sort_unstable();
    Ok(all)
}

//! Counts in sliding windows, shared by all replicas, by the server's clock. While Redis is away each replica goes on by itself, and merges
//! what it counted when it is back.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::counting::{Count, SLICES, WindowCounters};
use sentinel_core::ports::StoreError;

use super::link::RedisLink;
use super::script::{LazyScript, lua_script};
use crate::counting::merged::{Batch, CountKeeper, MergedCounters};

static COUNT: LazyScript = lua_script!("scripts/count.lua");

/// [`WindowCounters`] on Redis. Knows one window at a time: a call with another one begins anew, and what waited for the old one is let go.
#[derive(Debug)]
pub struct RedisCounters(MergedCounters<OnRedis>);

/// One script adds and asks.
#[derive(Debug)]
struct OnRedis(RedisLink);

impl RedisCounters {
    /// Counts at the end of `link`. Fails when the system has no random numbers.
    pub fn new(link: RedisLink) -> Result<Self, StoreError> {
        MergedCounters::new(OnRedis(link)).map(Self)
    }
}

#[async_trait]
impl WindowCounters for RedisCounters {
    async fn add(&self, window: Duration, batch: Vec<Count>) -> Result<Vec<u64>, StoreError> {
        self.0.add(window, batch).await
    }

    fn take_lost(&self) -> u64 {
        self.0.take_lost()
    }
}

#[async_trait]
impl CountKeeper for OnRedis {
    async fn add(&self, batch: Batch, asked: Vec<String>) -> Result<Vec<u64>, StoreError> {
        let prefix = &self.0.settings().prefix;
        let window_ms = batch.window_ms;
        let key = |name: &str| format!("{prefix}{{count}}:{window_ms}:{name}");
        let mut keys = vec![format!(
            "{prefix}{{count}}:batch:{:016x}:{window_ms}",
            batch.replica
        )];
        let mut places = HashMap::new();
        for name in asked.iter().chain(batch.parts.iter().map(|part| &part.name)) {
            places.entry(name.as_str()).or_insert_with(|| {
                keys.push(key(name));
                keys.len() - 1
            });
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let arguments = |command: &mut redis::Cmd| {
            command
                .arg(batch.number)
                .arg(window_ms)
                .arg(SLICES)
                .arg(asked.len());
            for part in &batch.parts {
                command
                    .arg(places[part.name.as_str()])
                    .arg(part.age_ms)
                    .arg(part.times);
            }
        };
        self.0.run(&COUNT, &keys, arguments).await
    }
}
